"""A folder of public templates → eigenspectra on one log-λ grid, with the coefficients of real spectra."""

import functools
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.simulate.templates import registry
from resurvey.simulate.wavelengths import STEP

STAR_TYPES = ("A", "B", "F", "G", "K", "M", "WD", "CV")
STACKS = ("stack_lrg", "stack_elg", "stack_agn2")  # of galaxies, in the order of their rows behind redrock's five
NEEDED = (
    "galaxies",
    "quasars_low",
    "quasars_high",
    "quasars_pipeline",
    *STACKS,
    "stack_agn1",
    *(f"star_{name}" for name in STAR_TYPES),
)
GALAXY_LEVEL, QUASAR_LEVEL, STAR_LEVEL = (
    (4000, 5500),
    (2000, 3000),
    (5500, 6500),
)  # Å, rest: where templates have the mean 1


@dataclass(frozen=True)
class Library:
    """Eigenspectra `basis` (B, P) float32 on log10 λ = start + 1e-4·i [Å, vacuum, rest]; `coefficients` (m, B) float32: sets of
    them, each a spectrum of mean 1 in the kind's range."""

    start: float
    basis: np.ndarray
    coefficients: np.ndarray

    def level(self, low: float, high: float) -> np.ndarray:
        """Mean (B,) of each eigenspectrum between two rest wavelengths [Å]."""
        first, last = (round((np.log10(w) - self.start) / STEP) for w in (low, high))
        return self.basis[:, max(first, 0) : last].mean(1, dtype=np.float64)

    def spectra(self, every: int = 1) -> np.ndarray:
        """All sets as spectra (m, P / every) float32."""
        return self.coefficients @ self.basis[:, ::every]


@dataclass(frozen=True)
class Libraries:
    """stars by type; galaxies: redrock's five and the STACKS; quasars below and above z ≈ 1.4: redrock's four and, below, a stack.

    quasars_pipeline: an earlier four of redrock, for redshifts as the surveys' pipelines give them: those of quasars_high differ by some 1e-3 in ln(1+z)
    (docs/mocks-to-real.md).
    passive (k,): the galaxies' sets with the weakest Hα; weak_lines, by type of star: the third of the sets with the weakest metal lines.
    """

    stars: dict[str, Library]
    galaxies: Library
    quasars_low: Library
    quasars_high: Library
    quasars_pipeline: Library
    passive: np.ndarray
    weak_lines: dict[str, np.ndarray]


def load(folder: str | os.PathLike) -> Libraries:
    """Read the templates of a folder (searched to the bottom), after their digests were checked. Raises ResurveyError naming what is
    missing or wrong."""
    return _load(str(Path(folder).resolve()))


def files(folder: Path) -> dict[str, Path]:
    """{role: file} of the templates of a folder, their digests checked. Raises ResurveyError naming what is missing or wrong."""
    found = registry.in_folder(folder, registry.templates())
    missing = [role for role in NEEDED if role not in found]
    if missing:
        raise ResurveyError(
            f"templates: {folder} lacks those for {', '.join(missing)}; fetch them with `resurvey templates --out {folder}`"
        )
    return found


@functools.lru_cache(maxsize=2)
def _load(folder: str) -> Libraries:
    found = files(Path(folder))
    stars = {name: _star(found[f"star_{name}"]) for name in STAR_TYPES}
    galaxies = _galaxies(found)
    low, high = _quasars(found["quasars_low"], found["stack_agn1"]), _quasars(found["quasars_high"], None)
    pipeline = _quasars(found["quasars_pipeline"], None)
    return Libraries(
        stars, galaxies, low, high, pipeline, _passive(galaxies), {name: _weak(star) for name, star in stars.items()}
    )


def _open(path: Path):
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fits.open(path)


