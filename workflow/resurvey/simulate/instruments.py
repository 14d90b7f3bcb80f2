"""The two SDSS spectrographs as Instrument objects: grid, resolution, noise and sky against wavelength.

The curves are medians of public spec-lite spectra (about 100 SDSS-I/II and 30 BOSS, 400 Å bins, rounded), joined by
straight lines; sky lines are added with the instrument's width.
"""

import functools
from dataclasses import dataclass

import numpy as np

from resurvey.simulate.kernels import add_lines
from resurvey.simulate.lines import SKY
from resurvey.simulate.wavelengths import STEP

NODES = np.array([3550, 3700, 3900, 4300, 4700, 5100, 5500, 5900, 6100, 6500, 6900, 7300, 7700, 8100, 8500, 8900, 9300,
                  9700, 10000, 10200, 10450.0])  # fmt: skip


@dataclass(frozen=True)
class Instrument:
    """A fibre spectrograph. `first`: log10 λ [Å] of the first pixel in steps of 1e-4; `jitter`: spread of it by plate."""

    name: str
    fibres: int
    sky_fibres: int
    first: int
    pixels: int
    jitter: int
    noise: tuple[float, ...]  # σ per pixel at NODES for a blank fibre [1e-17 erg/s/cm²/Å]
    sky_level: tuple[float, ...]  # sky continuum at NODES, same unit
    wdisp: tuple[float, ...]  # Gaussian line width at NODES [pixels]

    def loglam(self, offset: int = 0, pixels: int | None = None) -> np.ndarray:
        """log10 of the wavelengths [Å, vacuum] of a plate whose grid starts `offset` pixels later, float64."""
        return (self.first + offset + np.arange(pixels or self.pixels)) * STEP

    def curve(self, which: str, loglam: np.ndarray) -> np.ndarray:
        """`noise`, `sky_level` or `wdisp` at some log10 wavelengths."""
        return np.interp(10**loglam, NODES, getattr(self, which))

    def sky(self, loglam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sky brightness with its lines, and without them [1e-17 erg/s/cm²/Å]; shapes of `loglam`."""
        level = self.curve("sky_level", loglam)
        lines = np.zeros((1, len(loglam)), np.float32)
        centre = np.log10(SKY[:, 0])[None]
        flux = 5.0 * SKY[:, 1][None] * float(np.median(level))
        add_lines(lines, float(loglam[0]), flux, centre, self.curve("wdisp", centre[0])[None])
        return level + lines[0], level


SDSS = Instrument(
    name="SDSS", fibres=640, sky_fibres=32, first=35785, pixels=3845, jitter=24,
    noise=(6.0, 4.5, 2.6, 1.75, 1.33, 1.15, 1.04, 1.0, 0.90, 0.70, 0.64, 0.62, 0.62, 0.65, 0.72, 0.85, 1.2, 1.5, 1.5, 1.5, 1.5),
    sky_level=(8.6, 8.6, 7.2, 7.2, 7.2, 6.8, 6.8, 7.5, 7.2, 6.0, 5.6, 5.6, 5.6, 5.6, 5.3, 5.0, 4.0, 4.0, 4.0, 4.0, 4.0),
    wdisp=(1.25, 1.22, 1.15, 1.05, 0.97, 0.89, 0.84, 0.87, 0.95, 0.90, 0.83, 0.79, 0.75, 0.73, 0.71, 0.71, 0.74, 0.75, 0.76, 0.8, 0.8),
)  # fmt: skip
BOSS = Instrument(
    name="BOSS", fibres=1000, sky_fibres=80, first=35523, pixels=4650, jitter=40,
    noise=(4.0, 2.3, 1.12, 0.80, 0.66, 0.58, 0.54, 0.58, 0.56, 0.46, 0.41, 0.38, 0.37, 0.36, 0.36, 0.37, 0.40, 0.50, 0.7, 1.3, 3.0),
    sky_level=(5.1, 4.8, 4.4, 4.4, 4.4, 4.0, 4.0, 4.6, 4.5, 3.6, 3.2, 3.4, 3.4, 3.4, 3.2, 3.0, 3.4, 4.2, 6.0, 8.0, 9.0),
    wdisp=(1.36, 1.32, 1.28, 1.23, 1.12, 0.99, 0.91, 0.90, 1.0, 0.98, 0.94, 0.90, 0.86, 0.82, 0.78, 0.76, 0.76, 0.76, 0.78, 0.8, 0.82),
)  # fmt: skip
INSTRUMENTS = {instrument.name: instrument for instrument in (SDSS, BOSS)}


@functools.lru_cache(maxsize=8)
def relative_signal_to_noise(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(wavelength [Å], S/N per pixel over the spectrum's median) of a flat source; used to predict what lines are detected."""
    instrument = INSTRUMENTS[name]
    loglam = instrument.loglam()
    total, level = instrument.sky(loglam)
    sn = 1 / (instrument.curve("noise", loglam) * np.sqrt(total / level))
    return 10**loglam, sn / np.median(sn)
