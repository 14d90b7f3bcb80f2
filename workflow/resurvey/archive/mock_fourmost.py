"""A small archive of 4MOST's low-resolution survey, filled with simulated spectra of known truth.

Every primary header carries `MOCK = T`. The archive depends on the settings alone: each field has a seed of its own, whatever
the number of processes.
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from resurvey.archive import mock_columns, mock_fits, mock_room
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.simulate import exposure, fourmost, galaxies, quasars, stars
from resurvey.simulate.spectrographs import QMOST
from resurvey.surveys.fourmost_layout import CATALOGUE, COLUMNS, FIBRES, FLUX_SCALE, USED_OBJECT, USED_SKY, path

DEFAULTS = {"per_class": 2200, "step": 1.0, "fields": 12, "repeats": 0.02, "templates": None, "seed": 0}
RELEASES = ("fourmost_mock",)
SKY_SHARE = 0.04  # of a field's fibres
VERSION = "mock 1"  # PROCSOFT
FIRST_FIELD, FIRST_NIGHT = 1001, 61000
BLOCK = 256  # spectra simulated at once
CELL = 60.0  # arcsec: objects lie in cells of this size, so that only repeats are close to each other


def build(out: Path, release_name: str, options: dict, threads: int = 1) -> dict:
    """Write the archive below `out` and `out` / truth / {release}.parquet; returns counts of spectra, visits and bytes.

    options: `per_class` objects of each of the ten classes; `step` [Å] of the files' pixels (4MOST: 0.25); `fields`: least number of
    them; `repeats`: share of the objects that are observed twice; `templates`: folder of public templates, or null for the built-in
    physics; `seed`. Raises ResurveyError for impossible settings or a folder that is not ours.
    """
    options = check(options)
    release = mock_room.release(release_name, RELEASES)
    source(options["templates"])  # once, before the processes part, and before a folder is made
    root, truth_file = Path(out) / release.settings["prefix"], mock_room.truth_file(out, release_name)
    mock_room.cleared([root], "4MOST", options, truth_file)
    table = layout(options, release.settings["fibres"])
    parts = _parts(table, options)
    job = functools.partial(_field, root=root, release=release, options=options)
    written = list(tqdm(mock_room.spread(job, threads, parts), total=len(parts), desc="mock archive", unit="field"))
    digests = [part["digest"] for part in written]
    digests.append(
        mock_fits.catalogue(root, release.settings["catalogue"], [part["catalogue"] for part in written], CATALOGUE)
    )
    mock_room.checksum_files(root, release, digests, lambda name: False)
    truth = pa.concat_tables([part["truth"] for part in written])
    return mock_room.finished(root, truth, truth_file, options, len(parts))


def check(options: dict) -> dict:
    """Settings with defaults filled in. Raises ResurveyError naming the key that is unknown or impossible."""
    options = mock_room.checked(options, DEFAULTS, {"per_class": 1, "fields": 1, "seed": 0})
    mock_room.between(options, "step", 0.2, 20, " Å")
    mock_room.between(options, "repeats", 0, 0.5)
    return options


@functools.lru_cache(maxsize=1)
def source(folder: str | None):
    """What draws and renders the classes: the built-in physics, or a folder of templates. Raises ResurveyError for a bad folder."""
    if folder is None:
        for library in (stars.library, galaxies.library, quasars.library):
            library()
        return fourmost.FromPhysics()
    from resurvey.simulate.templates import libraries

    return fourmost.FromTemplates(libraries.load(folder))


def layout(options: dict, fibres: int) -> dict[str, np.ndarray]:
    """One row per fibre that is used: object (-1: sky), label (index, -1: sky), repeat, field, mjd, fibre, ra, dec [deg].

    Objects are spread at random over the fields; a repeat lies in another field than the first spectrum, up to 0.6 arcsec off.
    """
    rng = np.random.default_rng(np.random.SeedSequence([options["seed"], 21]))
    classes = len(fourmost.LABELS)
    objects = options["per_class"] * classes
    label = np.tile(np.arange(classes), options["per_class"])
    room = int(fibres * (1 - SKY_SHARE))
    count = max(options["fields"], -(-round(objects * (1 + options["repeats"])) // room))
    field = rng.permutation(np.arange(objects) % count)
    again = np.flatnonzero(rng.random(objects) < options["repeats"]) if count > 1 else np.zeros(0, int)
    ra, dec = _positions(field, count, rng)
    angle, off = rng.uniform(0, 2 * np.pi, len(again)), rng.uniform(0, 0.6, len(again)) / 3600
    science = {
        "object": np.r_[np.arange(objects), again],
        "label": np.r_[label, label[again]],
        "repeat": np.r_[np.zeros(objects, bool), np.ones(len(again), bool)],
        "field": np.r_[field, (field[again] + 1) % count],
        "ra": np.r_[ra, ra[again] + off * np.cos(angle) / np.cos(np.radians(dec[again]))],
        "dec": np.r_[dec, dec[again] + off * np.sin(angle)],
    }
    sky = np.repeat(np.arange(count), max(2, round(objects / count * SKY_SHARE)))
    blank_ra, blank_dec = _positions(sky, count, rng)
    blank = {"object": np.full(len(sky), -1), "label": np.full(len(sky), -1), "repeat": np.zeros(len(sky), bool), "field": sky, "ra": blank_ra, "dec": blank_dec}  # fmt: skip
    table = {name: np.concatenate([science[name], blank[name]]) for name in science}
    table["fibre"] = np.zeros(len(table["field"]), np.int32)
    for number in range(count):
        rows = np.flatnonzero(table["field"] == number)
        if len(rows) > fibres:
            raise ResurveyError(
                f"--settings: field {number} would need {len(rows)} fibres of {fibres}; set more fields"
            )
        table["fibre"][rows] = np.sort(rng.choice(fibres, len(rows), replace=False)) + 1
    table["mjd"] = FIRST_NIGHT + 3 * table["field"]
    table["field"] = FIRST_FIELD + table["field"]
    order = np.lexsort((table["fibre"], table["field"]))
    return {name: values[order] for name, values in table.items()}


def _positions(field: np.ndarray, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """ra, dec [deg]: fields 4 degrees apart in the southern sky, objects in cells of their own."""
    ra, dec = np.zeros(len(field)), np.zeros(len(field))
    side = 130  # cells across a field
    for number in range(count):
        rows = np.flatnonzero(field == number)
        cells = rng.choice(side * side, len(rows), replace=False)
        x, y = (np.array(np.divmod(cells, side)) + rng.uniform(0.2, 0.8, (2, len(rows)))) * CELL / 3600
        dec[rows] = -60.0 + 4.0 * (number // 40) + y
        ra[rows] = 20.0 + 8.0 * (number % 40) + x / np.cos(np.radians(dec[rows]))
    return ra, dec


def _parts(table: dict, options: dict) -> list[dict]:
    """What each field's job needs: its rows, and the drawn objects of each class that it observes."""
    maker = source(options["templates"])
    drawn = []
    for index, label in enumerate(fourmost.LABELS):
        rng = np.random.default_rng(np.random.SeedSequence([options["seed"], 22, index]))
        drawn.append(maker.draw(label, options["per_class"], rng))
    parts = []
    for number in np.unique(table["field"]):
        rows = {name: values[table["field"] == number] for name, values in table.items()}
        objects = {}
        for index in range(len(fourmost.LABELS)):
            place = rows["object"][rows["label"] == index] // len(fourmost.LABELS)
            objects[index] = {name: values[place] for name, values in drawn[index].items()}
        parts.append({"number": int(number), "rows": rows, "objects": objects})
    return parts


