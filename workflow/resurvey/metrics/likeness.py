"""How alike mock spectra and real ones of the same class are: mean and scatter, S/N, errors and residuals by wavelength.

Each real spectrum is compared with mock ones of nearly its S/N and redshift, so that differences are those of the spectra.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from resurvey.metrics.assessment import CLASSES

PARTNERS = 3  # mock spectra to each real one, of which none is taken twice
NEAR = (0.1, 0.02)  # steps of ln(S/N) and of ln(1+z) that count as equally far
REST = 2e-3  # width of the bins of ln λ in which spectra are averaged
OBSERVED = 25.0  # Å, of those in which errors and residuals are
FEWEST = 5  # spectra in a bin that is drawn
NOISY = 15.0  # S/N below which the noise is what a pixel differs by from its neighbours, and not the lines
SN_BINS = np.geomspace(0.5, 100, 24)


@dataclass(frozen=True)
class Sample:
    """Spectra on one grid: flux, ivar (n, pixels); label (n,) of CLASSES; z, sn (n,), z 0 for stars."""

    flux: np.ndarray
    ivar: np.ndarray
    label: np.ndarray
    z: np.ndarray
    sn: np.ndarray

    def take(self, rows: np.ndarray) -> "Sample":
        """Some of them."""
        return Sample(self.flux[rows], self.ivar[rows], self.label[rows], self.z[rows], self.sn[rows])


def partners(real: Sample, mock: Sample) -> np.ndarray:
    """Rows of mock, PARTNERS for each row of real where there are as many: the nearest in S/N and z, none twice."""
    free, chosen = np.ones(len(mock.sn), bool), []
    place = np.c_[np.log(np.maximum(mock.sn, 0.1)) / NEAR[0], np.log1p(mock.z) / NEAR[1]]
    for sn, z in zip(real.sn, real.z, strict=True):
        here = np.array([np.log(max(sn, 0.1)) / NEAR[0], np.log1p(z) / NEAR[1]])
        far = np.where(free, ((place - here) ** 2).sum(1), np.inf)
        nearest = np.argsort(far, kind="stable")[:PARTNERS]
        nearest = nearest[np.isfinite(far[nearest])]
        free[nearest] = False
        chosen += nearest.tolist()
    return np.array(chosen, int)


def compare(real: Sample, mock: Sample, wave: np.ndarray) -> pd.DataFrame:
    """`class, what, sample, x, value, low, high, n`: what = spectrum (x: rest wavelength [Å], of stars the observed one; mean and
    16th and 84th percentile of flux over its median), sn (x: S/N; share of the spectra), error (x: observed wavelength; median
    of σ over its median in each spectrum) and residual (x: observed wavelength; scatter of a pixel about the mean of its neighbours, over
    the errors, of spectra below S/N NOISY). sample = real, mock (the partners) and, of sn, mock, all."""
    parts = []
    for name in CLASSES:
        mine, theirs = real.take(real.label == name), mock.take(mock.label == name)
        if not len(mine.sn) or not len(theirs.sn):
            continue
        chosen = theirs.take(partners(mine, theirs))
        parts.append(_sn(theirs.sn, name, "mock, all"))
        for sample, part in (("real", mine), ("mock", chosen)):
            parts += [
                _spectrum(part, wave, name, sample),
                _sn(part.sn, name, sample),
                _error(part, wave, name, sample),
                _residual(part, wave, name, sample),
            ]
    columns = ["class", "what", "sample", "x", "value", "low", "high", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _table(name: str, what: str, sample: str, x, value, low, high, n) -> pd.DataFrame:
    table = pd.DataFrame({"x": x, "value": value, "low": low, "high": high, "n": n})
    return table.assign(**{"class": name, "what": what, "sample": sample})


def _spectrum(part: Sample, wave: np.ndarray, name: str, sample: str) -> pd.DataFrame:
    """Mean and scatter at rest, in bins of ln λ."""
    rows = np.log(wave)[None] - np.log1p(part.z)[:, None]
    first = np.floor(rows.min() / REST)
    place = np.floor(rows / REST - first).astype(int)
    width = int(place.max()) + 1
    good = part.ivar > 0
    level = np.array([np.median(flux[ok]) if ok.any() else np.nan for flux, ok in zip(part.flux, good, strict=True)])
    usable = np.flatnonzero(level > 0)
    binned = np.full((len(usable), width), np.nan)
    for row, number in enumerate(usable):
        total = np.bincount(place[number][good[number]], part.flux[number][good[number]] / level[number], width)
        count = np.bincount(place[number][good[number]], minlength=width)
        binned[row, count > 0] = total[count > 0] / count[count > 0]
    n = np.isfinite(binned).sum(0)
    keep = n >= FEWEST
    binned = binned[:, keep]
    low, high = np.nanpercentile(binned, (16, 84), axis=0) if keep.any() else (np.zeros(0), np.zeros(0))
    x = np.exp((first + np.flatnonzero(keep) + 0.5) * REST)
    return _table(name, "spectrum", sample, x, np.nanmean(binned, 0), low, high, n[keep])


def _sn(sn: np.ndarray, name: str, sample: str) -> pd.DataFrame:
    counts, _ = np.histogram(np.clip(sn, SN_BINS[0], SN_BINS[-1]), SN_BINS)
    middle = np.sqrt(SN_BINS[1:] * SN_BINS[:-1])
    return _table(name, "sn", sample, middle, counts / max(len(sn), 1), np.nan, np.nan, counts)


def _bins(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the bin of each pixel, and the middle of each bin [Å]."""
    place = ((wave - wave[0]) / OBSERVED).astype(int)
    return place, wave[0] + (np.arange(place.max() + 1) + 0.5) * OBSERVED


