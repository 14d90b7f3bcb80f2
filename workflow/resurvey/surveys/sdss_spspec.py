"""spSpec files of SDSS DR1 to DR7 (.fit): one image with the rows flux, continuum-subtracted flux, error, mask.

Wavelengths are vacuum, log10 λ = COEFF0 + COEFF1·i. An error of 0 marks a pixel without measurement. Row 4 is the AND mask
of later releases plus bit 30, which spectro1d sets under every emission line it found: it marks signal, and is dropped.
"""

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys import loggrid
from resurvey.surveys.sdss_meta import FIBRE_BITS, spectrum_id
from resurvey.surveys.spectrum import Spectrum, checked_wavelength, median_sn, pixel_edges

NAME = "SDSS spSpec (DR1 to DR7)"
EMISSION_LINE = 1 << 30
CLASSES = {
    0: "",
    1: "STAR",
    2: "GALAXY",
    3: "QSO",
    4: "QSO",
    5: "SKY",
    6: "STAR",
}  # SPEC_CLN: 4 = QSO at high z, 6 = late type


def matches(hdus) -> bool:
    """Whether the primary HDU is an image of 3 to 5 rows with COEFF0 and SPEC_CLN in its header."""
    header = hdus[0].header
    shape = hdus[0].shape
    return "SPEC_CLN" in header and "COEFF0" in header and len(shape) == 2 and 4 <= shape[0] <= 8


def read(hdus, name: str) -> list[Spectrum]:
    """The spectrum of the primary image; ZWARNING is DR7's Z_WARNIN, whose bits differ from later releases'."""
    header, image = hdus[0].header, hdus[0].data
    flux, error = image[0].astype(np.float32), image[2].astype(np.float64)
    mask = image[3].astype(np.int64) & ~EMISSION_LINE & 0x7FFFFFFF
    measured = np.isfinite(error) & (error > 0)
    ivar = np.zeros(flux.size, np.float32)
    ivar[measured] = error[measured] ** -2.0
    wavelength, edges = log_wavelengths(header["COEFF0"], header.get("COEFF1", loggrid.STEP), flux.size, name)
    ids = [int(header[key]) for key in ("PLATEID", "MJD", "FIBERID") if key in header]
    if len(ids) != 3:
        raise ResurveyError(f"{name}: its header lacks PLATEID, MJD or FIBERID, which every spSpec file has")
    code = int(header["SPEC_CLN"])
    spectrum = Spectrum(
        spectrum_id=spectrum_id(*ids),
        wavelength=wavelength,
        edges=edges,
        flux=flux,
        ivar=ivar,
        mask=mask.astype(np.int32),
        format="sdss-spspec",
        origin="mock" if header.get("MOCK") else "real",
        fibre_bits=FIBRE_BITS,
        plate=ids[0],
        mjd=ids[1],
        fiberid=ids[2],
        ra=header.get("RAOBJ"),
        dec=header.get("DECOBJ"),
        survey_class=CLASSES.get(code, ""),
        survey_subclass="",
        survey_z=header.get("Z"),
        survey_zwarning=header.get("Z_WARNIN"),
        sky=code == 5 or str(header.get("OBJTYPE", "")).strip().upper() == "SKY",
    )
    spectrum.sn_median = median_sn(spectrum)
    return [spectrum]


def log_wavelengths(coeff0: float, coeff1: float, size: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths and edges for log10 λ = coeff0 + coeff1·i, snapped to the common grid where they lie on it."""
    index = loggrid.index_of(float(coeff0), float(coeff1))
    grid = None if index is None else loggrid.slices(index, size)
    if grid is not None:
        return grid
    wavelength = checked_wavelength(10.0 ** (coeff0 + coeff1 * np.arange(size)), name)
    return wavelength, pixel_edges(wavelength)
