"""Is a file a whole FITS file? Asked of every file that arrives; the only evidence where the archive lists no digest."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BLOCK = 2880
CARD = 80
MAGIC = b"SIMPLE  ="
CHUNK = 400 * BLOCK


@dataclass(frozen=True)
class Hdu:
    """Where one header-data unit lies in a file [bytes] and the cards that say so."""

    start: int
    data: int
    end: int
    cards: dict[str, str]


def is_fits(path: Path) -> bool:
    """True if the file begins as FITS does (an HTML page of an archive does not)."""
    with open(path, "rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


def read_cards(handle, wanted: tuple[str, ...] = ()) -> dict[str, str] | None:
    """Read one header at the handle's position: {keyword: value as text}; the handle then stands at the data.

    Only sizes, sums and `wanted` are kept. None at the end of the file. Raises ValueError for a header without an end.
    """
    cards: dict[str, str] = {}
    first = True
    while True:
        block = handle.read(BLOCK)
        if first and not block:
            return None
        if len(block) < BLOCK:
            raise ValueError("it ends inside a header")
        first = False
        for place in range(0, BLOCK, CARD):
            card = block[place : place + CARD]
            key = card[:8].decode("latin-1").rstrip()
            if key == "END":
                return cards
            if card[8:10] == b"= " and (not wanted or key in wanted or key.startswith("NAXIS")):
                value = card[10:].decode("latin-1")
                text = value.lstrip()
                quoted = text.startswith("'")
                cards.setdefault(key, text[1:].split("'")[0].rstrip() if quoted else value.split("/")[0].strip())


def data_bytes(cards: dict[str, str]) -> int:
    """Size of the data of an HDU without padding [bytes] (FITS standard 4.0, Eq. 1 and 2)."""
    axes = [int(cards[f"NAXIS{n}"]) for n in range(1, int(cards.get("NAXIS", "0")) + 1)]
    if not axes:
        return 0
    if axes[0] == 0 and cards.get("GROUPS") == "T":
        axes = axes[1:]
    size = int(np.prod(axes, dtype=object)) + int(cards.get("PCOUNT", "0"))
    return abs(int(cards["BITPIX"])) // 8 * int(cards.get("GCOUNT", "1")) * size


def walk(path: Path) -> Iterator[Hdu]:
    """The HDUs of a file. Raises ValueError saying where the structure breaks."""
    size = os.path.getsize(path)
    if size == 0 or size % BLOCK:
        raise ValueError(f"its {size} bytes are not whole FITS blocks of {BLOCK}")
    with open(path, "rb") as handle:
        if handle.read(len(MAGIC)) != MAGIC:
            raise ValueError("it is not FITS: it does not begin with SIMPLE")
        handle.seek(0)
        start = 0
        while start < size:
            cards = read_cards(handle)
            if cards is None or not ("BITPIX" in cards and ("SIMPLE" in cards or "XTENSION" in cards)):
                raise ValueError(f"no HDU begins at byte {start}")
            data = handle.tell()
            end = data + -(-data_bytes(cards) // BLOCK) * BLOCK
            if end > size:
                raise ValueError(f"it ends after {size} bytes inside an HDU that ends at {end}")
            yield Hdu(start, data, end, cards)
            handle.seek(end)
            start = end


def _sum32(path: Path, start: int, end: int) -> int:
    """32-bit ones' complement sum of big-endian words (FITS standard 4.0, appendix J)."""
    total = 0
    with open(path, "rb") as handle:
        handle.seek(start)
        left = end - start
        while left:
            chunk = handle.read(min(CHUNK, left))
            total += int(np.frombuffer(chunk, ">u4").sum(dtype=np.uint64))
            left -= len(chunk)
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def check(path: Path) -> int:
    """Walk all HDUs and check every CHECKSUM and DATASUM. Returns how many sums agreed (0: the file has none).

    Raises ValueError with the reason if the structure breaks or a sum disagrees.
    """
    agreed = 0
    for number, hdu in enumerate(walk(path)):
        if hdu.cards.get("DATASUM", "").strip():
            if _sum32(path, hdu.data, hdu.end) != int(hdu.cards["DATASUM"]):
                raise ValueError(f"DATASUM of HDU {number} disagrees")
            agreed += 1
        if hdu.cards.get("CHECKSUM", "").strip():
            if _sum32(path, hdu.start, hdu.end) not in (0, 0xFFFFFFFF):
                raise ValueError(f"CHECKSUM of HDU {number} disagrees")
            agreed += 1
    return agreed


def is_mock(path: Path) -> bool:
    """True if the primary header says MOCK = T: a file of the mock survey."""
    with open(path, "rb") as handle:
        cards = read_cards(handle, ("MOCK",))
    return bool(cards) and cards.get("MOCK") == "T"
