"""What the survey's pipeline (ASPCAP) and The Cannon report of the mock stars: labels with errors, gaps, flags; normalised spectra."""

import numpy as np

from resurvey.simulate.apogee_observation import BAD, NO_DATA, SKYLINE
from resurvey.simulate.apogee_population import DWARF
from resurvey.surveys.apogee_grid import DR13
from resurvey.surveys.apogee_labels import ELEMENTS, MISSING, NAMES

# errors at high S/N and solar abundance: the size of the network's scatter about ASPCAP in the paper's Tables 1 and 2
ERRORS = dict(zip(NAMES, (30.0, 0.05, 0.03, 0.04, 0.04, 0.03, 0.09, 0.022, 0.045, 0.025, 0.09, 0.045, 0.035, 0.025, 0.035, 0.08, 0.06, 0.035, 0.03,
                          0.018, 0.08, 0.022), strict=True))  # fmt: skip
NO_RESULT = 0.35  # dex: an abundance with a larger error is not given
STARFLAGS = {
    "bright_neighbour": 1 << 2,
    "low_snr": 1 << 4,
    "persist": (1 << 9, 1 << 10, 1 << 11),
    "suspect_rv": 1 << 16,
    "broad": 1 << 17,
}
COMMISSIONING = 1 << 1
TEFF_WARN, LOGG_WARN, CHI2_WARN, ROTATION_WARN, SN_WARN, STAR_WARN = 1 << 0, 1 << 1, 1 << 8, 1 << 10, 1 << 11, 1 << 7
TEFF_BAD, STAR_BAD = 1 << 16, 1 << 23
_SIGNAL = 90.0  # S/N at which photon noise doubles the variance


def labels(truth: np.ndarray, kind: np.ndarray, sn: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`value`, `error` (n, 22) as in allStar, -9999 where the pipeline has none; `fit` (n, 22): before calibration, without gaps.

    The error of a value is drawn from the error that is given beside it, which grows at low S/N, for metal-poor and for hot stars.
    """
    iron, teff = truth[:, NAMES.index("fe_h")], truth[:, 0]
    weak = 10 ** (0.22 * np.clip(-iron, 0, 2)) * 10 ** np.clip((teff - 5000) / 2500, 0, 1.5)
    growth = np.sqrt(1 + (_SIGNAL / sn) ** 2)[:, None] * np.column_stack([weak**0.5] * 2 + [weak] * len(ELEMENTS))
    error = np.array([ERRORS[name] for name in NAMES]) * growth
    fit = truth + error * rng.standard_normal(truth.shape)
    value = fit.copy()
    unmeasured = error > NO_RESULT
    unmeasured[:, 2:] |= rng.random((len(truth), len(ELEMENTS))) < 0.006
    unmeasured[:, NAMES.index("n_h")] |= teff > 5300  # CN and CO are gone
    unmeasured[:, NAMES.index("na_h")] |= iron < -1.2
    unmeasured[:, 0] = False
    unmeasured[:, 1] = (kind == DWARF) | (fit[:, 1] > 3.9)  # log g is calibrated for giants only
    value[unmeasured], error = MISSING, np.where(unmeasured, MISSING, error)
    return {"value": value, "error": error, "fit": fit}


def flags(truth: np.ndarray, sn: np.ndarray, persistence: np.ndarray, broad: np.ndarray, fraction: np.ndarray, rng) -> dict[str, np.ndarray]:  # fmt: skip
    """`starflag`, `aspcapflag` (n,) int64; `fraction` (n,): share of stars with a bright neighbour."""
    n = len(truth)
    star = np.where(rng.random(n) < fraction, STARFLAGS["bright_neighbour"], 0)
    star |= np.where(persistence > 0, np.array([0, *STARFLAGS["persist"]])[persistence], 0)
    star |= np.where(sn < 10, STARFLAGS["low_snr"], 0) | np.where(rng.random(n) < 0.01, STARFLAGS["suspect_rv"], 0)
    star |= np.where(broad > 14, STARFLAGS["broad"], 0)
    aspcap = np.where(sn < 50, SN_WARN, 0) | np.where(broad > 14, ROTATION_WARN | STAR_WARN, 0)
    aspcap |= np.where(truth[:, 0] < 3700, TEFF_WARN | STAR_WARN, 0) | np.where(rng.random(n) < 0.015, CHI2_WARN, 0)
    aspcap |= np.where(truth[:, 0] > 7000, TEFF_BAD | STAR_BAD, 0) | np.where(rng.random(n) < 0.01, STAR_BAD, 0)
    return {"starflag": star.astype(np.int64), "aspcapflag": aspcap.astype(np.int64)}


def pseudo_continuum(flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ASPCAP's normalisation of (n, 8575) combined spectra: flux and error (n, 8575) float32, divided by a quartic per detector that is
    fitted with pixels far below it left out (García Pérez et al. 2016, §4.3). Sky lines and bad pixels get large errors; gaps are 0."""
    good = (error < NO_DATA) & ((mask & (BAD | SKYLINE)) == 0)
    out = np.zeros_like(flux)
    errors = np.zeros_like(flux)
    for start, stop in DR13.runs:
        x = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, stop - start), 4)
        pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        f, keep = flux[:, start:stop].astype(float), good[:, start:stop]
        level = np.median(f, axis=1, keepdims=True)
        f = f / np.where(level > 0, level, 1)
        use = keep
        fit = np.ones_like(f)
        for _ in range(4):
            matrix = (use.astype(float) @ pairs).reshape(-1, 5, 5) + 1e-6 * np.eye(5)
            fit = np.linalg.solve(matrix, ((use * f) @ x)[..., None])[..., 0] @ x.T
            noise = np.median(np.abs(f - fit), axis=1, keepdims=True) * 1.4826
            use = keep & (f - fit > -0.8 * noise) & (f - fit < 3 * noise)
        scale = fit * level
        usable = scale > 0
        scale = np.where(usable, scale, 1)
        data = error[:, start:stop] < NO_DATA
        out[:, start:stop] = np.where(usable & data, flux[:, start:stop] / scale, 0)
        errors[:, start:stop] = np.where(usable & data, error[:, start:stop] / scale * np.where(keep, 1, 100), NO_DATA)
    return out, errors


def cannon(truth: np.ndarray, sn: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n, 22) labels and errors of The Cannon: a little tighter than ASPCAP's."""
    error = 0.7 * np.array([ERRORS[name] for name in NAMES]) * np.sqrt(1 + (_SIGNAL / sn) ** 2)[:, None]
    return truth + error * rng.standard_normal(truth.shape), error
