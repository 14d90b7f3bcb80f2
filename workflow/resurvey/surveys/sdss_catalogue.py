"""The needed columns of SDSS's master catalogues (specObj, spAll: FITS tables of gigabytes) in bounded memory.

Rows are read in blocks of raw bytes with a structured dtype that is built from the header; nothing else is ever decoded.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits

from resurvey import files
from resurvey.errors import ResurveyError

BLOCK_BYTES = 32 << 20
FITS_BLOCK = 2880

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

_FORMATS = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16, "A": 1}


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table lie in its file, and the dtype of the wanted columns within a row."""

    start: int
    rows: int
    dtype: np.dtype
    columns: dict[str, str]  # ours: FITS name
    scale: dict[str, tuple[float, float]]  # FITS name: TSCAL, TZERO
    mock: bool


def layout(path: str | os.PathLike, required: tuple[str, ...] = REQUIRED) -> Layout:
    """Read the headers of a catalogue, up to the first table with spectra. Raises ResurveyError if no table holds the required columns, or rows are cut off."""
    size = os.path.getsize(path)
    primary = None
    try:
        with open(path, "rb") as handle:
            while handle.tell() < size:
                header = _header(handle)
                primary = primary or header
                start = handle.tell()
                if header.get("XTENSION", "").strip() == "BINTABLE" and "PLATE" in _names(header):
                    return _layout(path, header, start, size, required, primary.get("MOCK") is True)
                axes = [header[f"NAXIS{n}"] for n in range(1, header["NAXIS"] + 1)]
                data = (int(np.prod(axes)) + header.get("PCOUNT", 0)) * abs(header["BITPIX"]) // 8 if axes else 0
                handle.seek(start + -(-data // FITS_BLOCK) * FITS_BLOCK)
    except (ValueError, KeyError, OSError) as error:
        raise ResurveyError(f"{path}: is not a readable FITS catalogue ({error}); delete it and run again") from error
    raise ResurveyError(f"{path}: holds no table with the column PLATE; it is not a catalogue of SDSS")


def _header(handle) -> fits.Header:
    text = b""
    while True:
        block = handle.read(FITS_BLOCK)
        if len(block) < FITS_BLOCK:
            raise ValueError("it ends inside a header")
        text += block
        if any(block[place : place + 80].rstrip() == b"END" for place in range(0, FITS_BLOCK, 80)):
            return fits.Header.fromstring(text.decode("latin-1"))


def _names(header: fits.Header) -> dict[str, int]:
    """{column name in upper case: number}; the first of a name counts."""
    names: dict[str, int] = {}
    for number in range(1, header.get("TFIELDS", 0) + 1):
        names.setdefault(str(header.get(f"TTYPE{number}", "")).strip().upper(), number)
    return names


def _layout(path, header: fits.Header, start: int, size: int, required: tuple[str, ...], mock: bool) -> Layout:
    names = _names(header)
    columns = {ours: next((name for name in options if name in names), None) for ours, options in SOURCES.items()}
    missing = [SOURCES[ours][0] for ours in required if columns[ours] is None]
    if missing:
        raise ResurveyError(f"{path}: lacks the columns {', '.join(missing)}; is it specObj or spAll?")
    offsets, formats, where = {}, {}, 0
    for number in range(1, header["TFIELDS"] + 1):
        form = re.fullmatch(r"(\d*)([A-Z])(.*)", header[f"TFORM{number}"].strip())
        count, code = int(form[1] or 1), form[2]
        offsets[number] = where
        formats[number] = f"S{count}" if code == "A" else _FORMATS.get(code) if count == 1 else None
        where += -(-count // 8) if code == "X" else count * _WIDTHS[code]
    if where != header["NAXIS1"]:
        raise ValueError(f"its columns take {where} bytes and its rows {header['NAXIS1']}")
    used = {name for name in columns.values() if name}
    bad = [name for name in used if not formats[names[name]]]
    if bad:
        raise ResurveyError(f"{path}: column {', '.join(sorted(bad))} is not a scalar; is it specObj or spAll?")
    if start + header["NAXIS1"] * header["NAXIS2"] > size:
        raise ValueError("its table is cut off")
    dtype = np.dtype(
        {
            "names": sorted(used),
            "formats": [formats[names[name]] for name in sorted(used)],
            "offsets": [offsets[names[name]] for name in sorted(used)],
            "itemsize": header["NAXIS1"],
        }
    )
    scale = {}
    for name in used:
        factor, zero = header.get(f"TSCAL{names[name]}", 1), header.get(f"TZERO{names[name]}", 0)
        if (factor, zero) != (1, 0):
            scale[name] = (factor, zero)
    return Layout(start, header["NAXIS2"], dtype, {k: v for k, v in columns.items() if v}, scale, mock)


def blocks(path: str | os.PathLike, table: Layout) -> Iterator[pa.RecordBatch]:
    """The catalogue's rows in batches of at most 32 MiB of file."""
    per_block = max(1, BLOCK_BYTES // table.dtype.itemsize)
    buffer = bytearray(per_block * table.dtype.itemsize)
    with open(path, "rb", buffering=0) as handle:
        handle.seek(table.start)
        for first in range(0, table.rows, per_block):
            count = min(per_block, table.rows - first)
            view = memoryview(buffer)[: count * table.dtype.itemsize]
            filled = 0
            while filled < len(view):
                filled += (got := handle.readinto(view[filled:])) or 0
                if not got:
                    raise ResurveyError(f"{path}: ended while it was read; delete it and run again")
            yield batch(np.frombuffer(view, table.dtype), table)


def batch(rows: np.ndarray, table: Layout) -> pa.RecordBatch:
    """Rows as they stand in the file → the columns of SCHEMA. Columns that the file lacks are null."""

    def values(ours: str) -> np.ndarray:
        name = table.columns[ours]
        column = rows[name]
        if name in table.scale:
            factor, zero = table.scale[name]
            column = column.astype(np.float64) * factor + zero  # exact for the integers of these columns
        return column

    columns: dict[str, pa.Array] = {}
    for field in SCHEMA:
        if field.name not in table.columns:
            columns[field.name] = pa.nulls(len(rows), field.type)
        elif field.name == "survey_subclass":
            columns[field.name] = texts(values(field.name), without_template)
        elif field.name == "targettype":
            columns[field.name] = texts(values(field.name), target_type)
        elif pa.types.is_string(field.type):
            columns[field.name] = texts(values(field.name))
        elif pa.types.is_boolean(field.type):
            raw = values(field.name)
            columns[field.name] = pa.array(raw == b"T" if raw.dtype.kind == "S" else raw > 0)
        else:
            columns[field.name] = pa.array(values(field.name).astype(field.type.to_pandas_dtype()), field.type)
    if "survey_zwarning" in table.columns:  # a sky fibre whatever its target type says: its class means nothing
        sky = (np.asarray(columns["survey_zwarning"]) & SKY) > 0
        columns["targettype"] = pc.if_else(pa.array(sky), "SKY", columns["targettype"])
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def texts(raw: np.ndarray, change: Callable[[str], str] = str) -> pa.Array:
    """Blank-padded bytes → strings, stripped and changed; each distinct value is decoded once."""
    distinct, inverse = np.unique(raw, return_inverse=True)
    names = [change(value.decode("latin-1").strip("\0 ")) for value in distinct]
    return pa.DictionaryArray.from_arrays(pa.array(inverse, pa.int32()), pa.array(names, pa.string())).cast(pa.string())


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
    _require_origin(path, table, meta)
    with _writer(out, SCHEMA, {**meta, "rows": table.rows}) as writer:
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
    with _writer(out, schema, {**meta, "rows": total}) as writer:
        for split, (name, path) in sets.items():
            _require_origin(path, tables[split], meta)
            first = 0
            for rows in blocks(path, tables[split]):
                n = rows.num_rows
                where = [pa.array([name] * n), pa.array(np.arange(first, first + n)), pa.array([split] * n)]
                writer.write_batch(pa.RecordBatch.from_arrays([*rows.columns, *where], schema=schema))
                first += n
    return total


@contextlib.contextmanager
def _writer(out: str | os.PathLike, schema: pa.Schema, meta: dict) -> Iterator[pq.ParquetWriter]:
    with files.atomic(out) as part, pq.ParquetWriter(part, files.with_meta(schema, meta), **files.CHECKSUMS) as writer:
        yield writer


def _require_origin(path: str | os.PathLike, table: Layout, meta: dict) -> None:
    found = "mock" if table.mock else "real"
    if found != meta["origin"]:
        raise ResurveyError(
            f"{path}: is a {found} catalogue under an archive that is taken as {meta['origin']}; "
            "delete it and check archive in config.yaml"
        )
