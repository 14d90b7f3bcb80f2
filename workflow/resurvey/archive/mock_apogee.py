"""A small archive in the paths, formats and with the quirks of APOGEE DR14, filled with simulated spectra of known truth.

Every primary header carries `MOCK = T`. The archive depends on the settings alone: each star's noise has a seed of its own, and stars are
simulated in groups whose size does not depend on the number of processes.
"""

import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from resurvey import files
from resurvey.archive import (
    mock_apogee_columns,
    mock_apogee_layout,
    mock_apogee_spectra,
    mock_apogee_tables,
    mock_fits,
    mock_room,
)
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.simulate import apogee_clusters, apogee_observation, apogee_pipeline, apogee_templates

DEFAULTS = {
    "stars": 1000,
    "clusters": 25,
    "globulars": 0,
    "visits": 2,
    "apvisits": 4,
    "seed": 0,
    "missing": 1,
    "templates": None,
}
RELEASES = ("apogee_dr14",)
GROUP = 32  # stars simulated at once
_LEAST = {"stars": 20, "clusters": 0, "globulars": 0, "visits": 1, "apvisits": 0, "seed": 0, "missing": 0}


def build(out: Path, release_name: str, options: dict, threads: int = 1) -> dict:
    """Write the archive below `out` and `out` / truth / {release}.parquet; returns counts of spectra, visits and bytes.

    options: `stars` in the field, `clusters`: members of each of the paper's clusters, `globulars`: of each other globular cluster, `visits`
    of a star on average, `apvisits` that are written as files too, `seed`, `missing` rows of allStar without an apStar file, `templates`: folder of models of real giants, or null.
    Raises ResurveyError for impossible settings or a folder that is not ours.
    """
    options = check(options)
    release = mock_room.release(release_name, RELEASES)
    apogee_templates.model(options["templates"])  # before anything is removed
    out = Path(out)
    prefix = release.settings["prefix"]
    extras = out / prefix.split("/")[0] / "extras"
    root = out / prefix
    truth_file = mock_room.truth_file(out, release_name)
    mock_room.cleared([root, extras], "APOGEE", options, truth_file)
    table = mock_apogee_layout.make(options)
    count = len(table["kind"])
    absent = _absent(table, options["missing"])
    groups = [range(first, min(first + GROUP, count)) for first in range(0, count, GROUP)]
    rows = [[_row(table, i) for i in group] for group in groups]
    job = functools.partial(write_group, root=root, release=release, options=options, absent=absent)
    written = list(tqdm(mock_room.spread(job, threads, rows), total=len(rows), desc="mock archive", unit="group"))
    sn = np.array([value for part in written for value in part["sn"]], np.float32)
    visit_sn = [value for part in written for value in part["visit_sn"]]
    digests = [entry for part in written for entry in part["digests"]]
    digests += _catalogues(root, release, table, sn, visit_sn)
    _extras(extras, table, options)
    mock_room.checksum_files(root, release, digests, unlisted)
    truth = mock_apogee_tables.truth(table, sn)
    return mock_room.finished(root, truth, truth_file, options, int(np.sum(table["nvisits"])))


def check(options: dict) -> dict:
    """Settings with defaults filled in. Raises ResurveyError naming the key that is unknown or impossible."""
    options = mock_room.checked(options, DEFAULTS, _LEAST)
    if not isinstance(options["templates"], str | None):
        raise ResurveyError(f"--settings: templates is {options['templates']!r}; it must be a folder or null")
    return options


def _absent(table: dict, number: int) -> frozenset[int]:
    """Rows whose apStar file is not written: the last that a usual selection takes."""
    usual = (
        (table["starflag"] == 0) & (table["aspcapflag"] == 0) & (table["location_id"] > 1) & (table["asked_sn"] > 110)
    )
    usual &= (table["kind"] == "giant") & (table["cluster"] == "") & ~table["repeat"]
    return frozenset(np.flatnonzero(usual)[::-1][:number].tolist())


def _row(table: dict, index: int) -> dict:
    """One row of the table as plain values."""
    row = {name: values[index] for name, values in table.items()}
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    return plain | {"index": index}


@functools.cache
def _model(templates: str | None):
    return apogee_templates.model(templates)


def write_group(rows: list[dict], root: Path, release: Release, options: dict, absent: frozenset[int]) -> dict:
    """Simulate and write the stars of a group; returns `sn`, `visit_sn` of each, and `digests` [(folder, listed name, SHA-1)]."""
    model = _model(options["templates"])
    macro = np.array([row["macro"] for row in rows])
    spectra = model.normalised(np.array([row["labels"] for row in rows]), macro)
    fits = model.normalised(np.array([row["fit"] for row in rows]), macro)
    made = {"sn": [], "visit_sn": [], "digests": []}
    seen = [_observe(row, spectrum, options["seed"]) for row, spectrum in zip(rows, spectra, strict=True)]
    combined = [[part[min(1, len(part) - 1)] for part in (star.flux, star.error, star.mask)] for star in seen]
    flux, error = apogee_pipeline.pseudo_continuum(*(np.array(part) for part in zip(*combined, strict=True)))
    fits = np.where(error < apogee_observation.NO_DATA, fits, 0).astype(np.float32)
    for row, star, *aspcap in zip(rows, seen, flux, error, fits, strict=True):
        made["sn"].append(star.sn)
        made["visit_sn"].append(star.visit_sn)
        made["digests"] += _write(row, star, aspcap, root, release, options, row["index"] in absent)
    return made


