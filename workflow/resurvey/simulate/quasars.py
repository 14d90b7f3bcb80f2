"""Quasars: power-law continuum, iron and Balmer pseudo-continua, broad and narrow lines, host galaxy."""

import functools

import numpy as np

from resurvey.simulate.lines import BROAD
from resurvey.simulate.wavelengths import rest_wavelengths

PROFILE = np.array(
    [(0.30, 0.45), (0.70, 1.15)]
)  # share of the flux and width of the core and the wings of a broad line
# Fe II and Fe III complexes: centre, width [Å], strength (Vestergaard & Wilkes 2001; Boroson & Green 1992, schematic)
_IRON = np.array([(1705, 18, 0.3), (1790, 22, 0.35), (2080, 35, 0.8), (2230, 45, 0.6), (2325, 30, 0.5), (2395, 32, 1.0), (2500, 40, 1.1),
                  (2590, 28, 0.9), (2650, 30, 0.5), (2740, 26, 0.7), (2840, 30, 0.4), (2930, 32, 0.5), (3190, 45, 0.3), (3290, 45, 0.25),
                  (4440, 25, 0.2), (4520, 22, 0.6), (4570, 28, 0.7), (4630, 22, 0.5), (5170, 22, 0.4), (5200, 25, 0.55), (5270, 22, 0.6),
                  (5320, 22, 0.55)])  # fmt: skip


@functools.lru_cache(maxsize=1)
def library() -> np.ndarray:
    """Iron (0) and Balmer (1) pseudo-continua on the rest grid over the power law at 3000 Å, float32 (2, REST_PIXELS)."""
    wave = rest_wavelengths()
    iron = sum(strength * np.exp(-0.5 * ((wave - centre) / width) ** 2) for centre, width, strength in _IRON)
    depth = (wave / 3646) ** 3
    edge = 1 / (1 + np.exp((wave - 3680) / 30))  # optically thick Balmer continuum at 15,000 K (Grandi 1982)
    balmer = (wave / 3000) ** -5 / np.expm1(1.438777e8 / (wave * 15000)) * (1 - np.exp(-depth)) * edge
    return np.array([iron * 0.25, balmer / balmer.max()], np.float32)


def continuum(wave: np.ndarray, z: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Power law f_λ ∝ λ^slope at observed wavelengths (N,) [Å], one at rest 3000 Å, bluer than 1200 Å flatter; (n, N) float32."""
    x = np.log(wave[None] / 3000).astype(np.float32) - np.log1p(z)[:, None].astype(np.float32)
    bend = np.maximum(np.float32(np.log(1215.67 / 3000)) - x, 0)  # Telfer et al. 2002: α_ν = -1.76 below Lyα
    return np.exp(slope[:, None].astype(np.float32) * x - bend * (slope[:, None] + 0.24).astype(np.float32))


def broad_lines(z: np.ndarray, slope: np.ndarray, fwhm: np.ndarray, blueshift: np.ndarray, strength: np.ndarray):
    """Flux, log10 observed centre and width [pixels] of all broad-line components, each (n, 2·lines).

    fwhm and blueshift [km/s] (n,); strength (n, lines): rest equivalent widths [Å] in the order of BROAD.
    """
    table = np.array(list(BROAD.values()))
    flux, centre, sigma = [], [], []
    for share, width in PROFILE:
        level = (table[:, 0] / 3000) ** slope[:, None]
        flux.append(share * strength * level * (1 + z)[:, None])
        velocity = -blueshift[:, None] * table[:, 4]
        centre.append(np.log10(table[:, 0] * (1 + velocity / 2.998e5)) + np.log10(1 + z)[:, None])
        sigma.append(fwhm[:, None] * table[:, 3] * width / 2.355 / 69.03)
    return np.concatenate(flux, 1), np.concatenate(centre, 1), np.concatenate(sigma, 1)
