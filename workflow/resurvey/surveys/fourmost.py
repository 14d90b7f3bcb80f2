"""4MOST level-1 spectra: our files of a field (images FLUX, ERR_FLUX, QUAL of all fibres, table FIBINFO) and the consortium's single
spectra (PHASE3SPECTRUM: one row of vectors WAVE, FLUX, ERR_FLUX, QUAL). Fluxes are in erg/s/cm²/Å.

Wavelengths are vacuum where CTYPE1 is WAVE; where a single spectrum's UCD says obs.atmos they are air wavelengths, which are converted.
"""

from collections.abc import Iterator

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.fourmost_layout import FIBRES, FLUX_SCALE, SPECTRA, USED_SKY
from resurvey.surveys.spectrum import Rejected, Spectrum, checked_wavelength, median_sn, pixel_edges
from resurvey.surveys.text import air_to_vacuum

NAME = "4MOST level-1 spectrum"
SINGLE = "PHASE3SPECTRUM"


def matches(hdus) -> bool:
    """Whether a file holds a field's images, or a single spectrum."""
    names = {hdu.name.upper() for hdu in hdus}
    return {*SPECTRA, FIBRES} <= names or SINGLE in names


def read(hdus, name: str) -> Iterator[Spectrum | Rejected]:
    """All spectra of a file."""
    if SINGLE in {hdu.name.upper() for hdu in hdus}:
        yield _single(hdus, name)
        return
    field = Field(hdus, name)
    for row in range(len(field.fibre)):
        yield field.spectrum(row)


class Field:
    """The joined spectra of one field and night; only rows that are asked for are read. fibre (n,): FIB_ID of each row.

    Raises ResurveyError where images and table do not fit together, or wavelengths are unknown.
    """

    def __init__(self, hdus, name: str):
        self.name, self._hdus = name, hdus
        head, flux = hdus[0].header, hdus["FLUX"].header
        self._table = hdus[FIBRES].data
        self.fibre = np.asarray(self._table["FIB_ID"])
        shapes = {hdus[image].shape for image in SPECTRA}
        if len(shapes) != 1 or next(iter(shapes))[0] != len(self.fibre):
            raise ResurveyError(
                f"{name}: its images {shapes} and the {len(self.fibre)} rows of {FIBRES} do not fit together"
            )
        if flux.get("CTYPE1") != "WAVE" or "CRVAL1" not in flux or "CDELT1" not in flux:
            raise ResurveyError(
                f"{name}: its header does not give vacuum wavelengths (CTYPE1 = 'WAVE', CRVAL1, CDELT1)"
            )
        self.wavelength = checked_wavelength(flux["CRVAL1"] + flux["CDELT1"] * np.arange(hdus["FLUX"].shape[1]), name)
        self.edges = pixel_edges(self.wavelength)
        self.field, self.mjd = int(head["OBID1"]), int(float(head["MJD-OBS"]))
        self.origin = "mock" if head.get("MOCK") else "real"
        self.run2d = str(head.get("PROCSOFT", "")).strip() or None

    def find(self, fibre: int) -> int:
        """The row of a fibre. Raises ResurveyError if the field has none of that number."""
        rows = np.flatnonzero(self.fibre == fibre)
        if len(rows) != 1:
            raise ResurveyError(f"{self.name}: has {len(rows)} spectra of fibre {fibre}")
        return int(rows[0])

    def spectrum(self, row: int) -> Spectrum:
        """The spectrum of a row."""
        flux, error, quality = (self._hdus[image].data[row] for image in SPECTRA)
        about = self._table[row]
        return _spectrum(
            f"{self.field:04d}-{self.mjd}-{self.fibre[row]:04d}", self.wavelength, self.edges, flux, error, quality,
            origin=self.origin, plate=self.field, mjd=self.mjd, fiberid=int(self.fibre[row]), run2d=self.run2d,
            ra=float(about["TRG_RA"]), dec=float(about["TRG_DEC"]), sky=int(about["FIB_USE"]) == USED_SKY,
        )  # fmt: skip


def _single(hdus, name: str) -> Spectrum:
    hdu, head = hdus[SINGLE], hdus[0].header
    columns = {column.name.upper(): number for number, column in enumerate(hdu.columns, 1)}
    missing = {"WAVE", "FLUX", "ERR_FLUX"} - columns.keys()
    if missing or len(hdu.data) != 1:
        raise ResurveyError(f"{name}: {SINGLE} lacks {', '.join(sorted(missing)) or 'its one row'}")
    values = {column: np.asarray(hdu.data[column][0]) for column in columns}
    wave = np.asarray(values["WAVE"], np.float64)
    if "obs.atmos" in str(hdu.header.get(f"TUCD{columns['WAVE']}", "")):
        wave = air_to_vacuum(wave)
    wave = checked_wavelength(wave, name)
    quality = values.get("QUAL", np.zeros(len(wave), np.int32))
    fibre = hdu.header.get("FIB_ID")
    return _spectrum(
        str(hdu.header.get("TRG_NME") or hdu.header.get("CNAME") or name).strip(), wave, pixel_edges(wave), values["FLUX"],
        values["ERR_FLUX"], quality, origin="mock" if head.get("MOCK") else "real",
        mjd=int(head["MJD-OBS"]) if "MJD-OBS" in head else None, fiberid=int(fibre) if fibre is not None else None,
        ra=head.get("RA"), dec=head.get("DEC"), sky=hdu.header.get("FIB_USE") == USED_SKY,
    )  # fmt: skip


def _spectrum(identifier, wave, edges, flux, error, quality, **about) -> Spectrum:
    flux = np.asarray(flux, np.float64) * FLUX_SCALE
    error = np.asarray(error, np.float64) * FLUX_SCALE
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    ivar = np.zeros(len(flux), np.float32)
    ivar[good] = 1 / error[good] ** 2
    spectrum = Spectrum(
        identifier, wave, edges, np.where(np.isfinite(flux), flux, 0).astype(np.float32), ivar,
        np.asarray(quality).astype(np.int32), NAME, survey="fourmost", **about,
    )  # fmt: skip
    spectrum.sn_median = median_sn(spectrum)
    return spectrum
