"""apVisit files: one visit as observed, each detector on its own wavelengths, brought to rest on the common grid.

HDU 1 flux, 2 error, 3 APOGEE_PIXMASK, 4 wavelength [Å, vacuum], each (3, 4096): detectors red, green, blue, wavelengths descending (2048
pixels where exposures were not dithered). The header's VRAD is the Doppler shift by which the visit is observed (VHELIO less the
barycentric correction), as in the reduction that makes apStar of it: rest wavelength = observed / (1 + VRAD/c).

The pixels are finer than the grid's and than a resolution element, so values at the grid's pixels are interpolated: a polynomial
through the six pixels around, with the error that this gives independent pixels. (The reduction interpolates by sinc functions; either is
exact to a few thousandths of a line's depth.) Bad pixels are bridged before, so that they do not ring, and their mask bits are carried
to the pixels of the grid beside them.
"""

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys import apogee_header, apogee_mask
from resurvey.surveys.apogee_grid import EDGES, FULL, LIGHT_SPEED, WAVELENGTH
from resurvey.surveys.apogee_star import inverse_variance
from resurvey.surveys.spectrum import FLUX_UNIT, Spectrum

NAME = "APOGEE visit (apVisit)"
FORMAT = "apogee-apvisit"
TAKES_VELOCITY = True
WIDTHS = (4096, 2048)
TAPS = np.arange(-2, 4)  # pixels around the one below the wanted position


def matches(hdus) -> bool:
    """Whether HDU 1 is an image of three detectors, or the header is one of an APOGEE visit."""
    if len(hdus) < 2 or not hdus[1].is_image:
        return False
    header = hdus[0].header
    return hdus[1].shape in [(3, width) for width in WIDTHS] or {"PLATE", "MJD5", "FIBERID"} <= set(header)


def read(hdus, name: str, velocity: float | None = None) -> list[Spectrum]:
    """The visit at rest on the 8575 pixels; velocity: its Doppler shift [km/s] in place of the header's VRAD.

    Raises ResurveyError for a missing HDU, another size, unusable wavelengths, or a visit without velocity.
    """
    header = hdus[0].header
    flux = _image(hdus, 1, "flux", name)
    error, mask, wavelength = (
        _image(hdus, number, what, name, flux.shape) for number, what in ((2, "error"), (3, "mask"), (4, "wavelength"))
    )
    shift = 1 + _velocity(header, velocity, name) / LIGHT_SPEED
    out_flux, out_error = np.zeros(FULL, np.float32), np.full(FULL, np.inf, np.float32)
    out_mask = np.zeros(FULL, np.int32)
    for chip in range(3):
        x = _ascending(wavelength[chip], name)
        order = slice(None, None, -1) if wavelength[chip][0] > wavelength[chip][-1] else slice(None)
        where, *values = resample(
            x / shift, flux[chip][order], error[chip][order].astype(np.float64), mask[chip][order].astype(np.int32)
        )
        out_flux[where], out_error[where], out_mask[where] = values
    ivar = inverse_variance(out_flux, out_error)
    if not ivar.any():
        raise ResurveyError(f"{name}: has no usable pixel on APOGEE's grid")
    about = apogee_header.described(header)
    ids = [header.get(key) for key in ("PLATE", "MJD5", "FIBERID")]
    known = all(str(part if part is not None else "").strip().isdigit() for part in ids)
    plate, mjd, fiber = (int(part) for part in ids) if known else (None, None, None)
    return [
        Spectrum(
            spectrum_id=f"{plate}-{mjd}-{fiber:03d}" if known else name,
            wavelength=WAVELENGTH,
            edges=EDGES,
            flux=out_flux,
            ivar=ivar,
            mask=out_mask,
            format=FORMAT,
            flux_unit=FLUX_UNIT,
            plate=plate,
            mjd=mjd,
            fiberid=fiber,
            sn_median=apogee_header.number(header, "SNR"),
            sky=str(header.get("OBJTYPE", "")).strip().upper() == "SKY",
            **about,
        )
    ]


