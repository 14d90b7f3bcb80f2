"""Small SDSS-like files for tests and benchmarks, written with astropy and independent of the package's own mock survey."""

import numpy as np
from astropy.io import fits


def spectrum_arrays(rng, index=35500, pixels=4600, bad=0.02):
    """flux, ivar (float32), and_mask (int32) of a smooth spectrum with noise, some pixels without data, some masked."""
    wavelength = 10 ** ((index + np.arange(pixels)) * 1e-4)
    sigma = rng.uniform(0.5, 2.0, pixels)
    flux = 10 + 3 * np.sin(wavelength / 400) + rng.normal(0, sigma)
    ivar = sigma**-2.0
    ivar[rng.random(pixels) < bad] = 0
    ivar[:15] = ivar[-10:] = 0
    mask = np.where(rng.random(pixels) < bad, 1 << 23, 0)
    return flux.astype(np.float32), ivar.astype(np.float32), mask.astype(np.int32)


def coadd_hdu(index, flux, ivar, mask, upper=False, name="COADD"):
    """The table of a spec file: one row per pixel, log10 wavelength as float32."""
    loglam = ((index + np.arange(flux.size)) * 1e-4).astype(np.float32)
    values = {"flux": flux, "loglam": loglam, "ivar": ivar, "and_mask": mask, "or_mask": mask}
    values |= {"wdisp": np.ones_like(flux), "sky": flux * 0.1, "model": flux}
    columns = [
        fits.Column(key.upper() if upper else key, "J" if "mask" in key else "E", array=value)
        for key, value in values.items()
    ]
    return fits.BinTableHDU.from_columns(columns, name=name)


def row_hdu(ids, extra=112, name="SPECOBJ", **values):
    """The catalogue row, with as many other columns as real files have."""
    row = {
        "RUN2D": "v5_13_0",
        "CLASS": "GALAXY",
        "SUBCLASS": "STARFORMING",
        "Z": 0.1,
        "ZWARNING": 0,
        "OBJTYPE": "GALAXY",
    }
    row |= dict(zip(("PLATE", "MJD", "FIBERID"), ids, strict=True))
    row |= {"PLUG_RA": 150.25, "PLUG_DEC": -1.5, "SN_MEDIAN_ALL": 12.5} | values
    columns = [fits.Column("SURVEY", "4A", array=["boss"])]
    for key, value in row.items():
        kind = f"{max(1, len(value))}A" if isinstance(value, str) else "J" if isinstance(value, int) else "E"
        columns.append(fits.Column(key, "D" if key.startswith("PLUG") else kind, array=[value]))
    for number in range(extra):
        kind = ("E", "5E", "J", "6A", "10E")[number % 5]
        columns.append(
            fits.Column(
                f"EXTRA{number}", kind, array=np.zeros(1, f"({kind[:-1] or 1},)f4") if "A" not in kind else ["x"]
            )
        )
    return fits.BinTableHDU.from_columns(columns, name=name)


def primary_hdu(mock=True, **cards):
    """The primary header; MOCK marks files that are not observations."""
    hdu = fits.PrimaryHDU()
    for key, value in {**({"MOCK": True} if mock else {}), **cards}.items():
        hdu.header[key] = value
    return hdu


def write_lite(path, ids, index, arrays, mock=True, upper=False, trim=True, **values):
    """A spec-lite file; `trim` cuts the pixels without data at both ends, as the survey does."""
    flux, ivar, mask = arrays
    good = np.flatnonzero(ivar > 0)
    cut = slice(good[0], good[-1] + 1) if trim else slice(None)
    hdus = [
        primary_hdu(mock),
        coadd_hdu(index + (cut.start or 0), flux[cut], ivar[cut], mask[cut], upper),
        row_hdu(ids, **values),
    ]
    lines = [fits.Column("LINENAME", "13A", array=["Ha"] * 29), fits.Column("LINEZ", "E", array=np.zeros(29))]
    hdus.append(fits.BinTableHDU.from_columns(lines, name="SPZLINE"))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_plate(path, plate, mjd, index, spectra, mock=True, sky=()):
    """An spPlate file of `spectra` [(flux, ivar, mask), …]; fibre i + 1 is row i."""
    flux, ivar, mask = (np.array([s[i] for s in spectra]) for i in range(3))
    primary = fits.PrimaryHDU(flux)
    primary.header.update({"PLATEID": plate, "MJD": mjd, "COEFF0": index * 1e-4, "COEFF1": 1e-4, "RUN2D": "v5_13_0"})
    if mock:
        primary.header["MOCK"] = True
    n = len(spectra)
    types = ["SKY" if i + 1 in sky else "GALAXY" for i in range(n)]
    plugmap = fits.BinTableHDU.from_columns(
        [
            fits.Column("FIBERID", "J", array=np.arange(1, n + 1)),
            fits.Column("OBJTYPE", "16A", array=types),
            fits.Column("RA", "D", array=np.linspace(150, 151, n)),
            fits.Column("DEC", "D", array=np.linspace(0, 1, n)),
        ]
    )
    images = [fits.ImageHDU(values) for values in (ivar, mask, mask, np.ones_like(flux))]
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([primary, *images, plugmap, fits.ImageHDU(flux * 0.1)]).writeto(path, overwrite=True)
    return path
