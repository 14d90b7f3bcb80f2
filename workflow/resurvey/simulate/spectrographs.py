"""Spectrographs as objects: throughput, sky, line spread, pixels, read noise, cosmic rays, exposure time, on any grid of pixels.

All of a spectrograph is counted in electrons per Å of one exposure, so that one formula holds for all:
variance = source + sky + read-out. 4MOST is built from its throughput, the others from the noise of public spectra; the
same quantities, throughput too, follow for each.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from resurvey.simulate import instruments
from resurvey.simulate.kernels import add_lines
from resurvey.simulate.lines import SKY
from resurvey.simulate.rebin import log_pixels, rebin
from resurvey.simulate.wavelengths import PIXEL_KMS, STEP

HC = 1.98644586e-8  # erg Å: energy of a photon is HC / λ
UNIT = 1e-17  # erg/s/cm²/Å
FWHM = 2.354820045
# What the atmosphere lets through in its bands: from, to [Å], mean transmission (sky model of ESO at airmass 1.2, rounded).
# Spectra are corrected for it, so the bands show as noise.
TELLURIC = ((6865, 6950, 0.92), (7165, 7340, 0.97), (7594, 7705, 0.76), (8130, 8350, 0.97), (8935, 9200, 0.95), (9270, 9800, 0.83))  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One arm. Curves are given at `nodes` [Å] and joined by straight lines.

    electrons: per Å for a source of 1e-17 erg/s/cm²/Å in one exposure; sky: continuum [1e-17 erg/s/cm²/Å]; read: variance of
    the read-out [e-² per Å]; sigma: Gaussian line spread [Å]; first, last [Å]: what the arm covers; pixel [Å]: of its own grid.
    """

    name: str
    nodes: tuple[float, ...]
    electrons: tuple[float, ...]
    sky: tuple[float, ...]
    read: tuple[float, ...]
    sigma: tuple[float, ...]
    first: float
    last: float
    pixel: float

    def at(self, which: str, wave: np.ndarray) -> np.ndarray:
        """One of the curves at some wavelengths [Å]."""
        return np.interp(wave, self.nodes, getattr(self, which))

    def grid(self) -> np.ndarray:
        """Centres of the arm's own pixels [Å]."""
        return self.first + self.pixel * np.arange(round((self.last - self.first) / self.pixel) + 1)


@dataclass(frozen=True)
class Pixels:
    """What a spectrograph records on one grid: centres `wave` and widths [Å] (N,); arrays (arms, N) of electrons per unit of
    flux and read-out variance, 0 outside an arm; sky with its lines and without [1e-17 erg/s/cm²/Å] (N,)."""

    wave: np.ndarray
    width: np.ndarray
    electrons: np.ndarray
    read: np.ndarray
    sky: np.ndarray
    level: np.ndarray

    def ivar(self, flux: np.ndarray, noisier: np.ndarray | float = 1.0) -> np.ndarray:
        """Inverse variance (n, N) of spectra of true `flux` (n, N): arms combined by inverse variance, Poisson noise of source and
        sky, read-out noise. `noisier` (n, N): factor on the variance of sky and read-out."""
        total = np.zeros(flux.shape, np.float32)
        bright = np.maximum(flux, 0)
        for electrons, read in zip(self.electrons.astype(np.float32), self.read.astype(np.float32), strict=True):
            seen = np.flatnonzero(electrons > 0)
            if len(seen):
                part = slice(seen[0], seen[-1] + 1)
                e, blank = electrons[part], (electrons * self.sky.astype(np.float32) + read)[part]
                some = noisier[:, part] if isinstance(noisier, np.ndarray) else noisier
                total[:, part] += e * e / np.maximum(e * bright[:, part] + some * blank, np.float32(1e-12))
        return total


