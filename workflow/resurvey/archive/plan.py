"""Which files to fetch for a selection, by the route that costs less, and what it will cost."""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.archive.manifest import Wanted
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.files import open_parquet, read_table

LATENCY_S = 0.15  # per request and connection: with 4 connections and their pause, 20 requests a second
SLOW_PER_S = 4.0  # requests a second at which archives have been seen to answer on bad days
BYTES_PER_S = 1.0e7  # of one client
HELP_DESK_BYTES = 1.0e12  # above it, SDSS asks to be written to, and offers Globus

ROUTES = {"lite": "spec-lite", "plate": "spPlate", "array": "arrays", "apstar": "apStar", "aspcapstar": "aspcapStar",
          "coadd": "DESI coadd", "field": "4MOST field"}  # fmt: skip

COLUMNS = ["shard", "plate", "mjd", "fiberid", "run2d"]  # of the targets
STARS = [
    "shard",
    "location_id",
    "field",
    "telescope",
    "apogee_id",
    "file",
    "product",
]  # of the targets of a survey of stars
HEALPIX = ["shard", "survey", "program", "healpix", "in_file"]  # of the targets of a survey laid out by sky pixels
SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("plate", pa.int32()),
        ("mjd", pa.int32()),
        ("fiberid", pa.int32()),  # -1: a whole plate
        ("route", pa.string()),  # lite, plate, or array: a file that authors released
        ("path", pa.string()),  # below the release's root, and below the folder of raw files
        ("expected_bytes", pa.int64()),
        ("run2d", pa.string()),
        ("fibres", pa.list_(pa.int32())),  # the spectra that are wanted of the file
    ]
)


def read_targets(path: str | os.PathLike) -> pa.Table:
    """The columns of targets.parquet that a survey's `make` needs. Raises ResurveyError naming the file."""
    names = open_parquet(path).schema_arrow.names
    if "location_id" in names:
        return read_table(path, STARS)
    if "healpix" in names:
        return read_table(path, HEALPIX)
    return read_table(path, ["shard", "file"] if "file" in names else COLUMNS)


def make(targets: pa.Table, release: Release) -> pa.Table:
    """One row per file, from the COLUMNS of targets.

    Of each (plate, mjd) either spec-lite files or the one spPlate are fetched, whichever are fewer bytes at the mean
    sizes in the release's file. spZbest is not needed: labels come from the master catalogue.
    """
    if "file" in targets.column_names:
        return _arrays(targets, release)
    plate, mjd, fibre = (targets[name].to_numpy() for name in ("plate", "mjd", "fiberid"))
    shard, run2d = (_words(targets[name]) for name in ("shard", "run2d"))
    order = np.lexsort((fibre, mjd, plate))
    starts = (
        np.flatnonzero(np.r_[True, (np.diff(plate[order]) != 0) | (np.diff(mjd[order]) != 0)]) if len(order) else []
    )
    rows: dict[str, list] = {name: [] for name in SCHEMA.names}
    for group in np.split(order, starts[1:]) if len(order) else []:
        first = group[0]
        for reduction in dict.fromkeys(run2d[group]):  # one, unless a plate was reduced twice
            members = group[run2d[group] == reduction]
            fibres = fibre[members].tolist()
            key = (reduction, int(plate[first]), int(mjd[first]))
            route = cheaper(len(fibres), release, reduction)
            for ids in [fibres] if route == "plate" else [[one] for one in fibres]:
                fiberid = -1 if route == "plate" else ids[0]
                rows["shard"].append(shard[first])
                rows["plate"].append(key[1])
                rows["mjd"].append(key[2])
                rows["fiberid"].append(fiberid)
                rows["route"].append(route)
                rows["path"].append(release.path(route, *key, fiberid))
                rows["expected_bytes"].append(release.expected_bytes(route, reduction))
                rows["run2d"].append(reduction.strip())
                rows["fibres"].append(ids)
    return pa.table(rows, schema=SCHEMA)


def _words(column: pa.ChunkedArray) -> np.ndarray:
    """Strings as an object array in which equal ones are one object: millions of rows hold few distinct values."""
    coded = column.combine_chunks().dictionary_encode()
    return np.array(coded.dictionary.to_pylist(), dtype=object)[coded.indices.to_numpy()]


