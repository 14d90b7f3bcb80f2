"""Which object of the mock DESI survey lies in which file (survey, program, pixel), under which TARGETID, and what the pipeline says of it."""

from dataclasses import dataclass

import numpy as np

from resurvey.simulate import desi_population, population

SKY_FIBRES, NEGATIVE = 6, 2  # of each file
SAME_TARGET, OTHER_TARGET = (
    0.03,
    0.01,
)  # share of the objects observed again under the same TARGETID, and under another one
CELL = 60.0  # arcsec: objects lie in cells of this size, so that only repeats are closer than 2"
CELLS = 48  # a side of a pixel
# What is observed where: share of the files, and of each of their objects a star, quasar, galaxy (relative)
PROGRAMS = {
    ("sv3", "dark"): (0.30, (0.6, 3.0, 1.2)),
    ("sv1", "dark"): (0.25, (0.6, 3.0, 1.2)),
    ("sv3", "bright"): (0.25, (1.5, 0.3, 2.0)),
    ("sv1", "bright"): (0.12, (1.5, 0.3, 2.0)),
    ("sv3", "backup"): (0.08, (2.0, 0.02, 0.1)),
}
OTHERS = (("special", "dark"), ("sv2", "dark"), ("cmx", "other"))  # surveys that no usual selection takes
C_KMS = 2.99792458e5


@dataclass(frozen=True)
class File:
    """One survey, program and pixel: `index` seeds its noise; `table`: truth rows, one per fibre, in the order of the file."""

    index: int
    survey: str
    program: str
    healpix: int
    table: dict


def make(options: dict) -> list[File]:
    """All files of the survey; options: per_class, extra, pixels, seed. Everything but the noise of the spectra is decided here.

    Beside the columns of population.py, truth tables have targetid, ra, dec, object, objtype and what the pipeline says: survey_z,
    survey_z_err, survey_zwarning, delta_chi2, primary. The last two of the usual files are small: of the one an arm, the other is not written.
    """
    streams = [np.random.default_rng(part) for part in np.random.SeedSequence([options["seed"], 21]).spawn(4)]
    places = _places(options["pixels"], streams[0])
    table = population.join(
        [desi_population.draw(kind, options["per_class"], streams[1]) for kind in desi_population.KINDS]
    )
    where = _spread(table, places, streams[0])
    others = _others(options["extra"], len(places), streams[1])
    whole = population.join([table, others[0]])
    where = np.concatenate([where, others[1]])
    places = places + [(*name, 27000 + number) for number, name in enumerate(OTHERS)]
    whole["object"] = np.arange(len(whole["sn"]))
    whole["targetid"] = 39627000000000000 + 7 * streams[2].permutation(4 * len(where))[: len(where)]
    whole["objtype"] = np.full(len(where), "TGT")
    _position(whole, where, places, streams[2])
    whole, where = _repeats(whole, where, places, streams[2])
    files = []
    for index, (survey, program, healpix) in enumerate(places):
        rows = population.join([population.take(whole, where == index), _blanks(index, places, streams[3])])
        rows = population.take(rows, streams[3].permutation(len(rows["sn"])))
        rows = rows | _pipeline(rows, streams[3])
        files.append(File(index, survey, program, healpix, rows))
    _primary(files)
    return files


def _places(count: int, rng) -> list[tuple[str, str, int]]:
    """(survey, program, pixel) of each usual file; two files in three share their pixel with another, the last lies alone."""
    names = list(PROGRAMS)
    share = np.array([part for part, _ in PROGRAMS.values()]) * count
    numbers = np.floor(share).astype(int)
    numbers[np.argsort(numbers - share)[: count - numbers.sum()]] += 1
    programs = [names[i] for i in rng.permutation(np.repeat(np.arange(len(names)), numbers))]
    places, pixel = [], 10400
    taken: set[tuple[str, str]] = set()
    for number, name in enumerate(programs):
        if name in taken or number % 3 == 2 or number == len(programs) - 1:
            pixel, taken = pixel + 13, set()
        taken.add(name)
        places.append((*name, pixel))
    return places


def _spread(table: dict, places: list, rng) -> np.ndarray:
    """(n,) file of each object: by what its program takes; the last two files, which have faults, get few."""
    weight = np.array([PROGRAMS[place[:2]][1] for place in places])
    weight[-2] *= 0.2
    weight[-1] *= 0.05
    where = np.empty(len(table["sn"]), int)
    for column, kind in enumerate(desi_population.KINDS):
        rows = np.flatnonzero(table["kind"] == kind)
        where[rows] = rng.choice(len(places), len(rows), p=weight[:, column] / weight[:, column].sum())
    return where


def _others(count: int, first: int, rng) -> tuple[dict, np.ndarray]:
    """Objects of the surveys that no usual selection takes."""
    kinds = [desi_population.KINDS[i] for i in rng.integers(0, 3, len(OTHERS))]
    parts = np.array_split(np.arange(count), len(OTHERS))
    tables = [desi_population.draw(kind, len(part), rng) for kind, part in zip(kinds, parts, strict=True)]
    return population.join(tables), np.repeat(first + np.arange(len(OTHERS)), [len(part) for part in parts])


