"""From normalised spectra to what APOGEE's reduction writes of a star: visits with noise, sky, bad pixels and masks, and their combination.

All spectra are on the 8575 pixels, at rest in vacuum. Sky lines, telluric bands and the detectors' edges stay where the Earth
sees them, so that in the star's rest frame they move from visit to visit.
"""

import functools
from dataclasses import dataclass

import numpy as np

from resurvey.simulate import apogee_molecules
from resurvey.surveys.apogee_grid import DR13, FULL, LIGHT_SPEED, START, WAVELENGTH

# detectors as observed, blue, green, red [Å]: what the apVisit wavelengths cover
DETECTORS = ((15143.2, 15810.2), (15857.0, 16434.5), (16472.5, 16953.9))
NO_DATA = 1e10  # the reduction's error of a pixel without data, whose flux is 0
BADPIX, CRPIX, LITTROW, PERSIST, SKYLINE, TELLURIC = (
    1 << 0,
    1 << 1,
    1 << 8,
    (1 << 9, 1 << 10, 1 << 11),
    1 << 12,
    1 << 13,
)
BAD = 0b11111111  # bits 0-7: no measurement
_TELLURIC = (
    (15400.0, 15440.0, 0.03),
    (15690.0, 15790.0, 0.10),
    (16000.0, 16130.0, 0.12),
    (16450.0, 16700.0, 0.04),
)  # CO₂, CH₄
_SKY_STEP = 1.5e-6  # of the fine log10 λ grid on which the sky is tabulated
_SKY_START, _SKY_PIXELS = 4.1780, 36000
FINE = 4  # its steps in a pixel of APOGEE's grid


@dataclass(frozen=True)
class Observed:
    """One star, rows as in apStar: combined by pixel weights, combined by visit weights, visits; a single row for one visit.

    flux, error (rows, 8575) float32 [1e-17 erg/s/cm²/Å]; mask (rows, 8575) int16; sky, telluric (rows, 8575) float32;
    sn: median per pixel of the combined spectrum; visit_sn, shift (visits,): S/N and Doppler shift of each visit [km/s].
    """

    flux: np.ndarray
    error: np.ndarray
    mask: np.ndarray
    sky: np.ndarray
    telluric: np.ndarray
    sn: float
    visit_sn: np.ndarray
    shift: np.ndarray


@functools.cache
def _night() -> tuple[np.ndarray, np.ndarray]:
    """Airglow (1 at the strongest line's peak) and telluric transmission on the fine grid of observed log10 λ."""
    grid = _SKY_START + _SKY_STEP * np.arange(_SKY_PIXELS)
    glow = np.zeros(_SKY_PIXELS)
    width = 5.66 / LIGHT_SPEED / np.log(10)
    for wave, strength in zip(*apogee_molecules.airglow(), strict=True):
        near = np.abs(grid - np.log10(wave)) < 6 * width
        glow[near] += strength * np.exp(-0.5 * ((grid[near] - np.log10(wave)) / width) ** 2)
    clear = np.ones(_SKY_PIXELS)
    rng = np.random.default_rng(list(b"telluric"))
    for low, high, depth in _TELLURIC:
        for wave in rng.uniform(low, high, int((high - low) / 2.5)):
            clear -= depth * rng.uniform(0.2, 1) * np.exp(-0.5 * ((grid - np.log10(wave)) / width) ** 2)
    return glow / glow.max(), np.clip(clear, 0.3, 1)


