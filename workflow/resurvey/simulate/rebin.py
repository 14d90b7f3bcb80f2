"""From the log-λ grid on which spectra are computed to an instrument's pixels: the mean flux of each pixel."""

import functools
from dataclasses import dataclass

import numba
import numpy as np

from resurvey.simulate.wavelengths import STEP


@dataclass(frozen=True)
class LogPixels:
    """Where the borders of pixels lie on a log-λ grid: `segment` (N+1,) its node to the left, `part` (N+1,) of the way to the
    next; `length` (P-1,) [Å] between nodes; `width` (N,) [Å] of the pixels."""

    segment: np.ndarray
    part: np.ndarray
    length: np.ndarray
    width: np.ndarray


def edges(wave: np.ndarray) -> np.ndarray:
    """Borders (N+1,) of pixels half-way between their centres (N,) [Å]."""
    middle = 0.5 * (wave[1:] + wave[:-1])
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def log_pixels(start: float, count: int, wave: np.ndarray) -> LogPixels:
    """For pixels centred on `wave` [Å] and a grid of `count` nodes from log10 λ = `start` in steps of 1e-4."""
    return _log_pixels(start, count, tuple(np.asarray(wave, float).tolist()))


@functools.lru_cache(maxsize=16)
def _log_pixels(start: float, count: int, wave: tuple[float, ...]) -> LogPixels:
    nodes = 10 ** (start + STEP * np.arange(count))
    borders = np.clip(edges(np.array(wave)), nodes[0], nodes[-1])
    segment = np.clip(np.searchsorted(nodes, borders, side="right") - 1, 0, count - 2)
    length = np.diff(nodes)
    part = (borders - nodes[segment]) / length[segment]
    return LogPixels(segment, part, length, np.maximum(np.diff(borders), 1e-9))


def rebin(flux: np.ndarray, pixels: LogPixels) -> np.ndarray:
    """Mean flux density (n, N) float32 of the pixels, for spectra (n, P) that run straight between the nodes of the log grid.

    Pixels beyond the grid have the value 0.
    """
    out = np.empty((len(flux), len(pixels.width)), np.float32)
    _rebin(np.ascontiguousarray(flux, np.float32), pixels.segment, pixels.part, pixels.length, pixels.width, out)
    return out


@numba.njit(cache=True)
def _rebin(flux, segment, part, length, width, out):
    rows, nodes = flux.shape
    total = np.empty(nodes)
    for row in range(rows):
        total[0] = 0.0
        for i in range(nodes - 1):
            total[i + 1] = total[i] + 0.5 * length[i] * (flux[row, i] + flux[row, i + 1])
        before = 0.0
        for j in range(len(segment)):
            i, t = segment[j], part[j]
            rise = flux[row, i + 1] - flux[row, i]
            here = total[i] + length[i] * t * (flux[row, i] + 0.5 * t * rise)
            if j > 0:
                out[row, j - 1] = (here - before) / width[j - 1]
            before = here
