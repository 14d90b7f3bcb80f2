"""DESI's master catalogue (zall-pix: all co-added spectra by healpix, FITS tables of gigabytes) in bounded memory.

Sources: desidatamodel, zall-pix-SPECPROD. It holds no S/N of the spectra: TSNR2 is that of a typical target, not of this one.
"""

import os

import pyarrow as pa

from resurvey.surveys import fits_blocks

SCHEMA = pa.schema(
    [
        ("targetid", pa.int64()),
        ("survey", pa.string()),  # sv1, sv3, …; with program and healpix the file of the spectrum
        ("program", pa.string()),
        ("healpix", pa.int32()),  # nside 64, nested
        ("ra", pa.float64()),  # deg ICRS, of the target
        ("dec", pa.float64()),
        ("objtype", pa.string()),  # TGT, SKY, BAD
        ("survey_class", pa.string()),
        ("survey_subclass", pa.string()),
        ("survey_z", pa.float64()),
        ("survey_z_err", pa.float64()),
        ("survey_zwarning", pa.int32()),
        ("delta_chi2", pa.float64()),  # to the second best redshift
        ("specprimary", pa.bool_()),
    ]
)

SOURCES: dict[str, tuple[str, ...]] = {
    "targetid": ("TARGETID",),
    "survey": ("SURVEY",),
    "program": ("PROGRAM",),
    "healpix": ("HEALPIX", "HPXPIXEL", "SPGRPVAL"),
    "ra": ("TARGET_RA",),
    "dec": ("TARGET_DEC",),
    "objtype": ("OBJTYPE",),
    "survey_class": ("SPECTYPE",),
    "survey_subclass": ("SUBTYPE",),
    "survey_z": ("Z",),
    "survey_z_err": ("ZERR",),
    "survey_zwarning": ("ZWARN",),
    "delta_chi2": ("DELTACHI2",),
    "specprimary": ("ZCAT_PRIMARY",),
}
REQUIRED = (
    "targetid", "survey", "program", "healpix", "ra", "dec", "objtype", "survey_class", "survey_z", "survey_zwarning",
)  # fmt: skip
WANTED = fits_blocks.Wanted("TARGETID", SOURCES, REQUIRED, "a redshift catalogue of DESI (zall-pix, zpix)")


def extract(path: str | os.PathLike, out: str | os.PathLike, meta: dict) -> int:
    """Write the needed columns of the catalogue at `path` to the Parquet file `out`; returns the number of rows.

    Memory does not grow with the catalogue. `meta["origin"]` must agree with the file's MOCK card.
    Raises ResurveyError for a file that is no such catalogue, is cut off, or is of the other origin.
    """
    return fits_blocks.extract(path, out, meta, WANTED, SCHEMA)
