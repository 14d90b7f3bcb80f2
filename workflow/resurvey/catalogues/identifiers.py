"""What surveys call their spectra beyond what all catalogues have: one row per survey."""

from collections.abc import Iterable

import pyarrow as pa

from resurvey.catalogues.columns import Column

_ALWAYS = "never null"
OF_SURVEYS = {
    "desi": [
        Column("targetid", pa.int64(), "", "meta.id", "DESI's TARGETID of the target", _ALWAYS),
        Column("survey", pa.string(), "", "meta.id;obs", "DESI's SURVEY in which it was observed: sv1, sv3, main ...", _ALWAYS),
        Column("program", pa.string(), "", "meta.id;obs", "DESI's PROGRAM: dark, bright, backup ...", _ALWAYS),
        Column("healpix", pa.int32(), "", "pos.healpix", "Pixel (nside 64, nested) whose file holds the spectrum", _ALWAYS),
    ],
}  # fmt: skip


def identifiers(names: Iterable[str]) -> list[Column]:
    """The columns of the surveys whose spectra have all of theirs, from the column names of a table of spectra (a shard's)."""
    names = set(names)
    return [column for row in OF_SURVEYS.values() if {c.name for c in row} <= names for column in row]
