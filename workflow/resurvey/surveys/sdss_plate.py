"""spPlate files: all fibres of one plate and night in images (fibres, pixels), read row by row.

HDU 0 flux, 1 ivar, 2 AND mask, 3 OR mask, 4 dispersion, 5 plug map, 6 sky; log10 λ = COEFF0 + COEFF1·i. Rows reach over the
wavelengths of all fibres and have ivar = 0 where a fibre's own spec file is trimmed; such pixels count as missing either way.
"""

from collections.abc import Iterator

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.sdss_meta import FIBRE_BITS, spectrum_id
from resurvey.surveys.sdss_spspec import log_wavelengths
from resurvey.surveys.spectrum import Spectrum

NAME = "SDSS spPlate"


def matches(hdus) -> bool:
    """Whether the first three HDUs are images of one shape, with COEFF0 and PLATEID in the header."""
    if len(hdus) < 3 or not {"COEFF0", "COEFF1", "PLATEID"} <= set(hdus[0].header):
        return False
    shapes = {tuple(hdu.shape) for hdu in hdus[:3] if getattr(hdu, "columns", None) is None}
    return len(shapes) == 1 and len(shapes.pop()) == 2 and "SPEC_CLN" not in hdus[0].header


class Plate:
    """An open spPlate; only the rows that are asked for are read.

    Raises ResurveyError where the header lacks the plate, the night or the wavelengths.
    """

    def __init__(self, hdus, name: str):
        header = hdus[0].header
        self.name, self._hdus = name, hdus
        try:
            self.plate, self.mjd = int(header["PLATEID"]), int(header["MJD"])
            coeff = float(header["COEFF0"]), float(header["COEFF1"])
        except (KeyError, ValueError) as error:
            raise ResurveyError(f"{name}: its header lacks a usable {error}, which every spPlate file has") from error
        rows, pixels = hdus[0].shape
        self.wavelength, self.edges = log_wavelengths(*coeff, pixels, name)
        self.origin = "mock" if header.get("MOCK") else "real"
        self.run2d = str(header.get("RUN2D", "")).strip() or None
        self._plugmap = self._read_plugmap(rows)
        fibres = self._plugmap.get("fiberid", np.arange(1, rows + 1))
        self.rows = {int(fibre): row for row, fibre in enumerate(fibres)}

    def _read_plugmap(self, rows: int) -> dict[str, np.ndarray]:
        wanted = ("fiberid", "ra", "dec", "objtype")
        for hdu in self._hdus[3:]:
            names = {c.lower(): c for c in hdu.columns.names} if getattr(hdu, "columns", None) is not None else {}
            if "fiberid" in names and hdu.header["NAXIS2"] == rows:
                return {key: np.array(hdu.data[names[key]]) for key in wanted if key in names}
        return {}

    def spectrum(self, fiberid: int) -> Spectrum:
        """One fibre. Raises ResurveyError for a fibre that the plate lacks. Class and redshift are not in spPlate files."""
        if fiberid not in self.rows:
            raise ResurveyError(f"{self.name}: has no fibre {fiberid}; it has {len(self.rows)} fibres")
        row = self.rows[fiberid]
        flux, ivar, mask = (np.asarray(self._hdus[i].section[row]) for i in range(3))

        def plug(key):
            return self._plugmap[key][row] if key in self._plugmap else None

        return Spectrum(
            spectrum_id=spectrum_id(self.plate, self.mjd, fiberid),
            wavelength=self.wavelength,
            edges=self.edges,
            flux=flux.astype(np.float32),
            ivar=ivar.astype(np.float32),
            mask=mask.astype(np.int32),
            format="sdss-spplate",
            origin=self.origin,
            fibre_bits=FIBRE_BITS,
            plate=self.plate,
            mjd=self.mjd,
            fiberid=int(fiberid),
            run2d=self.run2d,
            ra=None if plug("ra") is None else float(plug("ra")),
            dec=None if plug("dec") is None else float(plug("dec")),
            sky=str(plug("objtype") or "").strip().upper() == "SKY",
        )


def read(hdus, name: str) -> Iterator[Spectrum]:
    """All fibres, one after the other."""
    plate = Plate(hdus, name)
    for fiberid in plate.rows:
        yield plate.spectrum(fiberid)
