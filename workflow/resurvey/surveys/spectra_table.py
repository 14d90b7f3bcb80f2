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


class SpectraTable:
    """The spectra of one file; only rows that are asked for are read. Raises ResurveyError when the grid does not fit the columns.

    field, mjd: of the first row, for files that hold one field and night; None where the file does not say.
    """

    def __init__(self, hdus, name: str):
        self.name, self._head = name, hdus[0].header
        self._names, hdu = _table(hdus)
        self._data = hdu.data
        grid = next(h for h in hdus if h.name in _GRIDS and len(h.shape) == 1)
        values = np.asarray(grid.data, dtype=np.float64)
        self.wavelength = checked_wavelength(10.0**values if _GRIDS[grid.name] else values, name)
        self.edges = pixel_edges(self.wavelength)
        pixels = self._data.dtype[self._names["flux"]].shape[0]
        if pixels != self.wavelength.size:
            raise ResurveyError(
                f"{name}: {grid.name} has {self.wavelength.size} values, column flux {pixels}; they must be equal"
            )
        self.field, self.mjd = (self._first(key) for key in ("plate", "mjd"))

    def _first(self, key: str) -> int | None:
        return int(self._data[self._names[key]][0]) if key in self._names and len(self) else None

    def __len__(self) -> int:
        return len(self._data)

    def find(self, fibre: int) -> int:
        """The row of a fibre. Raises ResurveyError if there is none, or more than one, of that number."""
        known = np.asarray(self._data[self._names["fiberid"]]) if "fiberid" in self._names else np.zeros(0)
        rows = np.flatnonzero(known == fibre)
        if len(rows) != 1:
            raise ResurveyError(f"{self.name}: has {len(rows)} spectra of fibre {fibre}")
        return int(rows[0])

    def spectrum(self, row: int) -> Spectrum:
        """The spectrum of a row."""
        record, names = self._data[row], self._names
        about = {key: _plain(record[names[key]]) for key in SCALARS if key in names}
        flux = np.asarray(record[names["flux"]]).astype(np.float32)
        known = "ivar" in names
        ivar = np.asarray(record[names["ivar"]]).astype(np.float32) if known else np.isfinite(flux).astype(np.float32)
        described = describe(about, self._head, f"{self.name}[{row}]") | {"format": "spectra-table"}
        mask = np.zeros(flux.size, np.int32)
        spectrum = Spectrum(
            wavelength=self.wavelength, edges=self.edges, flux=flux, ivar=ivar, mask=mask, ivar_known=known, **described
        )
        if spectrum.sn_median is None:
            spectrum.sn_median = median_sn(spectrum)
        return spectrum


def read(hdus, name: str) -> Iterator[Spectrum]:
    """One spectrum per row. Raises ResurveyError when the grid does not fit the columns."""
    table = SpectraTable(hdus, name)
    for row in range(len(table)):
        yield table.spectrum(row)


def _plain(value: object) -> object:
    return str(value).strip() if isinstance(value, (str, bytes)) else np.asarray(value).item()
