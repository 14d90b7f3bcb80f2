"""The catalogue of the 4MOST mock survey → the columns that selections and catalogues have in common.

A field (observation block) stands in `plate`, the night in `mjd`, the fibre in `fiberid`, the reduction in `run2d`.
"""

import os

import numpy as np
import pyarrow as pa

from resurvey.surveys import fits_blocks
from resurvey.surveys.fourmost_layout import USED_SKY
from resurvey.surveys.sdss_catalogue import SCHEMA

SOURCES = {
    "plate": ("OBID1",), "mjd": ("MJD",), "fiberid": ("FIB_ID",), "run2d": ("PROCSOFT",), "ra": ("TRG_RA",), "dec": ("TRG_DEC",),
    "survey_class": ("CLASS",), "survey_subclass": ("SUBCLASS",), "survey_z": ("Z",), "survey_z_err": ("Z_ERR",),
    "survey_zwarning": ("ZWARN",), "sn_median": ("SNR",), "specprimary": ("PRIMARY",), "targettype": ("FIB_USE",),
}  # fmt: skip
REQUIRED = ("plate", "mjd", "fiberid", "ra", "dec", "survey_class", "survey_subclass", "survey_z")
WANTED = fits_blocks.Wanted("OBID1", SOURCES, REQUIRED, "a catalogue of 4MOST spectra")


def extract(path: str | os.PathLike, out: str | os.PathLike, meta: dict) -> int:
    """Write the needed columns of the catalogue at `path` to the Parquet file `out`; returns the number of rows.

    Raises ResurveyError for a file that is no such catalogue, is cut off, or is of another origin than `meta["origin"]`.
    """
    return fits_blocks.extract(path, out, meta, WANTED, SCHEMA, _columns)


def _columns(rows: np.ndarray, table: fits_blocks.Layout) -> list[pa.Array]:
    """The columns of SCHEMA; the use of a fibre is a number in the file."""
    used = fits_blocks.arrow(rows, table, pa.field("targettype", pa.int32())).to_pylist()
    types = pa.array(["SKY" if use == USED_SKY else "SCIENCE" for use in used])
    return [types if field.name == "targettype" else fits_blocks.arrow(rows, table, field) for field in SCHEMA]
