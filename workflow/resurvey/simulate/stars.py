"""Stellar spectra from temperature, metallicity and gravity: Planck continuum, Balmer jump, lines and molecular bands.

One continuous space: every spectral type is an interval of temperature on the same grid of templates, so neighbouring
types differ as little as their temperatures do. Line strengths are closed formulae in θ = 5040 K / T_eff fitted by eye
to the trends of Gray & Corbally (2009); weak metal lines are a fixed random forest, so their sum (blanketing) is
realistic while single weak lines are not.
"""

import functools

import numba
import numpy as np

from resurvey.simulate.lines import BALMER, BALMER_RATIO, PASCHEN, STELLAR
from resurvey.simulate.wavelengths import TEMPLATE_SIGMA_PX, rest_wavelengths

TEFF = np.array([2900, 3100, 3300, 3500, 3750, 4000, 4250, 4500, 4750, 5000, 5250, 5500, 5750, 6000, 6300, 6600, 7000, 7500,
                 8200, 9000, 10000, 11500, 13500, 17000, 25000.0])  # fmt: skip
FEH = np.array([-2.0, -1.0, -0.4, 0.3])
LOGG = np.array([2.0, 4.5])
SPECIAL = {"white dwarf": 0, "carbon": 1}  # templates beyond the grid
_BALMER_T = np.array(
    [3000, 4000, 4500, 5000, 5500, 5800, 6000, 6500, 7000, 8000, 9000, 9500, 10500, 12000, 15000, 20000, 25000]
)
_BALMER_EW = np.array(
    [0.0, 0.1, 0.3, 0.6, 1.3, 1.9, 2.4, 3.8, 5.5, 9.5, 12.5, 13.0, 12.0, 10.0, 6.5, 4.5, 3.5]
)  # of Hδ [Å], dwarfs
_TIO = np.array([(4761, 4950, 0.5), (4954, 5160, 0.8), (5167, 5440, 0.9), (5448, 5600, 0.5), (5847, 6080, 0.8), (6158, 6420, 1.0),
                 (6651, 6850, 0.9), (7053, 7270, 1.3), (7589, 7860, 1.0), (8206, 8440, 0.6), (8432, 8600, 0.8), (8859, 9100, 0.7)])  # fmt: skip
_SWAN = np.array(
    [(4740, 4250, 0.7), (5165, 4740, 1.2), (5636, 5165, 0.9), (6191, 5800, 0.4)]
)  # C2 heads, shaded to the blue


@numba.njit(cache=True)
def _absorb(tau, wave, centre, area, width, power):
    """Add lines of weak-limit equivalent width `area` [Å] to `tau` (P,): (1 + (Δλ/width)²)^-power, cut at 40 widths."""
    step = np.log(wave[1] / wave[0])
    norm = 3.14159265 if power == 1.0 else 2.30
    for i in range(len(centre)):
        if area[i] <= 0:
            continue
        pixel = np.log(centre[i] / wave[0]) / step
        reach = 40 * width[i] / (centre[i] * step)
        peak = area[i] / (norm * width[i])
        for j in range(max(int(pixel - reach), 0), min(int(pixel + reach) + 2, len(wave))):
            tau[j] += peak * (1 + ((wave[j] - centre[i]) / width[i]) ** 2) ** -power


@functools.lru_cache(maxsize=1)
def _weak_lines() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelength [Å], solar equivalent width [Å] and slope in θ of 7,000 weak metal lines, crowded to the blue."""
    rng = np.random.default_rng(1943)
    wave = 1480 * (10400 / 1480) ** rng.beta(1.1, 1.6, 7000)
    crowding = np.interp(
        wave, [1480, 3000, 3970, 4010, 4600, 5500, 7000, 10500], [2.6, 2.1, 1.6, 0.85, 0.5, 0.33, 0.2, 0.14]
    )
    return (
        wave,
        0.10 * crowding * rng.lognormal(0, 0.7, 7000),
        rng.choice([0.3, 1.5, 2.2, 3.0], 7000, p=[0.15, 0.3, 0.35, 0.2]),
    )


def _planck(wave: np.ndarray, teff: float) -> np.ndarray:
    """Planck flux per unit wavelength over the star's bolometric flux, times 1 Å."""
    x = 1.438777e8 / (wave * teff)
    return 15 / np.pi**4 * (1.438777e8 / teff) ** 4 / wave**5 / np.expm1(np.minimum(x, 80))


def _band(wave: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((wave - centre) / width) ** 2)


