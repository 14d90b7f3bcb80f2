"""A small archive in the paths, formats and with the quirks of DESI's Early Data Release, filled with simulated spectra of known truth.

Every primary header carries `MOCK = T`. The archive depends on the settings alone: the noise of each file has a seed of its own.
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from resurvey.archive import mock_desi_files, mock_desi_layout, mock_room
from resurvey.archive.mock_desi_layout import OTHERS, File
from resurvey.archive.release import Release
from resurvey.simulate import galaxies, quasars, stars
from resurvey.simulate.effects import Effects
from resurvey.simulate.exposure import Exposure, brightness, on_pixels, record
from resurvey.simulate.spectra import noiseless
from resurvey.simulate.spectrographs import SPECTROGRAPHS
from resurvey.surveys.desi_layout import path as file_path

DEFAULTS = {"per_class": 2000, "extra": 90, "pixels": 14, "seed": 0}
RELEASES = ("desi_edr",)
LEAST = {"per_class": 10, "extra": 0, "pixels": 3, "seed": 0}
LIBRARIES = (stars.library, galaxies.library, quasars.library)
DEAD = 0.01  # share of the fibres of which one arm measured nothing
BLOCK = 128  # spectra simulated at once


def build(out: Path, release_name: str, options: dict, threads: int = 1) -> dict:
    """Write the archive below `out` and `out` / truth / {release}.parquet; returns counts of spectra, visits (files) and bytes.

    options: `per_class` stars, quasars and galaxies each, `extra` objects of surveys that no usual selection takes, `pixels`: usual
    files, `seed`. The last of the usual files is listed and does not exist; the one before it has no Z arm.
    Raises ResurveyError for impossible settings or a folder that is not ours.
    """
    options = mock_room.checked(options, DEFAULTS, LEAST)
    release = mock_room.release(release_name, RELEASES)
    root, truth_file = Path(out) / release.settings["prefix"], mock_room.truth_file(out, release_name)
    mock_room.cleared([root], "DESI", options, truth_file)
    survey = mock_desi_layout.make(options)
    absent = len(survey) - len(OTHERS) - 1
    there = [file for file in survey if file.index != absent]
    job = functools.partial(write_file, root=root, release=release, seed=options["seed"], without_z=absent - 1)
    written = list(
        tqdm(mock_room.spread(job, threads, there, first=LIBRARIES), total=len(there), desc="mock archive", unit="file")
    )
    digests = [entry for part in written for entry in part["digests"]]
    path = release.settings["catalogue"]
    digests.append((path, mock_desi_files.write(root / path, mock_desi_files.zall(survey))))
    placed = [(*path.rsplit("/", 1), digest) for path, digest in digests]
    mock_room.checksum_files(root, release, placed, unlisted)
    sn = {file.index: part["sn"] for file, part in zip(there, written, strict=True)}
    return mock_room.finished(root, _truth(survey, sn), truth_file, options, len(there))


def write_file(file: File, root: Path, release: Release, seed: int, without_z: int = -1) -> dict:
    """Simulate the targets of a pixel and write its files; returns `digests` [(path, SHA-256)] and `sn`: of the joined arms (n,).

    without_z: index of the file that has no Z arm.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 22, file.index]))
    arms, sn = observe(file.table, rng)
    if file.index == without_z:
        del arms["Z"]
    contents = {"coadd": mock_desi_files.coadd(file, arms), "redrock": mock_desi_files.redrock(file)}
    digests = []
    for kind, hdus in contents.items():
        path = file_path(release.settings, file.survey, file.program, file.healpix, kind)
        digests.append((path, mock_desi_files.write(root / path, hdus)))
    return {"digests": digests, "sn": sn}


def observe(table: dict, rng: np.random.Generator) -> tuple[dict[str, Exposure], np.ndarray]:
    """({arm: its spectra}, median S/N per pixel that was asked for) of a truth table; each arm has noise of its own, on the overlaps too."""
    device = SPECTROGRAPHS["DESI"]
    grids = {arm.name.upper(): arm.grid() for arm in device.arms}
    first, step = grids["B"][0], device.arms[0].pixel
    wave = first + step * np.arange(round((grids["Z"][-1] - first) / step) + 1)
    pixels, loglam, effects = device.pixels(wave), device.loglam(), Effects()
    parts: dict[str, list[Exposure]] = {name: [] for name in grids}
    count = len(table["sn"])
    for start in range(0, count, BLOCK):
        some = {name: values[start : start + BLOCK] for name, values in table.items()}
        shape = on_pixels(noiseless(some, device, loglam, rng), loglam, pixels)
        model = shape * brightness(shape, some["sn"], device, pixels)[:, None]
        for name, grid in grids.items():
            begin = round((grid[0] - first) / step)
            seen = device.pixels(grid, name.lower())
            parts[name].append(record(model[:, begin : begin + len(grid)], device, seen, rng, effects))
    arms = {
        name: Exposure(grids[name], *(np.concatenate([getattr(part, key) for part in found])
                                      for key in ("flux", "ivar", "quality", "model", "sn")))
        for name, found in parts.items()
    }  # fmt: skip
    for row in np.flatnonzero(rng.random(count) < DEAD):
        dead = arms["BRZ"[rng.integers(0, 3)]]
        dead.flux[row], dead.ivar[row], dead.sn[row] = 0, 0, 0
    return arms, table["sn"]


def unlisted(name: str) -> bool:
    """Whether a file is left out of its folder's checksum file."""
    return name.endswith("7.fits")


def _truth(survey: list[File], sn: dict[int, np.ndarray]) -> pa.Table:
    """All rows with what was put in; `written`: whether their file exists."""
    sizes = [len(file.table["sn"]) for file in survey]
    whole = {
        name: np.concatenate([file.table[name] for file in survey]) for name in survey[0].table if name != "broad_ew"
    }
    whole |= {
        key: np.repeat([getattr(file, key) for file in survey], sizes) for key in ("survey", "program", "healpix")
    }
    whole["written"] = np.repeat([file.index in sn for file in survey], sizes)
    columns = {name: values.tolist() if values.dtype.kind in "UO" else values for name, values in whole.items()}
    names = zip(columns["survey"], columns["program"], whole["targetid"].tolist(), strict=True)
    return pa.table({"spectrum_id": [f"{survey}-{program}-{target}" for survey, program, target in names], **columns})