def _arrays(targets: pa.Table, release: Release) -> pa.Table:
    """The plan of a dataset whose authors released arrays: each shard needs the files in which its rows stand."""
    pairs = targets.select(["shard", "file"]).group_by(["shard", "file"]).aggregate([]).to_pylist()
    size = int(release.settings["catalogue_bytes"]) // len(release.settings["arrays"])
    rows = [
        {"plate": -1, "mjd": -1, "fiberid": -1, "route": "array", "expected_bytes": size, "run2d": "", "fibres": []}
        | {"shard": pair["shard"], "path": pair["file"]}
        for pair in sorted(pairs, key=lambda pair: (pair["shard"], pair["file"]))
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def cheaper(spectra: int, release: Release, run2d: str) -> str:
    """`lite` or `plate`: the route of fewer bytes for so many spectra of one plate; at equality the one request."""
    lite = spectra * release.expected_bytes("lite", run2d)
    return "lite" if lite < release.expected_bytes("plate", run2d) else "plate"


def wanted(plan: pa.Table, shard: str) -> list[Wanted]:
    """The files of one shard. A shard without files is legal."""
    rows = plan.filter(pc.equal(plan["shard"], shard)).drop_columns(["shard"]).to_pylist()
    return [Wanted(**{**row, "fibres": tuple(row["fibres"])}) for row in rows]


@dataclass(frozen=True)
class Cost:
    """What a plan costs. `files` and `bytes` by route; `folders`: each has a checksum file to be fetched too."""

    spectra: int
    plates: int
    files: dict[str, int]
    bytes: dict[str, int]
    folders: int

    @property
    def requests(self) -> int:
        """Files and one checksum file per folder."""
        return sum(self.files.values()) + self.folders

    def hours(self, etiquette: dict) -> tuple[float, float]:
        """(expected, on a slow day): requests at the archive's etiquette, or bytes at the assumed rate, what is longer."""
        rate = float(etiquette["connections"]) / (LATENCY_S + float(etiquette["pause_s"]))
        transfer = sum(self.bytes.values()) / BYTES_PER_S
        return tuple(max(self.requests / r, transfer) / 3600 for r in (rate, min(rate, SLOW_PER_S)))


def cost(plan: pa.Table, spectra: int) -> Cost:
    """The cost of a plan for so many spectra. A file that several shards need is fetched once."""
    files = {row["path"]: row for row in plan.select(["path", "route", "expected_bytes"]).to_pylist()}
    counts = Counter(row["route"] for row in files.values())
    sizes: Counter[str] = Counter()
    for row in files.values():
        sizes[row["route"]] += row["expected_bytes"]
    folders = {path.rpartition("/")[0] for path in files}
    plates = set(zip(plan["plate"].to_pylist(), plan["mjd"].to_pylist(), strict=True)) - {(-1, -1)}
    return Cost(spectra, len(plates), dict(counts), dict(sizes), len(folders))


def estimate(dataset: dict, release: Release) -> Cost:
    """The cost before the catalogue is known: the dataset's spectra spread evenly over the release's plates.

    Raises ResurveyError if the release's file does not say how many spectra its reductions have.
    """
    if "arrays" in release.settings:
        arrays = release.settings["arrays"]
        return Cost(0, 0, {"array": len(arrays)}, {"array": int(release.settings["catalogue_bytes"])}, len(arrays))
    if any("spectra" not in entry for entry in release.settings["reduction"]):
        raise ResurveyError(
            f"workflow/releases/{release.name}.yaml: reduction lacks spectra: nothing can be estimated before the catalogue is here"
        )
    total = sum(entry["spectra"] for entry in release.settings["reduction"])
    asked = total
    if dataset["classes"] and dataset["per_class"]:
        asked = min(total, len(dataset["classes"]) * dataset["per_class"])
    files, sizes = Counter(), Counter()
    plates = 0
    for entry in release.settings["reduction"]:
        count = round(entry["spectra"] / entry["fibres"])
        each = asked * entry["fibres"] / total
        route = cheaper(max(1, round(each)), release, entry["run2d"][0])
        n = count if route == "plate" else round(each * count)
        files[route] += n
        sizes[route] += int(n * entry[f"{route}_bytes"])
        plates += count
    return Cost(int(asked), plates, dict(files), dict(sizes), plates)


def mock_spectra(size: dict, dataset: dict) -> int:
    """How many spectra a mock survey of that size has at most for a dataset."""
    return size.get("per_class", 0) * len(dataset["classes"] or []) + size.get("extra", 0)


def describe(cost: Cost, release: Release, raw: Path, title: str, estimated: bool = False) -> str:
    """The plan in words: files, bytes, requests, hours, free disk, routes."""
    total = sum(cost.bytes.values())
    fast, slow = cost.hours(release.etiquette)
    free = shutil.disk_usage(_existing(raw)).free
    about = "about " if estimated else ""
    plates = f" of {cost.plates:,} plates" if cost.plates else ""
    many = "released arrays" if "array" in cost.files else f"{cost.spectra:,} spectra{plates}"
    lines = [f"{title}: {about}{many} from {release.url('')}"]
    for route, name in ROUTES.items():
        if count := cost.files.get(route):
            lines.append(f"  {name:<11} {count:>9,} files  {_size(cost.bytes[route])}")
    total_files = sum(cost.files.values())
    lines.append(
        f"  {'in all':<11} {total_files:>9,} files  {_size(total)}, {cost.requests:,} requests with the checksum files"
    )
    if urlsplit(release.root).scheme == "file":
        lines.append(
            "  from a folder: linked where the file system allows it, else copied; sizes are those of the real survey's files"
        )
    else:
        e = release.etiquette
        lines.append(
            f"  time        {about}{_hours(fast)} at {e['connections']} connections with a pause of {e['pause_s']} s"
            + (f"; {_hours(slow)} if the archive answers {SLOW_PER_S:g} requests a second" if slow > fast else "")
        )
        lines.append(f"  disk        {_size(free)} free in {raw}" + ("" if free > total else ": TOO LITTLE"))
        if total > HELP_DESK_BYTES:
            lines.append(
                "  over 1 TB: SDSS asks to be written to first (helpdesk@sdss.org) and offers Globus; see docs/archives.md"
            )
    if estimated:
        lines.append(
            "  estimated from the dataset's file: the catalogue is not here yet, and nothing was asked of the network"
        )
    return "\n".join(lines)


def _existing(folder: Path) -> Path:
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _size(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"
