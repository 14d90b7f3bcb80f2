"""apStar and aspcapStar files (and asStar, of the southern telescope; DR10 to DR17): a star's spectra at rest on the common grid.

apStar, as the reduction writes it: HDU 1 flux, 2 error, 3 APOGEE_PIXMASK, each (rows, 8575): row 0 combined with weights per pixel, row 1
combined with one weight per visit, rows 2 and up the visits. Row 1 is the combined spectrum that astroNN uses; row 0 is not read.
With one visit there is one row (or the image has one dimension), which is that visit. aspcapStar: HDU 1 flux divided by the pipeline's
pseudo-continuum, 2 error, 3 the best-fitting model, each (8575,); it has no mask and no visits.
"""

from dataclasses import dataclass

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys import apogee_header, apogee_mask
from resurvey.surveys.apogee_grid import EDGES, FULL, WAVELENGTH
from resurvey.surveys.spectrum import CONTINUUM_UNIT, FLUX_UNIT, Rejected, Spectrum

NAME = "APOGEE star (apStar or aspcapStar)"
APSTAR, ASPCAPSTAR = "apogee-apstar", "apogee-aspcapstar"


@dataclass(frozen=True)
class Star:
    """The spectra of one file: row 0 the combined one, row v visit v.

    flux, error (rows, 8575) float32 [1e-17 erg/s/cm²/Å, or 1 where `product` is aspcapStar]; mask (rows, 8575) int32;
    sn: per row, None where the header gives none.
    """

    name: str
    product: str
    flux: np.ndarray
    error: np.ndarray
    mask: np.ndarray
    sn: tuple[float | None, ...]
    about: dict[str, object]

    @property
    def visits(self) -> range:
        """Numbers of the rows: 0, and 1 … for the visits that the file holds apart."""
        return range(len(self.flux))

    def require(self, visit: int) -> None:
        """Raises ResurveyError with the reason where a row is not there or holds nothing."""
        what = f"visit {visit}" if visit else "the combined spectrum"
        if visit not in self.visits:
            held = (
                "holds the pipeline's combined spectrum only"
                if self.product == ASPCAPSTAR
                else f"holds {len(self.flux) - 1} visits"
                if len(self.flux) > 1
                else "is of a star with one visit, which is its combined spectrum"
            )
            raise ResurveyError(f"{self.name}: {held}; {what} was asked for")
        flux = self.flux[visit]
        if not (np.isfinite(flux) & (flux != 0)).any():
            raise ResurveyError(f"{self.name}: {what} is 0 at every pixel: nothing was measured")

    def spectrum(self, visit: int) -> Spectrum:
        """One row. Raises ResurveyError with the reason where it is not there or holds nothing."""
        self.require(visit)
        flux, error = self.flux[visit], self.error[visit]
        return Spectrum(
            spectrum_id=apogee_header.spectrum_id(self.about["names"], visit, self.name),
            wavelength=WAVELENGTH,
            edges=EDGES,
            flux=np.where(np.isfinite(flux), flux, np.float32(0)),
            ivar=inverse_variance(flux, error),
            mask=self.mask[visit],
            format=self.product,
            flux_unit=CONTINUUM_UNIT if self.product == ASPCAPSTAR else FLUX_UNIT,
            sn_median=self.sn[visit],
            visit=visit,
            **self.about,
        )


def inverse_variance(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """float32 1/error², 0 where nothing was measured."""
    measured = apogee_mask.measured(flux, error)
    return np.where(measured, 1 / np.where(measured, error, 1).astype(np.float64) ** 2, 0).astype(np.float32)


def matches(hdus) -> bool:
    """Whether HDU 1 is an image on the 8575 pixels, or the header is one of a star's visits combined."""
    if len(hdus) < 2 or not hdus[1].is_image or not hdus[1].shape:
        return False
    header = hdus[0].header
    return hdus[1].shape[-1] == FULL or ("NVISITS" in header and "OBJID" in header)


def read(hdus, name: str) -> list[Spectrum | Rejected]:
    """The combined spectrum and all visits; visits that hold nothing as Rejected. Raises ResurveyError for an unusable file."""
    found = star(hdus, name)
    if len(found.visits) == 1:
        return [found.spectrum(0)]
    items = []
    for visit in found.visits:
        try:
            items.append(found.spectrum(visit))
        except ResurveyError as error:
            items.append(Rejected(apogee_header.spectrum_id(found.about["names"], visit, name), str(error)))
    return items


def star(hdus, name: str) -> Star:
    """All rows of an open file. Raises ResurveyError where an HDU is missing or has another size than the flux."""
    header = hdus[0].header
    pipeline = _is_pipeline(hdus)
    flux = _image(hdus, 1, "flux", name)
    error = _image(hdus, 2, "error", name, flux.shape)
    mask = np.zeros(flux.shape, np.int32) if pipeline else _image(hdus, 3, "mask", name, flux.shape)
    if not pipeline and len(flux) > 1:
        visits = header.get("NVISITS", len(flux) - 2)
        if len(flux) != visits + 2:
            raise ResurveyError(
                f"{name}: has {len(flux)} rows and NVISITS = {visits}; an apStar file has two combined rows and one per visit"
            )
        flux, error, mask = flux[1:], error[1:], mask[1:]
    keys = ("SNR", *(f"SNRVIS{visit}" for visit in range(1, len(flux))))
    return Star(
        name=name,
        product=ASPCAPSTAR if pipeline else APSTAR,
        flux=flux.astype(np.float32, copy=False),
        error=error.astype(np.float32, copy=False),
        mask=mask.astype(np.int32, copy=False),
        sn=tuple(apogee_header.number(header, key) for key in keys),
        about=apogee_header.described(header),
    )


def _is_pipeline(hdus) -> bool:
    """aspcapStar: HDU 3 is a model's flux and no mask of integers."""
    third = hdus[3] if len(hdus) > 3 else None
    return third is not None and third.is_image and third.header["BITPIX"] < 0


def _image(hdus, number: int, what: str, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The image of an HDU as (rows, 8575)."""
    if len(hdus) <= number or not hdus[number].is_image or not hdus[number].shape:
        raise ResurveyError(f"{name}: is an APOGEE file without HDU {number} ({what}); fetch it again")
    image = np.atleast_2d(hdus[number].data)
    if image.ndim != 2 or image.shape[-1] != FULL or (shape is not None and image.shape != shape):
        wanted = f"({'rows' if shape is None else shape[0]}, {FULL})"
        raise ResurveyError(f"{name}: the {what} of an APOGEE star (HDU {number}) is {image.shape}, not {wanted}")
    return image