def _observe(row: dict, spectrum: np.ndarray, seed: int) -> apogee_observation.Observed:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 12, row["index"]]))
    light = apogee_observation.continuum(row["labels"][0], row["h"], row["extinction"])
    shift = row["vhelio_visits"] - row["bc"]
    return apogee_observation.observe(spectrum, light, row["asked_sn"], shift, row["persistence"], rng)


def _write(row, star, aspcap, root, release, options, absent) -> list[tuple[str, str, str]]:
    """The files of one star; apStar is listed with some of its path, as in the archive's own lists."""
    paths = release.settings["paths"]
    field = "hip" if row["telescope"] == "apo1m" else row["location_id"]
    digests = []
    if not absent:
        path = paths["apstar"].format(**{**row, "location_id": field})
        folder, _, name = path.rpartition("/")
        digest = mock_apogee_spectra.write_star(root / path, row, star)
        digests.append((folder, path.removeprefix("stars/"), digest))
    if row["telescope"] != "apo1m":
        path = paths["aspcapstar"].format(**row)
        folder, _, name = path.rpartition("/")
        digests.append((folder, name, mock_apogee_spectra.write_aspcap(root / path, row, star, *aspcap)))
    if row["index"] < options["apvisits"]:
        visit = row["nvisits"] - 1
        path = paths["apvisit"].format(
            telescope=row["telescope"], plate=row["plate"][visit], mjd=row["mjd"][visit], fiber=row["fiber"][visit]
        )
        folder, _, name = path.rpartition("/")
        digests.append((folder, name, mock_apogee_spectra.write_visit(root / path, row, star, visit)))
    return digests


def _catalogues(
    root: Path, release: Release, table: dict, sn: np.ndarray, visit_sn: list
) -> list[tuple[str, str, str]]:
    """allStar (HDU 1 stars, HDU 2 empty, HDU 3 the names of vectors' elements), allVisit, allStarCannon."""
    columns = mock_apogee_columns
    contents = {
        "allstar": [
            *mock_apogee_tables.parts(mock_apogee_tables.allstar(table, sn), columns.allstar()),
            mock_fits.no_image(),
            mock_apogee_tables.symbols(),
        ],
        "allvisit": mock_apogee_tables.parts(mock_apogee_tables.allvisit(table, visit_sn), columns.allvisit()),
        "cannon": mock_apogee_tables.parts(mock_apogee_tables.cannon(table), columns.cannon()),
    }
    digests = []
    for name, parts in contents.items():
        folder, _, base = release.settings["tables"][name]["path"].rpartition("/")
        digests.append((folder, base, mock_fits.write(root / folder / base, parts)))
    return digests


def _extras(folder: Path, table: dict, options: dict) -> None:
    """continuum_pixels.csv (8575 grid), windows.csv (7514 grid), clusters.csv, isochrones.csv."""
    model = _model(options["templates"])
    contents = {
        "continuum_pixels": ("pixel", [f"{pixel}" for pixel in model.continuum_pixels()]),
        "windows": (
            "element,pixel,weight",
            [f"{name},{pixel},{weight:.6g}" for name, pixel, weight in model.windows()],
        ),
        "clusters": ("apogee_id,cluster", [",".join(pair) for pair in members(table)]),
        "isochrones": (
            "mh,teff,logg",
            [f"{mh},{teff:.1f},{logg:.2f}" for mh, teff, logg in mock_apogee_tables.isochrones()],
        ),
    }
    for name, (head, lines) in contents.items():
        with files.atomic(folder / f"{name}.csv") as part:
            part.write_text("\n".join([head, *lines]) + "\n")


def members(table: dict) -> list[tuple[str, str]]:
    """(apogee_id, cluster) of the stars in the paper's clusters, sorted; other globular clusters have no list."""
    listed = np.isin(table["cluster"], [cluster.name for cluster in apogee_clusters.CLUSTERS]) & ~table["repeat"]
    return sorted(zip(table["apogee_id"][listed].tolist(), table["cluster"][listed].tolist(), strict=True))


def unlisted(name: str) -> bool:
    """Whether a file is left out of its folder's checksum file: stars whose name ends in 37 or 73 (tenths of arcseconds)."""
    return name.removesuffix(".fits").endswith(("37", "73"))