def continuum(teff: float, magnitude: float, extinction: float) -> np.ndarray:
    """(8575,) flux of a star's continuum [1e-17 erg/s/cm²/Å]: a black body of 2MASS H `magnitude`, reddened (A_H, ∝ λ^-1.6)."""
    micron = WAVELENGTH / 1e4
    shape = micron**-5 / np.expm1(14387.77 / (micron * teff))
    shape = shape * 10 ** (-0.4 * extinction * ((micron / 1.6) ** -1.6 - 1))
    return 1.13e7 * 10 ** (-0.4 * magnitude) * shape / shape[FULL // 2]


def visit_signal(sn: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) S/N of visits that combine to `sn`: some nights are much better than others."""
    share = rng.lognormal(0, 0.7, count)
    return sn * np.sqrt(share / share.sum())


def observe(spectrum: np.ndarray, light: np.ndarray, sn: float, shift: np.ndarray, persistence: int, rng: np.random.Generator) -> Observed:  # fmt: skip
    """Observe a star with `spectrum` (8575,) normalised and `light` (8575,) its continuum, in visits at Doppler shifts [km/s] (visits,).

    sn: median S/N per pixel that the combination shall have; persistence: 0 none, 1 high, 2 medium, 3 low, in the blue detector.
    """
    signal = visit_signal(sn, len(shift), rng)
    visits = [_visit(spectrum, light, *pair, persistence, rng) for pair in zip(signal, shift, strict=True)]
    flux, error, mask, sky, clear = (np.array(part) for part in zip(*visits, strict=True))
    if len(shift) > 1:
        rows = [_combined(flux, error, mask, 1 / error**2), _combined(flux, error, mask, signal[:, None] ** 2)]
        flux, error = (np.concatenate([[row[k] for row in rows], whole]) for k, whole in ((0, flux), (1, error)))
        both = [np.bitwise_or.reduce(mask, 0), np.bitwise_and.reduce(mask, 0)]
        mask = np.concatenate([both, mask])
        sky, clear = (np.concatenate([[part.mean(0)] * 2, part]) for part in (sky, clear))
    return Observed(
        flux.astype(np.float32),
        error.astype(np.float32),
        mask.astype(np.int16),
        sky.astype(np.float32),
        clear.astype(np.float32),
        median_sn(flux[min(1, len(flux) - 1)], error[min(1, len(flux) - 1)]),
        np.array([median_sn(f, e) for f, e in zip(flux[-len(shift) :], error[-len(shift) :], strict=True)]),
        shift,
    )


def median_sn(flux: np.ndarray, error: np.ndarray) -> float:
    """Median S/N per pixel of the middle detector, where there is data, as the reduction counts it."""
    middle = slice(*DR13.runs[1])
    good = error[middle] < NO_DATA
    return float(np.median(flux[middle][good] / error[middle][good])) if good.any() else 0.0


def _visit(spectrum, light, sn, shift, persistence, rng):
    """One visit: flux, error, mask, sky, telluric, each (8575,)."""
    stretch = np.log10(1 + shift / LIGHT_SPEED)
    observed = WAVELENGTH * (1 + shift / LIGHT_SPEED)
    glow, clear = (_at(table, stretch) for table in _night())
    level = float(np.median(light))
    throughput, edge = _throughput(observed, rng)
    # the strongest lines outshine a star of H = 11 four times; the sky has more read-out pixels than the star, hence 5
    sky = (60.0 * glow + 0.4) * rng.lognormal(0, 0.25) * 30.0
    expected = light * throughput * spectrum
    variance = (0.25 + 0.75 * expected / level + 5 * sky / level) * edge / clear
    middle = slice(*DR13.runs[1])
    error = level * np.sqrt(variance)
    error *= np.median(expected[middle] / error[middle]) / sn
    smear = rng.normal(0, 0.12)  # km/s left over after the shift to rest
    slope = np.gradient(expected) / (LIGHT_SPEED * np.log(10) * 6e-6)
    flux = expected - slope * smear + error * rng.standard_normal(FULL) + 0.03 * rng.normal() * sky * (glow > 0.02)
    flux *= 1 + 0.15 * (1 - clear) * rng.normal()  # imperfect telluric correction
    mask = np.zeros(FULL, np.int16)
    mask[glow > 0.06] |= SKYLINE
    mask[clear < 0.93] |= TELLURIC
    flux, error, mask = _flaws(flux, error, mask, level, persistence, rng)
    outside = np.ones(FULL, bool)
    for low, high in DETECTORS:
        outside[slice(*np.searchsorted(observed, (low, high)))] = False
    missing = outside | ((mask & BADPIX) != 0)
    mask[outside] = BADPIX
    return np.where(missing, 0.0, flux), np.where(missing, NO_DATA, error), mask, sky, clear


def _at(table: np.ndarray, stretch: float) -> np.ndarray:
    """A table of the night at the grid's pixels, linear in between: the fine grid has four steps a pixel."""
    first = (START + stretch - _SKY_START) / _SKY_STEP
    whole = int(np.floor(first))
    part = first - whole
    return (1 - part) * table[whole : whole + FINE * FULL : FINE] + part * table[
        whole + 1 : whole + 1 + FINE * FULL : FINE
    ]


def _throughput(observed, rng) -> tuple[np.ndarray, np.ndarray]:
    """What is left of the response after flux calibration, a few percent, smooth in each detector; and the loss of light at its edges."""
    left, edge = np.ones(FULL), np.ones(FULL)
    for low, high in DETECTORS:
        inside = slice(*np.searchsorted(observed, (low, high)))
        x = 2 * (observed[inside] - low) / (high - low) - 1
        square = x * x
        a, b, c = rng.normal(0, [0.03, 0.02, 0.003])
        left[inside] = 1 + (a + c * square) * x + b * (square - 1 / 3)
        edge[inside] = 1 + 0.8 * square * square * square * square * square * square
    return left, edge


def _flaws(flux, error, mask, level, persistence, rng):
    """Bad pixels, cosmic rays, the Littrow ghost, persistence."""
    mask[rng.integers(0, FULL, 45)] |= BADPIX
    hits = rng.integers(0, FULL, rng.poisson(14))
    found = rng.random(hits.size) < 0.8  # the faint ones pass as noise
    flux[hits] += np.where(found, level * rng.exponential(1.5, hits.size), 4 * error[hits])
    mask[hits[found]] |= CRPIX
    error[hits[found]] *= 10
    ghost = int(rng.integers(4300, 4900))
    mask[ghost : ghost + 14] |= LITTROW
    flux[ghost : ghost + 14] *= 1 + 0.01 * rng.exponential()
    if persistence:
        start = int(rng.integers(1900, 2200))
        blue = slice(start, DR13.runs[0][1])
        flux[blue] += level * [0.12, 0.05, 0.02][persistence - 1] * rng.uniform(0.5, 1)
        mask[blue] |= PERSIST[persistence - 1]
    return flux, error, mask


def _combined(flux, error, mask, weight) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of visits and its error; pixels without data are left out, as are flagged ones where others are good."""
    data = error < NO_DATA
    good = data & ((mask & BAD) == 0)
    used = np.where(good.any(axis=0), good, data)
    share = np.where(used, weight, 0.0)
    total = share.sum(axis=0)
    empty = total == 0
    total = np.where(empty, 1.0, total)
    mean = (share * flux).sum(axis=0) / total
    spread = np.sqrt(((share * np.where(used, error, 0.0)) ** 2).sum(axis=0)) / total
    return np.where(empty, 0.0, mean), np.where(empty, NO_DATA, spread)