@dataclass(frozen=True)
class Spectrograph:
    """A fibre spectrograph. area [cm²] of the mirror; exposure [s]; cosmic_rays: hits per detector pixel and minute; detector_pixels:
    of one spectrum; joined: (first, last) [Å] of spectra whose arms are combined on a linear grid, None: on a log-λ grid
    (`loglam`); sn_width [Å]: S/N is counted per so many Å, None: per pixel; seams [Å]: where the calibration of two arms may differ.
    """

    name: str
    arms: tuple[Arm, ...]
    area: float
    exposure: float
    cosmic_rays: float
    detector_pixels: int
    joined: tuple[float, float] | None
    sn_width: float | None
    seams: tuple[float, ...]

    @property
    def first(self) -> float:
        """Bluest wavelength [Å]."""
        return min(arm.first for arm in self.arms)

    @property
    def last(self) -> float:
        """Reddest wavelength [Å]."""
        return max(arm.last for arm in self.arms)

    def exposed(self, seconds: float) -> "Spectrograph":
        """The same with another exposure time [s] in one read-out: electrons grow with it, read-out noise does not."""
        more = seconds / self.exposure
        arms = tuple(replace(arm, electrons=tuple(e * more for e in arm.electrons)) for arm in self.arms)
        return replace(self, arms=arms, exposure=seconds)

    def throughput(self, wave: np.ndarray) -> np.ndarray:
        """Fraction of the photons on the mirror that are counted, all arms together; atmosphere and fibre losses are part of it."""
        photons = UNIT * np.asarray(wave, float) / HC * self.area * self.exposure
        return sum(self._seen(arm, wave) * arm.at("electrons", wave) for arm in self.arms) / photons

    def curve(self, which: str, loglam: np.ndarray) -> np.ndarray:
        """`wdisp`, the Gaussian line spread in pixels of Δlog10 λ = 1e-4, at some log10 wavelengths (the redder arm's where two overlap)."""
        if which != "wdisp":
            raise KeyError(which)
        wave = 10 ** np.asarray(loglam, float)
        sigma = self.arms[0].at("sigma", wave)
        for arm in self.arms[1:]:
            sigma = np.where(wave >= arm.first, arm.at("sigma", wave), sigma)
        return sigma / wave * 2.99792458e5 / PIXEL_KMS

    def loglam(self) -> np.ndarray:
        """The log10-λ grid (steps of 1e-4) on which spectra are computed: what the arms cover and 20 pixels at each end."""
        low, high = np.log10(self.first), np.log10(self.last)
        return (round(low / STEP) - 20 + np.arange(round((high - low) / STEP) + 41)) * STEP

    def joined_grid(self, step: float) -> np.ndarray:
        """Centres [Å] of the linear grid of joined spectra, `step` [Å] apart."""
        low, high = self.joined
        return low + step * np.arange(round((high - low) / step) + 1)

    def pixels(self, wave: np.ndarray, arm: str | None = None) -> Pixels:
        """What is recorded on a grid of pixels centred on `wave` (N,) [Å]; `arm`: by one arm alone, else by all."""
        return _pixels(self, tuple(np.asarray(wave, float).tolist()), arm)

    @staticmethod
    def _seen(arm: Arm, wave: np.ndarray) -> np.ndarray:
        return (np.asarray(wave) >= arm.first - 1e-3) & (np.asarray(wave) <= arm.last + 1e-3)  # rounding of grids


@functools.lru_cache(maxsize=16)
def _pixels(device: Spectrograph, grid: tuple[float, ...], arm: str | None) -> Pixels:
    wave = np.array(grid)
    width = np.gradient(wave)
    arms = [one for one in device.arms if arm in (None, one.name)]
    through = np.ones_like(wave)
    for low, high, share in TELLURIC:
        through[(wave > low) & (wave < high)] = share
    electrons = np.array(
        [np.where(device._seen(one, wave), one.at("electrons", wave), 0) * width * through for one in arms]
    )
    read = np.array([np.where(device._seen(one, wave), one.at("read", wave), 0) * width for one in arms])
    parts = np.array([np.where(device._seen(one, wave), one.at("sky", wave), np.nan) for one in arms])
    known = np.isfinite(parts).any(0)
    level = np.zeros_like(wave)
    level[known] = np.nanmean(parts[:, known], axis=0)
    return Pixels(wave, width, electrons, read, level + _sky_lines(device, wave, level), level)