def _error(part: Sample, wave: np.ndarray, name: str, sample: str) -> pd.DataFrame:
    sigma = np.full(part.ivar.shape, np.nan)
    np.divide(1, np.sqrt(part.ivar, where=part.ivar > 0, out=np.ones_like(part.ivar)), where=part.ivar > 0, out=sigma)
    has = np.isfinite(sigma).any(1)
    return _spread(sigma[has] / np.nanmedian(sigma[has], axis=1, keepdims=True), wave, name, "error", sample)


def _residual(part: Sample, wave: np.ndarray, name: str, sample: str) -> pd.DataFrame:
    """The scatter is half of the central 68 % of all pixels of a bin: single strong lines do not move it."""
    noisy = part.take(part.sn < NOISY)
    return _spread(neighbours(noisy.flux, noisy.ivar), wave[1:-1], name, "residual", sample, scatter=True)


def neighbours(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """(n, pixels - 2): each pixel less the mean of its two neighbours, over the error of that difference; NaN without errors. Standard
    deviation 1 for independent Gaussian errors, less where resampling has made neighbours alike."""
    variance = np.full(ivar.shape, np.nan)
    np.divide(1, ivar, where=ivar > 0, out=variance)
    difference = flux[:, 1:-1] - 0.5 * (flux[:, :-2] + flux[:, 2:])
    return difference / np.sqrt(variance[:, 1:-1] + 0.25 * (variance[:, :-2] + variance[:, 2:]))


def _spread(values: np.ndarray, wave: np.ndarray, name: str, what: str, sample: str, scatter=False) -> pd.DataFrame:
    """Median and 16th and 84th percentile of the values in each bin of wavelengths; scatter: half of what lies between these, alone."""
    place, middle = _bins(wave)
    found = np.full((len(middle), 4), np.nan)
    for number in range(len(middle)):
        inside = values[:, place == number]
        inside = inside[np.isfinite(inside)]
        if len(inside) >= FEWEST:
            low, median, high = np.percentile(inside, (16, 50, 84))
            found[number] = (
                (0.5 * (high - low), np.nan, np.nan, len(inside)) if scatter else (median, low, high, len(inside))
            )
    keep = np.isfinite(found[:, 0])
    return _table(name, what, sample, middle[keep], *found[keep].T)
