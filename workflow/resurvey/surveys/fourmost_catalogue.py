"""The catalogue of the 4MOST mock survey → the columns that selections and catalogues have in common.

A field (observation block) stands in `plate`, the night in `mjd`, the fibre in `fiberid`, the reduction in `run2d`.
"""

import os

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
    table = fits_blocks.layout(path, WANTED)
    fits_blocks.require_origin(path, table, meta)
    number = pa.field("targettype", pa.int32())
    with fits_blocks.writer(out, SCHEMA, {**meta, "rows": table.rows}) as writer:
        for rows in fits_blocks.blocks(path, table):
            columns = [fits_blocks.arrow(rows, table, field) for field in SCHEMA if field.name != "targettype"]
            used = fits_blocks.arrow(rows, table, number).to_pylist()
            columns.insert(
                SCHEMA.get_field_index("targettype"),
                pa.array(["SKY" if use == USED_SKY else "SCIENCE" for use in used]),
            )
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    return table.rows
