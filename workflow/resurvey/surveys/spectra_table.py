"""A FITS table with one spectrum per row: columns flux and ivar of n pixels, and their grid in an image HDU.

Released data sets come so. The grid is an image of n values named LOGLAM (log10 λ/Å) or WAVELENGTH, LAMBDA, WAVE (Å, vacuum).
"""

from collections.abc import Iterator

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.sdss_meta import SCALARS, describe
from resurvey.surveys.spectrum import Spectrum, checked_wavelength, median_sn, pixel_edges

NAME = "table of spectra"
_GRIDS = {"LOGLAM": True, "WAVELENGTH": False, "LAMBDA": False, "WAVE": False}


def _table(hdus):
    for hdu in hdus[1:]:
        if getattr(hdu, "columns", None) is None:
            continue
        names = {c.lower(): c for c in hdu.columns.names}
        if "flux" in names and len(hdu.data.dtype[names["flux"]].shape) == 1:
            return names, hdu
    return None


def matches(hdus) -> bool:
    """Whether a table with array columns stands beside an image that holds its wavelengths."""
    return any(hdu.name in _GRIDS and len(hdu.shape) == 1 for hdu in hdus) and _table(hdus) is not None


def read(hdus, name: str) -> Iterator[Spectrum]:
    """One spectrum per row. Raises ResurveyError when the grid does not fit the columns."""
    names, hdu = _table(hdus)
    grid = next(h for h in hdus if h.name in _GRIDS and len(h.shape) == 1)
    values = np.asarray(grid.data, dtype=np.float64)
    wavelength = checked_wavelength(10.0**values if _GRIDS[grid.name] else values, name)
    edges = pixel_edges(wavelength)
    pixels = hdu.data.dtype[names["flux"]].shape[0]
    if pixels != wavelength.size:
        raise ResurveyError(
            f"{name}: {grid.name} has {wavelength.size} values, column flux {pixels}; they must be equal"
        )
    for number in range(len(hdu.data)):
        record = hdu.data[number]
        row = {key: _plain(record[names[key]]) for key in SCALARS if key in names}
        flux = np.asarray(record[names["flux"]]).astype(np.float32)
        known = "ivar" in names
        ivar = np.asarray(record[names["ivar"]]).astype(np.float32) if known else np.isfinite(flux).astype(np.float32)
        described = describe(row, hdus[0].header, f"{name}[{number}]") | {"format": "spectra-table"}
        mask = np.zeros(flux.size, np.int32)
        spectrum = Spectrum(
            wavelength=wavelength, edges=edges, flux=flux, ivar=ivar, mask=mask, ivar_known=known, **described
        )
        if spectrum.sn_median is None:
            spectrum.sn_median = median_sn(spectrum)
        yield spectrum


def _plain(value: object) -> object:
    return str(value).strip() if isinstance(value, (str, bytes)) else np.asarray(value).item()
