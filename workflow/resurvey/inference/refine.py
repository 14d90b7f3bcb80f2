"""Redshifts made precise: χ² of redrock's eigenspectra and a polynomial around the peaks of a network's distribution.

At each trial redshift the spectrum is fitted by the eigenspectra of its class and Legendre polynomials, weighted by ivar; the fit is
linear, so all trials of a peak are solved at once (as redrock does on a full grid: Bailey et al. 2012, Guy et al. 2023). Quasars are
seen through a mean Lyα forest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from resurvey.simulate.templates.libraries import Libraries, Library
from resurvey.simulate.wavelengths import STEP

PEAKS = 5  # of the distribution, that are tried
SHARE = 0.2  # of the highest peak's probability must a peak have to be chosen: χ² alone mistakes unusual quasars (docs/mocks-to-real.md)
SEAM_Z = 1.45  # quasars beyond have the eigenspectra of high redshift
RIDGE = 1e-9  # of the largest diagonal element: keeps templates that a spectrum does not cover from making the matrix singular


@dataclass(frozen=True)
class Search:
    """Trials around a peak, in ln(1+z): `steps` (half-width, step), each round centred on the best of the one before; the last is
    followed by a parabola. order: of the polynomial."""

    steps: tuple[tuple[float, float], ...]
    order: int = 3


SEARCHES = {
    "GALAXY": Search(((0.0045, 3e-4), (4.5e-4, 5e-5))),
    "QSO": Search(((0.018, 1e-3), (1.5e-3, 1e-4))),
}


@dataclass
class Refined:
    """Of n spectra: z (n,); chi2 (n,) there; pixels (n,), those with ivar > 0; parameters: of the fit; dchi2 (n,): how much worse the best of the other peaks
    is, negative where one that may not be chosen fits better, NaN where there is no other; peak (n,): which of the given peaks it came from. NaN and -1 where nothing could be fitted."""

    z: np.ndarray
    chi2: np.ndarray
    dchi2: np.ndarray
    pixels: np.ndarray
    peak: np.ndarray
    parameters: int


def refine(
    flux: np.ndarray,
    ivar: np.ndarray,
    wave: np.ndarray,
    peaks: np.ndarray,
    kind: str,
    libraries: Libraries,
    probability: np.ndarray | None = None,
) -> Refined:
    """Refine the redshifts of spectra of one kind, GALAXY or QSO.

    flux, ivar (n, P) at `wave` (P,) [Å, vacuum]; ivar 0 leaves a pixel out. peaks (n, k): redshifts to begin from, NaN for none; probability (n, k)
    of them: those below SHARE of the highest are tried but not chosen. None: all may be chosen.
    """
    search, count = SEARCHES[kind], len(flux)
    size = len(library_of(kind, 0.5, libraries).basis) + search.order + 1
    found = Refined(*(np.full(count, np.nan) for _ in range(3)), (ivar > 0).sum(1), np.full(count, -1), size)
    loglam = np.log10(wave)
    polynomial = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(wave)), search.order).T
    for row in range(count):
        best = [_search(flux[row], ivar[row], loglam, z, kind, libraries, polynomial, search) for z in peaks[row]]
        chi2 = np.array([value for _, value in best])
        usable = np.isfinite(chi2)
        if probability is not None:
            usable &= probability[row] >= SHARE * probability[row].max()
        if not usable.any():
            continue
        first = int(np.where(usable, chi2, np.inf).argmin())
        found.z[row], found.chi2[row] = best[first]
        found.peak[row] = first
        away = np.abs(np.log1p([z for z, _ in best]) - np.log1p(found.z[row])) > search.steps[0][0]
        others = chi2[away & np.isfinite(chi2)]
        if len(others):
            found.dchi2[row] = others.min() - found.chi2[row]
    return found


def _search(flux, ivar, loglam, z, kind, libraries, polynomial, search) -> tuple[float, float]:
    """(z, χ²) of the best redshift near a peak; NaN where there is no peak or too few pixels."""
    if not np.isfinite(z):
        return np.nan, np.nan
    centre = np.log1p(z)
    library = library_of(kind, z, libraries)
    for half, step in search.steps:
        trials = centre + step * np.arange(-round(half / step), round(half / step) + 1)
        trials = trials[trials > -0.005]
        chi2 = chi_square(flux, ivar, loglam, trials, library, polynomial, forest=kind == "QSO")
        if not len(chi2) or not np.isfinite(chi2).any():
            return np.nan, np.nan
        least = int(np.nanargmin(chi2))
        centre = trials[least]
    x, value = vertex(trials, chi2, least)
    return float(np.expm1(x)), value


def library_of(kind: str, z: float, libraries: Libraries) -> Library:
    """The eigenspectra for a kind of object at a redshift."""
    if kind == "GALAXY":
        return libraries.galaxies
    return libraries.quasars_low if z < SEAM_Z else libraries.quasars_high


def chi_square(
    flux: np.ndarray,
    ivar: np.ndarray,
    loglam: np.ndarray,
    x: np.ndarray,
    library: Library,
    polynomial: np.ndarray,
    forest: bool = False,
) -> np.ndarray:
    """Smallest χ² (t,) of one spectrum (P,) at trials x = ln(1+z) (t,); NaN with fewer pixels than parameters.

    Only pixels that the eigenspectra cover at all trials count, so that trials of a peak compare.
    """
    place = (loglam[None] - x[:, None] / np.log(10) - library.start) / STEP
    good = (ivar > 0) & (place[0] >= 0) & (place[-1] >= 0) & (place.max(0) < library.basis.shape[1] - 1)
    size = len(library.basis) + len(polynomial)
    if good.sum() <= size:
        return np.full(len(x), np.nan)
    place = place[:, good]
    low = place.astype(np.int64)
    part = (place - low).astype(np.float32)
    shape = library.basis[:, low] * (1 - part) + library.basis[:, low + 1] * part  # (B, t, pixels)
    if forest:
        shape *= transmission(loglam[good][None], x[:, None]).astype(np.float32)
    weight = np.sqrt(ivar[good].astype(float))
    model = np.empty((len(x), size, int(good.sum())))
    model[:, : len(shape)] = shape.transpose(1, 0, 2)
    model[:, len(shape) :] = polynomial[:, good]
    model *= weight
    seen = weight * flux[good]
    matrix = model @ model.transpose(0, 2, 1)
    scale = np.sqrt(np.maximum(np.einsum("tii->ti", matrix), 1e-300))
    matrix /= scale[:, :, None] * scale[:, None]
    matrix[:, np.arange(size), np.arange(size)] += RIDGE
    side = (model @ seen) / scale
    return seen @ seen - (side * np.linalg.solve(matrix, side[..., None])[..., 0]).sum(1)


def transmission(loglam: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Mean transmission of the Lyα forest at log10 λ before a source at ln(1+z) = x: τ = 0.0018 (λ/1216 Å)^3.92 (Faucher-Giguère et al.
    2008), as in the mock spectra; 1 redward of Lyα."""
    ratio = 10**loglam / 1215.67
    return np.where(np.log(ratio) < x, np.exp(-0.0018 * ratio**3.92), 1.0)