def _pca(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Wavelengths [Å] (P,), basis (B, P) and coefficients (m, B) or None of a file of redrock's."""
    with _open(path) as hdus:
        image = hdus["BASIS_VECTORS"] if "BASIS_VECTORS" in hdus else hdus[0]
        basis, head = np.asarray(image.data, float), image.header
        wave = head["CRVAL1"] + head["CDELT1"] * np.arange(basis.shape[1])
        wave = 10**wave if head.get("LOGLAM") else wave
        sets = np.asarray(hdus["ARCHETYPE_COEFF"].data, float) if "ARCHETYPE_COEFF" in hdus else None
    return wave, basis, sets


def _grid(wave: np.ndarray) -> tuple[float, int]:
    first, last = (np.log10(wave[i]) / STEP for i in (0, -1))
    return int(np.ceil(first)) * STEP, int(np.floor(last)) - int(np.ceil(first)) + 1


def _regrid(wave: np.ndarray, flux: np.ndarray, start: float, count: int) -> np.ndarray:
    """Mean flux density (B, count) in the pixels of the log grid, of spectra (B, P); beyond their ends the end value."""
    edges = 10 ** (start + STEP * (np.arange(count + 1) - 0.5))
    middle = 0.5 * (wave[1:] + wave[:-1])
    borders = np.concatenate([[1.5 * wave[0] - 0.5 * wave[1]], middle, [1.5 * wave[-1] - 0.5 * wave[-2]]])
    whole = np.concatenate([np.zeros((len(flux), 1)), np.cumsum(flux * np.diff(borders), axis=1)], axis=1)
    out = np.empty((len(flux), count))
    for row, total in enumerate(whole):
        summed = np.interp(edges, borders, total)
        summed = np.where(edges < borders[0], (edges - borders[0]) * flux[row, 0], summed)
        summed = np.where(edges > borders[-1], total[-1] + (edges - borders[-1]) * flux[row, -1], summed)
        out[row] = np.diff(summed) / np.diff(edges)
    return out


def _scaled(library: Library, span: tuple[float, float]) -> Library:
    """The sets that are positive in `span`, with mean 1 there."""
    level = library.coefficients @ library.level(*span)
    good = level > 0.05 * np.median(level)
    return Library(library.start, library.basis, (library.coefficients[good] / level[good, None]).astype(np.float32))


def _star(path: Path) -> Library:
    wave, basis, sets = _pca(path)
    start, count = _grid(wave)
    sets = np.eye(1, len(basis)) if sets is None else sets  # cataclysmic variables come without: their mean spectrum
    library = _scaled(Library(start, _regrid(wave, basis, start, count).astype(np.float32), sets), STAR_LEVEL)
    return _positive(library, 3500, 10000)


def _positive(library: Library, low: float, high: float) -> Library:
    """The sets whose spectrum is nowhere below minus a hundredth of its mean between two rest wavelengths (sets are truncated: a
    cool star's blue end may pass zero by a little)."""
    first, last = (round((np.log10(w) - library.start) / STEP) for w in (low, high))
    good = (library.coefficients @ library.basis[:, first:last:8]).min(1) > -0.01
    return Library(library.start, library.basis, library.coefficients[good])


def _stack(path: Path, start: float, count: int, span: tuple[float, float]) -> np.ndarray:
    with _open(path) as hdus:
        wave, flux = (np.asarray(hdus[1].data[name], float) for name in ("LAMBDA", "FLUX_DENSITY"))
    spectrum = _regrid(wave, flux[None], start, count)[0]
    grid = 10 ** (start + STEP * np.arange(count))
    return spectrum / spectrum[(grid > span[0]) & (grid < span[1])].mean()


def _galaxies(found: dict[str, Path]) -> Library:
    wave, basis, sets = _pca(found["galaxies"])
    start, count = _grid(wave)
    stacks = [_stack(found[name], start, count, GALAXY_LEVEL) for name in STACKS]
    whole = np.concatenate([_regrid(wave, basis, start, count), stacks]).astype(np.float32)
    sets = np.concatenate([sets, np.zeros((len(sets), len(STACKS)))], axis=1)
    return _positive(_scaled(Library(start, whole, sets), GALAXY_LEVEL), 2500, 9500)


def _quasars(path: Path, stack: Path | None) -> Library:
    wave, basis, _ = _pca(path)
    start, count = _grid(wave)
    rows = [_regrid(wave, basis, start, count)]
    if stack is not None:
        rows.append(_stack(stack, start, count, QUASAR_LEVEL)[None])
    rows = np.concatenate(rows)
    grid = 10 ** (start + STEP * np.arange(count))
    rows[:4] /= rows[0, (grid > QUASAR_LEVEL[0]) & (grid < QUASAR_LEVEL[1])].mean()
    return Library(start, rows.astype(np.float32), np.eye(1, len(rows), dtype=np.float32))


def _band(library: Library, low: float, high: float) -> np.ndarray:
    return library.coefficients @ library.level(low, high)


def _passive(library: Library) -> np.ndarray:
    """The sets whose light in Hα and [N II], over the continuum beside them, is below the 15th percentile."""
    line = _band(library, 6548, 6590) / (0.5 * (_band(library, 6480, 6535) + _band(library, 6610, 6660)))
    return np.flatnonzero(line <= np.percentile(line, 15))


def _weak(library: Library) -> np.ndarray:
    """The third of the sets with the weakest Mg b and Fe lines (5150-5350 Å) for their colour: the metal-poor ones."""
    line = _band(library, 5155, 5200) + _band(library, 5255, 5340)
    line /= _band(library, 5080, 5130) + _band(library, 5360, 5400)
    colour = np.log(_band(library, 6000, 6500) / _band(library, 4500, 5000))
    if len(line) < 30:
        return np.arange(len(line))
    excess = line - np.polyval(np.polyfit(colour, line, 2), colour)
    return np.flatnonzero(excess >= np.percentile(excess, 67))
