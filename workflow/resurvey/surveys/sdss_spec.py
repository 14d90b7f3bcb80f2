"""SDSS/BOSS/eBOSS spec files (lite and full), by content: any names of HDUs, columns in any case. Uses astropy."""

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys import loggrid
from resurvey.surveys.sdss_meta import SCALARS, describe
from resurvey.surveys.spectrum import Spectrum, checked_wavelength, median_sn, pixel_edges

NAME = "SDSS spec (lite or full)"


def _tables(hdus) -> list[tuple[dict[str, str], object]]:
    """(lower-case column name → name as written, HDU) of the binary tables."""
    return [({c.lower(): c for c in h.columns.names}, h) for h in hdus if getattr(h, "columns", None) is not None]


def _coadd(hdus) -> tuple[dict[str, str], object] | None:
    for names, hdu in _tables(hdus):
        if (
            {"flux", "loglam", "ivar"} <= names.keys()
            and hdu.header["NAXIS2"] > 1
            and hdu.columns[names["flux"]].dim is None
        ):
            return names, hdu
    return None


def matches(hdus) -> bool:
    """Whether a table with one row per pixel holds flux, loglam and ivar."""
    return len(hdus) > 1 and _coadd(hdus) is not None


def read(hdus, name: str) -> list[Spectrum]:
    """The coadded spectrum. Raises ResurveyError where its wavelengths are unusable."""
    names, hdu = _coadd(hdus)
    data = hdu.data
    flux = np.asarray(data[names["flux"]]).astype(np.float32)
    ivar = np.asarray(data[names["ivar"]]).astype(np.float32)
    if flux.ndim != 1 or ivar.ndim != 1:
        raise ResurveyError(f"{name}: flux and ivar are arrays within rows; an SDSS spec file has one row per pixel")
    mask = (
        np.asarray(data[names["and_mask"]]).astype(np.int32) if "and_mask" in names else np.zeros(flux.size, np.int32)
    )
    wavelength, edges = _wavelengths(np.asarray(data[names["loglam"]]).astype(np.float64), name)
    row = _catalogue_row(hdus)
    described = describe(row, hdus[0].header, name)
    spectrum = Spectrum(wavelength=wavelength, edges=edges, flux=flux, ivar=ivar, mask=mask, **described)
    if spectrum.sn_median is None:
        spectrum.sn_median = median_sn(spectrum)
    return [spectrum]


def _wavelengths(loglam: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths and edges: of the common log grid where the file lies on it, else as the file gives them."""
    index = np.round(loglam[0] / loggrid.STEP) if np.isfinite(loglam).all() else -1
    if index > 0 and (np.abs(loglam / loggrid.STEP - (index + np.arange(loglam.size))) < loggrid.TOLERANCE).all():
        grid = loggrid.slices(int(index), loglam.size)
        if grid is not None:
            return grid
    wavelength = checked_wavelength(10.0**loglam, name)
    return wavelength, pixel_edges(wavelength)


def _catalogue_row(hdus) -> dict[str, object]:
    """Needed values of the one-row table with CLASS and Z; {} when the file has none (stripped files)."""
    for names, hdu in _tables(hdus):
        if {"class", "z"} <= names.keys() and hdu.header["NAXIS2"] == 1:
            row = {}
            for key in SCALARS:
                if key in names:
                    value = np.asarray(hdu.data[names[key]])[0]
                    row[key] = str(value).strip() if value.dtype.kind in "SU" else value.item()
            return row
    return {}
