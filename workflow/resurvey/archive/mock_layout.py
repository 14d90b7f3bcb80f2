"""Which object goes to which plate, night and fibre of the mock survey, and where it lies on the sky."""

import itertools
from dataclasses import dataclass

import numpy as np

from resurvey.simulate import distributions
from resurvey.simulate import population as objects
from resurvey.simulate.instruments import INSTRUMENTS

REPEATS = 0.03  # share of the objects that are observed twice
SPARSE = {"SDSS": 40, "BOSS": 60}  # science fibres of a sparse plate
CELL = 60.0  # arcsec: positions lie in cells of this size, so that only repeats are closer than 2"
RADIUS = 1.45  # degrees, of a plate
EXTRAS = (   # share, kind, subclass; all beyond the 13 classes
    (0.16, "STAR", "M0"), (0.12, "STAR", "M1"), (0.12, "STAR", "M3"), (0.06, "STAR", "M5"), (0.08, "STAR", "K7"),
    (0.06, "STAR", "WD"), (0.03, "STAR", "OB"), (0.03, "STAR", "B6"), (0.02, "STAR", "Carbon"), (0.03, "STAR", "CV"),
    (0.05, "STAR", "K0V (10780)"), (0.04, "STAR", "F3/F5V (30743)"), (0.05, "STAR", "G4V (32923)"),
    (0.05, "GALAXY", "AGN BROADLINE"), (0.03, "GALAXY", "BROADLINE"), (0.04, "GALAXY", "STARFORMING BROADLINE"), (0.03, "UNKNOWN", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """One plate on one night: `index` seeds its noise; `rows` of the survey's truth table, in the order of `fibre`."""

    index: int
    plate: int
    mjd: int
    run2d: str
    instrument: str
    sparse: bool
    centre: tuple[float, float]
    rows: np.ndarray
    fibre: np.ndarray
    offset: int
    pixels: int


def draw_objects(per_class: int, extra: int, seed: int) -> dict:
    """Truth table of all observations but blank fibres: `per_class` objects of each of the 13 classes, `extra` others,
    and the repeats. Adds `object` (number of the object) and `repeat` (bool)."""
    streams = iter(np.random.SeedSequence([seed, 1]).spawn(len(distributions.LABELS) + len(EXTRAS) + 1))
    tables = []
    for label in distributions.LABELS:
        kind, _, subclass = label.partition("_")
        rng = np.random.default_rng(next(streams))
        tables.append(objects.draw_class(rng, kind, "" if subclass == "nan" else subclass, per_class))
    for share, kind, subclass in EXTRAS:
        rng, count = np.random.default_rng(next(streams)), round(share * extra)
        if count:
            tables.append(_extra(rng, kind, subclass, count))
    table = objects.join(tables)
    table["object"] = np.arange(len(table["sn"]))
    rng = np.random.default_rng(next(streams))
    again = np.flatnonzero(rng.random(len(table["sn"])) < REPEATS)
    repeat = objects.take(table, again)
    repeat["sn"] *= rng.lognormal(0, 0.15, len(again)).astype(np.float32)
    _relabel(rng, repeat)
    whole = objects.join([table, repeat])
    whole["repeat"] = np.arange(len(whole["sn"])) >= len(table["sn"])
    return whole


def _extra(rng, kind: str, subclass: str, count: int) -> dict:
    if kind == "STAR":
        return objects.draw_other_stars(rng, subclass, count)
    if kind == "GALAXY":
        table = objects.draw_class(
            rng, "GALAXY", {"AGN BROADLINE": "AGN", "BROADLINE": ""}.get(subclass, "STARFORMING"), count
        )
        table["subclass"][:] = subclass
        table["line_sigma"][:] = rng.uniform(280, 900, count)
        table["ew_halpha"][:] = np.maximum(table["ew_halpha"], 25)
        return table
    table = objects.draw_class(rng, "QSO", "", count)  # nothing but noise: the class found means nothing
    table["sn"][:] = rng.uniform(0.05, 0.3, count)
    table["class"][:], table["subclass"][:] = "STAR", "L5.5"
    return table


def _relabel(rng, table: dict) -> None:
    """A second observation is labelled on its own noise, so that a few objects get two classes."""
    for kind, (_, rule) in objects.DRAW.items():
        known = np.isin(objects.label_of(table), distributions.LABELS) & (table["kind"] == kind)
        names = rule(rng, objects.take(table, known))
        keep = np.isin([f"{kind}_{name or 'nan'}" for name in names], distributions.LABELS)
        rows = np.flatnonzero(known)[keep]
        table["subclass"][rows] = names[keep]


def make_visits(table: dict, lite_plates: int, seed: int, boss_run2d: str) -> list[Visit]:
    """Distribute all observations over plates and nights; `lite_plates` of them are sparse.

    Adds ra, dec [deg] to `table`. A repeat goes to another visit than the first observation, sometimes of the same plate.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    plans: list[dict] = []
    for instrument in INSTRUMENTS:
        rows = np.flatnonzero((table["instrument"] == instrument) & ~table["repeat"])
        plans += _fill(
            rng.permutation(rows), instrument, lite_plates // 2 + (lite_plates % 2 if instrument == "SDSS" else 0)
        )
    _place_repeats(rng, table, plans)
    _number(rng, plans, boss_run2d)
    _position(rng, table, plans)
    visits = []
    for index, plan in enumerate(plans):
        device = INSTRUMENTS[plan["instrument"]]
        fibre = np.sort(rng.choice(device.fibres, len(plan["rows"]), replace=False)) + 1
        start = int(rng.integers(0, device.jitter))
        visits.append(
            Visit(
                index, plan["plate"], plan["mjd"], plan["run2d"], plan["instrument"], plan["sparse"], plan["centre"],
                np.array(plan["rows"]), fibre, start, device.pixels + int(rng.integers(-6, 7)),
            )
        )  # fmt: skip
    return visits


def _fill(rows: np.ndarray, instrument: str, sparse: int) -> list[dict]:
    device = INSTRUMENTS[instrument]
    room = int(0.965 * (device.fibres - device.sky_fibres)) - 4  # leaves fibres for repeats and unplugged ones
    take = min(SPARSE[instrument], max(len(rows) // (4 * max(sparse, 1)), 1)) if sparse else 0
    cuts, start = [], 0
    for _ in range(sparse):
        cuts.append((start, start + take, True))
        start += take
    left = len(rows) - start
    dense = -(-left // room)
    edges = np.linspace(start, len(rows), dense + 1).astype(int)
    if dense == 1:  # a second visit, so that objects can be observed twice
        edges = np.array([start, start + int(0.9 * left), len(rows)])
    cuts += [(low, high, False) for low, high in itertools.pairwise(edges)]
    return [
        {"instrument": instrument, "rows": list(rows[low:high]), "sparse": is_sparse}
        for low, high, is_sparse in cuts
        if high > low
    ]


def _place_repeats(rng, table: dict, plans: list[dict]) -> None:
    first = {int(table["object"][row]): i for i, plan in enumerate(plans) for row in plan["rows"]}
    for row in np.flatnonzero(table["repeat"]):
        home = first[int(table["object"][row])]
        others = [
            i for i, plan in enumerate(plans)
            if i != home and plan["instrument"] == plans[home]["instrument"] and not plan["sparse"] and _free(plan) > 0
        ]  # fmt: skip
        near = [i for i in others if abs(i - home) <= 1] or others
        if near:
            plans[near[int(rng.integers(len(near)))]]["rows"].append(int(row))


def _free(plan: dict) -> int:
    device = INSTRUMENTS[plan["instrument"]]
    return device.fibres - device.sky_fibres - 4 - len(plan["rows"])


def _number(rng, plans: list[dict], boss_run2d: str) -> None:
    """Plate numbers, nights, reductions and centres; every fourth visit is a second night of the plate before."""
    counts = {"SDSS": 0, "BOSS": 0}
    previous = None
    for plan in plans:
        n = counts[plan["instrument"]]
        counts[plan["instrument"]] += 1
        if n % 4 == 3 and previous["instrument"] == plan["instrument"] and not plan["sparse"]:
            plan |= {"plate": previous["plate"], "run2d": previous["run2d"], "centre": previous["centre"]}
            plan["mjd"] = previous["mjd"] + int(rng.integers(2, 40))
        elif plan["instrument"] == "SDSS":
            special = {4: (2640, "104"), 6: (3116, "103")}.get(n)
            plan["plate"], plan["run2d"] = special or (266 + 7 * n, "26")
            plan["mjd"] = 51600 + 31 * n + int(rng.integers(0, 20))
        else:
            plan["plate"], plan["run2d"] = (10000 if n % 5 == 2 else 3650) + 9 * n, boss_run2d
            plan["mjd"] = 55200 + 41 * n + int(rng.integers(0, 20))
        if "centre" not in plan:
            place = counts["SDSS"] + counts["BOSS"]
            plan["centre"] = (110.0 + 4.5 * (place % 30), 5.0 + 4.0 * (place // 30))
        previous = plan


def _position(rng, table: dict, plans: list[dict]) -> None:
    """Objects lie in cells of their first plate that no other object of that plate takes; a repeat is up to 0.6" off."""
    count = len(table["sn"])
    table["ra"], table["dec"] = np.full(count, np.nan), np.full(count, np.nan)
    side = int(RADIUS * 3600 / CELL)
    grid = np.array([(x, y) for x in range(-side, side) for y in range(-side, side) if x * x + y * y < (side - 1) ** 2])
    for plate in sorted({plan["plate"] for plan in plans}):
        group = [plan for plan in plans if plan["plate"] == plate]
        rows = np.array([row for plan in group for row in plan["rows"] if not table["repeat"][row]], dtype=int)
        cells = grid[rng.choice(len(grid), len(rows), replace=False)] + rng.uniform(0.2, 0.8, (len(rows), 2))
        ra, dec = group[0]["centre"]
        table["dec"][rows] = dec + cells[:, 1] * CELL / 3600
        table["ra"][rows] = ra + cells[:, 0] * CELL / 3600 / np.cos(np.radians(table["dec"][rows]))
    again = np.flatnonzero(table["repeat"])
    first = table["object"][again]  # the first observation of object k stands in row k
    angle, distance = rng.uniform(0, 2 * np.pi, len(again)), rng.uniform(0, 0.6, len(again)) / 3600
    table["dec"][again] = table["dec"][first] + distance * np.sin(angle)
    table["ra"][again] = table["ra"][first] + distance * np.cos(angle) / np.cos(np.radians(table["dec"][first]))
