"""APOGEE's master catalogue: allStar, with the S/N of each visit (allVisit), The Cannon's labels and the members of clusters.

Sources: SDSS data model of allStar-l31c.2, allVisit-l31c.2, allStarCannon-l31c.2. What the survey writes as -9999 is null here.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io import fits

from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.surveys.apogee_labels import LABELS, MISSING

COMMISSIONING = 1 << 1  # STARFLAG bit 1
CANNON = {"cannon_teff": "TEFF", "cannon_logg": "LOGG", "cannon_fe_h": "FE_H", "cannon_al_h": "AL_H"}

SCHEMA = pa.schema(
    [
        ("apogee_id", pa.string()),
        ("location_id", pa.int32()),
        ("field", pa.string()),
        ("telescope", pa.string()),
        ("file", pa.string()),  # of the star's apStar spectrum
        ("ra", pa.float64()),  # deg, ICRS
        ("dec", pa.float64()),
        ("sn_median", pa.float32()),  # SNR: median per pixel of the combined spectrum
        ("nvisits", pa.int32()),
        (
            "visit_sn",
            pa.list_(pa.float32()),
        ),  # of the visits in the order of their nights; null where allVisit has not all
        ("starflag", pa.int64()),
        ("aspcapflag", pa.int64()),
        ("vscatter", pa.float32()),  # km/s
        ("vhelio", pa.float32()),  # km/s
        ("commissioning", pa.bool_()),
        *[(name, pa.float32()) for label in LABELS for name in (label.name, f"{label.name}_err")],
        *[(name, pa.float32()) for name in CANNON],
        ("cluster", pa.string()),
    ]
)


def extract(allstar: Path, out: str | os.PathLike, meta: dict, allvisit: Path | None = None, cannon: Path | None = None,
            clusters: dict[str, str] | None = None) -> int:  # fmt: skip
    """Write catalogue.parquet, one row per star and field; returns the number of rows.

    clusters: {apogee_id: cluster}. Raises ResurveyError for a file that is no such catalogue or is damaged.
    """
    with _table(allstar, "APOGEE_ID", "X_H") as data:
        ids, location = _text(data, "APOGEE_ID"), _numbers(data, "LOCATION_ID", np.int32)
        columns = {
            "apogee_id": ids,
            "location_id": location,
            "field": _text(data, "FIELD"),
            "telescope": _text(data, "TELESCOPE"),
            "file": _text(data, "FILE"),
            "ra": _numbers(data, "RA", np.float64),
            "dec": _numbers(data, "DEC", np.float64),
            "sn_median": _numbers(data, "SNR", np.float32),
            "nvisits": _numbers(data, "NVISITS", np.int32),
            "starflag": _numbers(data, "STARFLAG", np.int64),
            "aspcapflag": _numbers(data, "ASPCAPFLAG", np.int64),
            "vscatter": _numbers(data, "VSCATTER", np.float32),
            "vhelio": _numbers(data, "VHELIO_AVG", np.float32),
        }
        for label in LABELS:
            for name, (source, index) in ((label.name, label.source), (f"{label.name}_err", label.error)):
                columns[name] = _present(_numbers(data, source, np.float32, index))
    columns["commissioning"] = (columns["starflag"] & COMMISSIONING) != 0
    columns["visit_sn"] = _visits(allvisit, ids, location, columns["nvisits"])
    columns |= _cannon(cannon, ids)
    columns["cluster"] = pa.array([(clusters or {}).get(name) for name in ids], pa.string())
    table = pa.table({field.name: _arrow(columns[field.name], field.type) for field in SCHEMA}, schema=SCHEMA)
    files.write_table(table, out, {**meta, "rows": len(table)})
    return len(table)


class _table:
    """The first table of a FITS file that has the columns, as astropy's record array. Use as a context manager."""

    def __init__(self, path: Path, *needed: str) -> None:
        self.path, self.needed = path, needed

    def __enter__(self):
        try:
            self.hdus = fits.open(self.path, memmap=True)
            for hdu in self.hdus:
                if isinstance(hdu, fits.BinTableHDU) and set(self.needed) <= set(hdu.columns.names):
                    return hdu.data
        except (OSError, ValueError, TypeError) as error:
            raise ResurveyError(
                f"{self.path}: is not a readable FITS catalogue ({error}); delete it and run again"
            ) from error
        self.hdus.close()
        raise ResurveyError(f"{self.path}: holds no table with the columns {', '.join(self.needed)}")

    def __exit__(self, *error) -> None:
        self.hdus.close()


