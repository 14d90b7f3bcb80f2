"""Anybody's spectra → what a model's networks look at: on their grid, or normalised by the continuum as those that they learned from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.spectrum import Spectrum


@dataclass(frozen=True)
class Ready:
    """flux (pixels,) float32 for the network; how many of its pixels have data, and the wavelengths [Å] that these span; inverse
    variance (pixels,) where the file gives errors."""

    flux: np.ndarray
    n_good: int
    coverage_min: float | None
    coverage_max: float | None
    ivar: np.ndarray | None = None


def preparer(about: dict) -> Callable[[Sequence[Spectrum]], list[Ready | str]]:
    """What prepares spectra as a network's model.json says: each becomes Ready, or the reason why it cannot."""
    return _normalising(about) if "continuum" in about else _resampling(about)


def _resampling(about: dict) -> Callable:
    from resurvey.shards.grid import Grid
    from resurvey.shards.resample import Resampler

    resampler = Resampler(Grid.from_settings(about["grid"]), about.get("resample") or "linear", about.get("masks"))

    def one(spectrum: Spectrum) -> Ready | str:
        try:
            flux, ivar, coverage = resampler(spectrum)
        except ResurveyError as error:
            return str(error)
        ivar = ivar if spectrum.ivar_known else None
        return Ready(flux, coverage.n_good, coverage.minimum, coverage.maximum, ivar)

    return lambda spectra: [one(spectrum) for spectrum in spectra]


def _normalising(about: dict) -> Callable:
    from resurvey.surveys.apogee_continuum import Normaliser
    from resurvey.surveys.apogee_input import normalise

    normaliser = Normaliser.from_meta(about["grid"], about["continuum"])
    wavelength = normaliser.chips.wavelength()

    def together(spectra: Sequence[Spectrum]) -> list[Ready | str]:
        done = normalise(spectra, normaliser)
        found: list[Ready | str] = []
        for flux, ivar, reason in zip(done.flux, done.ivar, done.reasons, strict=True):
            good = np.flatnonzero(ivar > 0)
            ends = wavelength[good[[0, -1]]].tolist() if len(good) else [None, None]
            found.append(reason or Ready(flux.astype(np.float32), len(good), *ends))
        return found

    return together