def template(teff: float, feh: float, logg: float, balmer: float = 1.0, carbon: float = 0.0) -> np.ndarray:
    """A star's flux per Å at the rest grid over its bolometric flux, shape (REST_PIXELS,), float64.

    teff [K], feh [dex], logg [dex, cgs]; `balmer` multiplies the hydrogen lines' strength (white dwarfs), `carbon`
    is the strength of the C2 bands that then replace TiO.
    """
    wave = rest_wavelengths()
    theta, dwarf = 5040 / teff, (logg - 3.25) / 1.25
    metals = 1 / (1 + np.exp((teff - 8600) / 600))  # neutral metals are ionised away
    tau = np.zeros_like(wave)
    hot = 1 + 0.25 * dwarf * np.clip((teff - 7000) / 2000, 0, 1)
    hydrogen = balmer * hot * np.interp(teff, _BALMER_T, _BALMER_EW) * BALMER_RATIO
    hydrogen[0] = max(hydrogen[0], 0.4 * hydrogen[3] + 0.9 * np.clip((teff - 3600) / 1500, 0, 1))
    _absorb(tau, wave, BALMER, 1.25 * hydrogen, 0.9 + 0.28 * hydrogen, 1.3)
    paschen = np.full(len(PASCHEN), 0.22 * np.interp(teff, _BALMER_T, _BALMER_EW)) * np.clip((teff - 6300) / 2500, 0, 1)
    _absorb(tau, wave, PASCHEN, paschen, 1.5 + 0.9 * paschen, 1.3)
    centre, sun, slope, width, gravity, metal = STELLAR.T
    change = (
        slope * (np.clip(theta, 0.4, 1.25) - 0.872)
        + gravity * dwarf * 0.12 * np.clip(theta - 0.6, 0, 1)
        + metal * feh * 0.8
    )
    ionised = np.where(slope < 2, 1 / (1 + np.exp((teff - 9800) / 900)), metals)
    strength = sun * 10 ** np.clip(change, -3, 1.1) * ionised
    _absorb(tau, wave, centre, strength, np.maximum(width, strength / 5), 1.0)
    centre, sun, slope = _weak_lines()
    strength = (
        sun * 10 ** (slope * 0.7 * (np.clip(theta, 0.4, 1.3) - 0.872) + 0.55 * feh) * np.where(slope < 1, 1, metals)
    )
    _absorb(tau, wave, centre, strength, np.full(len(centre), 0.45), 1.3)
    cool = np.clip((teff - 3900) / 900, 0, 1) * np.clip((7000 - teff) / 1500, 0, 1)
    tau += 0.42 * cool * 10 ** (0.5 * feh) * (_band(wave, 4304, 11) + 0.7 * _band(wave, 4312, 4))  # CH, G band
    giant = np.clip((5600 - teff) / 1200, 0, 1) * 10 ** (0.6 * feh)
    tau += (0.35 - 0.2 * dwarf) * giant * (_band(wave, 3862, 22) + 0.5 * _band(wave, 4190, 22))  # CN
    tau += (
        (0.5 + 0.45 * dwarf) * np.clip((5100 - teff) / 1200, 0, 1.2) * 10 ** (0.4 * feh) * _band(wave, 5150, 55)
    )  # MgH
    tau += (
        (0.6 + 0.6 * dwarf)
        * np.clip((4100 - teff) / 700, 0, 1.5)
        * (_band(wave, 6385, 22) + 1.2 * _band(wave, 6880, 60))
    )  # CaH
    titanium = np.clip((4150 - teff) / 550, 0, 2.2) * 10 ** (0.3 * feh) * (0 if carbon else 1)
    for head, end, weight in _TIO:
        tau += (
            titanium
            * weight
            * 0.8
            * np.where((wave > head) & (wave < end + 150), np.exp(-(wave - head) / (0.6 * (end - head))), 0)
        )
    for head, end, weight in _SWAN:
        tau += (
            carbon
            * weight
            * np.where((wave < head) & (wave > end - 150), np.exp(-(head - wave) / (0.35 * (head - end))), 0)
        )
    jump = 0.55 * np.exp(-0.5 * (np.log(teff / 9300) / 0.24) ** 2)
    jump /= 1 + np.exp((wave - 3655) / 14)  # Balmer jump
    jump += 0.09 * np.exp(-0.5 * (np.log(teff / 9300) / 0.24) ** 2) / (1 + np.exp((wave - 8210) / 30))  # Paschen jump
    flux = _planck(wave, teff) * (1 - jump) * np.exp(-np.minimum(tau, 3.2))
    return _smooth(flux)


def _smooth(flux: np.ndarray) -> np.ndarray:
    """Broaden to the templates' common width, so that sampling at one pixel loses nothing."""
    taps = np.exp(-0.5 * (np.arange(-4, 5) / TEMPLATE_SIGMA_PX) ** 2)
    return np.convolve(np.pad(flux, 4, mode="edge"), taps / taps.sum(), mode="valid")


@functools.lru_cache(maxsize=1)
def library() -> np.ndarray:
    """All stellar templates, float32 (len(TEFF)·len(FEH)·len(LOGG) + 2, REST_PIXELS): T slowest, gravity fastest."""
    grid = [template(t, m, g) for t in TEFF for m in FEH for g in LOGG]
    grid += [template(14000, -2.0, 4.5, balmer=2.3), template(4300, -0.4, 2.0, carbon=1.0)]
    return np.array(grid, np.float32)


def mixture(teff: np.ndarray, feh: np.ndarray, logg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n, 8) int32 and weights (n, 8) float32 of the templates that interpolate (n,) stars linearly
    in ln T, [Fe/H] and log g; beyond the grid its edge is taken."""
    corners = []
    for value, nodes in ((np.log(teff), np.log(TEFF)), (feh, FEH), (logg, LOGG)):
        low = np.clip(np.searchsorted(nodes, value) - 1, 0, len(nodes) - 2)
        part = np.clip((value - nodes[low]) / (nodes[low + 1] - nodes[low]), 0, 1)
        corners.append((low, part))
    index, weight = [], []
    for dt in (0, 1):
        for dm in (0, 1):
            for dg in (0, 1):
                t, m, g = corners[0][0] + dt, corners[1][0] + dm, corners[2][0] + dg
                index.append((t * len(FEH) + m) * len(LOGG) + g)
                factors = [np.where(d, p, 1 - p) for d, (_, p) in zip((dt, dm, dg), corners, strict=True)]
                weight.append(factors[0] * factors[1] * factors[2])
    return np.stack(index, 1).astype(np.int32), np.stack(weight, 1).astype(np.float32)
