"""Plain text: wavelength, flux and, where there is a third column, an error; blanks, tabs, commas or semicolons between them.

Assumed where the file does not say: wavelengths in Å in vacuum (values below 10 are log10 λ), flux in 1e-17 erg/s/cm²/Å
(networks see normalised flux, so the unit does not matter to them; numbers below 1e-10 are erg/s/cm²/Å), a third column without a name is the 1 σ error.
A header line with names (wavelength, flux, ivar, error, …) decides; other columns are ignored. A comment that says `air`
makes the wavelengths air wavelengths, which are converted.
"""

import io
import re

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.sdss_meta import ids_from_name, spectrum_id
from resurvey.surveys.spectrum import Spectrum, checked_wavelength, median_sn, pixel_edges

NAME = "text"
_COMMENT = "#;!%"
UNIT, SMALL = 1e-17, 1e-10  # of the survey's fluxes [erg/s/cm²/Å]; a typical flux below SMALL is not in this unit
TITLES = 5  # lines of words without a comment sign that may stand above the numbers
_COLUMNS = {
    "wavelength": {"wavelength", "wave", "lambda", "lam", "wl", "loglam", "log_wavelength", "wavelength_vac"},
    "flux": {"flux", "fluxes", "flam", "f_lambda", "counts", "intensity"},
    "ivar": {"ivar", "inverse_variance", "invvar", "weight"},
    "error": {"error", "err", "sigma", "flux_error", "flux_err", "uncertainty", "e_flux", "noise", "eflux", "fluxerr"},
    "mask": {"mask", "and_mask"},
}


def air_to_vacuum(wavelength: np.ndarray) -> np.ndarray:
    """Vacuum wavelengths [Å] for air wavelengths [Å]: Ciddor (1996) with the inversion of N. Piskunov, as VALD uses it."""
    s2 = (1e4 / wavelength) ** 2
    index = 1 + 8.336624212083e-5 + 0.02408926869968 / (130.1065924522 - s2) + 1.599740894897e-4 / (38.92568793293 - s2)
    return wavelength * index


def _names(line: str) -> list[str] | None:
    """Lower-case column names without units, when a line names at least a wavelength and a flux."""
    words = [re.sub(r"[\[(].*", "", w).strip().strip("\"'").lower() for w in _split(line.lstrip(_COMMENT))]
    known = {key for key, names in _COLUMNS.items() for w in words if w in names}
    return words if {"wavelength", "flux"} <= known else None


def _split(line: str) -> list[str]:
    separated = re.split(r"\s*[,;]\s*|\t", line.strip()) if re.search(r"[,;\t]", line) else line.split()
    return [word for word in separated if word]


def read(content: bytes, name: str) -> list[Spectrum]:
    """The spectrum of a text file. Raises ResurveyError saying which line or column is wrong."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResurveyError(f"{name}: is neither FITS nor plain text") from error
    names, comments, titles, rows = None, [], [], []
    for number, line in enumerate(io.StringIO(text), start=1):
        if not line.strip():
            continue
        if not rows and names is None and (found := _names(line)):
            names = found
        elif line.lstrip()[0] in _COMMENT:
            comments.append(line)
        else:
            try:
                rows.append([float(word) for word in _split(line)])
            except ValueError as error:
                if rows:
                    raise ResurveyError(
                        f"{name}: line {number} is not a row of numbers: {line.strip()[:60]!r}"
                    ) from error
                titles.append(line.strip())
                if len(titles) > TITLES:
                    break
            if rows and len(rows[-1]) != len(rows[0]):
                raise ResurveyError(f"{name}: line {number} has {len(rows[-1])} columns, the first row {len(rows[0])}")
    if not rows or len(titles) > TITLES:
        first = (titles or comments or [""])[0][:60]
        raise ResurveyError(
            f"{name}: is text but not a spectrum (it begins {first!r}); a spectrum has rows of numbers: wavelength, flux[, error]"
        )
    return [_spectrum(np.array(rows), names, " ".join(comments + titles + (names or [])), name)]


def _pick(table: np.ndarray, names: list[str] | None, name: str) -> dict[str, np.ndarray]:
    """Columns by their header, or by position: wavelength, flux, error."""
    if names is not None:
        if len(names) != table.shape[1]:
            raise ResurveyError(f"{name}: its header names {len(names)} columns, its rows have {table.shape[1]}")
        return {key: table[:, i] for key in _COLUMNS for i, n in reversed(list(enumerate(names))) if n in _COLUMNS[key]}
    if table.shape[1] not in (2, 3):
        raise ResurveyError(
            f"{name}: has {table.shape[1]} columns without names; give wavelength, flux[, error], "
            "or a first line that names the columns"
        )
    return dict(zip(("wavelength", "flux", "error"), table.T, strict=False))


def _in_survey_units(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns with flux in 1e-17 erg/s/cm²/Å where it is in erg/s/cm²/Å, whose inverse variance float32 cannot hold."""
    typical = np.nanmedian(np.abs(columns["flux"])) if np.isfinite(columns["flux"]).any() else 0.0
    if not 0 < typical < SMALL:
        return columns
    powers = {"flux": 1, "error": 1, "ivar": -2}
    return {key: values / UNIT ** powers.get(key, 0) for key, values in columns.items()}


def _spectrum(table: np.ndarray, names: list[str] | None, remarks: str, name: str) -> Spectrum:
    columns = _in_survey_units(_pick(table, names, name))
    wavelength, flux = columns["wavelength"], columns["flux"].astype(np.float32)
    if np.nanmax(wavelength) < 10:
        wavelength = 10.0**wavelength
    wavelength = checked_wavelength(wavelength, name)
    if not 500 <= np.median(wavelength) <= 50000:
        raise ResurveyError(
            f"{name}: wavelengths run from {wavelength[0]:g} to {wavelength[-1]:g}; they must be in Å (or log10 of Å)"
        )
    if re.search(r"\bair\b", remarks, re.IGNORECASE):
        wavelength = air_to_vacuum(wavelength)
    known = "ivar" in columns or "error" in columns
    if "ivar" in columns:
        ivar = columns["ivar"].astype(np.float32)
    elif known:
        error = columns["error"]
        ivar = np.zeros(flux.size, np.float32)
        measured = np.isfinite(error) & (error > 0)
        ivar[measured] = error[measured] ** -2.0
    else:
        ivar = np.isfinite(flux).astype(np.float32)
    mask = columns.get("mask", np.zeros(flux.size))
    ids = ids_from_name(name)
    spectrum = Spectrum(
        spectrum_id=spectrum_id(*ids) if ids else name,
        wavelength=wavelength,
        edges=pixel_edges(wavelength),
        flux=flux,
        ivar=ivar,
        mask=np.where(np.isfinite(mask), mask, 1).astype(np.int64).astype(np.int32),
        format="text",
        ivar_known=known,
        **(dict(zip(("plate", "mjd", "fiberid"), ids, strict=True)) if ids else {}),
    )
    spectrum.sn_median = median_sn(spectrum)
    return spectrum
