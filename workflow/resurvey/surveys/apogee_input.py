"""Anybody's APOGEE spectra (as registry.read_all gives them) → what the networks look at."""

from collections.abc import Sequence

import numpy as np

from resurvey.surveys.apogee_continuum import Normalised, Normaliser
from resurvey.surveys.apogee_grid import FULL
from resurvey.surveys.spectrum import CONTINUUM_UNIT, Spectrum


def normalise(spectra: Sequence[Spectrum], normaliser: Normaliser) -> Normalised:
    """Spectra normalised together, as those that a model learned from; `normaliser`: Normaliser.from_meta of the model's metadata.

    A spectrum that is not APOGEE's, or not of the kind that the normalisation is for, has a reason in place of a continuum.
    """
    flux, error = np.zeros((len(spectra), FULL), np.float32), np.full((len(spectra), FULL), np.inf, np.float32)
    mask = np.zeros((len(spectra), FULL), np.int32)
    refused = [_unfit(spectrum, normaliser) for spectrum in spectra]
    for row, spectrum in enumerate(spectra):
        if refused[row]:
            continue
        good = spectrum.ivar > 0
        flux[row], mask[row] = spectrum.flux, spectrum.mask
        error[row, good] = spectrum.ivar[good].astype(np.float64) ** -0.5
    done = normaliser(flux, error, mask)
    reasons = [unfit or reason for unfit, reason in zip(refused, done.reasons, strict=True)]
    return Normalised(done.flux, done.ivar, reasons)


def _unfit(spectrum: Spectrum, normaliser: Normaliser) -> str | None:
    if spectrum.survey != "apogee":
        return (
            f"{spectrum.spectrum_id}: is not an APOGEE spectrum; the model reads apStar, aspcapStar and apVisit files"
        )
    pipeline = spectrum.flux_unit == CONTINUUM_UNIT
    if pipeline and normaliser.method != "aspcap":
        return (
            f"{spectrum.spectrum_id}: is normalised by the survey's pipeline, the model learned from spectra normalised here; "
            "give the star's apStar file"
        )
    if not pipeline and normaliser.method == "aspcap":
        return (
            f"{spectrum.spectrum_id}: is not normalised, the model learned from spectra normalised by the survey's pipeline; "
            "give the star's aspcapStar file"
        )
    return None
