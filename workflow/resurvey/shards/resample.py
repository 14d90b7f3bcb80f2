"""Spectra → the shard's grid: flux, inverse variance, and what of them is measured."""

from dataclasses import dataclass

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.shards import kernels
from resurvey.shards.grid import Grid
from resurvey.surveys.spectrum import Spectrum

METHODS = ("linear", "flux_conserving")


@dataclass(slots=True)
class Coverage:
    """n_good: grid pixels with ivar > 0; minimum, maximum: first and last usable wavelength of the spectrum itself [Å, vacuum]."""

    n_good: int
    minimum: float
    maximum: float


class Resampler:
    """Resamples spectra onto one grid; keeps its buffers, so one instance serves one thread.

    method: `linear` (the paper's) or `flux_conserving`; masks: {and_mask, ivar}, whether AND-masked pixels and pixels with
    ivar = 0 count as missing. Raises ResurveyError for an unknown method.
    """

    def __init__(self, grid: Grid, method: str = "linear", masks: dict | None = None):
        if method not in METHODS:
            raise ResurveyError(f"resample: {method!r} is not known; use one of {', '.join(METHODS)}")
        self.grid, self.method = grid, method
        self.masks = {"and_mask": True, "ivar": True} | (masks or {})
        self._use_mask, self._use_ivar = bool(self.masks["and_mask"]), bool(self.masks["ivar"])
        self._use = np.empty(0, np.uint8)

    def into(self, spectrum: Spectrum, flux: np.ndarray, ivar: np.ndarray) -> Coverage:
        """Write the spectrum onto the grid into `flux` and `ivar`, both (pixels,) float32, contiguous.

        Raises ResurveyError when the spectrum has no usable pixel, none on the grid, or no flux at all.
        """
        size = spectrum.flux.size
        if self._use.size < size:
            self._use = np.empty(size, np.uint8)
        use = self._use[:size]
        first, last = kernels.classify(
            spectrum.flux, spectrum.ivar, spectrum.mask, spectrum.fibre_bits, self._use_mask, self._use_ivar, use
        )
        if last < 0:
            raise ResurveyError(f"{spectrum.spectrum_id}: has no usable pixel (all are masked or have ivar = 0)")
        grid = self.grid
        if self.method == "linear":
            arguments = (spectrum.wavelength, spectrum.flux, spectrum.ivar, use, grid.start, grid.step, flux, ivar)
            kernels.linear(*arguments)
        else:
            arguments = (spectrum.edges, spectrum.flux, spectrum.ivar, use, grid.start, grid.step, flux, ivar)
            kernels.flux_conserving(*arguments)
        minimum, maximum = float(spectrum.wavelength[first]), float(spectrum.wavelength[last])
        end = grid.start + grid.step * (grid.pixels - 1)
        if maximum < grid.start or minimum > end:
            raise ResurveyError(
                f"{spectrum.spectrum_id}: covers {minimum:.0f} to {maximum:.0f} Å, nothing of the grid {grid.start:g} to {end:g} Å"
            )
        if not flux.any() and not spectrum.flux.any():
            raise ResurveyError(f"{spectrum.spectrum_id}: its flux is 0 at every pixel: nothing was measured")
        return Coverage(int(kernels.count_good(ivar)), minimum, maximum)

    def __call__(self, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray, Coverage]:
        """(flux, ivar, coverage) of one spectrum on the grid; see into()."""
        flux, ivar = np.empty(self.grid.pixels, np.float32), np.empty(self.grid.pixels, np.float32)
        return flux, ivar, self.into(spectrum, flux, ivar)
