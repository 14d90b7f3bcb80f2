"""Small DESI coadd files as the survey lays them out, with spectra that are known."""

import numpy as np
from astropy.io import fits

STEP = 0.8
GRIDS = {
    arm: first + STEP * np.arange(count)
    for arm, first, count in (("B", 3600.0, 2751), ("R", 5760.0, 2326), ("Z", 7520.0, 2881))
}
WAVE = 3600.0 + STEP * np.arange(7781)


def continuum(wave):
    """A straight line, which survives any linear resampling: 2 at 3600 Å, 3.3 at 6200."""
    return 2 + (np.asarray(wave) - 3600) / 2000


def arms(rows, rng=None, ivar=4.0):
    """{arm: [flux, ivar, mask]} (rows, pixels) of `continuum`, with noise of that inverse variance where an rng is given."""
    made = {}
    for arm, wave in GRIDS.items():
        flux = np.tile(continuum(wave), (rows, 1))
        if rng is not None:
            flux = flux + rng.standard_normal(flux.shape) / np.sqrt(ivar)
        made[arm] = [flux.astype(np.float32), np.full(flux.shape, ivar, np.float32), np.zeros(flux.shape, np.uint32)]
    return made


def write_coadd(
    path, targetid, made, objtype=None, survey="sv3", program="dark", mask=True, expid=None, mock=False, fibermap=True
):
    """A file with SCORES last, as coadds have it; `expid`: spectra of single exposures, with SCORES second and compressed masks."""
    primary = fits.PrimaryHDU()
    if survey:
        primary.header["SURVEY"], primary.header["PROGRAM"] = survey, program
    if mock:
        primary.header["MOCK"] = True
    count = len(targetid)
    columns = [
        fits.Column("TARGETID", "K", array=np.asarray(targetid)),
        fits.Column("TARGET_RA", "D", array=10.0 + 0.1 * np.arange(count)),
        fits.Column("TARGET_DEC", "D", array=np.full(count, 2.0)),
        fits.Column("OBJTYPE", "3A", array=objtype or ["TGT"] * count),
    ]
    if expid:
        columns += [
            fits.Column("EXPID", "J", array=np.asarray(expid)),
            fits.Column("FIBER", "J", array=np.arange(count)),
        ]
    scores = fits.BinTableHDU.from_columns([fits.Column("TARGETID", "K", array=np.asarray(targetid))], name="SCORES")
    hdus = [primary]
    if fibermap:
        hdus.append(fits.BinTableHDU.from_columns(columns, name="FIBERMAP"))
    hdus += [scores] if expid else []
    for arm, (flux, ivar, bits) in made.items():
        hdus += [fits.ImageHDU(GRIDS[arm], name=f"{arm}_WAVELENGTH"), fits.ImageHDU(flux, name=f"{arm}_FLUX")]
        hdus.append(fits.ImageHDU(ivar, name=f"{arm}_IVAR"))
        if mask:
            kind = fits.CompImageHDU if expid else fits.ImageHDU
            hdus.append(kind(bits, name=f"{arm}_MASK"))
    hdus += [] if expid else [scores]
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path
