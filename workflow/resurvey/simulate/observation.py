"""Noiseless spectra → what the survey's pipeline would write: flux, inverse variance, masks, sky, with known faults."""

from dataclasses import dataclass

import numpy as np

from resurvey.simulate.instruments import INSTRUMENTS, Instrument
from resurvey.simulate.spectra import noiseless

# SPPIXMASK bits (SDSS DR16 "Bitmasks" page)
NOPLUG, MANYBADCOLUMNS, NEARBADPIXEL, FULLREJECT, PARTIALREJECT = 0, 4, 16, 18, 19
NOSKY, BRIGHTSKY, NODATA, COMBINEREJ, BADFLUXFACTOR = 22, 23, 24, 25, 26


@dataclass
class Observation:
    """Spectra of one plate, all float32 or int32 (n, N) but loglam (N,) float64 and sn_median (n,).

    flux, model, sky [1e-17 erg/s/cm²/Å], ivar its inverse variance; model is the noiseless spectrum without faults of
    calibration; wdisp: Gaussian line width [pixels].
    """

    loglam: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    and_mask: np.ndarray
    or_mask: np.ndarray
    wdisp: np.ndarray
    sky: np.ndarray
    model: np.ndarray
    sn_median: np.ndarray


def simulate(table: dict, instrument: str, seed, offset: int = 0, pixels: int | None = None) -> Observation:
    """Observe all rows of a truth table with one instrument (`SDSS`, `BOSS`); `seed`: anything SeedSequence takes.

    The result depends on table, instrument, seed and grid alone. `offset`, `pixels`: where the plate's grid starts and
    how long it is. Call it for a block of spectra (a plate) with a seed of its own, and blocks may run in any order.
    """
    device = INSTRUMENTS[instrument]
    physics, noise = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    loglam = device.loglam(offset, pixels)
    return observe(noiseless(table, device, loglam, physics), table, device, loglam, noise)


def observe(
    shape: np.ndarray, table: dict, instrument: Instrument, loglam: np.ndarray, rng: np.random.Generator
) -> Observation:
    """Scale noiseless spectra (n, N) to the table's S/N, add the instrument's noise and faults. See `simulate`."""
    count, pixels = shape.shape
    wave = 10**loglam
    sky, level = instrument.sky(loglam)
    blank = (instrument.curve("noise", loglam) * np.sqrt(sky / level)).astype(np.float32)
    gain = (0.8 * instrument.curve("noise", loglam) ** 2 / level).astype(np.float32)  # variance per unit of source flux
    tilt = (wave[None].astype(np.float32) / 6500) ** rng.normal(0, 0.12, (count, 1)).astype(np.float32)
    blank = blank[None] * tilt * rng.lognormal(0, 0.12, (count, 1)).astype(np.float32)
    model = shape * _brightness(shape, table["sn"], blank, gain)[:, None]
    sigma = np.sqrt(blank**2 + gain * np.maximum(model, 0))
    flux = model * _calibration(wave, count, rng)
    flux += sigma * rng.standard_normal((count, pixels), np.float32)
    flux += _sky_residuals(sky, level, count, rng)
    ivar = 1 / sigma**2
    sky_rows = (sky[None] * rng.lognormal(0, 0.05, (count, 1))).astype(np.float32)
    and_mask, or_mask = _masks(flux, ivar, sky / level, rng)
    wdisp = instrument.curve("wdisp", loglam)[None] * rng.normal(1, 0.02, (count, 1))
    result = Observation(
        loglam, flux, ivar, and_mask, or_mask, wdisp.astype(np.float32), sky_rows, model, np.zeros(count, np.float32)
    )
    _trim(result, rng)
    _unplug(result, table["kind"] == "NONE")
    result.sn_median[:] = signal_to_noise(result)
    return result


def signal_to_noise(spectra: Observation) -> np.ndarray:
    """Median of flux·√ivar over the good pixels (n,), the survey's SN_MEDIAN_ALL; 0 where there are none."""
    ratio = np.where(spectra.ivar > 0, spectra.flux * np.sqrt(spectra.ivar), np.nan)
    some = (spectra.ivar > 0).any(1)
    result = np.zeros(len(ratio), np.float32)
    result[some] = np.nanmedian(ratio[some], axis=1)
    return result


def _brightness(shape, sn, blank, gain) -> np.ndarray:
    """Factor (n,) that gives each spectrum the asked median S/N, photon noise of the source included; every 16th pixel."""
    thin, noise, gain = shape[:, ::16], blank[:, ::16], gain[::16]
    floor = np.float32(1e-6)
    factor = sn / np.maximum(np.median(thin / noise, axis=1), floor)
    for _ in range(5):
        reached = np.median(
            factor[:, None] * thin / np.sqrt(noise**2 + gain * factor[:, None] * np.maximum(thin, 0)), axis=1
        )
        factor = factor * sn / np.maximum(reached, floor)
    return np.where(shape.max(1) > 0, factor, 0).astype(np.float32)


