"""A mock survey of stars, galaxies and quasars made from public templates, as SDSS's and BOSS's spectrographs would see them.

What networks learn from that are to be used on real spectra without having seen one (docs/mocks-to-real.md). Files of a few
hundred spectra, each seen by one spectrograph, alternately. Every primary header carries `MOCK = T`. The archive depends on the settings alone:
each file has seeds of its own, whatever the number of processes, and no more than one file a process is in memory.
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from resurvey import settings
from resurvey.archive import mock_columns, mock_fits, mock_room
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.simulate import effects, exposure
from resurvey.simulate.spectrographs import SPECTROGRAPHS
from resurvey.simulate.templates import libraries, mock, pipeline, recipe
from resurvey.surveys.template_catalogue import CATALOGUE, CLASSES

DEFAULTS = {"per_class": 2000, "templates": None, "mix": "hard", "labels": "recipe", "faults": True, "seed": 0}
RELEASES = ("sdss_template_mock",)
DEVICES = ("SDSS", "BOSS")
LOGLAM = np.arange(3.5960, 3.9580, 1e-4)  # log10 λ/Å of the pixels, those of both surveys between 3945 and 9078 Å
FIRST_FILE, FIRST_NIGHT = 2001, 62000
LABELS = ("recipe", "fitted")
VERSION = "mock 1"  # RUN2D


def build(out: Path, release_name: str, options: dict, threads: int = 1) -> dict:
    """Write the archive below `out` and `out` / truth / {release}.parquet; returns counts of spectra, visits (files) and bytes.

    options: `per_class` objects of each class; `templates`: folder of public templates; `mix`: of recipes, one of
    templates/recipe.py: MIXES; `labels`: the classes of the recipes, or those that a pipeline would give (`fitted`,
    templates/pipeline.py); `faults`: whether there are calibration errors,
    cosmic rays and the like beside the noise; `seed`.
    Raises ResurveyError for impossible settings, a folder without templates, or an `out` that is not ours.
    """
    options = check(options)
    release = mock_room.release(release_name, RELEASES)
    libraries.load(options["templates"])  # before a folder is made, and before processes part
    root, truth_file = Path(out) / release.settings["prefix"], mock_room.truth_file(out, release_name)
    mock_room.cleared([root], "tables of spectra", options, truth_file)
    count = -(-options["per_class"] * len(CLASSES) // release.settings["fibres"])
    job = functools.partial(_file, count=count, root=root, release=release, options=options)
    made = mock_room.spread(job, threads, range(count))
    written = list(tqdm(made, total=count, desc="mock archive", unit="file"))
    digests = [part["digest"] for part in written]
    digests.append(
        mock_fits.catalogue(root, release.settings["catalogue"], [part["catalogue"] for part in written], CATALOGUE)
    )
    mock_room.checksum_files(root, release, digests, lambda name: False)
    truth = pa.concat_tables([part["truth"] for part in written])
    return mock_room.finished(root, truth, truth_file, options, count)


def check(options: dict) -> dict:
    """Settings with defaults filled in. Raises ResurveyError naming the key that is unknown, missing or impossible."""
    options = mock_room.checked(options, DEFAULTS, {"per_class": 1, "seed": 0})
    if not isinstance(options["templates"], str):
        raise ResurveyError(
            "--settings: templates is not set; give a folder of public templates, which `resurvey templates --out FOLDER` makes "
            "(mock: {sdss_template_mock: {templates: FOLDER}} in config.yaml)"
        )
    if options["mix"] not in recipe.MIXES:
        hint = settings.nearest(str(options["mix"]), list(recipe.MIXES))
        raise ResurveyError(f"--settings: there is no mix {options['mix']!r}; {hint}")
    if options["labels"] not in LABELS:
        raise ResurveyError(f"--settings: labels is {options['labels']!r}; it is {' or '.join(LABELS)}")
    if not isinstance(options["faults"], bool):
        raise ResurveyError(f"--settings: faults is {options['faults']!r}; it is true or false")
    return options


def members(number: int, count: int, per_class: int) -> range:
    """Which objects of each class, of `per_class`, are in file `number` of `count`."""
    return range(number * per_class // count, (number + 1) * per_class // count)


def _file(number: int, count: int, root: Path, release: Release, options: dict) -> dict:
    """Simulate and write one file; its digest, catalogue rows and truth."""
    mine, device = members(number, count, options["per_class"]), SPECTROGRAPHS[DEVICES[number % 2]]
    library, faults = libraries.load(options["templates"]), None if options["faults"] else effects.NONE
    wave, tables, parts = 10**LOGLAM, [], []
    for index, name in enumerate(CLASSES):
        for part, (objects, some) in enumerate(recipe.MIXES[options["mix"]][name].counts(len(mine))):
            if not some:
                continue
            seed = [options["seed"], 31, index, number, part]
            drawn, seen = mock.simulate(objects, library, device, wave, some, seed, faults)
            own = np.full(some, name, "U6")
            given = pipeline.fitted_class(name, drawn, seen, library) if options["labels"] == "fitted" else own
            tables.append({key: drawn[key] for key in ("z", "av_galactic", "sn")} | {"recipe": own, "class": given})
            parts.append(seen)
    drawn = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
    seen = exposure.joined(parts)
    drawn["object"] = np.concatenate([np.array(mine) * len(CLASSES) + index for index in range(len(CLASSES))])
    rows = _rows(number, drawn, seen)
    truth = {
        "spectrum_id": [f"{p:04d}-{m}-{f:04d}" for p, m, f in zip(rows["PLATE"], rows["MJD"], rows["FIBERID"], strict=True)],
        "object": drawn["object"], "label": drawn["class"].tolist(), "recipe": drawn["recipe"].tolist(), "spectrograph": [device.name] * len(rows), "z": drawn["z"],
        "asked_sn": drawn["sn"], "sn": seen.sn, "av_galactic": drawn["av_galactic"],
    }  # fmt: skip
    return {"digest": _write(root, release, rows, seen), "catalogue": rows, "truth": pa.table(truth)}


def _rows(number: int, drawn: dict, seen: exposure.Exposure) -> np.ndarray:
    """Catalogue rows: redshifts are the true ones. Objects lie 0.1 degrees apart, so that each is one of its own."""
    rows = np.zeros(len(seen.sn), mock_columns.row_type(CATALOGUE))
    rows["PLATE"], rows["MJD"], rows["FIBERID"] = FIRST_FILE + number, FIRST_NIGHT + number, np.arange(len(rows)) + 1
    rows["RUN2D"], rows["CLASS"] = VERSION.encode(), np.char.encode(drawn["class"], "ascii")
    across, up = drawn["object"] % 3600, drawn["object"] // 3600
    rows["RA"], rows["DEC"] = 0.1 * across, -60 + 0.1 * up
    rows["Z"], rows["SN_MEDIAN_ALL"], rows["SPECPRIMARY"] = drawn["z"], seen.sn, 1
    return rows


def _write(root: Path, release: Release, rows: np.ndarray, seen: exposure.Exposure) -> tuple[str, str, str]:
    """The file of some spectra: (folder, name, SHA-1)."""
    pixels = len(LOGLAM)
    columns = [*CATALOGUE, ("FLUX", f"{pixels}E"), ("IVAR", f"{pixels}E")]
    table = np.zeros(len(rows), mock_columns.row_type(columns))
    for name in rows.dtype.names:
        table[name] = rows[name]
    table["FLUX"], table["IVAR"] = seen.flux, seen.ivar
    where = release.settings["paths"]["field"].format(field=int(rows["PLATE"][0]), mjd=int(rows["MJD"][0]))
    folder, _, name = where.rpartition("/")
    parts = [
        mock_fits.primary([("COMMENT", "Spectra simulated from public templates"), *mock_fits.MARK]),
        mock_fits.image(LOGLAM, [("EXTNAME", "LOGLAM"), ("COMMENT", "log10 of the vacuum wavelength in Angstrom")]),
        mock_fits.table(table, columns, [("EXTNAME", "SPECTRA")]),
    ]
    return folder, name, mock_fits.write(root / where, parts)