def _numbers(data, name: str, kind: type, index: int | None = None) -> np.ndarray:
    if name not in data.dtype.names:
        raise ResurveyError(f"allStar lacks the column {name}; is it allStar of DR14?")
    column = data[name] if index is None else data[name][:, index]
    return np.array(column, dtype=kind)


def _text(data, name: str) -> list[str]:
    if name not in data.dtype.names:
        raise ResurveyError(f"allStar lacks the column {name}; is it allStar of DR14?")
    return [str(value).strip() for value in data[name]]


def _present(values: np.ndarray) -> np.ndarray:
    """NaN where the survey gives no value. Both its own -9999 and values beyond any star's are none."""
    return np.where(np.isfinite(values) & (values > MISSING + 1), values, np.nan).astype(np.float32)


def _arrow(values, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return pa.array(values, kind, from_pandas=True)  # NaN is null
    return pa.array(values, kind)


def _visits(path: Path | None, ids: list[str], location: np.ndarray, nvisits: np.ndarray) -> pa.Array:
    """The S/N of each star's visits in the order of nights; null where their number is not the star's NVISITS."""
    kind = SCHEMA.field("visit_sn").type
    if path is None:
        return pa.nulls(len(ids), kind)
    with _table(path, "APOGEE_ID", "LOCATION_ID", "SNR", "MJD") as data:
        visits = pa.table(
            {
                "apogee_id": _text(data, "APOGEE_ID"),
                "location_id": np.array(data["LOCATION_ID"], np.int32),
                "mjd": np.array(data["MJD"], np.int32),
                "sn": np.array(data["SNR"], np.float32),
            }
        )
    visits = visits.sort_by([("apogee_id", "ascending"), ("location_id", "ascending"), ("mjd", "ascending")])
    grouped = visits.group_by(["apogee_id", "location_id"], use_threads=False).aggregate([("sn", "list")])
    known = dict(zip(zip(grouped["apogee_id"].to_pylist(), grouped["location_id"].to_pylist(), strict=True), grouped["sn_list"].to_pylist(), strict=True))  # fmt: skip
    found = (known.get(key) for key in zip(ids, location.tolist(), strict=True))
    return pa.array([sn if sn and len(sn) == n else None for sn, n in zip(found, nvisits, strict=True)], kind)


def _cannon(path: Path | None, ids: list[str]) -> dict[str, np.ndarray]:
    """The Cannon's labels by star; NaN where its table has not the star."""
    result = {name: np.full(len(ids), np.nan, np.float32) for name in CANNON}
    if path is None:
        return result
    with _table(path, "APOGEE_ID", *CANNON.values()) as data:
        row = {name: number for number, name in enumerate(_text(data, "APOGEE_ID"))}
        rows = np.array([row.get(name, -1) for name in ids])
        for ours, theirs in CANNON.items():
            values = _present(np.array(data[theirs], np.float32))
            result[ours] = np.where(rows >= 0, values[rows], np.nan).astype(np.float32)
    return result


def read(path: str | os.PathLike) -> pa.Table:
    """catalogue.parquet of this survey. Raises ResurveyError when it is another survey's."""
    return files.read_table(path, SCHEMA.names)


def is_missing(table: pa.Table, name: str) -> np.ndarray:
    """(n,) bool: the label has no value."""
    return pc.is_null(table[name], nan_is_null=True).to_numpy()
