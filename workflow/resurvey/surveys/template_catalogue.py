"""The catalogue of the mock survey from templates → the columns that selections and catalogues have in common.

A file stands in `plate`, its row in `fiberid`; the columns have SDSS's names.
"""

import os

from resurvey.surveys import fits_blocks
from resurvey.surveys.sdss_catalogue import SCHEMA

CLASSES = ("STAR", "GALAXY", "QSO")
CATALOGUE = [
    ("PLATE", "J"), ("MJD", "J"), ("FIBERID", "J"), ("RUN2D", "8A"), ("RA", "D"), ("DEC", "D"), ("CLASS", "6A"), ("SUBCLASS", "8A"),
    ("Z", "D"), ("Z_ERR", "E"), ("ZWARNING", "J"), ("SN_MEDIAN_ALL", "E"), ("SPECPRIMARY", "B"),
]  # fmt: skip
SOURCES = {
    "plate": ("PLATE",), "mjd": ("MJD",), "fiberid": ("FIBERID",), "run2d": ("RUN2D",), "ra": ("RA",), "dec": ("DEC",),
    "survey_class": ("CLASS",), "survey_subclass": ("SUBCLASS",), "survey_z": ("Z",), "survey_z_err": ("Z_ERR",),
    "survey_zwarning": ("ZWARNING",), "sn_median": ("SN_MEDIAN_ALL",), "specprimary": ("SPECPRIMARY",),
}  # fmt: skip
REQUIRED = ("plate", "mjd", "fiberid", "ra", "dec", "survey_class", "survey_subclass", "survey_z")
WANTED = fits_blocks.Wanted("PLATE", SOURCES, REQUIRED, "a catalogue of mock spectra from templates")


def extract(path: str | os.PathLike, out: str | os.PathLike, meta: dict) -> int:
    """Write the needed columns of the catalogue at `path` to the Parquet file `out`; returns the number of rows.

    Raises ResurveyError for a file that is no such catalogue, is cut off, or is of another origin than `meta["origin"]`.
    """
    return fits_blocks.extract(path, out, meta, WANTED, SCHEMA)
