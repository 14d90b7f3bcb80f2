"""Redshifts made precise: χ² of redrock's eigenspectra and a polynomial around the peaks of a network's distribution.

At each trial redshift the spectrum is fitted by the eigenspectra of its class and Legendre polynomials, weighted by ivar; the fit is
linear, so all trials of a peak are solved at once (as redrock does on a full grid: Bailey et al. 2012, Guy et al. 2023). Quasars are
seen through a mean Lyα forest; at high redshift they have the eigenspectra whose redshifts are those of the surveys' pipelines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from resurvey.errors import ResurveyError
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

    @property
    def reach(self) -> float:
        """How far from a peak a redshift can be found, in ln(1+z)."""
        return self.steps[0][0]


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
        away = np.abs(np.log1p([z for z, _ in best]) - np.log1p(found.z[row])) > search.reach
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
    return libraries.quasars_low if z < SEAM_Z else libraries.quasars_pipeline


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


FIELDS = pa.schema([("z_refined", pa.float64()), ("chi2", pa.float32()), ("dchi2", pa.float32()), ("peak", pa.int32())])


def template_kind(label: str) -> str | None:
    """The kind of templates that a class is refined with, by the first part of its name: GALAXY_AGN with GALAXY's; None for a star
    and any other class."""
    kind = label.split("_")[0]
    return kind if kind in SEARCHES else None


class Refiner:
    """Adds FIELDS (declared in catalogues/columns.py) to predictions: the fit of each spectrum's most probable class.

    Null where that class has no redshift ensemble or no templates, and where a spectrum has no errors. Raises ResurveyError for a model without
    redshifts or whose redshifts are no distributions, a folder without templates, and a grid that is not known.
    """

    def __init__(self, predictor, folder: str) -> None:
        from resurvey.shards.grid import Grid
        from resurvey.simulate.templates import libraries

        if not getattr(predictor.model, "redshift", None):
            raise ResurveyError(
                f"{predictor.model.name}: has no redshift ensembles that templates could refine; leave refine out"
            )
        self.predictor, self.library = predictor, libraries.load(folder)
        self.wave = Grid.from_settings(predictor.model.grid).wavelength

    def __call__(self, predictions: pa.Table, flux: np.ndarray, ivar: Sequence[np.ndarray | None]) -> pa.Table:
        """predictions: rows with `prob_*`; flux (rows, pixels); ivar: (pixels,) of each row, or None."""
        found = {name: np.full(len(flux), np.nan) for name in FIELDS.names}
        for label, rows in self._rows(predictions, ivar).items():
            peaks, probability = self.predictor.peaks(flux[rows], label, PEAKS)
            errors = np.stack([ivar[row] for row in rows])
            part = refine(flux[rows], errors, self.wave, peaks, template_kind(label), self.library, probability)
            free = np.maximum(part.pixels - part.parameters, 1)
            for name, values in zip(FIELDS.names, (part.z, part.chi2 / free, part.dchi2, part.peak), strict=True):
                found[name][rows] = values
        for field in FIELDS:
            values = np.where(np.isfinite(found["z_refined"]), found[field.name], np.nan)
            plain = np.nan_to_num(values).astype(field.type.to_pandas_dtype())
            predictions = predictions.append_column(field, pa.array(plain, mask=~np.isfinite(values)))
        return predictions

    def _rows(self, predictions: pa.Table, ivar: Sequence[np.ndarray | None]) -> dict[str, np.ndarray]:
        """{class: rows of which it is the most probable one}, of those classes and rows that can be refined."""
        labels = [name.removeprefix("prob_") for name in predictions.column_names if name.startswith("prob_")]
        probability = np.column_stack([predictions[f"prob_{label}"].to_numpy() for label in labels])
        usable = np.isfinite(probability).all(1) & np.array([one is not None for one in ivar])
        best = np.where(usable, probability.argmax(1), -1)
        wanted = [label for label in self.predictor.model.redshift if template_kind(label)]
        rows = {label: np.flatnonzero(best == labels.index(label)) for label in wanted}
        return {label: where for label, where in rows.items() if len(where)}
