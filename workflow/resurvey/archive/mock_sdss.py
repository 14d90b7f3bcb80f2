"""A small archive in the paths, formats and with the quirks of SDSS, filled with simulated spectra of known truth.

Every primary header carries `MOCK = T`. The archive depends on the settings alone: visits (a plate on a night) are
simulated from seeds of their own, in any order, and everything is written again when a run is repeated.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from resurvey import settings
from resurvey.archive import mock_columns, mock_fits, mock_layout, mock_room, mock_spectra, mock_tables, plan
from resurvey.archive.mock_layout import Visit
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.simulate import galaxies, quasars, stars
from resurvey.simulate import population as objects
from resurvey.simulate.instruments import INSTRUMENTS
from resurvey.simulate.observation import simulate

DEFAULTS = {"per_class": 2700, "extra": 2000, "lite_plates": 2, "seed": 0, "lite": "sparse", "missing": 1}
LEAST = {"per_class": 1, "extra": 0, "lite_plates": 0, "seed": 0, "missing": 0}
LIBRARIES = (stars.library, galaxies.library, quasars.library)  # made once, before processes part
BOSS_RUN2D = {"dr16": "v5_13_0", "dr17": "v5_13_2"}


@dataclass(frozen=True)
class Written:
    """What one visit yields: its catalogue rows, truth rows and digests [(folder, file name, SHA-1)]."""

    catalogue: np.ndarray
    spall: np.ndarray | None
    truth: dict
    digests: list[tuple[str, str, str]]


def build(out: Path, release_name: str, options: dict, threads: int = 1) -> dict:
    """Write the archive below `out` / dr16 and `out` / truth / {release}.parquet; returns counts of spectra, visits and bytes.

    options: `per_class` objects of each of the 13 classes, `extra` spectra of other classes, `lite_plates` sparse
    visits that are written as spec-lite files, `seed`, `lite` (`sparse`, or `all`: spec-lite files of every fibre),
    `missing` catalogue rows without a file. Raises ResurveyError for impossible settings or a folder that is not ours.
    """
    options = check(options)
    release = _release(release_name)
    root, truth_file = Path(out) / release.settings["prefix"], mock_room.truth_file(out, release_name)
    mock_room.cleared([root], "SDSS", options, truth_file)
    table = mock_layout.draw_objects(options["per_class"], options["extra"], options["seed"])
    boss = BOSS_RUN2D[release.settings["prefix"]]
    visits = mock_layout.make_visits(table, options["lite_plates"], options["seed"], boss)
    job = functools.partial(write_visit, root=root, release=release, options=options)
    parts = [objects.take(table, visit.rows) for visit in visits]
    written = list(
        tqdm(
            mock_room.spread(job, threads, visits, parts, first=LIBRARIES),
            total=len(visits),
            desc="mock archive",
            unit="plate",
        )
    )
    digests = [entry for part in written for entry in part.digests]
    digests += _catalogues(root, release, boss, visits, written)
    mock_room.checksum_files(root, release, digests, mock_spectra.unlisted)
    return mock_room.finished(root, _truth(written), truth_file, options, len(visits))


def check(options: dict) -> dict:
    """Settings with defaults filled in. Raises ResurveyError naming the key that is unknown or impossible."""
    options = mock_room.checked(options, DEFAULTS, LEAST)
    if options["lite"] not in ("sparse", "all"):
        raise ResurveyError(f"--settings: lite is {options['lite']!r}; it is sparse or all")
    return options


def _release(name: str) -> Release:
    if name not in settings.available("releases"):
        raise ResurveyError(
            f"--release: there is no release {name!r}; {settings.nearest(name, settings.available('releases'))}"
        )
    data = settings.read_yaml(settings.WORKFLOW / "releases" / f"{name}.yaml")
    if data.get("prefix") not in BOSS_RUN2D:
        raise ResurveyError(
            f"--release {name}: no mock archive is written in its layout; choose sdss_dr16 or sdss_dr17"
        )
    return Release.from_settings({"release": {**data, "name": name}, "origin": "mock"})


def write_visit(visit: Visit, table: dict, root: Path, release: Release, options: dict) -> Written:
    """Simulate one plate and night and write its files; `table`: truth rows of its objects, in the order of `visit.fibre`."""
    rng = np.random.default_rng(np.random.SeedSequence([options["seed"], 3, visit.index]))
    every = options["lite"] == "all"
    full = not visit.sparse and plan.cheaper(len(visit.rows), release, visit.run2d) == "plate"
    visit, table = _with_blanks(visit, table, rng, full, every)
    spectra = simulate(table, visit.instrument, [options["seed"], 4, visit.index], visit.offset, visit.pixels)
    measured = mock_tables.survey_redshifts(table, rng)
    table["class"], table["subclass"] = _blank_labels(table, rng)
    digests, missing = [], set()
    near = (
        plan.cheaper(int((table["object"] >= 0).sum() / 1.3), release, visit.run2d) == "lite"
    )  # a selection may go by either route
    if every or near or not full:
        if visit.index == 0:
            missing = set(visit.fibre[np.flatnonzero(table["kind"] == "STAR")[: options["missing"]]].tolist())
        digests += mock_spectra.write_lite(root, release, visit, table, measured, spectra, missing)
    if every or full:
        digests += mock_spectra.write_plate(root, release, visit, table, measured, spectra)
    catalogue = mock_tables.rows(visit, table, measured, spectra, mock_columns.catalogue())
    spall = (
        mock_tables.rows(visit, table, measured, spectra, mock_columns.spall()) if visit.instrument == "BOSS" else None
    )
    truth = {name: values for name, values in table.items() if name not in ("primary", "observations", "thing")}
    count = len(visit.fibre)
    truth |= {
        "plate": np.full(count, visit.plate, np.int32),
        "mjd": np.full(count, visit.mjd, np.int32),
        "fiberid": visit.fibre,
    }
    truth |= {f"survey_{name}": values for name, values in measured.items()} | {"sn_median": spectra.sn_median}
    return Written(catalogue, spall, truth, digests)


def _with_blanks(visit: Visit, table: dict, rng, full: bool, compact: bool) -> tuple[Visit, dict]:
    """Add sky fibres and unplugged ones (`full`: all fibres of the plate; else two sky fibres); rows end up sorted by fibre.

    `compact`: a plate that is not full uses its first fibres, so that row = fibre - 1 holds in its spPlate as well.
    """
    device = INSTRUMENTS[visit.instrument]
    free = rng.permutation(np.setdiff1d(np.arange(1, device.fibres + 1), visit.fibre))
    skies = min(device.sky_fibres if full else 2, len(free))
    unplugged = len(free) - skies if full else 0
    blank = objects.join(
        [
            objects.draw_blank(rng, "SKY", visit.instrument, skies),
            objects.draw_blank(rng, "NONE", visit.instrument, unplugged),
        ]
    )
    count = skies + unplugged
    blank |= {"object": np.full(count, -1), "repeat": np.zeros(count, bool)}
    blank["ra"] = visit.centre[0] + rng.uniform(-1.2, 1.2, count)
    blank["dec"] = visit.centre[1] + rng.uniform(-1.0, 1.0, count)
    whole = objects.join([table, blank])
    whole["primary"] = ((whole["object"] >= 0) & ~whole["repeat"]).astype(int)
    whole["observations"] = np.ones(len(whole["object"]), int)
    whole["thing"] = np.where(whole["object"] >= 0, whole["object"] + 1, -1)
    fibre = np.concatenate([visit.fibre, free[:count]])
    if compact and not full:
        fibre = rng.permutation(len(fibre)) + 1
    order = np.argsort(fibre)
    renewed = {**visit.__dict__, "fibre": fibre[order].astype(np.int32)}
    return Visit(**renewed), objects.take(whole, order)


def _blank_labels(table: dict, rng) -> tuple[np.ndarray, np.ndarray]:
    """Classes with those that the pipeline gives to sky fibres, confident and meaningless."""
    sky = table["kind"] == "SKY"
    names = np.array(["GALAXY", "STAR", "QSO"], dtype=table["class"].dtype)
    kind = rng.choice(names, len(sky), p=[0.5, 0.3, 0.2])
    subclass = np.where(sky & (kind == "STAR"), "G0", table["subclass"])
    return np.where(sky, kind, table["class"]), subclass


def _catalogues(
    root: Path, release: Release, boss: str, visits: list[Visit], written: list[Written]
) -> list[tuple[str, str, str]]:
    """specObj, spAll and the list of plates."""
    cards = mock_fits.MARK
    digests = []

    def write(path: str, rows: np.ndarray, columns, special=(), blanks=True):
        digest = mock_fits.write(
            root / path, [mock_fits.primary(cards), mock_fits.table(rows, columns, (), special, blanks)]
        )
        folder, _, name = path.rpartition("/")
        digests.append((folder, name, digest))

    write(release.settings["catalogue"], np.concatenate([part.catalogue for part in written]), mock_columns.catalogue())
    spall = [part.spall for part in written if part.spall is not None]
    if spall:
        path = f"eboss/spectro/redux/{boss}/spAll-{boss}.fits"
        write(path, np.concatenate(spall), mock_columns.spall(), mock_spectra.spall_cards(), blanks=False)
    write(release.settings["plates"], _plate_rows(visits), mock_columns.plates())
    return digests


def _plate_rows(visits: list[Visit]) -> np.ndarray:
    rows = np.zeros(len(visits), mock_columns.row_type(mock_columns.plates()))
    for row, visit in zip(rows, visits, strict=True):
        boss = visit.instrument == "BOSS"
        row["PLATE"], row["MJD"], row["TILE"], row["DESIGNID"] = visit.plate, visit.mjd, visit.plate + 9000, -1
        row["RUN2D"], row["RUN1D"] = visit.run2d.encode(), visit.run2d.encode() if boss else b""
        row["SURVEY"], row["PROGRAMNAME"] = (
            (b"boss", b"boss") if boss else (b"sdss", b"segue" if visit.run2d == "103" else b"legacy")
        )
        row["CHUNK"], row["PLATEQUALITY"] = f"chunk{visit.index + 1}".encode(), b"good"
        row["RACEN"], row["DECCEN"], row["EPOCH"] = *visit.centre, 2000
        row["NEXP"], row["EXPTIME"], row["PLATESN2"] = 8, 3600, 16
        row["N_TOTAL"], row["N_SKY"] = INSTRUMENTS[visit.instrument].fibres, INSTRUMENTS[visit.instrument].sky_fibres
    return rows


def _truth(written: list[Written]) -> pa.Table:
    """All truth rows; the 17 broad lines' equivalent widths are columns of their own."""
    whole = objects.join([part.truth for part in written])
    broad = whole.pop("broad_ew")
    whole |= {f"ew_{name}": broad[:, i] for i, name in enumerate(objects.BROAD_NAMES)}
    whole["label"] = np.where(whole["object"] >= 0, objects.label_of(whole), "")
    columns = {name: values.tolist() if values.dtype.kind in "UO" else values for name, values in whole.items()}
    identifier = [
        f"{p:04d}-{m}-{f:04d}" for p, m, f in zip(whole["plate"], whole["mjd"], whole["fiberid"], strict=True)
    ]
    return pa.table({"spectrum_id": identifier, **columns})
