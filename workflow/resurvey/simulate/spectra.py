"""Truth table + instrument → spectra before noise: flux density at an observed log-λ grid, per unit brightness."""

import numpy as np

from resurvey.simulate import galaxies, quasars, stars
from resurvey.simulate.instruments import Instrument
from resurvey.simulate.kernels import BLOCK, add_lines, forest, project
from resurvey.simulate.lines import BALMER, NEBULAR
from resurvey.simulate.wavelengths import (
    PIXEL_KMS,
    REST_START,
    STEP,
    TEMPLATE_SIGMA_PX,
    galactic_extinction,
    galaxy_attenuation,
    smc_attenuation,
)

_BAL = np.array([(1549.06, 1.0), (1398.0, 0.45), (1240.14, 0.8), (1215.67, 0.35)])  # troughs: line, relative depth


def noiseless(table: dict, instrument: Instrument, loglam: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flux density of all rows of `table` at `loglam` (N,), float32 (n, N); of order one, zero for sky and unplugged fibres.

    Galactic reddening is applied; line widths are those of the instrument and the object together. `rng` draws what is
    not in the table: Lyα forest and absorption troughs.
    """
    flux = np.zeros((len(table["kind"]), len(loglam)), np.float32)
    for kind, render in (("STAR", _stars), ("GALAXY", _galaxies), ("QSO", _quasars)):
        rows = np.flatnonzero(table["kind"] == kind)
        if len(rows):
            part = {name: values[rows] for name, values in table.items()}
            flux[rows] = render(part, instrument, loglam, rng)
    dust = galactic_extinction(10**loglam).astype(np.float32)
    return flux * np.exp(-0.921034 * table["av_galactic"][:, None] * dust)


def _origin(loglam: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Rest-grid pixel under the first observed pixel."""
    return (loglam[0] - np.log10(1 + z) - REST_START) / STEP


def broadening(instrument: Instrument, loglam: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Gaussian σ [pixels] that turns a template into the observation, per block of pixels; velocity (n,) [km/s]."""
    blocks = instrument.curve("wdisp", loglam[BLOCK // 2 :: BLOCK])
    blocks = np.append(blocks, np.full((len(loglam) + BLOCK - 1) // BLOCK - len(blocks), blocks[-1]))
    square = blocks[None] ** 2 + (velocity[:, None] / PIXEL_KMS) ** 2 - TEMPLATE_SIGMA_PX**2
    return np.sqrt(np.clip(square, 0.25, 17.0**2)).astype(np.float32)


def _stars(table, instrument, loglam, rng) -> np.ndarray:
    special = table["template"] >= 0
    grid = np.nan_to_num(table["teff"], nan=9000.0), np.nan_to_num(table["feh"]), np.nan_to_num(table["logg"], nan=4.5)
    index, weight = stars.mixture(*(value.astype(float) for value in grid))
    count = len(stars.library())
    index[special], weight[special] = 0, 0
    index[special, 0] = count - len(stars.SPECIAL) + table["template"][special]
    weight[special, 0] = 1
    library = stars.library()
    middle = round((np.log10(6000) - REST_START) / STEP)
    level = np.einsum("nk,nk->n", weight, library[:, middle - 20 : middle + 20].mean(1)[index])
    flux = np.zeros((len(index), len(loglam)), np.float32)
    sigma = broadening(instrument, loglam, np.zeros(len(index)))
    project(library, index, weight / level[:, None].astype(np.float32), _origin(loglam, table["z"]), sigma, flux)
    _cataclysmic(table, instrument, loglam, flux)
    return flux


def _cataclysmic(table, instrument, loglam, flux) -> None:
    """Cataclysmic variables: a hot continuum with Balmer lines filled in and in emission, 900 km/s wide."""
    rows = np.flatnonzero(table["subclass"] == "CV")
    centre = np.log10(BALMER[:5])[None] + np.log10(1 + table["z"][rows])[:, None]
    lines = np.zeros((len(rows), len(loglam)), np.float32)
    strength = np.array([60.0, 55.0, 50.0, 42.0, 30.0]) * np.interp(BALMER[:5], [3900, 6600], [2.4, 0.8])
    add_lines(lines, loglam[0], np.repeat(strength[None], len(rows), 0), centre, np.full(centre.shape, 900 / PIXEL_KMS))
    flux[rows] += lines


def _galaxies(table, instrument, loglam, rng) -> np.ndarray:
    young, middle, metals = (table[name].astype(float) for name in ("young_share", "middle_share", "feh"))
    old = np.clip(1 - young - middle, 0, 1)
    parts = [
        galaxies.mixture(table["log_age_old"].astype(float), metals, old),
        galaxies.mixture(np.interp(table["log_age_old"], [9.3, 10.15], [8.7, 9.3]), metals, middle),
        galaxies.mixture(table["log_age_young"].astype(float), metals, young),
    ]
    index, weight = (np.concatenate(items, 1) for items in zip(*parts, strict=True))
    flux = _starlight(table, instrument, loglam, index, weight)
    rest = 10 ** (loglam[None] - np.log10(1 + table["z"])[:, None])
    flux *= np.exp(-0.921034 * table["av"][:, None] * (galaxy_attenuation(rest).astype(np.float32) - np.float32(1)))
    level = _level(galaxies.library(), index, weight, 6564.61)
    level *= np.exp(-0.921034 * table["av"].astype(float) * float(galaxy_attenuation(6564.61) - 1))
    narrow_lines(flux, table, instrument, loglam, level)
    return flux


def _starlight(table, instrument, loglam, index, weight) -> np.ndarray:
    """Stellar populations of galaxies (n, pixels): templates mixed, redshifted and broadened by the velocity dispersion."""
    flux = np.zeros((len(index), len(loglam)), np.float32)
    sigma = broadening(instrument, loglam, table["vdisp"])
    project(galaxies.library(), index, weight, _origin(loglam, table["z"]), sigma, flux)
    return flux


def _level(library, index, weight, wave) -> np.ndarray:
    """Continuum (n,) of mixtures of templates round a rest wavelength: the median over ±60 Å, which skips the line itself."""
    low, high = (round((np.log10(wave + d) - REST_START) / STEP) for d in (-60, 60))
    return np.einsum("nk,nk->n", weight.astype(float), np.median(library[:, low:high], 1).astype(float)[index])


def narrow_lines(flux, table, instrument, loglam, level) -> None:
    """Add the NEBULAR lines; `level` (n,): continuum at Hα per rest Å that the equivalent width refers to."""
    ratios = galaxies.line_ratios(*(table[name].astype(float) for name in ("n2", "o3", "av", "hardness")))
    strength = (table["ew_halpha"] * level * (1 + table["z"]))[:, None] * ratios
    centre = np.log10(np.array(list(NEBULAR.values())))[None] + np.log10(1 + table["z"])[:, None]
    sigma = np.hypot(table["line_sigma"][:, None] / PIXEL_KMS, instrument.curve("wdisp", centre))
    add_lines(flux, loglam[0], strength.astype(float), centre, sigma)


def _quasars(table, instrument, loglam, rng) -> np.ndarray:
    z, wave = table["z"], 10**loglam
    slope = table["slope"].astype(float)
    flux = quasars.continuum(wave, z, slope)
    index = np.tile(np.array([0, 1], np.int32), (len(z), 1))
    weight = np.stack([table["iron"], table["balmer"]], 1)
    sigma = broadening(instrument, loglam, table["fwhm"] / 2.355)
    project(quasars.library(), index, weight, _origin(loglam, z), sigma, flux)
    lines = quasars.broad_lines(z, slope, table["fwhm"], table["blueshift"], table["broad_ew"].astype(float))
    add_lines(flux, loglam[0], *lines)
    rest = 10 ** (loglam[None] - np.log10(1 + z)[:, None])
    flux *= np.exp(-0.921034 * table["av"][:, None] * (smc_attenuation(rest).astype(np.float32) - np.float32(1)))
    broad_absorption(flux, table, loglam, rng)
    _host(flux, table, instrument, loglam)
    _forest(flux, z, loglam, rng)
    return flux


def _host(flux, table, instrument, loglam) -> None:
    """Add the host galaxy, `host_share` of the light at rest 5100 Å, and the narrow lines (also of quasars without host light)."""
    share = table["host_share"].astype(float)
    index, weight = galaxies.mixture(
        table["log_age_old"].astype(float), table["feh"].astype(float), np.ones(len(share))
    )
    host = _starlight(table, instrument, loglam, index, weight)
    nucleus = (5100 / 3000) ** table["slope"].astype(float)
    flux += host * (share / (1 - share) * nucleus / _level(galaxies.library(), index, weight, 5100))[:, None].astype(
        np.float32
    )
    narrow_lines(flux, table, instrument, loglam, (6564.61 / 3000) ** table["slope"].astype(float))


def broad_absorption(flux, table, loglam, rng) -> None:
    """Troughs 3,000 to 18,000 km/s blueward of C IV, Si IV, N V and Lyα in the quasars that have them."""
    rows = np.flatnonzero(table["bal"] > 0)
    speed, width = rng.uniform(3000, 18000, len(rows)), rng.uniform(800, 3000, len(rows))
    troughs = np.zeros((len(rows), len(loglam)), np.float32)
    for line, depth in _BAL:
        centre = np.log10(line * (1 + table["z"][rows]) * (1 - speed / 2.998e5))
        velocity = (loglam[None] - centre[:, None]) / STEP * PIXEL_KMS
        troughs += depth * np.exp(-0.5 * (velocity / width[:, None]) ** 4)
    flux[rows] *= 1 - np.minimum(troughs * table["bal"][rows, None], 0.98)


def _forest(flux, z, loglam, rng) -> None:
    """Lyα forest and Lyman limit of the quasars whose Lyα lies redward of the first pixel."""
    rows = np.flatnonzero(1215.67 * (1 + z) > 10 ** loglam[0])
    if len(rows):
        transmission = np.ones((len(rows), len(loglam)), np.float32)
        strength = rng.lognormal(0, 0.15, len(rows))
        forest(transmission, loglam[0], z[rows], strength, rng.standard_normal(transmission.shape, np.float32))
        flux[rows] *= transmission