def _centre(healpix: int) -> tuple[float, float]:
    """A place on the sky for each pixel, apart from all others; not that of HEALPix."""
    number = (healpix - 10400) // 13 if healpix < 27000 else 300 + healpix - 27000
    return 120.0 + 2.0 * (number % 60), -4.0 + 2.0 * (number // 60)


def _position(table: dict, where: np.ndarray, places: list, rng) -> None:
    """Each object lies in a cell of its pixel of its own."""
    table["ra"], table["dec"] = np.full(len(where), np.nan), np.full(len(where), np.nan)
    pixels = np.array([place[2] for place in places])[where]
    for pixel in np.unique(pixels):
        rows = np.flatnonzero(pixels == pixel)
        cells = rng.choice(CELLS * CELLS, len(rows), replace=False)
        x, y = (cells % CELLS + rng.uniform(0.2, 0.8, len(rows))), (cells // CELLS + rng.uniform(0.2, 0.8, len(rows)))
        ra, dec = _centre(int(pixel))
        table["dec"][rows] = dec + (y - CELLS / 2) * CELL / 3600
        table["ra"][rows] = ra + (x - CELLS / 2) * CELL / 3600 / np.cos(np.radians(table["dec"][rows]))


def _repeats(table: dict, where: np.ndarray, places: list, rng) -> tuple[dict, np.ndarray]:
    """Observations again: in another file of the same pixel under the same TARGETID, or in the same file 0.6" off under another."""
    pixels = np.array([place[2] for place in places])
    chance = rng.random(len(where))
    sibling = np.array(
        [next((j for j in np.flatnonzero(pixels == pixels[i]) if j != i), -1) for i in range(len(places))]
    )
    same = np.flatnonzero((chance < SAME_TARGET) & (sibling[where] >= 0))
    other = np.flatnonzero((chance > 1 - OTHER_TARGET) & (where < len(places) - len(OTHERS)))
    again = population.take(table, np.concatenate([same, other]))
    again["sn"] = np.clip(again["sn"] * rng.lognormal(0, 0.2, len(again["sn"])), *desi_population.SN_RANGE).astype(
        np.float32
    )
    near = slice(len(same), None)
    again["targetid"][near] += 3
    again["dec"][near] += rng.uniform(-0.6, 0.6, len(other)) / 3600
    return population.join([table, again]), np.concatenate([where, sibling[where[same]], where[other]])


def _blanks(index: int, places: list, rng) -> dict:
    """Sky fibres and rows of no target (negative TARGETID)."""
    count = SKY_FIBRES + NEGATIVE
    table = population.empty(count)
    table["kind"][:], table["instrument"][:] = "SKY", "DESI"
    table["object"] = np.full(count, -1)
    number = 100 * index + np.arange(count)
    sky = np.arange(count) < SKY_FIBRES
    table["targetid"] = np.where(sky, 616088000000000000 + number, -2713000 - number)
    table["objtype"] = np.where(sky, "SKY", "")
    ra, dec = _centre(places[index][2])
    table["ra"], table["dec"] = ra + rng.uniform(-0.4, 0.4, count), dec + 0.45 + rng.uniform(0, 0.03, count)
    return table


def _pipeline(table: dict, rng) -> dict:
    """Redshifts as measured, with ZWARN; classes of sky fibres are confident and mean nothing."""
    sn, count = np.maximum(table["sn"], 0.05), len(table["sn"])
    error = np.select([table["kind"] == "STAR", table["kind"] == "GALAXY"], [2 + 20 / sn, 6 + 30 / sn], 80 + 200 / sn)
    true = np.nan_to_num(table["z"])
    z = (1 + true) * (1 + error / C_KMS * rng.standard_normal(count)) - 1
    blank = table["object"] < 0
    unsure = ((sn < 1.5) & (rng.random(count) < 0.4)) | (rng.random(count) < 0.01)
    wrong = unsure & (rng.random(count) < 0.5)
    z = np.where(wrong | blank, rng.uniform(0, 1.6, count), z)
    kind = np.where(blank, rng.choice(np.array(["GALAXY", "STAR"]), count), table["kind"])
    zwarn = np.where(unsure, 4, 0) | np.where(table["targetid"] < 0, 512, 0)
    return {
        "class": kind.astype(table["class"].dtype),
        "survey_z": z,
        "survey_z_err": error / C_KMS * (1 + true),
        "survey_zwarning": zwarn,
        "delta_chi2": np.where(unsure | blank, rng.uniform(0, 9, count), 20 + 10 * sn**2),
    }


def _primary(files: list[File]) -> None:
    """`primary`: the observation of highest S/N of each TARGETID."""
    best: dict[int, tuple[float, int, int]] = {}
    for file in files:
        file.table["primary"] = np.zeros(len(file.table["sn"]), bool)
        for row, (targetid, sn) in enumerate(
            zip(file.table["targetid"].tolist(), file.table["sn"].tolist(), strict=True)
        ):
            best[targetid] = max(best.get(targetid, (-1.0, 0, 0)), (sn, file.index, row))
    for _, index, row in best.values():
        files[index].table["primary"][row] = True