def resample(
    x: np.ndarray, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
    """One detector on the grid: (which pixels of the 8575, flux, error, mask there).

    x: (n,) ascending wavelengths at rest [Å]; flux, error, mask: (n,). A pixel of the grid next to one that was not measured has
    an infinite error; next to a masked one, its bits. Pixels whose kernel reaches beyond the detector are left out.
    """
    n = x.size
    inside = np.flatnonzero((x[-TAPS[0]] <= WAVELENGTH) & (x[n - TAPS[-1]] > WAVELENGTH))
    if inside.size == 0:
        return slice(0, 0), *(np.empty(0) for _ in range(3))
    where = slice(int(inside[0]), int(inside[-1]) + 1)
    position = np.interp(WAVELENGTH[where], x, np.arange(n))
    below = position.astype(np.int64)
    taps = below[:, None] + TAPS
    weights = _lagrange(position - below)
    measured = apogee_mask.measured(flux, error)
    sound = measured & ~apogee_mask.bad(mask)
    if not sound.any():
        return slice(0, 0), *(np.empty(0) for _ in range(3))
    pixels = np.arange(n)
    bridged = np.where(sound, flux, np.interp(pixels, pixels[sound], flux[sound].astype(np.float64)))
    smooth = np.where(sound, error, np.interp(pixels, pixels[sound], error[sound]))
    beside = np.stack([below, below + 1])
    found = (weights * bridged[taps]).sum(axis=1)
    sigma = np.sqrt((weights**2 * smooth[taps] ** 2).sum(axis=1))
    sigma[~measured[beside].all(axis=0)] = np.inf
    return where, found, sigma, mask[beside[0]] | mask[beside[1]]


def _lagrange(fraction: np.ndarray) -> np.ndarray:
    """(n, 6) weights of the pixels at TAPS in the polynomial through them at `fraction` (n,), in [0, 1)."""
    weights = np.ones((fraction.size, TAPS.size))
    for column, tap in enumerate(TAPS):
        for other in TAPS[tap != TAPS]:
            weights[:, column] *= (fraction - other) / (tap - other)
    return weights


def _velocity(header, given: float | None, name: str) -> float:
    """The Doppler shift [km/s]: as given, or the header's. Raises ResurveyError where there is none or it is absurd."""
    value = given if given is not None else apogee_header.number(header, "VRAD")
    if value is None:
        raise ResurveyError(
            f"{name}: its header gives no radial velocity (VRAD), without which the visit cannot be brought to rest; give it "
            "(km/s, not corrected to the barycentre), or use the star's apStar file"
        )
    if not abs(value) < 3000:
        raise ResurveyError(f"{name}: a radial velocity of {value:g} km/s cannot be that of a star; give it (km/s)")
    return value


def _ascending(wavelength: np.ndarray, name: str) -> np.ndarray:
    step = np.diff(wavelength)
    if not np.isfinite(wavelength).all() or not ((step < 0).all() or (step > 0).all()) or wavelength.min() <= 0:
        raise ResurveyError(
            f"{name}: the wavelengths of a detector do not run one way; the file is damaged: fetch it again"
        )
    return np.sort(wavelength.astype(np.float64))


def _image(hdus, number: int, what: str, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The (3, pixels) image of an HDU."""
    if len(hdus) <= number or not hdus[number].is_image or not hdus[number].shape:
        raise ResurveyError(f"{name}: is an APOGEE visit without HDU {number} ({what}); fetch it again")
    found = hdus[number].shape
    if found != shape if shape is not None else found not in [(3, width) for width in WIDTHS]:
        wanted = shape or (3, WIDTHS[0])
        raise ResurveyError(f"{name}: the {what} of an APOGEE visit (HDU {number}) is {found}, not {wanted}")
    return hdus[number].data
