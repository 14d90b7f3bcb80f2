"""The manifest: one row per file that was asked for, with what came of it."""

from dataclasses import asdict, dataclass

import pyarrow as pa

VERIFIED = "verified"  # its digest is the one that the archive publishes
UNVERIFIED = "unverified"  # the archive lists no digest for it; structure, length and FITS sums are right
PRESENT = "present"  # it was there already and its digest, computed anew, is the one that the archive publishes
FAILED = "failed"  # it is not there; the reason says why
USABLE = (VERIFIED, UNVERIFIED, PRESENT)

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # below the folder of raw files
        ("url", pa.string()),
        ("plate", pa.int32()),
        ("mjd", pa.int32()),
        ("fiberid", pa.int32()),  # -1: a whole plate
        ("route", pa.string()),  # lite, plate, array
        ("fallback", pa.bool_()),  # true: not planned, fetched because the other route's file does not exist
        ("bytes", pa.int64()),
        ("digest", pa.string()),
        ("algorithm", pa.string()),
        ("state", pa.string()),
        ("tries", pa.int32()),
        ("seconds", pa.float32()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: its path below the release's root, and which spectra it is for."""

    path: str
    plate: int = -1
    mjd: int = -1
    fiberid: int = -1
    route: str = "file"
    run2d: str = ""
    fibres: tuple[int, ...] = ()
    expected_bytes: int = 0
    fallback: bool = False


@dataclass(frozen=True)
class Row:
    """What came of one file; the columns of SCHEMA."""

    path: str
    url: str
    plate: int
    mjd: int
    fiberid: int
    route: str
    fallback: bool
    bytes: int
    digest: str | None
    algorithm: str
    state: str
    tries: int
    seconds: float
    reason: str | None


def table(rows: list[Row]) -> pa.Table:
    """Rows as a table in the order of plate, mjd, route and fibre."""
    ordered = sorted(rows, key=lambda row: (row.plate, row.mjd, row.fallback, row.fiberid, row.path))
    return pa.Table.from_pylist([asdict(row) for row in ordered], schema=SCHEMA)


def counts(rows: list[Row]) -> dict[str, int]:
    """How many files ended in each state; states that did not occur are left out."""
    found = [row.state for row in rows]
    return {state: found.count(state) for state in (*USABLE, FAILED) if state in found}


def lacking(rows: list[Row]) -> list[Row]:
    """Failed rows whose spectra did not come by the other route either."""
    plates = {(row.plate, row.mjd) for row in rows if row.route == "plate" and row.state in USABLE}
    spectra = {(row.plate, row.mjd) for row in rows if row.route == "lite" and row.fallback}
    return [
        row
        for row in rows
        if row.state == FAILED
        and not (row.route == "lite" and (row.plate, row.mjd) in plates)
        and not (row.route == "plate" and not row.fallback and (row.plate, row.mjd) in spectra)
    ]
