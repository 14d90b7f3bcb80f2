"""Small apStar, aspcapStar and apVisit files as the survey lays them out, with spectra that are known."""

import numpy as np
from astropy.io import fits
from resurvey.surveys.apogee_grid import DR13, LIGHT_SPEED, WAVELENGTH

NO_MEASUREMENT = 1e10
LINES = (15200.0, 15500.0, 15760.0, 15960.0, 16200.0, 16390.0, 16530.0, 16800.0)  # Å at rest
PIXELS = np.sort(np.concatenate([np.arange(start + 10, stop - 10, 25) for start, stop in DR13.runs]))  # "continuum"


def lines(wavelength, depth=0.4, sigma=0.6):
    """A normalised spectrum: Gaussian lines at LINES, σ in Å (3 pixels of the grid), clear of PIXELS or not as they fall."""
    wavelength = np.asarray(wavelength)
    return 1 - depth * sum(np.exp(-0.5 * ((wavelength - line) / sigma) ** 2) for line in LINES)


def curve(wavelength, tilt=0.3):
    """A smooth continuum of about 200: a parabola in ln λ, which a polynomial of degree 2 in the pixel number is too."""
    x = np.log(np.asarray(wavelength) / 16000.0) / 0.06
    return 200 * (1 + tilt * x + 0.2 * x**2)


def continuum_csv(path, pixels=PIXELS):
    path.write_text("pixel\n" + "".join(f"{pixel}\n" for pixel in pixels))
    return path


def rows(visits, rng=None, sn=100.0):
    """(flux, error, mask) of an apStar file, (visits + 2, 8575), or (8575,) for one visit; the gaps are not measured."""
    count = visits + 2 if visits > 1 else 1
    flux = np.tile((lines(WAVELENGTH) * curve(WAVELENGTH)).astype(np.float32), (count, 1))
    flux *= 1 + np.arange(count, dtype=np.float32)[:, None]  # each row has its own level
    error = (flux / sn).astype(np.float32)
    if rng is not None:
        flux += rng.normal(size=flux.shape).astype(np.float32) * error
    mask = np.zeros(flux.shape, np.int16)
    gap = np.ones(WAVELENGTH.size, bool)
    gap[DR13.index] = False
    flux[:, gap], error[:, gap], mask[:, gap] = 0, NO_MEASUREMENT, 1
    return (flux, error, mask) if count > 1 else (flux[0], error[0], mask[0])


def star_header(visits, apogee_id="2M00000001+0000001", location_id=4105, **cards):
    header = {"OBJID": apogee_id, "LOCID": location_id, "FIELD": "M67", "TELESCOP": "apo25m", "RA": 10.0, "DEC": -5.5}
    header |= {"NVISITS": visits, "SNR": 250.0} | {f"SNRVIS{i}": 50.0 + i for i in range(1, visits + 1)}
    return fits.Header([(key, value) for key, value in (header | {"MOCK": True} | cards).items() if value is not None])


def write_apstar(path, flux, error, mask, **cards):
    """HDUs 0 to 4 of apStar (flux, error, mask, sky); cards go into the header, None leaves one out."""
    visits = len(flux) - 2 if flux.ndim == 2 else 1
    images = [fits.ImageHDU(image) for image in (flux, error, mask, np.zeros_like(flux))]
    return _write(path, fits.HDUList([fits.PrimaryHDU(header=star_header(visits, **cards)), *images]))


def write_aspcapstar(path, flux, error, **cards):
    images = [fits.ImageHDU(image) for image in (flux, error, np.ones_like(flux))]
    return _write(path, fits.HDUList([fits.PrimaryHDU(header=star_header(1, **cards)), *images]))


def visit_images(velocity, sn=100.0, rng=None, width=4096):
    """(flux, error, mask, wavelength) of an apVisit file whose star moves with `velocity` km/s: red, green, blue, descending."""
    ends = ((16473.0, 16955.0), (15857.0, 16436.0), (15143.0, 15811.0))
    observed = np.stack([np.linspace(high, low, width) for low, high in ends])
    rest = observed / (1 + velocity / LIGHT_SPEED)
    flux = (lines(rest) * curve(rest)).astype(np.float32)
    error = (flux / sn).astype(np.float32)
    if rng is not None:
        flux += rng.normal(size=flux.shape).astype(np.float32) * error
    return flux, error, np.zeros(flux.shape, np.int16), observed


def write_apvisit(path, images, **cards):
    header = {"PLATE": "5095", "MJD5": 55844, "FIBERID": 128, "OBJID": "2M00000001+0000001", "LOCID": 4105, "SNR": 80.0}
    header = {
        key: value for key, value in (header | {"OBJTYPE": "STAR", "MOCK": True} | cards).items() if value is not None
    }
    return _write(path, fits.HDUList([fits.PrimaryHDU(header=fits.Header(header)), *map(fits.ImageHDU, images)]))


def _write(path, hdus):
    path.parent.mkdir(parents=True, exist_ok=True)
    hdus.writeto(path)
    return path
