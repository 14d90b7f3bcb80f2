"""Which co-added files to fetch for a DESI selection, and what they will cost: one file a survey, program and pixel of the sky.

Redshifts come from the master catalogue, so redrock files are not needed.
"""

import math

import pyarrow as pa

from resurvey.archive.plan import HEALPIX, SCHEMA, Cost
from resurvey.archive.release import Release
from resurvey.surveys.desi_layout import path

ROUTE = "coadd"


def make(targets: pa.Table, release: Release) -> pa.Table:
    """One row per file, from the columns HEALPIX of targets."""
    pixels = targets.select(HEALPIX).group_by(HEALPIX, use_threads=False).aggregate([])
    rows = []
    for pixel in pixels.to_pylist():
        size = pixel.pop("in_file") * release.settings["spectrum_bytes"]
        shard = pixel.pop("shard")
        rows.append(
            {"plate": -1, "mjd": -1, "fiberid": -1, "run2d": "", "fibres": [], "route": ROUTE, "shard": shard}
            | {"path": path(release.settings, **pixel), "expected_bytes": int(size)}
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA).sort_by([("shard", "ascending"), ("path", "ascending")])


def estimate(dataset: dict, release: Release) -> Cost:
    """The cost before the catalogue is known: as many spectra as hold enough of the rarest class at its share of the release.

    Files are chosen for the classes that are short, so fewer will do.
    """
    from resurvey.targets.desi import wanted

    total = release.settings["spectra"]
    names = [entry["class"] for entry in dataset["classes"] or []]
    asked = total
    if names and dataset["per_class"]:
        rarest = min(release.settings["classes"][name] for name in names)
        asked = min(total, round(wanted(dataset) * total / rarest))
    per_file = 400  # targets of a pixel of 0.84 square degrees in one program, about
    files = math.ceil(asked / per_file)
    return Cost(asked, 0, {ROUTE: files}, {ROUTE: int(asked * release.settings["spectrum_bytes"])}, files)


def mock_spectra(size: dict, dataset: dict) -> int:
    """How many spectra a mock survey of that size has at most for a dataset."""
    return size.get("per_class", 0) * len(dataset["classes"] or []) + size.get("extra", 0)
