"""Which files of stars to fetch for an APOGEE selection, and what they will cost: one file a star and field."""

import pyarrow as pa

from resurvey.archive.plan import SCHEMA, STARS, Cost
from resurvey.archive.release import Release

CLUSTERS = 3  # of the mock survey: M67, NGC 6819, M13


def make(targets: pa.Table, release: Release) -> pa.Table:
    """One row per file, from the columns STARS of targets; the visits of a star are in its file."""
    stars = targets.select(STARS).group_by(STARS, use_threads=False).aggregate([])
    rows = []
    for star in stars.to_pylist():
        product, shard = star.pop("product"), star.pop("shard")
        rows.append(
            {"plate": -1, "mjd": -1, "fiberid": -1, "run2d": "", "fibres": [], "route": product, "shard": shard}
            | {"path": release.settings["paths"][product].format(**star)}
            | {"expected_bytes": int(release.settings["bytes"][product])}
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA).sort_by([("shard", "ascending"), ("path", "ascending")])


def estimate(dataset: dict, release: Release) -> Cost:
    """The cost before the catalogue is known: all stars of the release, which no selection exceeds."""
    product, stars = dataset["product"], release.settings["stars"]
    size = int(release.settings["bytes"][product])
    return Cost(stars, 0, {product: stars}, {product: stars * size}, 0)


def mock_spectra(size: dict, dataset: dict) -> int:
    """How many spectra a mock survey of that size has at most for a dataset."""
    stars = size.get("stars", 0) + CLUSTERS * size.get("clusters", 0)
    return stars * (1 + size.get("visits", 1) * dataset["visits"])
