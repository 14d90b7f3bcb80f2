"""Fast path for spec files: the bytes are taken as they stand after their layout has been checked.

astropy spends milliseconds on the 126 to 236 columns of the catalogue row; here the position of each needed value is worked
out once per distinct header (there are few) and looked up afterwards. Whatever deviates from the expected layout in any
respect returns None, and the reader in sdss_spec.py, which uses astropy, takes over. Both give identical spectra (tested).
"""

import re
import struct

import numpy as np

from resurvey.surveys import loggrid
from resurvey.surveys.decode import decode_coadd
from resurvey.surveys.sdss_meta import SCALARS, describe
from resurvey.surveys.spectrum import Spectrum

CARD, BLOCK = 80, 2880
END = b"END" + b" " * 77
_WIDTH = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16}
_FORMAT = {"B": "B", "I": ">h", "J": ">i", "K": ">q", "E": ">f", "D": ">d"}
_TTYPE = re.compile(rb"TTYPE(\d+) *= *'([^']*)'")
_TFORM = re.compile(rb"TFORM(\d+) *= *'(\d*)([A-Z])[^']*'")
_CHANGED = re.compile(rb"(?:TSCAL|TZERO|TNULL)(\d+) *=")
_INTEGER = re.compile(rb"= +(-?\d+) *(?:/|$)")

_layouts: dict[bytes, object] = {}


def _integer(data: bytes, at: int, key: bytes) -> int | None:
    """Value of the card at `at` if it is the integer card `key`."""
    card = data[at : at + CARD]
    match = _INTEGER.match(card, 8)
    return int(match[1]) if match and card[:8].rstrip() == key else None


def _card(data: bytes, start: int, key: bytes) -> int:
    """Offset of the first card that begins with `key` in the header that begins at `start`; -1: none."""
    at = data.find(key, start)
    while at >= 0 and (at - start) % CARD:
        at = data.find(key, at + 1)
    return at


def _header_end(data: bytes, start: int) -> int:
    """Offset of the first byte after the header that begins at `start`; -1 when it has no END card."""
    at = _card(data, start, END)
    return -1 if at < 0 else start + -(-(at + CARD - start) // BLOCK) * BLOCK


def _columns(header: bytes) -> dict[str, tuple[int, int, str, bool]] | None:
    """Lower-case column name → (offset in the row, repeat, type letter, scaled) from the cards of a binary table."""
    names = {int(i): name.strip().decode("ascii", "replace").lower() for i, name in _TTYPE.findall(header)}
    changed = {int(i) for i in _CHANGED.findall(header)}
    columns, offset = {}, 0
    for position, (number, repeat, letter) in enumerate(_TFORM.findall(header), start=1):
        letter = letter.decode()
        if int(number) != position or letter not in _WIDTH:
            return None  # columns out of order, or bits and variable-length arrays: left to astropy
        count = int(repeat) if repeat else 1
        columns[names.get(position, f"col{position}")] = (offset, count, letter, position in changed)
        offset += count * _WIDTH[letter]
    columns[""] = (offset, 0, "", False)  # the row's length
    return columns


def _table_layout(header: bytes, parse: object) -> object:
    """`parse(columns)` for the columns of a header, kept under the header's cards without the number of rows."""
    key = header[: 4 * CARD] + header[5 * CARD :]
    if key not in _layouts:
        columns = _columns(header)
        _layouts[key] = parse(columns) if columns else None
    return _layouts[key]


def _coadd_layout(columns: dict) -> np.ndarray | None:
    """Positions of flux, loglam, ivar, and_mask in units of 4-byte words, or None where the table is something else."""
    words = []
    for name, letter in (("flux", "E"), ("loglam", "E"), ("ivar", "E"), ("and_mask", "J")):
        offset, count, kind, scaled = columns.get(name, (1, 0, "", False))
        if count != 1 or kind != letter or scaled or offset % 4:
            return None
        words.append(offset // 4)
    return np.array(words, np.int64) if columns[""][0] % 4 == 0 else None


def _row_layout(columns: dict) -> tuple | None:
    """(name, unpack function or None for text, offset, end) of the needed values of the catalogue row."""
    if "class" not in columns or "z" not in columns:
        return None
    layout = []
    for name in SCALARS:
        if name in columns:
            offset, count, kind, scaled = columns[name]
            if scaled or not (kind == "A" or (count == 1 and kind in _FORMAT)):
                return None
            unpack = None if kind == "A" else struct.Struct(_FORMAT[kind]).unpack_from
            layout.append((name, unpack, offset, offset + count))
    return columns[""][0], tuple(layout)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("ascii").strip()


def parse(data: bytes, name: str) -> Spectrum | None:
    """The spectrum in the bytes of a spec-lite or spec-full file, or None for anything else or anything unusual."""
    size = len(data)
    if size % BLOCK or data[:9] != b"SIMPLE  =" or _integer(data, 2 * CARD, b"NAXIS") != 0:
        return None
    tables = []
    start = _header_end(data, 0)
    primary = data[:start]
    if b"LAMOST" in primary:
        return None
    while 0 < start < size:
        if data[start : start + 20] != b"XTENSION= 'BINTABLE'":
            return None
        width, rows = _integer(data, start + 3 * CARD, b"NAXIS1"), _integer(data, start + 4 * CARD, b"NAXIS2")
        heap = _integer(data, start + 5 * CARD, b"PCOUNT")
        body = _header_end(data, start)
        if width is None or rows is None or heap is None or body < 0 or body + width * rows + heap > size:
            return None
        tables.append((start, body, width, rows))
        start = body + -(-(width * rows + heap) // BLOCK) * BLOCK
    if start != size or len(tables) < 2:
        return None

    (start, body, width, rows), (start2, body2, width2, rows2) = tables[:2]
    words = _table_layout(data[start:body], _coadd_layout)
    row = _table_layout(data[start2:body2], _row_layout)
    if words is None or row is None or row[0] != width2 or rows2 != 1 or rows < 2:
        return None
    table = np.frombuffer(data, np.uint32, rows * width // 4, body).reshape(rows, width // 4)
    flux, ivar, mask = np.empty(rows, np.float32), np.empty(rows, np.float32), np.empty(rows, np.int32)
    index = decode_coadd(table, words, flux, ivar, mask, 1 / loggrid.STEP, loggrid.TOLERANCE)
    grid = loggrid.slices(index, rows) if index > 0 else None
    if grid is None:
        return None
    values = {
        key: unpack(data, body2 + first)[0] if unpack else _text(data[body2 + first : body2 + last])
        for key, unpack, first, last in row[1]
    }
    return Spectrum(
        wavelength=grid[0], edges=grid[1], flux=flux, ivar=ivar, mask=mask, **describe(values, _cards(primary), name)
    )


def _cards(primary: bytes) -> dict[str, object]:
    """The few cards of the primary header that describe() needs."""
    at = _card(primary, 0, b"MOCK    =")
    return {} if at < 0 else {"MOCK": primary[at + 10 : at + 30].strip() == b"T"}
