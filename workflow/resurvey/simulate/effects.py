"""What goes wrong between the sky and a catalogue, as settings: calibration, sky subtraction, cosmic rays, bad columns."""

from dataclasses import dataclass

import numpy as np

from resurvey.simulate.spectrographs import Pixels, Spectrograph

GOOD, COSMIC, BAD_COLUMN = 0, 1, 2  # bits of the quality of a pixel


@dataclass(frozen=True)
class Effects:
    """Sizes of the effects; all default values are those of the mock survey of SDSS, which were set beside public spectra.

    noise_scatter: relative, of the noise between fibres; noise_tilt: exponent of λ by which its colour varies; calibration_cubic,
    calibration_wave, calibration_step, calibration_blue: relative flux errors: a cubic in λ (each Legendre coefficient), a sine of 1 to 3
    periods over the spectrum, a step at each seam of two arms (60 Å wide), the blue end (over 120 Å); sky_residual: relative, what
    subtraction leaves of the sky's lines; cosmic_found: share of the hits that the pipeline finds; cosmic_electrons, cosmic_dex: median
    and scatter of a found hit's charge [e-]; cosmic_missed: mean of what a missed hit adds (exponential), in σ of its pixel: co-adding
    rejects the strong ones; bad_columns: share of the spectra with a run of 4 to 40 bad pixels; bad_found: share of
    these that are masked, the others are interpolated over, and noisier than they say.
    """

    noise_scatter: float = 0.12
    noise_tilt: float = 0.12
    calibration_cubic: float = 0.018
    calibration_wave: float = 0.010
    calibration_step: float = 0.015
    calibration_blue: float = 0.05
    sky_residual: float = 0.007
    cosmic_found: float = 0.9
    cosmic_electrons: float = 8000.0
    cosmic_dex: float = 0.2
    cosmic_missed: float = 12.0
    bad_columns: float = 0.25
    bad_found: float = 0.5


NONE = Effects(*[0.0] * 13)  # an instrument without faults: noise alone


def noisier(effects: Effects, pixels: Pixels, count: int, rng: np.random.Generator) -> np.ndarray | float:
    """Factor (n, N) on the variance of sky and read-out: fibres differ in level and colour."""
    if not (effects.noise_scatter or effects.noise_tilt):
        return 1.0
    level = 2 * rng.normal(0, effects.noise_scatter, (count, 1))
    slope = 2 * rng.normal(0, effects.noise_tilt, (count, 1))
    return np.exp(level.astype(np.float32) + slope.astype(np.float32) * np.log(pixels.wave / 6500).astype(np.float32))


def calibration(
    effects: Effects, device: Spectrograph, wave: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Factor (n, N) float32 on the flux, at least 0.3."""
    x = (2 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1).astype(np.float32)
    shapes = list(np.polynomial.legendre.legvander(x, 3)[:, 1:].T)
    sizes = [effects.calibration_cubic] * 3
    for seam in device.seams:
        shapes.append(1 / (1 + np.exp(np.clip(-(wave - seam) / 60, -50, 50))))
        sizes.append(effects.calibration_step)
    shapes.append(np.exp(-(wave - wave[0]) / 120))
    sizes.append(effects.calibration_blue)
    error = np.ones((count, len(wave)), np.float32)
    for shape, size in zip(shapes, sizes, strict=True):  # summed in a fixed order: BLAS' depends on its threads
        error += rng.normal(0, size, (count, 1)).astype(np.float32) * shape.astype(np.float32)
    period, phase = (
        rng.uniform(2, 6, (count, 1)).astype(np.float32),
        rng.uniform(0, 6.28, (count, 1)).astype(np.float32),
    )
    error += rng.normal(0, effects.calibration_wave, (count, 1)).astype(np.float32) * np.sin(x * period + phase)
    return np.maximum(error, np.float32(0.3), out=error)


def sky_residuals(effects: Effects, pixels: Pixels, count: int, rng: np.random.Generator) -> np.ndarray:
    """What is left of the sky's lines (n, N) float32: its sign changes slowly with wavelength, between nine knots."""
    lines = (pixels.sky - pixels.level).astype(np.float32)
    knots = rng.normal(0, effects.sky_residual, (count, 9)).astype(np.float32)
    place = np.linspace(0, 8, len(lines))
    low = np.minimum(place.astype(int), 7)
    part = (place - low).astype(np.float32)
    return (knots[:, low] * (1 - part) + knots[:, low + 1] * part) * lines


def strike(
    effects: Effects, device: Spectrograph, pixels: Pixels, flux, ivar, quality, rng: np.random.Generator
) -> None:
    """Cosmic rays, in place: those that are found lose their inverse variance and are marked, the others stay."""
    count = len(flux)
    covered = np.flatnonzero(pixels.electrons.max(0) > 0)
    share = np.ptp(pixels.wave[covered]) / (device.last - device.first)
    hits = rng.poisson(device.cosmic_rays * device.exposure / 60 * device.detector_pixels * share, count)
    if not effects.cosmic_electrons or not hits.sum():
        return
    row = np.repeat(np.arange(count), hits)
    column = covered[rng.integers(0, len(covered), len(row))]
    found = rng.random(len(row)) < effects.cosmic_found
    charge = (
        effects.cosmic_electrons * 10 ** rng.normal(0, effects.cosmic_dex, len(row)) / pixels.electrons.max(0)[column]
    )
    missed = effects.cosmic_missed * rng.exponential(1, len(row)) / np.sqrt(np.maximum(ivar[row, column], 1e-12))
    np.add.at(flux, (row, column), np.where(found, charge, missed).astype(np.float32))
    ivar[row[found], column[found]] = 0
    quality[row[found], column[found]] |= COSMIC


def spoil(effects: Effects, flux, ivar, quality, rng: np.random.Generator) -> None:
    """Runs of bad columns, in place: masked, or interpolated over."""
    count, size = flux.shape
    for row in np.flatnonzero(rng.random(count) < effects.bad_columns):
        start, length, found = rng.integers(1, size - 1), rng.integers(4, 40), rng.random() < effects.bad_found
        end = min(start + max(length * size // 4000, 1), size - 1)
        if found:
            ivar[row, start:end] = 0
            quality[row, start:end] |= BAD_COLUMN
        else:
            flux[row, start:end] = np.linspace(flux[row, start - 1], flux[row, end], end - start)
