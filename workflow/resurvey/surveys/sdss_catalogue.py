"""The needed columns of SDSS's master catalogues (specObj, spAll: FITS tables of gigabytes) in bounded memory."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.surveys import fits_blocks
from resurvey.surveys.fits_blocks import Layout, arrow, require_origin

SCHEMA = pa.schema(
    [
        ("plate", pa.int32()),
        ("mjd", pa.int32()),
        ("fiberid", pa.int32()),
        ("run2d", pa.string()),
        ("ra", pa.float64()),  # deg ICRS, of the fibre
        ("dec", pa.float64()),
        ("survey_class", pa.string()),
        ("survey_subclass", pa.string()),
        ("survey_z", pa.float64()),
        ("survey_z_err", pa.float64()),
        ("survey_zwarning", pa.int32()),
        ("sn_median", pa.float32()),
        ("vdisp", pa.float32()),  # km/s
        ("vdisp_err", pa.float32()),
        ("specprimary", pa.bool_()),
        ("platequality", pa.string()),
        ("targettype", pa.string()),
    ]
)

# Ours: the names in FITS, best first. PLUG_RA is where the fibre was; spAll's RA is the photometric match, 0 without one.
SOURCES: dict[str, tuple[str, ...]] = {
    "plate": ("PLATE",),
    "mjd": ("MJD",),
    "fiberid": ("FIBERID",),
    "run2d": ("RUN2D",),
    "ra": ("PLUG_RA", "RA"),
    "dec": ("PLUG_DEC", "DEC"),
    "survey_class": ("CLASS",),
    "survey_subclass": ("SUBCLASS",),
    "survey_z": ("Z",),
    "survey_z_err": ("Z_ERR",),
    "survey_zwarning": ("ZWARNING",),
    "sn_median": ("SN_MEDIAN_ALL",),
    "vdisp": ("VDISP",),
    "vdisp_err": ("VDISP_ERR",),
    "specprimary": ("SPECPRIMARY",),
    "platequality": ("PLATEQUALITY",),
    "targettype": ("TARGETTYPE", "OBJTYPE"),
}
REQUIRED = ("plate", "mjd", "fiberid", "run2d", "ra", "dec", "survey_class", "survey_subclass", "survey_z")
PUBLISHED = ("plate", "mjd", "fiberid", "survey_class", "survey_subclass", "survey_z")
SKY = 1  # ZWARNING bit 0: a sky fibre
STANDARDS = ("SPECTROPHOTO_STD", "REDDEN_STD", "TELLURIC_STD", "HOT_STD")  # OBJTYPE of stars that calibrate a plate


def _wanted(required: tuple[str, ...]) -> fits_blocks.Wanted:
    return fits_blocks.Wanted("PLATE", SOURCES, required, "a catalogue of SDSS (specObj, spAll)")


def layout(path: str | os.PathLike, required: tuple[str, ...] = REQUIRED) -> Layout:
    """Where the first table with spectra lies. Raises ResurveyError if no table holds the required columns, or rows are cut off."""
    return fits_blocks.layout(path, _wanted(required))


def blocks(path: str | os.PathLike, table: Layout) -> Iterator[pa.RecordBatch]:
    """The catalogue's rows in batches of at most 32 MiB of file."""
    for rows in fits_blocks.blocks(path, table):
        yield batch(rows, table)


def batch(rows: np.ndarray, table: Layout) -> pa.RecordBatch:
    """Rows as they stand in the file → the columns of SCHEMA. Columns that the file lacks are null."""
    changes = {"survey_subclass": without_template, "targettype": target_type}
    columns = {field.name: arrow(rows, table, field, changes.get(field.name, str)) for field in SCHEMA}
    if "survey_zwarning" in table.columns:  # a sky fibre whatever its target type says: its class means nothing
        sky = (np.asarray(columns["survey_zwarning"]) & SKY) > 0
        columns["targettype"] = pc.if_else(pa.array(sky), "SKY", columns["targettype"])
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def without_template(subclass: str) -> str:
    """`K0V (10780)` → `K0V`: SUBCLASS may carry the name of the template star."""
    return re.sub(r"\s*\(.*\)\s*$", "", subclass)


def target_type(value: str) -> str:
    """SCIENCE, SKY or STANDARD, from specObj's TARGETTYPE or from spAll's OBJTYPE (which names the kind of target)."""
    value = value.upper()
    if value in ("SCIENCE", "SKY", "STANDARD"):
        return value
    return "STANDARD" if value in STANDARDS else "SCIENCE"


def extract(path: str | os.PathLike, out: str | os.PathLike, meta: dict) -> int:
    """Write the needed columns of the catalogue at `path` to the Parquet file `out`; returns the number of rows.

    Memory does not grow with the catalogue. `meta["origin"]` must agree with the file's MOCK card.
    Raises ResurveyError for a file that is no catalogue, is cut off, or is of the other origin.
    """
    table = layout(path)
    require_origin(path, table, meta)
    with fits_blocks.writer(out, SCHEMA, {**meta, "rows": table.rows}) as writer:
        for rows in blocks(path, table):
            writer.write_batch(rows)
    return table.rows


def extract_published(sets: dict[str, tuple[str, Path]], out: str | os.PathLike, meta: dict) -> int:
    """The same for arrays that authors released: {split: (name of the file, where it is)}; returns the number of rows.

    Beside the columns of SCHEMA (null where the files lack them: positions, RUN2D) each row says in which `file` and
    `row` its array stands, and in which `split` its authors put it.
    """
    schema = SCHEMA
    for field in (("file", pa.string()), ("row", pa.int64()), ("split", pa.string())):
        schema = schema.append(pa.field(*field))
    tables = {split: layout(path, PUBLISHED) for split, (_, path) in sets.items()}
    total = sum(table.rows for table in tables.values())
    with fits_blocks.writer(out, schema, {**meta, "rows": total}) as writer:
        for split, (name, path) in sets.items():
            require_origin(path, tables[split], meta)
            first = 0
            for rows in blocks(path, tables[split]):
                n = rows.num_rows
                where = [pa.array([name] * n), pa.array(np.arange(first, first + n)), pa.array([split] * n)]
                writer.write_batch(pa.RecordBatch.from_arrays([*rows.columns, *where], schema=schema))
                first += n
    return total
