"""A catalogue's Parquet → a FITS binary table: streamed by row groups, with units, descriptions, UCDs, nulls and checksums."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files

BLOCK = 2880
_KINDS = {
    pa.float32(): ("E", ">f4", None),
    pa.float64(): ("D", ">f8", None),
    pa.int32(): ("J", ">i4", -(2**31)),
    pa.int64(): ("K", ">i8", -(2**63)),
    pa.bool_(): ("L", "u1", None),
}


def write_fits(parquet: str | os.PathLike, path: str | os.PathLike) -> None:
    """Write the table of `parquet` (made by the merge) as FITS, atomically, one row group in memory at a time.

    Null is NaN for floats, TNULL for integers, 0 for logicals and the empty string for text. The primary header holds the
    provenance. DATASUM and CHECKSUM follow the FITS standard 4.0, §4.4.2.7 and appendix J.
    """
    file = files.open_parquet(parquet)
    schema, rows = file.schema_arrow, file.metadata.num_rows
    widths = _text_widths(file)
    dtype = np.dtype([(f.name, f"S{widths[f.name]}" if f.name in widths else _KINDS[f.type][1]) for f in schema])
    with files.atomic(path) as part, open(part, "wb") as out:
        out.write(_stamped(_primary(json.loads(schema.metadata[files.META_KEY]), rows), 0))
        start = out.tell()
        header = _table_header(schema, widths, dtype, rows)
        out.write(_stamped(header, 0))
        total, size = 0, 0
        pending = b""
        for group in range(file.num_row_groups):
            data = pending + _records(file.read_row_group(group), dtype, widths).tobytes()
            whole = len(data) // 4 * 4
            total = _sum32(data[:whole], total)
            out.write(data[:whole])
            pending, size = data[whole:], size + whole
        tail = pending + b"\0" * (-(size + len(pending)) % BLOCK)
        total = _sum32(tail, total)
        out.write(tail)
        out.seek(start)
        out.write(_stamped(header, total))


def _text_widths(file) -> dict[str, int]:
    """The longest text of each string column, at least 1, in bytes."""
    names = [f.name for f in file.schema_arrow if pa.types.is_string(f.type)]
    widths = dict.fromkeys(names, 1)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, names)
        for name in names:
            longest = pc.max(pc.binary_length(table[name])).as_py()
            widths[name] = max(widths[name], longest or 0)
    return widths


def _records(table: pa.Table, dtype: np.dtype, widths: dict[str, int]) -> np.ndarray:
    records = np.zeros(len(table), dtype)
    for field in table.schema:
        column = table[field.name]
        if field.name in widths:
            records[field.name] = [(text or "").encode() for text in column.to_pylist()]
        elif field.type == pa.bool_():
            codes = pc.if_else(column, ord("T"), ord("F")).fill_null(0)
            records[field.name] = codes.to_numpy()
        else:
            null = _KINDS[field.type][2]
            records[field.name] = (column if null is None else column.fill_null(null)).to_numpy(zero_copy_only=False)
    return records


def _primary(meta: dict, rows: int):
    from astropy.io import fits

    header = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    header["ORIGIN"] = (meta["origin"], "mock: simulated spectra; real: the survey's")
    cards = [("RELEASE", "release", "release of the survey"), ("DATASET", "dataset", "selection of spectra"),
             ("ARCHIVE", "archive", "where the raw files came from"), ("MODEL", "model", "networks that were applied"),
             ("PAPER", "paper", "paper that the networks follow"), ("HEAD", "head", "redshift head"),
             ("ENGINE", "engine", "inference engine"), ("PASSES", "passes", "Monte Carlo passes"),
             ("TEMPLATE", "templates", "digest of the templates that refined z"), ("CODEVERS", "code_version", "version of resurvey")]  # fmt: skip
    for card, key, comment in cards:
        if meta.get(key):
            header[card] = (str(meta[key]), comment)
    header["NROWS"] = (rows, "rows of the table")
    for index, (network, digest) in enumerate(sorted(meta.get("weights", {}).items()), 1):
        header[f"NETW{index}"] = (network, "network")
        header[f"DIGEST{index}"] = (digest, "SHA-256 of its weights, first 16 digits")
    if meta["origin"] == "mock":
        header["COMMENT"] = "MOCK SURVEY: made from simulated spectra, not a catalogue of the sky"
    return header


def _table_header(schema: pa.Schema, widths: dict[str, int], dtype: np.dtype, rows: int):
    from astropy.io import fits

    header = fits.Header([("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", dtype.itemsize), ("NAXIS2", rows),
                          ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", len(schema))])  # fmt: skip
    header["EXTNAME"] = "CATALOGUE"
    for index, field in enumerate(schema, 1):
        meta = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        text = field.name in widths
        header[f"TTYPE{index}"] = field.name
        header[f"TFORM{index}"] = f"{widths[field.name]}A" if text else _KINDS[field.type][0]
        if meta.get("unit"):
            header[f"TUNIT{index}"] = meta["unit"]
        if not text and _KINDS[field.type][2] is not None:
            header[f"TNULL{index}"] = _KINDS[field.type][2]
        header[f"TUCD{index}"] = meta.get("ucd", "")
        null = meta.get("null", "never null")
        header[f"TCOMM{index}"] = meta.get("description", "") + ("" if null == "never null" else f" [null: {null}]")
    return header


def _stamped(header, datasum: int) -> bytes:
    """The header's blocks with DATASUM and CHECKSUM (16 characters that bring the unit's sum to all ones)."""
    header = header.copy()
    header["DATASUM"] = (str(datasum), "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    text = header.tostring().encode("ascii")
    header["CHECKSUM"] = (_encoded(~_sum32(text, datasum) & 0xFFFFFFFF), "HDU checksum")
    return header.tostring().encode("ascii")


def _sum32(data: bytes, total: int) -> int:
    """Ones'-complement sum of big-endian 32-bit words, continued from `total`; `data` is a multiple of 4 long."""
    total += int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> str:
    """A 32-bit value as 16 ASCII letters and digits (FITS standard, appendix J): four characters per byte, no punctuation."""
    excluded = {*range(0x3A, 0x41), *range(0x5B, 0x61)}
    text = np.zeros((4, 4), int)
    for place in range(4):
        byte = value >> (24 - 8 * place) & 0xFF
        quarters = [byte // 4 + ord("0")] * 4
        quarters[0] += byte % 4
        while excluded & set(quarters):
            for pair in (0, 2):
                if excluded & set(quarters[pair : pair + 2]):
                    quarters[pair] += 1
                    quarters[pair + 1] -= 1
        text[:, place] = quarters
    letters = "".join(map(chr, text.ravel()))
    return letters[-1] + letters[:-1]
