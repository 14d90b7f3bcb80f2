"""Which files to fetch for a selection of a survey that has one file per field and night (4MOST), and what they will cost."""

import math

import numpy as np
import pyarrow as pa

from resurvey.archive.plan import SCHEMA, Cost
from resurvey.archive.release import Release
from resurvey.surveys.fourmost_layout import path

ROUTE = "field"


def make(targets: pa.Table, release: Release) -> pa.Table:
    """One row per file, from the columns shard, plate (the field), mjd, fiberid and run2d of targets."""
    plate, mjd, fibre = (targets[name].to_numpy() for name in ("plate", "mjd", "fiberid"))
    shard, run2d = (np.array(targets[name].to_pylist(), object) for name in ("shard", "run2d"))
    rows = []
    for field, night in sorted(set(zip(plate.tolist(), mjd.tolist(), strict=True))):
        mine = np.flatnonzero((plate == field) & (mjd == night))
        rows.append({
            "shard": shard[mine[0]], "plate": field, "mjd": night, "fiberid": -1, "route": ROUTE,
            "path": path(release.settings["paths"]["field"], field, night), "run2d": (run2d[mine[0]] or "").strip(),
            "expected_bytes": int(release.settings["field_bytes"]), "fibres": np.sort(fibre[mine]).tolist(),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def estimate(dataset: dict, release: Release) -> Cost:
    """The cost before the catalogue is known: full fields."""
    asked = len(dataset["classes"]) * dataset["per_class"]
    files = math.ceil(asked / release.settings["fibres"])
    return Cost(asked, files, {ROUTE: files}, {ROUTE: int(files * release.settings["field_bytes"])}, files)


def mock_spectra(size: dict, dataset: dict) -> int:
    """How many spectra a mock survey of that size has at most for a dataset."""
    return size.get("per_class", 0) * len(dataset["classes"] or [])
