"""The files of the mock DESI survey: coadd and redrock of a pixel, and zall-pix, as astropy writes them.

As the real files, but without the resolution matrices, which take four fifths of a real coadd and which nothing here reads.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
from astropy.io import fits

from resurvey import files
from resurvey.archive.mock_desi_layout import File
from resurvey.simulate.effects import BAD_COLUMN, COSMIC
from resurvey.simulate.exposure import Exposure

UNITS = {"FLUX": "10**-17 erg/(s cm2 Angstrom)", "IVAR": "10**+34 (s2 cm4 Angstrom2) / erg2"}
ALL_BAD, COSMIC_RAY = 1, 2  # bits of desispec's specmask


def write(path: Path, hdus: list) -> str:
    """Write a FITS file atomically; returns its SHA-256."""
    buffer = io.BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    data = buffer.getvalue()
    with files.atomic(path) as part:
        part.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def primary(**cards) -> fits.PrimaryHDU:
    """A primary HDU that says that all below is simulated."""
    header = fits.Header()
    for key, value in cards.items():
        header[key] = value
    header["ORIGIN"] = ("resurvey mock survey", "simulated, not observed")
    header["MOCK"] = (True, "simulated spectra of known truth")
    return fits.PrimaryHDU(header=header)


def coadd(file: File, arms: dict[str, Exposure]) -> list:
    """HDUs of a coadd file in the order of the real ones."""
    hdus = [_primary(file), _table("FIBERMAP", fibermap(file.table)), _table("EXP_FIBERMAP", _exposures(file))]
    scores = [fits.Column("TARGETID", "K", array=file.table["targetid"])]
    for arm, seen in arms.items():
        hdus.append(_image(f"{arm}_WAVELENGTH", seen.wave, "Angstrom"))
        hdus.append(_image(f"{arm}_FLUX", seen.flux, UNITS["FLUX"]))
        hdus.append(_image(f"{arm}_IVAR", seen.ivar, UNITS["IVAR"]))
        hdus.append(_image(f"{arm}_MASK", _mask(seen.quality)))
        width = np.sqrt(np.median(np.diff(seen.wave)))  # the pipeline counts S/N per Å^½
        scores.append(fits.Column(f"MEDIAN_COADD_SNR_{arm}", "E", array=seen.sn / width))
    return [*hdus, _table("SCORES", scores)]


def redrock(file: File) -> list:
    """HDUs of a redrock file."""
    rows = redshifts(file.table)
    return [_primary(file), _table("REDSHIFTS", rows), _table("FIBERMAP", fibermap(file.table)),
            _table("EXP_FIBERMAP", _exposures(file)), _table("TSNR2", _tsnr2(file.table))]  # fmt: skip


def zall(written: list[File]) -> list:
    """HDUs of the catalogue of all files: the columns that a selection needs, and some more of the real 136."""
    table = {
        name: np.concatenate([file.table[name] for file in written]) for name in written[0].table if name != "broad_ew"
    }
    sizes = [len(file.table["sn"]) for file in written]
    pixels = np.repeat([file.healpix for file in written], sizes)
    first, *others = redshifts(table)
    columns = [
        first,
        fits.Column("SURVEY", "7A", array=np.repeat([file.survey for file in written], sizes)),
        fits.Column("PROGRAM", "6A", array=np.repeat([file.program for file in written], sizes)),
        fits.Column("HEALPIX", "J", array=pixels),
        fits.Column("SPGRPVAL", "J", array=pixels),
        *others,
        *fibermap(table)[1:],
        *_tsnr2(table)[1:],
        fits.Column("SV_NSPEC", "I", array=np.ones(len(pixels))),
        fits.Column("SV_PRIMARY", "L", array=table["primary"]),
        fits.Column("ZCAT_NSPEC", "I", array=np.ones(len(pixels))),
        fits.Column("ZCAT_PRIMARY", "L", array=table["primary"]),
    ]
    return [primary(), _table("ZCATALOG", columns)]


def fibermap(table: dict) -> list[fits.Column]:
    """Columns of FIBERMAP that say which target it is."""
    count = len(table["targetid"])
    return [
        fits.Column("TARGETID", "K", array=table["targetid"]),
        fits.Column("COADD_FIBERSTATUS", "J", array=np.zeros(count)),
        fits.Column("TARGET_RA", "D", unit="deg", array=table["ra"]),
        fits.Column("TARGET_DEC", "D", unit="deg", array=table["dec"]),
        fits.Column("OBJTYPE", "3A", array=table["objtype"]),
        fits.Column("EBV", "E", unit="mag", array=table["av_galactic"] / 3.1),
        fits.Column("COADD_NUMEXP", "I", array=np.ones(count)),
        fits.Column("COADD_EXPTIME", "E", unit="s", array=np.full(count, 1000.0)),
    ]


def redshifts(table: dict) -> list[fits.Column]:
    """Columns of redrock's REDSHIFTS."""
    count = len(table["targetid"])
    return [
        fits.Column("TARGETID", "K", array=table["targetid"]),
        fits.Column("Z", "D", array=table["survey_z"]),
        fits.Column("ZERR", "D", array=table["survey_z_err"]),
        fits.Column("ZWARN", "K", array=table["survey_zwarning"]),
        fits.Column("CHI2", "D", array=np.full(count, 7800.0)),
        fits.Column("COEFF", "10D", array=np.zeros((count, 10))),
        fits.Column("NPIXELS", "K", array=np.full(count, 7900)),
        fits.Column("SPECTYPE", "6A", array=table["class"]),
        fits.Column("SUBTYPE", "20A", array=np.where(table["class"] == "STAR", table["subclass"], "")),
        fits.Column("NCOEFF", "K", array=np.full(count, 10)),
        fits.Column("DELTACHI2", "D", array=table["delta_chi2"]),
    ]


def _tsnr2(table: dict) -> list[fits.Column]:
    return [
        fits.Column("TARGETID", "K", array=table["targetid"]),
        fits.Column("TSNR2_LRG", "E", array=np.full(len(table["targetid"]), 90.0)),
    ]


def _exposures(file: File) -> list[fits.Column]:
    count = len(file.table["targetid"])
    return [
        fits.Column("TARGETID", "K", array=file.table["targetid"]),
        fits.Column("NIGHT", "J", array=np.full(count, 20210401 + file.index % 28)),
        fits.Column("EXPID", "J", array=np.full(count, 83000 + file.index)),
        fits.Column("TILEID", "J", array=np.full(count, 80600 + file.index)),
        fits.Column("FIBER", "J", array=np.arange(count)),
    ]


def _primary(file: File) -> fits.PrimaryHDU:
    where = {"SPGRP": "healpix", "SPGRPVAL": file.healpix, "HPXPIXEL": file.healpix, "HPXNSIDE": 64, "HPXNEST": True}
    return primary(**where, SURVEY=file.survey, PROGRAM=file.program)


def _table(name: str, columns: list[fits.Column]) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(columns, name=name)


def _image(name: str, data: np.ndarray, unit: str | None = None) -> fits.ImageHDU:
    hdu = fits.ImageHDU(data, name=name)
    if unit:
        hdu.header["BUNIT"] = unit
    return hdu


def _mask(quality: np.ndarray) -> np.ndarray:
    bits = np.where(quality & COSMIC, (1 << COSMIC_RAY) | (1 << ALL_BAD), 0) | np.where(
        quality & BAD_COLUMN, 1 << ALL_BAD, 0
    )
    return bits.astype(np.uint32)
