"""Normalised spectra of stars built on published models of real giants, where a user has them: still semi-synthetic.

Base: The Cannon's quadratic model of APOKASC and globular-cluster giants (jobovy/apogee; Teff, log g, [M/H], [α/M]); beyond its
range the binspec network (El-Badry et al. 2018). Single elements act by ASPCAP's window weights: base × Π [1 - a·w·g(Δ)], Δ the element's
[X/M] less what the base's [α/M] has already given it.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

from resurvey.errors import ResurveyError
from resurvey.simulate import apogee_windows
from resurvey.surveys.apogee_grid import DR12, DR13, FULL
from resurvey.surveys.apogee_labels import ELEMENTS, NAMES

FILES = {
    "cannon": "cannon_apokasc_quadratic_model.fits",
    "binspec": "binspec_nn_unnormalized_spectra.fits",
    "windows": "aspcap_l31c_window_weights.fits",
}
ALPHA = ("O", "Mg", "Si", "S", "Ca", "Ti", "TiII")
_GIANTS = np.array([[3650.0, 0.0, -2.3, -0.03], [5120.0, 3.6, 0.35, 0.49]])  # the Cannon model's training range
_DEPTH = 0.16  # a: flux lost at a window's heart for an excess of some 0.7 dex


class Templates:
    """The models of a folder. Raises ResurveyError naming the files that are missing or not what they should be."""

    def __init__(self, folder: str) -> None:
        missing = [name for name in FILES.values() if not (Path(folder) / name).is_file()]
        if missing:
            raise ResurveyError(
                f"mock.templates: {folder} lacks {', '.join(missing)}; give a folder with these files, or null"
            )
        try:
            with fits.open(Path(folder) / FILES["cannon"], memmap=False) as hdus:
                self.coefficients, self.baseline = (
                    np.array(hdus["COEFFS"].data, float),
                    np.array(hdus["BASELINE"].data, float),
                )
            with fits.open(Path(folder) / FILES["binspec"], memmap=False) as hdus:
                self.network = [np.array(hdu.data, float) for hdu in hdus[1:7]]
            weights = fits.getdata(Path(folder) / FILES["windows"], 1)
            self.weights = np.array([weights[element] for element in ELEMENTS], float)
        except (OSError, KeyError, ValueError) as error:
            raise ResurveyError(f"mock.templates: {folder}: its files are not the published ones ({error})") from error
        if self.coefficients.shape[0] != 15:
            self.coefficients = self.coefficients.T
        shapes = (self.coefficients.shape, self.weights.shape, len(self.network[0]))
        if shapes != ((15, DR12.pixels), (len(ELEMENTS), DR13.pixels), DR12.pixels):
            raise ResurveyError(
                f"mock.templates: {folder}: models of shapes {shapes}, not of DR12's 7214 and DR13's 7514 pixels"
            )

    def normalised(self, labels: np.ndarray, macro: object = None) -> np.ndarray:
        """(n, 8575) float32 from labels (n, 22); broadening is that of the models (`macro` is not used)."""
        labels = np.atleast_2d(np.asarray(labels, float))
        metals = labels[:, NAMES.index("fe_h")]
        ratio = labels[:, 2:] - metals[:, None]
        alpha = ratio[:, [ELEMENTS.index(name) for name in ("O", "Mg", "Si", "S", "Ca")]].mean(axis=1)
        stars = np.column_stack([labels[:, :2], metals, alpha])
        base = np.ones((len(labels), FULL))
        giant = ((stars[:, :2] >= _GIANTS[0, :2]) & (stars[:, :2] <= _GIANTS[1, :2])).all(axis=1)
        for which, model in ((giant, self._cannon), (~giant, self._binspec)):
            if which.any():
                base[np.ix_(which, DR12.index)] = model(stars[which])
        base[:, DR13.index] *= self._elements(ratio, alpha)
        return np.clip(base, 0.02, 1.2).astype(np.float32)

    def _cannon(self, stars: np.ndarray) -> np.ndarray:
        x = np.clip(stars, *_GIANTS) - self.baseline
        pairs = [x[:, i] * x[:, j] for i in range(4) for j in range(i, 4)]
        return np.column_stack([np.ones(len(x)), x, *pairs]) @ self.coefficients

    def _binspec(self, stars: np.ndarray) -> np.ndarray:
        inner, outer, bias, level, low, high = self.network
        x = (np.clip(stars, low, high) - low) / (high - low) - 0.5
        hidden = 1 / (1 + np.exp(-np.einsum("phl,nl->nph", inner, x) - bias))
        flux = np.einsum("ph,nph->np", outer, hidden) + level
        normal = np.empty_like(flux)
        for part in DR12.slices:  # an upper envelope for the continuum
            grid = np.arange(part.stop - part.start)
            cells = np.array_split(grid, 10)
            top = np.array([[np.percentile(row[cell], 92) for cell in cells] for row in flux[:, part]])
            fit = np.polynomial.polynomial.polyfit([cell.mean() for cell in cells], top.T, 2)
            normal[:, part] = flux[:, part] / np.polynomial.polynomial.polyval(grid, fit)
        return normal

    def _elements(self, ratio: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """(n, 7514) product over the elements' windows."""
        factor = np.ones((len(ratio), DR13.pixels))
        for k, element in enumerate(ELEMENTS):
            excess = ratio[:, k] - (alpha if element in ALPHA else 0.0)
            factor *= 1 - _DEPTH * np.tanh(0.9 * excess)[:, None] * self.weights[k]
        return factor

    def continuum_pixels(self) -> np.ndarray:
        """(529,) sorted indices on the 8575 pixels, of least absorption."""
        absorbed = (1 - self.normalised(apogee_windows.probes())).max(axis=0)
        known = np.zeros(FULL, bool)
        known[np.intersect1d(DR12.index, DR13.index)] = True
        return apogee_windows.least_absorbed(np.where(known, absorbed, 9.0))

    def windows(self) -> list[tuple[str, int, float]]:
        """(element, pixel on the 7514 grid, weight) where ASPCAP's weight is above 0."""
        return [
            (element, int(pixel), float(row[pixel]))
            for element, row in zip(ELEMENTS, self.weights, strict=True)
            for pixel in np.flatnonzero(row > 0)
        ]


class Formulae:
    """The mock's own line list, with the same methods."""

    def normalised(self, labels: np.ndarray, macro: np.ndarray | float = 4.0) -> np.ndarray:
        """(n, 8575) float32 from labels (n, 22); apogee_spectra.normalised."""
        from resurvey.simulate import apogee_spectra

        return apogee_spectra.normalised(labels, macro)

    def continuum_pixels(self) -> np.ndarray:
        return apogee_windows.continuum_pixels()

    def windows(self) -> list[tuple[str, int, float]]:
        return apogee_windows.windows()


def model(folder: str | None) -> Templates | Formulae:
    """What spectra are built on: a folder of templates, or the mock's own line list."""
    return Templates(folder) if folder else Formulae()
