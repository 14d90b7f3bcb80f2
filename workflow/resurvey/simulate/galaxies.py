"""Galaxies: stellar populations by age and metallicity, nebular lines by ionisation, one continuous space of parameters.

The stars are a mixture of three simple stellar populations (old, intermediate, young); the same young population that
shows in the continuum sets the strength of Hα, and an active nucleus adds lines of its own, so that star-forming,
starburst, composite, active and passive galaxies pass into one another.
"""

import functools

import numpy as np

from resurvey.simulate import stars
from resurvey.simulate.lines import NEBULAR
from resurvey.simulate.wavelengths import REST_START, STEP

LOG_AGE = np.array([6.6, 7.0, 7.4, 7.8, 8.2, 8.5, 8.8, 9.1, 9.4, 9.7, 10.0, 10.15])  # log10 yr
METALS = np.array([-1.2, -0.5, 0.0, 0.3])  # [Fe/H]
# Main sequence: mass [Msun], temperature [K], log luminosity [Lsun] (Pecaut & Mamajek 2013, rounded)
_MASS = np.array([0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 9.0, 15.0, 30.0])
_TEMPERATURE = np.array(
    [2900, 3200, 3400, 3750, 4400, 4950, 5350, 5770, 6250, 7050, 8700, 12000, 16500, 22000, 25000, 25000.0]
)
_LOG_L = np.array([-3.0, -2.2, -1.9, -1.4, -0.8, -0.5, -0.25, 0.0, 0.3, 0.75, 1.25, 1.95, 2.75, 3.6, 4.3, 5.1])
_GIANT_SHARE = (
    [6.6, 7.0, 7.4, 8.0, 8.8, 9.2, 10.2],
    [0.05, 0.25, 0.25, 0.28, 0.42, 0.55, 0.66],
)  # of the bolometric light


def turnoff_mass(log_age: float) -> float:
    """Main-sequence turn-off mass [Msun] at log10 age [yr]: lifetime ≈ 10 Gyr · M^-2.5."""
    return float(np.clip((10**log_age / 1e10) ** -0.4, 0.85, 30.0))


def simple_population(log_age: float, metals: float) -> np.ndarray:
    """Spectrum of stars of one age [log10 yr] and [Fe/H], normalised at 5500 Å, float64 (REST_PIXELS,).

    Main sequence up to the turn-off with Chabrier's (2003) slope above and Kroupa's below 0.5 Msun, and giants with
    the share of the light that Maraston (1998) finds with age.
    """
    mass = np.geomspace(0.1, turnoff_mass(log_age), 40)
    number = np.where(mass < 0.5, 2 * mass**-1.3, mass**-2.3) * np.gradient(mass)
    evolved = 1 + 0.8 * (mass / mass[-1]) ** 8  # stars brighten before they leave the main sequence
    light = number * 10 ** np.interp(np.log(mass), np.log(_MASS), _LOG_L) * evolved
    shift = 1 - 0.035 * metals - 0.05 * (mass / mass[-1]) ** 8
    teff = np.interp(np.log(mass), np.log(_MASS), _TEMPERATURE) * shift
    share = np.interp(log_age, *_GIANT_SHARE)
    giants = np.array([3700, 4100, 4500, 4800, 5050]) - 330 * metals - 90 * (log_age - 9.5)
    giant_light = np.array([0.13, 0.2, 0.25, 0.3, 0.12]) * light.sum() * share / (1 - share)
    teff, light = np.append(teff, giants), np.append(light, giant_light)
    logg = np.append(np.full(len(mass), 4.5), np.full(len(giants), 2.0))
    index, weight = stars.mixture(teff, np.full(len(teff), metals), logg)
    flux = np.einsum("nk,nkp->p", weight * light[:, None], stars.library()[index])
    middle = round((np.log10(5500) - REST_START) / STEP)
    return flux / flux[middle - 50 : middle + 50].mean()


@functools.lru_cache(maxsize=1)
def library() -> np.ndarray:
    """Populations float32 (len(LOG_AGE)·len(METALS), REST_PIXELS), age slowest."""
    return np.array([simple_population(age, metals) for age in LOG_AGE for metals in METALS], np.float32)


def mixture(log_age: np.ndarray, metals: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights (n, 4) of the populations for ages and metallicities (n,), times their `share` (n,) of the light."""
    index, weight = [], []
    corners = []
    for value, nodes in ((log_age, LOG_AGE), (metals, METALS)):
        low = np.clip(np.searchsorted(nodes, value) - 1, 0, len(nodes) - 2)
        corners.append((low, np.clip((value - nodes[low]) / (nodes[low + 1] - nodes[low]), 0, 1)))
    for da in (0, 1):
        for dm in (0, 1):
            index.append((corners[0][0] + da) * len(METALS) + corners[1][0] + dm)
            factors = [np.where(d, part, 1 - part) for d, (_, part) in zip((da, dm), corners, strict=True)]
            weight.append(share * factors[0] * factors[1])
    return np.stack(index, 1).astype(np.int32), np.stack(weight, 1).astype(np.float32)


def line_ratios(n2: np.ndarray, o3: np.ndarray, attenuation: np.ndarray, hardness: np.ndarray) -> np.ndarray:
    """Fluxes of the NEBULAR lines over Hα, (n, lines), from log [N II]/Hα, log [O III]/Hβ, A(V) [mag] and AGN share (n,).

    Case B recombination (Osterbrock & Ferland 2006: Hα/Hβ = 2.86) and the fixed ratios of the doublets; [O II], [S II],
    [O I] follow metallicity and hardness as in Kewley et al. (2006). Dust reddens all of them alike with λ^-0.7.
    """
    hbeta = np.full_like(n2, 1 / 2.86)
    oxygen = 0.9 * 10 ** np.clip(-0.5 * (n2 + 0.6), -0.5, 0.25) * (1 + 0.5 * hardness)
    sulphur = 0.28 * 10 ** np.clip(0.25 * (n2 + 0.6), -0.2, 0.2) * (1 + 0.8 * hardness)
    o_one = 0.03 * 10 ** np.clip(0.3 * (n2 + 0.6), -0.2, 0.2) * (1 + 5 * hardness)
    o_three, n_two = hbeta * 10**o3, 10**n2
    values = {
        "[OII]3727": 0.43 * oxygen, "[OII]3730": 0.57 * oxygen, "[NeIII]3870": 0.08 * o_three, "Hdelta": 0.259 * hbeta,
        "Hgamma": 0.469 * hbeta, "[OIII]4364": 0.008 * o_three, "HeII4687": 0.02 * hbeta * (1 + 10 * hardness),
        "Hbeta": hbeta, "[OIII]4960": o_three / 2.98, "[OIII]5008": o_three, "HeI5877": 0.11 * hbeta, "[OI]6302": o_one,
        "[OI]6366": o_one / 3.1, "[NII]6550": n_two / 3.05, "Halpha": np.ones_like(n2), "[NII]6585": n_two,
        "[SII]6718": 0.57 * sulphur, "[SII]6733": 0.43 * sulphur, "[ArIII]7138": 0.03 + 0 * n2, "[SIII]9071": 0.1 + 0 * n2,
        "[SIII]9533": 0.25 + 0 * n2,
    }  # fmt: skip
    wave = np.array([NEBULAR[name] for name in values])
    dust = 10 ** (-0.4 * attenuation[:, None] * ((wave / 5500) ** -0.7 - (6564.61 / 5500) ** -0.7))
    return np.stack(list(values.values()), 1) * dust