def _field(part: dict, root: Path, release: Release, options: dict) -> dict:
    """Simulate and write one field; its digest, catalogue rows and truth. Forest and narrow absorbers of a repeat are drawn anew."""
    number, rows, objects = part["number"], part["rows"], part["objects"]
    maker, loglam, count = source(options["templates"]), QMOST.loglam(), len(rows["fibre"])
    wave = QMOST.joined_grid(options["step"])
    truth = {"z": np.full(count, np.nan), "sn": np.zeros(count, np.float32), "av_galactic": np.zeros(count, np.float32)}
    rng = np.random.default_rng(np.random.SeedSequence([options["seed"], 23, number]))
    shape = np.zeros((count, len(loglam)), np.float32)
    for index, drawn in objects.items():
        mine = np.flatnonzero(rows["label"] == index)
        if len(mine):
            shape[mine] = maker.noiseless(drawn, QMOST, loglam, rng)
            for name in truth:
                truth[name][mine] = drawn[name]
    truth["sn"] *= np.where(rows["repeat"], rng.lognormal(0, 0.15, count), 1).astype(np.float32)
    pieces = [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
    seen = exposure.joined([exposure.expose(shape[p], loglam, truth["sn"][p], QMOST, wave, rng) for p in pieces])
    digest = _write(root, release, number, rows, seen)
    return {"digest": digest, "catalogue": _rows(rows, truth, seen, rng), "truth": _truth(rows, truth, seen)}


def _names(rows: dict) -> tuple[np.ndarray, np.ndarray]:
    """Class and subclass of each row, empty for the sky."""
    labels = np.array([*fourmost.LABELS, "_"])[rows["label"]]  # the sky's -1 is the last
    pairs = [label.split("_", 1) for label in labels]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def _write(root: Path, release: Release, number: int, rows: dict, seen: exposure.Exposure) -> tuple[str, str, str]:
    """The file of a field: (folder, name, SHA-1)."""
    mjd = int(rows["mjd"][0])
    grid = [("CTYPE1", "WAVE", "vacuum"), ("CUNIT1", "Angstrom"), ("CRPIX1", 1.0), ("CRVAL1", float(seen.wave[0])), ("CDELT1", float(seen.wave[1] - seen.wave[0]))]  # fmt: skip
    unit = ("BUNIT", "erg/(s*cm^2*Angstrom)")
    error = np.zeros_like(seen.flux)
    np.divide(
        1 / FLUX_SCALE, np.sqrt(seen.ivar, where=seen.ivar > 0, out=np.ones_like(error)), where=seen.ivar > 0, out=error
    )
    table = np.zeros(len(rows["fibre"]), mock_columns.row_type(COLUMNS))
    table["FIB_ID"], table["FIB_USE"] = rows["fibre"], np.where(rows["label"] < 0, USED_SKY, USED_OBJECT)
    table["TRG_UID"], table["TRG_RA"], table["TRG_DEC"] = rows["object"] + 1, rows["ra"], rows["dec"]
    table["TRG_NME"] = [f"QMST{object_:012d}".encode() for object_ in rows["object"] + 1]
    table["EXPTIME"], table["SNR"] = QMOST.exposure, seen.sn
    cards = [
        ("COMMENT", "Simulated 4MOST level-1 spectra of one field, arms joined"), ("PRODCATG", "SCIENCE.SPECTRUM"), ("TELESCOP", "ESO-VISTA"),
        ("INSTRUME", "QMOST"), ("RADESYS", "ICRS"), ("EXPTIME", QMOST.exposure, "[s]"), ("TEXPTIME", QMOST.exposure, "[s]"),
        ("MJD-OBS", mjd + 0.125), ("OBID1", number, "Observation block"), ("NCOMBINE", 3), ("OBSTECH", "MOS"), ("FLUXCAL", "ABSOLUTE"),
        ("PROCSOFT", VERSION), ("SPECSYS", "HELIOCEN"), ("TOT_FLUX", True), ("WAVELMIN", float(seen.wave[0] / 10), "[nm]"),
        ("WAVELMAX", float(seen.wave[-1] / 10), "[nm]"), ("SPEC_BIN", float((seen.wave[1] - seen.wave[0]) / 10), "[nm]"), *mock_fits.MARK,
    ]  # fmt: skip
    where = path(release.settings["paths"]["field"], number, mjd)
    folder, _, name = where.rpartition("/")
    parts = [
        mock_fits.primary(cards),
        mock_fits.image(seen.flux / np.float32(FLUX_SCALE), [("EXTNAME", "FLUX"), *grid, unit]),
        mock_fits.image(error, [("EXTNAME", "ERR_FLUX"), *grid, unit]),
        mock_fits.image(seen.quality, [("EXTNAME", "QUAL"), *grid]),
        mock_fits.table(table, COLUMNS, [("EXTNAME", FIBRES)]),
    ]
    return folder, name, mock_fits.write(root / where, parts)


def _rows(rows: dict, truth: dict, seen: exposure.Exposure, rng) -> np.ndarray:
    """Catalogue rows. The classes are those of the targeting, as in 4MOST's mocks, and redshifts the true ones with the errors of
    a fit: 60 km/s at S/N 1, less at higher; sky fibres have neither."""
    table = np.zeros(len(rows["fibre"]), mock_columns.row_type(CATALOGUE))
    kind, subclass = _names(rows)
    error = 2e-4 / np.sqrt(1 + np.maximum(seen.sn, 0) ** 2)
    known = rows["label"] >= 0
    table["OBID1"], table["MJD"], table["FIB_ID"], table["PROCSOFT"] = (
        rows["field"],
        rows["mjd"],
        rows["fibre"],
        VERSION.encode(),
    )
    table["TRG_UID"], table["TRG_RA"], table["TRG_DEC"] = rows["object"] + 1, rows["ra"], rows["dec"]
    table["FIB_USE"] = np.where(known, USED_OBJECT, USED_SKY)
    table["CLASS"], table["SUBCLASS"] = np.char.encode(kind, "ascii"), np.char.encode(subclass, "ascii")
    table["Z"] = np.where(known, np.nan_to_num(truth["z"]) + error * rng.standard_normal(len(error)), 0)
    table["Z_ERR"], table["SNR"], table["PRIMARY"] = np.where(known, error, 0), seen.sn, known & ~rows["repeat"]
    return table


def _truth(rows: dict, truth: dict, seen: exposure.Exposure) -> pa.Table:
    kind, subclass = _names(rows)
    known = rows["label"] >= 0
    names = [f"{f:04d}-{m}-{n:04d}" for f, m, n in zip(rows["field"], rows["mjd"], rows["fibre"], strict=True)]
    labels = np.where(known, np.char.add(np.char.add(kind, "_"), subclass), "")
    return pa.table({
        "spectrum_id": names, "object": rows["object"], "label": labels.tolist(), "repeat": rows["repeat"], "z": truth["z"],
        "asked_sn": truth["sn"], "sn": seen.sn, "av_galactic": truth["av_galactic"], "ra": rows["ra"], "dec": rows["dec"],
    })  # fmt: skip
