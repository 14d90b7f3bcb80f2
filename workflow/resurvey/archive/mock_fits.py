"""FITS files written straight from arrays: astropy takes tens of milliseconds for the 236 columns of one spec file."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from resurvey import files
from resurvey.archive import mock_columns

# Header cards of every file of a mock archive.
MARK = (
    ("ORIGIN", "resurvey mock survey", "simulated, not observed"),
    ("MOCK", True, "simulated spectra of known truth"),
)

BLOCK = 2880


def card(key: str, value, comment: str = "") -> bytes:
    """One header card of 80 bytes: bool, int, float or string values; keyword COMMENT takes text. FITS standard 4.0, §4."""
    if key == "COMMENT":
        return f"COMMENT {value}"[:80].ljust(80).encode("ascii")
    if isinstance(value, bool | np.bool_):
        text = "T".rjust(20) if value else "F".rjust(20)
    elif isinstance(value, int | np.integer):
        text = str(value).rjust(20)
    elif isinstance(value, float | np.floating):
        text = f"{value:.14G}" if value else "0.0"
        text = (text if "." in text or "E" in text else text + ".0").rjust(20)
    else:
        text = f"'{str(value).replace(chr(39), chr(39) * 2).ljust(8)}'".ljust(20)
    return (f"{key:<8}= {text}" + (f" / {comment}" if comment else ""))[:80].ljust(80).encode("ascii")


def header(cards: Iterable[tuple]) -> bytes:
    """A header from (key, value[, comment]) tuples, with END and padded to whole blocks."""
    text = b"".join(card(*entry) for entry in cards) + b"END".ljust(80)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK)


def padded(data: bytes) -> bytes:
    """Data filled up with zeros to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def primary(cards: Iterable[tuple] = ()) -> bytes:
    """A primary HDU without data."""
    return header(
        [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", 8, "array data type"),
            ("NAXIS", 0, "number of array dimensions"),
            ("EXTEND", True),
            *cards,
        ]
    )


def image(data: np.ndarray, cards: Iterable[tuple] = (), first: bool = False) -> bytes:
    """An image HDU of floats or signed integers of any width (rows, columns); `first`: the primary HDU."""
    bits = {"f": -8, "i": 8}[data.dtype.kind] * data.dtype.itemsize
    start = [("SIMPLE", True) if first else ("XTENSION", "IMAGE"), ("BITPIX", bits), ("NAXIS", data.ndim)]
    axes = [(f"NAXIS{i + 1}", size) for i, size in enumerate(reversed(data.shape))]
    end = [("EXTEND", True)] if first else [("PCOUNT", 0), ("GCOUNT", 1)]
    return header([*start, *axes, *end, *cards]) + padded(data.astype(data.dtype.newbyteorder(">")).tobytes())


def no_image(cards: Iterable[tuple] = ()) -> bytes:
    """An image HDU without data, so that the ones after it keep their numbers."""
    start = [("XTENSION", "IMAGE"), ("BITPIX", 8), ("NAXIS", 0), ("PCOUNT", 0), ("GCOUNT", 1)]
    return header([*start, *cards])


def table(
    rows: np.ndarray,
    columns: list[tuple[str, str]],
    cards: Iterable[tuple] = (),
    special: Iterable[tuple] = (),
    blanks: bool = True,
) -> bytes:
    """A binary table HDU from a structured array of either byte order and its (name, format) columns.

    Strings are padded with blanks as in run 26 and specObj, or with zeros as in BOSS files. `special`: further cards of
    columns (TDIM, TZERO).
    """
    rows = rows.astype(mock_columns.row_type(columns))  # joining structured arrays makes their byte order native
    for name in rows.dtype.names:
        if blanks and rows.dtype[name].kind == "S":
            rows[name] = np.char.ljust(rows[name], rows.dtype[name].itemsize)
    layout = [
        ("XTENSION", "BINTABLE", "binary table extension"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 2, "number of array dimensions"),
        ("NAXIS1", rows.dtype.itemsize, "length of dimension 1"),
        ("NAXIS2", len(rows), "length of dimension 2"),
        ("PCOUNT", 0, "number of group parameters"),
        ("GCOUNT", 1, "number of groups"),
        ("TFIELDS", len(columns), "number of table fields"),
    ]
    for i, (name, form) in enumerate(columns, 1):
        layout += [(f"TTYPE{i}", name), (f"TFORM{i}", form)]
    return header([*layout, *special, *cards]) + padded(rows.tobytes())


def write(path: str | os.PathLike, parts: Iterable[bytes]) -> str:
    """Write a file from its parts, atomically; returns its SHA-1, which the archive's checksum files list."""
    digest = hashlib.sha1()
    with files.atomic(Path(path)) as temporary, open(temporary, "wb") as handle:
        for part in parts:
            digest.update(part)
            handle.write(part)
    return digest.hexdigest()


def catalogue(root: Path, where: str, parts: list[np.ndarray], columns: list[tuple[str, str]]) -> tuple[str, str, str]:
    """Write the rows of all parts as the one table of `root`/`where`; (folder, name, SHA-1)."""
    folder, _, name = where.rpartition("/")
    return folder, name, write(root / where, [primary(MARK), table(np.concatenate(parts), columns)])
