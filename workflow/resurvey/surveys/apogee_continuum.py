"""Continuum normalisation of APOGEE spectra as astroNN does it, for a whole batch at once.

Leung & Bovy 2019 §3.1 (after Casey et al. 2016), with the conventions of the authors' code, which made the printed numbers: in each
detector a Chebyshev polynomial is fitted over the pixel number to the continuum pixels, and flux and error are divided by it; then
negative flux becomes 0, infinite and undefined flux 1, and pixels under one of the mask's bits get flux 1 and error 1.

The code passes 1/(error² + 1e-8) as numpy's `w`, which multiplies residuals, so that each pixel counts with the square of its
inverse variance (`ivar2`); weight `ivar` is the ordinary least-squares weight, w = 1/error. docs/apogee.md lists all conventions.
"""

import csv
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev

from resurvey.errors import ResurveyError
from resurvey.surveys import apogee_mask
from resurvey.surveys.apogee_grid import FULL, Chips, chips, from_meta

METHODS = ("chebyshev", "aspcap")
WEIGHTS = ("ivar2", "ivar")
CHIP_NAMES = ("blue", "green", "red")
SOFTENING = 1e-8  # of error² in the code's weight
ROWS_AT_ONCE = 64  # what is worked on at a time: few enough to stay in the cache
ILL_CONDITIONED = 1e5  # condition number from which normal equations lose digits: numpy's own routine takes over


@dataclass(frozen=True)
class Normalised:
    """flux (n, pixels) float32; ivar (n, pixels) float32, 0 where masked or not measured, where flux is 1;
    reasons: n entries, None or why a spectrum has no continuum (its rows are meaningless then)."""

    flux: np.ndarray
    ivar: np.ndarray
    reasons: list[str | None]