def vertex(x: np.ndarray, y: np.ndarray, least: int) -> tuple[float, float]:
    """Lowest point of the parabola through the least of equally spaced values and its neighbours; at an end, that value itself."""
    if not 0 < least < len(x) - 1 or not np.isfinite(y[least - 1 : least + 2]).all():
        return float(x[least]), float(y[least])
    left, middle, right = y[least - 1 : least + 2]
    bend = left - 2 * middle + right
    if bend <= 0:
        return float(x[least]), float(middle)
    off = 0.5 * (left - right) / bend
    return float(x[least] + off * (x[1] - x[0])), float(middle - 0.25 * (left - right) * off)


COLUMNS = {
    "z_refined": "z by the fit of templates, nearest the best of the distribution's peaks",
    "chi2": "χ² of that fit over its degrees of freedom",
    "dchi2": "how much larger χ² is at the best other peak, not divided; negative: smaller, at one too improbable; null: there is no other",
    "peak": "which peak of the distribution z_refined came from, 0 the highest",
}


def refiner(predictor, folder: str) -> Callable[[pa.Table, np.ndarray, list], pa.Table]:
    """What adds COLUMNS to rows of a catalogue, from flux (n, P) and a list of ivar (P,) or None. Null where the class of a row has no
    redshift ensemble, or its file no errors. Raises ResurveyError for a folder without templates, a grid that is not known, or (when
    used) a model whose redshifts are no distributions."""
    from resurvey.shards.grid import Grid
    from resurvey.simulate.templates import libraries

    library, wave = libraries.load(folder), Grid.from_settings(predictor.model.grid).wavelength

    def add(rows: pa.Table, flux: np.ndarray, ivar: list[np.ndarray | None]) -> pa.Table:
        found = {name: np.full(len(flux), np.nan) for name in COLUMNS}
        classes = rows["class"].to_pylist()
        for label in predictor.model.redshift:
            kind = label.split("_")[0]
            mine = [i for i, name in enumerate(classes) if name == label and ivar[i] is not None and kind in SEARCHES]
            if mine:
                peaks, probability = predictor.peaks(flux[mine], label, PEAKS)
                part = refine(flux[mine], np.stack([ivar[i] for i in mine]), wave, peaks, kind, library, probability)
                free = np.maximum(part.pixels - part.parameters, 1)
                for name, values in zip(COLUMNS, (part.z, part.chi2 / free, part.dchi2, part.peak), strict=True):
                    found[name][mine] = values
        for name, values in found.items():
            values = np.where(np.isfinite(found["z_refined"]), values, np.nan)
            kind = pa.int32() if name == "peak" else pa.float64()
            rows = rows.append_column(
                pa.field(name, kind, metadata={"description": COLUMNS[name]}),
                pa.array(np.nan_to_num(values).astype(kind.to_pandas_dtype()), mask=~np.isfinite(values)),
            )
        return rows

    return add