def _sky_lines(device: Spectrograph, wave: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Night-sky emission lines on a grid [1e-17 erg/s/cm²/Å], with the spectrograph's line spread."""
    loglam = device.loglam()
    lines = np.zeros((1, len(loglam)), np.float32)
    centre = np.log10(SKY[:, 0])[None]
    strength = 5.0 * SKY[:, 1][None] * float(np.median(level[level > 0]))
    add_lines(lines, float(loglam[0]), strength, centre, np.maximum(device.curve("wdisp", centre[0]), 0.5)[None])
    return rebin(lines, log_pixels(float(loglam[0]), len(loglam), wave))[0]


def from_throughput(
    name, nodes, throughput, sky, resolution, rows, read_noise, span, pixel, detector_pixel, area, exposure
) -> Arm:
    """An arm from its throughput at `nodes`; resolution: ((λ, λ/FWHM), …); rows: detector pixels across a spectrum; read_noise [e-]."""
    nodes = np.asarray(nodes, float)
    electrons = np.asarray(throughput) * UNIT * nodes / HC * area * exposure
    sharp, resolving = np.transpose(resolution)
    sigma = nodes / np.interp(nodes, sharp, resolving) / FWHM
    read = np.full(len(nodes), rows * read_noise**2 / detector_pixel)
    return Arm(name, *map(_floats, (nodes, electrons, sky, read, sigma)), *span, pixel)


def from_noise(name, nodes, noise, whole, sky, sigma, span, pixel) -> Arm:
    """An arm from public spectra: at `nodes`, σ of a blank fibre [1e-17 erg/s/cm²/Å] per pixel of `pixel` Å (number or curve), and
    `whole`: the variance of the blank over that per unit of source flux, sky and read-out in units of flux; `sky`: the sky's part."""
    noise, whole, sky, pixel_width = (
        np.broadcast_to(np.asarray(v, float), len(nodes)) for v in (noise, whole, sky, pixel)
    )
    electrons = whole / noise**2 / pixel_width
    read = electrons * (whole - sky)
    return Arm(name, *map(_floats, (nodes, electrons, sky, read, sigma)), *span, float(np.median(pixel_width)))


def _floats(values) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _sdss(device: instruments.Instrument, exposure: float) -> Spectrograph:
    """SDSS's spectrographs from the curves of `instruments`: four fifths of a blank fibre's variance are photons of the sky."""
    nodes = instruments.NODES
    pixel = nodes * np.log(10) * STEP
    level = np.array(device.sky_level)
    sigma = np.array(device.wdisp) * PIXEL_KMS / 2.99792458e5 * nodes
    first, last = 10 ** (device.first * STEP), 10 ** ((device.first + device.pixels - 1) * STEP)
    arm = from_noise("joined", nodes, device.noise, level / 0.8, level, sigma, (first, last), pixel)
    return Spectrograph(device.name, (arm,), 3.58e4, exposure, 1e-5, 4096, None, None, (6000.0,))


# DESI: σ per 0.8 Å of 1,000 s and the blank's variance over that per unit of source flux, in bins of 300 Å, are fitted to 32
# public coadds (a straight line of 1/ivar against flux in each bin, 30th percentile, so between sky lines), scaled to two
# spectra of 1,009 and 1,444 s; line spread: second moments of their resolution matrices; sky: level of a dark night.
_DESI = (
    from_noise("b", (3600, 3660, 3750, 4050, 4350, 4650, 4950, 5250, 5550, 5740, 5800),
               (3.2, 2.43, 1.12, 0.62, 0.52, 0.432, 0.360, 0.349, 0.356, 0.449, 0.53),
               (24, 23, 21.6, 13.8, 12.4, 10.6, 8.7, 8.5, 8.9, 9.5, 10), 3.2,
               (0.65, 0.65, 0.65, 0.656, 0.66, 0.668, 0.676, 0.68, 0.68, 0.68, 0.68), (3600.0, 5800.0), 0.8),
    from_noise("r", (5760, 5820, 5910, 6210, 6510, 6810, 7110, 7410, 7560, 7620), (0.40, 0.333, 0.308, 0.255, 0.219, 0.202, 0.195, 0.202, 0.428, 0.50),
               (7.6, 7.4, 7.1, 5.6, 4.7, 4.3, 4.15, 4.26, 5.5, 6.0), 2.6, (0.64, 0.64, 0.64, 0.635, 0.645, 0.64, 0.632, 0.632, 0.7, 0.7), (5760.0, 7620.0), 0.8),
    from_noise("z", (7520, 7580, 7670, 7970, 8270, 8570, 8870, 9170, 9470, 9770, 9824), (0.33, 0.271, 0.200, 0.166, 0.154, 0.145, 0.147, 0.142, 0.202, 0.219, 0.24),
               (5.2, 5.0, 4.7, 3.9, 3.6, 3.3, 3.5, 3.3, 4.7, 5.1, 5.2), 2.4, (0.70, 0.70, 0.71, 0.744, 0.75, 0.776, 0.74, 0.71, 0.78, 0.864, 0.87), (7520.0, 9824.0), 0.8),
)  # fmt: skip
DESI = Spectrograph("DESI", _DESI, 8.6e4, 1000.0, 1e-5, 12000, None, None, (5780.0, 7570.0))

# 4MOST LRS: throughput (atmosphere at airmass 1.2, telescope, fibre, spectrograph), sky of a dark night (moon 0.2) and resolving
# power of the consortium's tables as py4most carries them, medians of ±60 Å at nodes of 150 Å; 6 rows, read noise and rate of
# cosmic rays as there, and its factor 1/√2 on the source's light, empirical from ESO's exposure-time calculator.
_QMOST_AREA, _QMOST_SECONDS = 120715.7, 1200.0
_LOSS = 1 / np.sqrt(2)


def _qmost(name, span, pixel, read_noise, nodes, throughput, sky, resolution) -> Arm:
    light = np.asarray(throughput) * _LOSS
    return from_throughput(
        name, nodes, light, sky, resolution, 6, read_noise, span, pixel, pixel, _QMOST_AREA, _QMOST_SECONDS
    )


QMOST = Spectrograph(
    "4MOST",
    (
        _qmost("blue", (3700.0, 5450.0), 0.30, 2.286,
               (3678, 3750, 3900, 4050, 4200, 4350, 4500, 4650, 4800, 4950, 5100, 5250, 5400, 5544),
               (0.0069, 0.0118, 0.0387, 0.0619, 0.0798, 0.0940, 0.1075, 0.1196, 0.1222, 0.1296, 0.1300, 0.1224, 0.0558, 0.0045),
               (4.0, 3.5, 3.3, 4.2, 3.7, 3.4, 3.4, 3.2, 3.1, 2.9, 2.7, 2.6, 2.5, 2.5),
               ((3700, 3821), (4200, 4659), (4700, 5037), (5200, 5751), (5450, 6116))),
        _qmost("green", (5340.0, 7130.0), 0.32, 2.265,
               (5227, 5250, 5400, 5550, 5700, 5850, 6000, 6150, 6300, 6450, 6600, 6750, 6900, 7050, 7200),
               (0.0011, 0.0015, 0.0544, 0.1096, 0.1177, 0.1288, 0.1354, 0.1391, 0.1447, 0.1487, 0.1497, 0.1493, 0.1339, 0.0521, 0.0050),
               (2.6, 2.6, 2.6, 2.65, 2.7, 2.7, 2.6, 2.4, 2.2, 2.1, 2.0, 1.9, 1.7, 1.7, 1.7),
               ((5360, 5372), (5860, 6068), (6360, 6634), (6860, 7206), (7130, 7581))),
        _qmost("red", (6950.0, 9500.0), 0.42, 2.206,
               (6892, 6950, 7050, 7200, 7350, 7500, 7650, 7800, 7950, 8100, 8250, 8400, 8550, 8700, 8850, 9000, 9150, 9300, 9450, 9517),
               (0.009, 0.035, 0.0848, 0.1321, 0.1403, 0.1453, 0.1450, 0.1459, 0.1482, 0.1453, 0.1419, 0.1388, 0.1311, 0.1223, 0.1142, 0.0986, 0.0859, 0.0703, 0.0506, 0.0469),
               (1.7, 1.7, 1.7, 1.8, 1.8, 1.8, 2.0, 2.1, 2.2, 2.2, 2.3, 2.6, 2.7, 2.8, 2.9, 2.9, 2.9, 2.7, 2.6, 2.4),
               ((6970, 5471), (7470, 5938), (7970, 6399), (8470, 6825), (8970, 7214), (9500, 7664))),
    ),
    _QMOST_AREA, _QMOST_SECONDS, 1e-5, 3 * 6144, (3700.0, 9500.0), 1.0, (5395.0, 7040.0),
)  # fmt: skip

SPECTROGRAPHS = {
    device.name: device for device in (_sdss(instruments.SDSS, 2700.0), _sdss(instruments.BOSS, 4500.0), DESI, QMOST)
}
