"""Noiseless spectra → what a spectrograph records: scaled to a S/N, with its noise and its faults."""

from dataclasses import dataclass

import numpy as np

from resurvey.simulate import effects as faults
from resurvey.simulate.effects import Effects
from resurvey.simulate.rebin import log_pixels, rebin
from resurvey.simulate.spectrographs import Pixels, Spectrograph


@dataclass
class Exposure:
    """Spectra on one grid: wave (N,) [Å, vacuum]; flux, model [1e-17 erg/s/cm²/Å] and ivar (n, N) float32; quality (n, N) int16, bits of
    effects.py; sn (n,): median S/N per `sn_width` of the spectrograph. model: without noise and faults."""

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    quality: np.ndarray
    model: np.ndarray
    sn: np.ndarray


def joined(parts: list["Exposure"]) -> "Exposure":
    """Exposures on one grid below each other."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("flux", "ivar", "quality", "model", "sn")
    }
    return Exposure(parts[0].wave, **whole)


def on_pixels(shape: np.ndarray, loglam: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Noiseless spectra (n, P) on the log-λ grid → mean flux of the pixels (n, N)."""
    return rebin(shape, log_pixels(float(loglam[0]), len(loglam), pixels.wave))


def per_sn_width(device: Spectrograph, pixels: Pixels) -> np.ndarray:
    """Factor (N,) from the S/N of a pixel to that in which the spectrograph's S/N is counted."""
    return np.ones(len(pixels.width)) if device.sn_width is None else np.sqrt(device.sn_width / pixels.width)


def brightness(shape: np.ndarray, sn: np.ndarray, device: Spectrograph, pixels: Pixels, noisier=1.0) -> np.ndarray:
    """Factor (n,) that gives spectra (n, N) the asked median S/N, photon noise of the source included; 0 for empty ones."""
    every = slice(None, None, max(len(pixels.wave) // 120, 1))
    seen = Pixels(
        pixels.wave[every],
        pixels.width[every],
        pixels.electrons[:, every],
        pixels.read[:, every],
        pixels.sky[every],
        pixels.level[every],
    )
    lit = np.flatnonzero(seen.electrons.max(0) > 0)
    unit = per_sn_width(device, pixels)[every].astype(np.float32)
    thin = shape[:, every]
    some = noisier[:, every] if isinstance(noisier, np.ndarray) else noisier
    factor = np.ones(len(shape), np.float32)
    for _ in range(6):
        model = thin * factor[:, None]
        reached = np.median((unit * model * np.sqrt(seen.ivar(model, some)))[:, lit], axis=1)
        # from photon-limited (S/N ∝ √flux) to background-limited (∝ flux): the steeper step would overshoot
        step = np.clip(sn / np.maximum(reached, 1e-6), 0.02, 50.0)
        factor = (factor * np.where(step > 1, step**1.3, step)).astype(np.float32)
    return np.where(shape.max(1) > 0, factor, 0).astype(np.float32)


def expose(
    shape: np.ndarray,
    loglam: np.ndarray,
    sn: np.ndarray,
    device: Spectrograph,
    wave: np.ndarray,
    rng: np.random.Generator,
    effects: Effects | None = None,
) -> Exposure:
    """Record noiseless spectra (n, P) at `loglam` on pixels centred on `wave` (N,) [Å], all arms joined, at median S/N `sn` (n,).

    The result depends on the arguments and the state of `rng` alone. A spectrum of zeros is a sky fibre.
    """
    effects = effects or Effects()
    pixels = device.pixels(wave)
    shape = on_pixels(shape, loglam, pixels)
    noisier = faults.noisier(effects, pixels, len(shape), rng)
    model = shape * brightness(shape, sn, device, pixels, noisier)[:, None]
    return record(model, device, pixels, rng, effects, noisier)


def record(model: np.ndarray, device: Spectrograph, pixels: Pixels, rng, effects: Effects, noisier=1.0) -> Exposure:
    """Add noise and faults to spectra (n, N) [1e-17 erg/s/cm²/Å] on `pixels` (all arms, or one arm's).

    Noise is Gaussian of the variance of Poisson counts and read-out: there are tens of electrons in any pixel.
    """
    count, size = model.shape
    ivar = pixels.ivar(model, noisier)
    flux = model * faults.calibration(effects, device, pixels.wave, count, rng)
    sigma = np.zeros_like(ivar)
    np.divide(1, np.sqrt(ivar, where=ivar > 0, out=sigma), where=ivar > 0, out=sigma)
    flux += sigma * rng.standard_normal((count, size), np.float32)
    flux += faults.sky_residuals(effects, pixels, count, rng)
    quality = np.zeros((count, size), np.int16)
    faults.strike(effects, device, pixels, flux, ivar, quality, rng)
    faults.spoil(effects, flux, ivar, quality, rng)
    flux[:, pixels.electrons.max(0) == 0] = 0
    return Exposure(pixels.wave, flux, ivar, quality, model, signal_to_noise(flux, ivar, per_sn_width(device, pixels)))


def signal_to_noise(flux: np.ndarray, ivar: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Median (n,) of flux·√ivar·unit over the pixels with ivar > 0; 0 where there are none."""
    ratio = flux * np.sqrt(ivar) * unit.astype(np.float32)
    if (ivar > 0).all():
        return np.median(ratio, axis=1).astype(np.float32)
    ratio[ivar <= 0] = np.nan
    some = (ivar > 0).any(1)
    result = np.zeros(len(ratio), np.float32)
    result[some] = np.nanmedian(ratio[some], axis=1)
    return result
