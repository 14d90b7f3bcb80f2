"""All shards of a dataset in one table: is each there, whole, on one grid, and did each row that was expected arrive?"""

import csv
import os
from collections import Counter
from pathlib import Path

from resurvey import files
from resurvey.shards.reading import iterate, metadata

COLUMNS = ["shard", "expected", "read", "rejected", "reasons", "sha256"]


def verify(folder: str | os.PathLike, count: int, out: str | os.PathLike) -> dict:
    """Check shards 0000 … of `folder` and write one row for each to `out` (CSV); returns what they agree on.

    `reasons` counts the rejected rows by reason. Raises ResurveyError for a shard that is missing or damaged, whose rows and
    rejected rows do not add up to what was expected, or whose grid or origin differs from the others'.
    """
    paths = files.numbered(folder, count)
    rows = [_row(path) for path in paths]
    together = metadata(paths)
    with files.atomic(out) as part, open(part, "w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return together


def _row(path: Path) -> dict:
    for _ in iterate(path):  # every page against its checksum
        pass
    read = files.open_parquet(path).metadata.num_rows
    expected = files.read_meta(path).get("expected")
    rejected = path.with_suffix(".rejected.parquet")
    if not rejected.exists():
        raise files.damaged(path, f"{rejected.name} is missing beside it")
    reasons = Counter(files.read_table(rejected, ["reason"])["reason"].to_pylist())
    if expected != read + reasons.total():
        raise files.damaged(
            path, f"{expected} rows were expected, {read} are there and {reasons.total()} were rejected"
        )
    words = "; ".join(f"{number} × {reason}" for reason, number in reasons.most_common())
    return {
        "shard": path.stem,
        "expected": expected,
        "read": read,
        "rejected": reasons.total(),
        "reasons": words,
        "sha256": files.sha256(path),
    }
