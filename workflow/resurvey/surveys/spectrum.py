"""What every reader returns: one spectrum in vacuum wavelengths, or the reason why there is none."""

from dataclasses import dataclass, field

import numpy as np

from resurvey.errors import ResurveyError

FLUX_UNIT = "1e-17 erg s-1 cm-2 Angstrom-1"
CONTINUUM_UNIT = "continuum"  # of spectra divided by their continuum


@dataclass(slots=True)
class Rejected:
    """A spectrum that cannot be used: `reason` in the words that a user sees."""

    spectrum_id: str
    reason: str


@dataclass(slots=True)
class Spectrum:
    """One observed spectrum and what its survey says about it.

    wavelength: (n,) float64, Å in vacuum, strictly increasing; edges: (n+1,) float64, borders of the pixels;
    flux: (n,) float32 in `flux_unit`; ivar: (n,) float32, inverse variance in 1/flux_unit², 0 where nothing was measured
    (all ones where `ivar_known` is False); mask: (n,) int32, the survey's AND mask, 0 = good. Bits of `fibre_bits` describe
    the whole fibre and not the pixel. Metadata are None where the file does not hold them.
    survey: whose conventions hold for mask and names; names: what else the survey calls it by (APOGEE: apogee_id, location_id,
    field, telescope); visit: 0 for a spectrum combined of visits, 1 and up for one of them, None where there are none.
    """

    spectrum_id: str
    wavelength: np.ndarray
    edges: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    format: str
    origin: str = "real"
    fibre_bits: int = 0
    ivar_known: bool = True
    flux_unit: str = FLUX_UNIT
    plate: int | None = None
    mjd: int | None = None
    fiberid: int | None = None
    run2d: str | None = None
    ra: float | None = None
    dec: float | None = None
    survey_class: str | None = None
    survey_subclass: str | None = None
    survey_z: float | None = None
    survey_zwarning: int | None = None
    sn_median: float | None = None
    sky: bool = False
    survey: str = "sdss"
    names: dict[str, object] = field(default_factory=dict)
    visit: int | None = None


def pixel_edges(wavelength: np.ndarray) -> np.ndarray:
    """Borders (n+1,) of pixels half-way between their centres (n,); the outermost are mirrored."""
    middle = 0.5 * (wavelength[1:] + wavelength[:-1])
    first, last = 2 * wavelength[0] - middle[0], 2 * wavelength[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def checked_wavelength(wavelength: np.ndarray, name: str) -> np.ndarray:
    """Float64 wavelengths after a check. Raises ResurveyError where they are not finite, positive and strictly increasing."""
    wavelength = np.asarray(wavelength, dtype=np.float64)
    if wavelength.size < 2:
        raise ResurveyError(f"{name}: holds {wavelength.size} pixel(s); a spectrum needs at least 2")
    if not np.isfinite(wavelength).all() or wavelength[0] <= 0:
        raise ResurveyError(f"{name}: some wavelengths are not positive numbers; remove those rows")
    step = np.diff(wavelength)
    if (step <= 0).any():
        at = int(np.argmax(step <= 0)) + 1
        what = "descend" if (step < 0).all() else "repeat or go back"
        raise ResurveyError(
            f"{name}: wavelengths {what} (pixel {at + 1}: {wavelength[at]:.8g} Å after {wavelength[at - 1]:.8g} Å); "
            "sort them, one value per wavelength"
        )
    return wavelength


def median_sn(spectrum: Spectrum) -> float | None:
    """Median of flux·√ivar over pixels with ivar > 0: stands in where the survey gives no S/N. None without errors."""
    good = spectrum.ivar > 0
    if not spectrum.ivar_known or not good.any():
        return None
    return float(np.median(spectrum.flux[good].astype(np.float64) * np.sqrt(spectrum.ivar[good].astype(np.float64))))