def _calibration(wave, count, rng) -> np.ndarray:
    """Errors of flux calibration (n, N): a cubic of 3 %, a slow wave of 1 %, a step of 1.5 % between the arms, the blue end."""
    x = (2 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1).astype(np.float32)
    shapes = np.polynomial.legendre.legvander(x, 3)[:, 1:].astype(np.float32)
    error = _combine(shapes, rng.normal(0, 0.018, (3, count)))
    period, phase = rng.uniform(2, 6, (1, count)), rng.uniform(0, 6.28, (1, count))
    error += rng.normal(0, 0.01, (1, count)).astype(np.float32) * np.sin(x[:, None] * period + phase).astype(np.float32)
    error += rng.normal(0, 0.015, (1, count)).astype(np.float32) / (1 + np.exp(-(wave[:, None] - 6000) / 60)).astype(
        np.float32
    )
    error += rng.normal(0, 0.05, (1, count)).astype(np.float32) * np.exp(-(wave[:, None] - wave[0]) / 120).astype(
        np.float32
    )
    return np.maximum(1 + error.T, 0.3)


def _sky_residuals(sky, level, count, rng) -> np.ndarray:
    """What sky subtraction leaves of the lines: about 0.7 % of them, with the sign changing slowly with wavelength."""
    lines = (sky - level).astype(np.float32)
    knots = np.linspace(0, len(sky) - 1, 9)
    weights = np.maximum(1 - np.abs(np.arange(len(sky))[:, None] - knots[None]) / (knots[1]), 0).astype(np.float32)
    return _combine(weights, rng.normal(0, 0.007, (count, len(knots))).T).T * lines


def _combine(shapes: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """shapes (N, k) times amplitudes (k, n) in float32, summed in a fixed order (BLAS' depends on its threads)."""
    total = np.zeros((shapes.shape[0], amplitudes.shape[1]), np.float32)
    for shape, amplitude in zip(shapes.T, amplitudes.astype(np.float32), strict=True):
        total += shape[:, None] * amplitude[None]
    return total


def _masks(flux, ivar, contrast, rng) -> tuple[np.ndarray, np.ndarray]:
    """Mask words; spikes of cosmic rays and bad columns are added to `flux`, and `ivar` is set to 0 where all was rejected."""
    count, pixels = flux.shape
    and_mask, or_mask = np.zeros((2, count, pixels), np.int32)
    or_mask[:, contrast > 4] |= 1 << BRIGHTSKY
    and_mask[:, contrast > 8] |= 1 << BRIGHTSKY
    hits = rng.poisson(pixels * 5e-4, count)
    row = np.repeat(np.arange(count), hits)
    column = rng.integers(0, pixels, len(row))
    flux[row, column] += rng.exponential(12, len(row)).astype(np.float32) / np.sqrt(ivar[row, column])
    rejected = rng.random(len(row)) < 0.8  # the rest is missed by the pipeline
    row, column = row[rejected], column[rejected]
    ivar[row, column] = 0
    and_mask[row, column] |= 1 << FULLREJECT
    or_mask[row, column] |= (1 << FULLREJECT) | (1 << COMBINEREJ)
    partial = rng.integers(0, pixels, (count, max(pixels // 60, 1)))
    or_mask[np.arange(count)[:, None], partial] |= (1 << PARTIALREJECT) | (1 << COMBINEREJ)
    for bad in np.flatnonzero(rng.random(count) < 0.25):  # runs of bad columns
        start, length = rng.integers(0, pixels), rng.integers(4, 40)
        run = slice(start, min(start + length, pixels))
        or_mask[bad, run] |= 1 << NEARBADPIXEL
        if rng.random() < 0.5:
            and_mask[bad, run] |= 1 << NEARBADPIXEL
            ivar[bad, run] *= 0 if rng.random() < 0.5 else 1
    whole = rng.random(count) < 0.001
    and_mask[whole] |= 1 << MANYBADCOLUMNS
    or_mask[whole] |= 1 << MANYBADCOLUMNS
    or_mask |= and_mask
    return and_mask, or_mask


def _trim(spectra: Observation, rng) -> None:
    """Every fibre reaches a little less far than the plate's grid: flux 0, ivar 0 and NODATA beyond."""
    count, pixels = spectra.flux.shape
    first, last = rng.integers(0, 14, count), pixels - rng.integers(0, 22, count)
    column = np.arange(pixels)[None]
    _blank(spectra, (column < first[:, None]) | (column >= last[:, None]), 1 << NODATA)


def _unplug(spectra: Observation, rows: np.ndarray) -> None:
    """Unplugged fibres hold zeros."""
    _blank(spectra, np.repeat(rows[:, None], spectra.flux.shape[1], 1), 1 << NOPLUG)


def _blank(spectra: Observation, where: np.ndarray, bit: int) -> None:
    for values in (spectra.flux, spectra.ivar, spectra.model, spectra.sky):
        values[where] = 0
    for mask in (spectra.and_mask, spectra.or_mask):
        mask[where] |= bit
