"""Single columns of FITS tables of gigabytes in bounded memory, for the catalogues of any survey.

Rows are read in blocks of raw bytes with a structured dtype that is built from the header; nothing else is ever decoded.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from resurvey import files
from resurvey.errors import ResurveyError

BLOCK_BYTES = 32 << 20
FITS_BLOCK = 2880

_FORMATS = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16, "A": 1}


@dataclass(frozen=True)
class Wanted:
    """What is looked for: the first table with the column `marker`; `sources`: our name and the names in FITS, best first;
    `required`: ours that must be there; `kind`: what such a file is, for messages."""

    marker: str
    sources: dict[str, tuple[str, ...]]
    required: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table lie in its file, and the dtype of the wanted columns within a row."""

    start: int
    rows: int
    dtype: np.dtype
    columns: dict[str, str]  # ours: FITS name
    scale: dict[str, tuple[float, float]]  # FITS name: TSCAL, TZERO
    mock: bool


def layout(path: str | os.PathLike, wanted: Wanted) -> Layout:
    """Read the headers of a catalogue, up to the table that is wanted. Raises ResurveyError if no table holds the required columns, or rows are cut off."""
    size = os.path.getsize(path)
    primary = None
    try:
        with open(path, "rb") as handle:
            while handle.tell() < size:
                header = _header(handle)
                primary = primary or header
                start = handle.tell()
                if header.get("XTENSION", "").strip() == "BINTABLE" and wanted.marker in _names(header):
                    return _layout(path, header, start, size, wanted, primary.get("MOCK") is True)
                axes = [header[f"NAXIS{n}"] for n in range(1, header["NAXIS"] + 1)]
                data = (int(np.prod(axes)) + header.get("PCOUNT", 0)) * abs(header["BITPIX"]) // 8 if axes else 0
                handle.seek(start + -(-data // FITS_BLOCK) * FITS_BLOCK)
    except (ValueError, KeyError, OSError) as error:
        raise ResurveyError(f"{path}: is not a readable FITS catalogue ({error}); delete it and run again") from error
    raise ResurveyError(f"{path}: holds no table with the column {wanted.marker}; it is not {wanted.kind}")


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


def _layout(path, header: fits.Header, start: int, size: int, wanted: Wanted, mock: bool) -> Layout:
    names = _names(header)
    columns = {
        ours: next((name for name in options if name in names), None) for ours, options in wanted.sources.items()
    }
    missing = [wanted.sources[ours][0] for ours in wanted.required if columns[ours] is None]
    if missing:
        raise ResurveyError(f"{path}: lacks the columns {', '.join(missing)}; is it {wanted.kind}?")
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
        raise ResurveyError(f"{path}: column {', '.join(sorted(bad))} is not a scalar; is it {wanted.kind}?")
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


def blocks(path: str | os.PathLike, table: Layout) -> Iterator[np.ndarray]:
    """The table's rows as they stand in the file, at most 32 MiB of it at a time. A block is valid until the next one."""
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
            yield np.frombuffer(view, table.dtype)


def arrow(rows: np.ndarray, table: Layout, field: pa.Field, change: Callable[[str], str] = str) -> pa.Array:
    """One of our columns as `field` has it; null where the file lacks it. change: of each distinct text."""
    if field.name not in table.columns:
        return pa.nulls(len(rows), field.type)
    name = table.columns[field.name]
    values = rows[name]
    if name in table.scale:
        factor, zero = table.scale[name]
        values = values.astype(np.float64) * factor + zero  # exact for the integers of these columns
    if pa.types.is_string(field.type):
        return texts(values, change)
    if pa.types.is_boolean(field.type):
        return pa.array(values == b"T" if values.dtype.kind == "S" else values > 0)
    return pa.array(values.astype(field.type.to_pandas_dtype()), field.type)


def texts(raw: np.ndarray, change: Callable[[str], str] = str) -> pa.Array:
    """Blank-padded bytes → strings, stripped and changed; each distinct value is decoded once."""
    distinct, inverse = np.unique(raw, return_inverse=True)
    names = [change(value.decode("latin-1").strip("\0 ")) for value in distinct]
    return pa.DictionaryArray.from_arrays(pa.array(inverse, pa.int32()), pa.array(names, pa.string())).cast(pa.string())


@contextlib.contextmanager
def writer(out: str | os.PathLike, schema: pa.Schema, meta: dict) -> Iterator[pq.ParquetWriter]:
    """Writes batches to a Parquet file under a temporary name until all are there."""
    with (
        files.atomic(out) as part,
        pq.ParquetWriter(part, files.with_meta(schema, meta), **files.CHECKSUMS) as open_writer,
    ):
        yield open_writer


def require_origin(path: str | os.PathLike, table: Layout, meta: dict) -> None:
    """Raises ResurveyError unless the file's MOCK card agrees with `meta["origin"]`."""
    found = "mock" if table.mock else "real"
    if found != meta["origin"]:
        raise ResurveyError(
            f"{path}: is a {found} catalogue under an archive that is taken as {meta['origin']}; "
            "delete it and check archive in config.yaml"
        )


def extract(
    path: str | os.PathLike,
    out: str | os.PathLike,
    meta: dict,
    wanted: Wanted,
    schema: pa.Schema,
    columns: Callable[[np.ndarray, Layout], list[pa.Array]] | None = None,
) -> int:
    """Write the wanted columns of a catalogue to the Parquet file `out`, block by block; returns the number of rows.

    columns: (rows of a block, layout) → arrays in the order of `schema`; without it each is read by its name. `meta["origin"]` must agree with the
    file's MOCK card. Raises ResurveyError for a file that is no such catalogue, is cut off, or is of the other origin.
    """
    table = layout(path, wanted)
    require_origin(path, table, meta)
    with writer(out, schema, {**meta, "rows": table.rows}) as target:
        for rows in blocks(path, table):
            made = columns(rows, table) if columns else [arrow(rows, table, field) for field in schema]
            target.write_batch(pa.RecordBatch.from_arrays(made, schema=schema))
    return table.rows