@dataclass(frozen=True, eq=False)
class Normaliser:
    """How raw spectra on the 8575 pixels become the networks' input.

    method: chebyshev (the paper's) or aspcap (the spectra are taken as the survey's pipeline normalised them); pixels: the
    continuum pixels on the 8575 grid, empty for aspcap.
    """

    chips: Chips
    method: str = "chebyshev"
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    degree: int = 2
    weight: str = "ivar2"
    mask_bits: tuple[int, ...] = apogee_mask.BAD_BITS

    def __post_init__(self):
        for key, wish, known in (("method", self.method, METHODS), ("weight", self.weight, WEIGHTS)):
            if wish not in known:
                raise ResurveyError(f"continuum.{key}: {wish!r} is not known; give {' or '.join(known)}")
        if not isinstance(self.degree, int) or self.degree < 0:
            raise ResurveyError(f"continuum.degree: {self.degree!r} must be a whole number from 0, e.g. 2")
        apogee_mask.value(self.mask_bits)
        if self.method == "chebyshev":
            for name, found in zip(CHIP_NAMES, self._continuum, strict=True):
                if found.size <= self.degree:
                    raise ResurveyError(
                        f"continuum pixels: {found.size} lie in the {name} detector ({self.chips.name}); "
                        f"a polynomial of degree {self.degree} needs {self.degree + 1} or more"
                    )

    @classmethod
    def from_settings(cls, dataset: dict, extras: dict) -> "Normaliser":
        """From a dataset's `grid`, `continuum` and `mask_bits`, and `extras` {continuum_pixels: path}.

        Raises ResurveyError naming the key that is wrong or the file that is missing.
        """
        wish = dict(dataset.get("continuum") or {})
        method = wish.get("method", "chebyshev")
        path = extras.get("continuum_pixels")
        if method == "chebyshev" and not path:
            raise ResurveyError(
                "extras.continuum_pixels: is missing; continuum.method chebyshev needs the list of continuum pixels "
                "(or give continuum: {method: aspcap} for spectra that the pipeline normalised)"
            )
        return cls(
            chips=chips(dataset["grid"]["chips"]),
            method=method,
            pixels=read_pixels(path) if method == "chebyshev" else np.empty(0, np.int64),
            degree=wish.get("degree", 2),
            weight=wish.get("weight", "ivar2"),
            mask_bits=tuple(dataset.get("mask_bits", apogee_mask.BAD_BITS)),
        )

    @classmethod
    def from_meta(cls, grid: dict, normalisation: dict) -> "Normaliser":
        """From `grid` and `normalisation` in the metadata of a shard or model: what meta() wrote. Raises ResurveyError."""
        try:
            return cls(
                chips=from_meta(grid),
                method=normalisation["method"],
                pixels=np.asarray(normalisation.get("pixels", []), np.int64),
                degree=normalisation.get("degree", 2),
                weight=normalisation.get("weight", "ivar2"),
                mask_bits=tuple(normalisation["mask_bits"]),
            )
        except KeyError as error:
            raise ResurveyError(
                f"normalisation: lacks {error}; the spectra that it speaks of were not made by `resurvey shard`"
            ) from None

    def meta(self) -> dict:
        """What stands under `normalisation` in a shard's metadata: all that is needed to do the same again."""
        if self.method == "aspcap":
            return {"method": "aspcap", "mask_bits": list(self.mask_bits)}
        return {
            "method": self.method,
            "degree": self.degree,
            "weight": self.weight,
            "mask_bits": list(self.mask_bits),
            "pixels": self.pixels.tolist(),
        }

    @cached_property
    def _continuum(self) -> tuple[np.ndarray, ...]:
        """Per detector the continuum pixels, counted from its first pixel."""
        return tuple(
            np.unique(self.pixels[(self.pixels >= start) & (self.pixels < stop)]) - start
            for start, stop in self.chips.runs
        )

    @cached_property
    def _bases(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Per detector the polynomials at the continuum pixels, and (degree+1, pixels) at all pixels."""
        bases = []
        for (start, stop), at in zip(self.chips.runs, self._continuum, strict=True):
            basis = _basis(stop - start, at, self.degree)
            bases.append((basis[at], np.ascontiguousarray(basis.T, np.float32)))
        return tuple(bases)

    def __call__(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> Normalised:
        """Normalise spectra on the 8575 pixels: flux, error (n, 8575) in one unit, mask (n, 8575) integers."""
        done = Normalised(*(np.empty((len(flux), self.chips.pixels), np.float32) for _ in range(2)), [])
        for start in range(0, len(flux), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            raw = (self.chips.cut(values[rows]) for values in (flux, error, mask))
            done.reasons.extend(self._some(*raw, done.flux[rows], done.ivar[rows]))
        return done

    def _some(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray, out_flux: np.ndarray, out_ivar: np.ndarray
    ) -> list[str | None]:
        """Normalise a few spectra (n, pixels of all chips) into the two arrays; returns the reasons."""
        used = apogee_mask.measured(flux, error)
        if self.method == "chebyshev":
            flux, error, reasons = self.divide(flux, error)
            np.maximum(flux, 0, out=out_flux)
        else:
            reasons = [None if any_ else "none of its pixels was measured" for any_ in used.any(axis=1).tolist()]
            out_flux[:] = flux
        used &= ~apogee_mask.bad(mask, self.mask_bits) & np.isfinite(flux)
        np.putmask(out_flux, ~used, 1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.divide(1, np.square(error, out=out_ivar), out=out_ivar)
        np.putmask(out_ivar, ~used | ~np.isfinite(out_ivar), 0)
        return reasons

    def divide(self, flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        """Flux and error (n, pixels of all chips), divided by the fitted continuum, float32; and why a spectrum has none."""
        out_flux, out_error = np.empty(flux.shape, np.float32), np.empty(flux.shape, np.float32)
        reasons: list[str | None] = [None] * len(flux)
        detectors = zip(CHIP_NAMES, self.chips.slices, self._continuum, self._bases, strict=True)
        for name, chip, at, (basis, curve) in detectors:
            at_flux, at_error = flux[:, chip][:, at], error[:, chip][:, at]
            level = fit(at_flux, at_error, basis, self.weight).astype(np.float32) @ curve
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                np.divide(flux[:, chip], level, out=out_flux[:, chip])
                np.divide(error[:, chip], level, out=out_error[:, chip])
            count = apogee_mask.measured(at_flux, at_error).sum(axis=1)
            for row in np.flatnonzero((count <= self.degree) | (level.max(axis=1) <= 0)):
                reasons[row] = reasons[row] or (
                    f"its fitted continuum is nowhere positive in the {name} detector"
                    if count[row] > self.degree
                    else f"{count[row]} of {at.size} continuum pixels were measured in the {name} detector; "
                    f"{self.degree + 1} are needed"
                )
        return out_flux, out_error, reasons


def fit(flux: np.ndarray, error: np.ndarray, basis: np.ndarray, weight: str) -> np.ndarray:
    """(n, degree+1) coefficients of least-squares polynomials through n spectra at their continuum pixels.

    flux, error: (n, m) at these pixels; basis: (m, degree+1), the polynomials there. The same as numpy's
    Chebyshev.fit(x, flux, degree, w=w) of each spectrum, w as in the module's text. Pixels that were not measured have no weight;
    a spectrum without any has coefficients 0.
    """
    y, sigma = flux.astype(np.float64), error.astype(np.float64)
    usable = apogee_mask.measured(y, sigma)
    y[~usable], sigma[~usable] = 0.0, 1.0
    w = 1 / (sigma**2 + SOFTENING) if weight == "ivar2" else 1 / sigma
    w[~usable] = 0.0
    w /= np.maximum(w.max(axis=1, keepdims=True), np.finfo(float).tiny)  # a common factor of a spectrum changes nothing
    return _solve(basis, w, y)


def _basis(size: int, at: np.ndarray, degree: int) -> np.ndarray:
    """(size, degree+1): Chebyshev polynomials of the pixel number, the first and last of `at` mapped to -1 and 1."""
    low, high = at.min(), at.max()
    return chebyshev.chebvander((2.0 * np.arange(size) - low - high) / max(high - low, 1), degree)


def _solve(basis: np.ndarray, w: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, k) coefficients that minimise |w·(y - basis·c)|² for each of n spectra: normal equations, all n at once.

    Equations so badly conditioned that they would lose digits (few pixels carry all the weight) are solved by numpy's lstsq.
    """
    k, w2 = basis.shape[1], w * w
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), k * k)
    normal = (w2 @ products).reshape(-1, k, k)
    right = (w2 * y) @ basis
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", normal), np.finfo(float).tiny))
    normal /= scale[:, :, None] * scale[:, None, :]
    eigenvalues = np.linalg.eigvalsh(normal)
    good = eigenvalues[:, 0] * ILL_CONDITIONED > eigenvalues[:, -1]
    coefficients = np.zeros_like(right)
    coefficients[good] = np.linalg.solve(normal[good], (right / scale)[good][..., None])[..., 0] / scale[good]
    for row in np.flatnonzero(~good):
        weighted = basis * w[row, :, None]
        norm = np.sqrt(np.maximum((weighted**2).sum(axis=0), np.finfo(float).tiny))
        epsilon = len(basis) * np.finfo(float).eps  # numpy's rcond in Chebyshev.fit
        coefficients[row] = np.linalg.lstsq(weighted / norm, w[row] * y[row], rcond=epsilon)[0] / norm
    return coefficients


def read_pixels(path: str | Path) -> np.ndarray:
    """The continuum pixels of a CSV file with a column `pixel`: indices on the 8575 grid, sorted, each once.

    Raises ResurveyError where the file is missing, has no such column, or an index lies outside the grid.
    """
    try:
        with open(path, newline="") as handle:
            rows = csv.DictReader(line for line in handle if not line.startswith("#"))
            if "pixel" not in (rows.fieldnames or []):
                raise ResurveyError(f"{path}: has no column pixel; it must list pixels of the {FULL}, one a line")
            pixels = np.array([int(row["pixel"]) for row in rows], np.int64)
    except OSError as error:
        raise ResurveyError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (TypeError, ValueError) as error:
        raise ResurveyError(f"{path}: its column pixel must hold whole numbers ({error})") from error
    if pixels.size == 0 or pixels.min() < 0 or pixels.max() >= FULL:
        raise ResurveyError(f"{path}: its pixels must lie in 0 to {FULL - 1}, and there must be some")
    return np.unique(pixels)
