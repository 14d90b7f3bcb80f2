"""Wavelength grids, constants and dust laws that all simulated spectra share. Vacuum wavelengths throughout."""

import numpy as np

STEP = 1e-4  # Δlog10 λ of SDSS and BOSS co-added spectra
PIXEL_KMS = 2.99792458e5 * np.log(10) * STEP  # 69.03 km/s
REST_START = 3.17  # log10 of the bluest rest-frame wavelength of the templates, 1479 Å
REST_PIXELS = 8900  # up to log10 λ = 4.06, 11,480 Å
TEMPLATE_SIGMA_PX = (
    0.5  # Gaussian width already in the templates (35 km/s); with as much again, the sharpest instrument's
)


def rest_wavelengths() -> np.ndarray:
    """Rest-frame wavelengths [Å] of the templates, shape (REST_PIXELS,), float64."""
    return 10 ** (REST_START + STEP * np.arange(REST_PIXELS))


def galactic_extinction(wave: np.ndarray) -> np.ndarray:
    """A(λ)/A(V) of the Milky Way for R_V = 3.1 (Cardelli, Clayton & Mathis 1989, Eqs. 2-3), `wave` in Å, 3030-33,000 Å."""
    x = 1e4 / np.asarray(wave, float)
    y = x - 1.82
    a = np.polyval([0.32999, -0.77530, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 1.0], y)
    b = np.polyval([-2.09002, 5.30260, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0.0], y)
    infrared = x < 1.1
    a = np.where(infrared, 0.574 * x**1.61, a)
    b = np.where(infrared, -0.527 * x**1.61, b)
    return a + b / 3.1


def galaxy_attenuation(wave: np.ndarray) -> np.ndarray:
    """A(λ)/A(V) inside galaxies, ∝ λ^-0.7 (Charlot & Fall 2000)."""
    return (np.asarray(wave, float) / 5500.0) ** -0.7


def smc_attenuation(wave: np.ndarray) -> np.ndarray:
    """A(λ)/A(V) of dust at a quasar's redshift, ∝ λ^-1.2 as in the Small Magellanic Cloud (Prevot et al. 1984)."""
    return (np.asarray(wave, float) / 5500.0) ** -1.2
