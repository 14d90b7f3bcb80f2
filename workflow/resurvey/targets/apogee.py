"""Targets of an APOGEE dataset: training, validation and test stars (Leung & Bovy 2019, §3), their visits, cluster members.

A star is one object whatever the fields it was observed in, and stands on one side: training or test.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.errors import ResurveyError
from resurvey.targets import ranks, shards
from resurvey.targets.build import REJECTED, Targets

SPLITS = ("train", "valid", "test", "train_visits", "test_visits")
VISITS_OF = {"train": "train_visits", "valid": "train_visits", "test": "test_visits"}


def build(catalogue: pa.Table, dataset: dict, seed: int) -> Targets:
    """Select, split, add visits, assign to shards. The result does not depend on the order of the catalogue's rows.

    catalogue: apogee_catalogue.SCHEMA; dataset: a dataset's settings. Raises ResurveyError when too few stars pass.
    """
    catalogue, rejected = _usable(catalogue, dataset)
    cuts = dataset["selection"]
    objects = object_ids(catalogue["apogee_id"])
    passed = passes(catalogue, cuts)
    sn = catalogue["sn_median"].to_numpy()
    high = passed & (sn > cuts["sn_train"]) if cuts.get("sn_train") is not None else np.zeros(len(sn), bool)
    low = (passed & (sn > cuts["sn_test"]) & (sn < cuts["sn_train"]) if None not in (cuts.get("sn_test"), cuts.get("sn_train"))
           else np.zeros(len(sn), bool))  # fmt: skip
    low &= ~np.isin(objects, objects[high])  # a star of two fields is not on both sides
    high, low = _thinned(high, low, objects, dataset["stars"], seed)
    split = np.full(len(sn), None, object)
    split[low] = "test"
    if dataset["split"]:
        if high.sum() < 2:
            raise ResurveyError(
                f"dataset {dataset['name']}: {int(high.sum())} stars pass the cuts for training; relax datasets/{dataset['name']}.yaml: selection"
            )
        split[high] = _sides(objects[high], dataset["split"], seed)
    members = catalogue["cluster"].is_valid().to_numpy() if cuts.get("cluster_members") else np.zeros(len(sn), bool)
    kept = np.flatnonzero([side is not None for side in split] | members | bool(cuts.get("others")))
    if not len(kept):
        raise ResurveyError(
            f"dataset {dataset['name']}: no star passes the selection; relax datasets/{dataset['name']}.yaml"
        )
    table = _table(catalogue.take(pa.array(kept)), objects[kept], split[kept], dataset)
    counts = {
        "catalogue": len(catalogue),
        "passed": int(passed.sum()),
        "spectra": len(table),
        "objects": len(np.unique(objects[kept])),
        "splits": {name: int(pc.sum(pc.equal(table["split"], name)).as_py() or 0) for name in SPLITS},
        "clusters": {row["values"]: row["counts"] for row in pc.value_counts(table["cluster"].drop_null()).to_pylist()},
        "rejected": {row["values"]: row["counts"] for row in pc.value_counts(rejected["reason"]).to_pylist()},
        "classes": None,
        "plates": len(pc.unique(table["location_id"])),
    }
    return Targets(table, rejected, counts)


def object_ids(apogee_id: pa.ChunkedArray) -> np.ndarray:
    """(n,) int64 identity of each star: 63 bits of a digest of its APOGEE_ID."""
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1
            for name in apogee_id.to_pylist()
        ],
        np.int64,
    ).reshape(-1)


def passes(catalogue: pa.Table, cuts: dict) -> np.ndarray:
    """(n,) bool: the stars that pass the cuts for training and test; a null value passes no cut but fe_h_above's."""
    keep = np.ones(len(catalogue), bool)

    def cut(column: str, test) -> None:
        keep[:] &= pc.fill_null(test(catalogue[column]), False).to_numpy()

    if cuts.get("teff"):
        low, high = cuts["teff"]
        cut("teff", lambda teff: pc.and_(pc.greater_equal(teff, float(low)), pc.less_equal(teff, float(high))))
    if cuts.get("starflag") is not None:
        cut("starflag", lambda flag: pc.equal(flag, cuts["starflag"]))
    if cuts.get("aspcapflag") is not None:
        cut("aspcapflag", lambda flag: pc.equal(flag, cuts["aspcapflag"]))
    if cuts.get("vscatter_max") is not None:
        cut("vscatter", lambda scatter: pc.less(scatter, float(cuts["vscatter_max"])))
    if cuts.get("location_id_above") is not None:
        cut("location_id", lambda location: pc.greater(location, cuts["location_id_above"]))
    if cuts.get("fe_h_above") is not None:
        keep &= pc.fill_null(pc.greater(catalogue["fe_h"], float(cuts["fe_h_above"])), True).to_numpy()
    return keep


def _usable(catalogue: pa.Table, dataset: dict) -> tuple[pa.Table, pa.Table]:
    """Stars with a file, one row per (star, field), sorted by field and star; and what was left out by force."""
    catalogue = catalogue.sort_by([(name, "ascending") for name in ("location_id", "apogee_id", "file")])
    keys = pc.binary_join_element_wise(pc.cast(catalogue["location_id"], pa.string()), catalogue["apogee_id"], "-")
    again = np.r_[False, np.asarray(pc.equal(keys[1:], keys[:-1]))] if len(keys) > 1 else np.zeros(len(keys), bool)
    no_file = pc.equal(pc.utf8_length(pc.fill_null(catalogue["file"], "")), 0).to_numpy()
    no_visit = pc.fill_null(pc.less(catalogue["nvisits"], 1), True).to_numpy()
    one_metre = np.zeros(len(keys), bool)
    if (above := dataset["selection"].get("location_id_above")) is not None:
        one_metre = pc.less_equal(catalogue["location_id"], above).to_numpy()
    reasons = (
        (again, "the catalogue lists this star and field more than once; one row was kept"),
        (no_file, "the catalogue names no file for it"),
        (no_visit, "the catalogue gives no visit for it"),
        (one_metre, "of the 1-m telescope, whose files lie elsewhere (selection.location_id_above)"),
    )
    left, tables = np.zeros(len(keys), bool), []
    for flagged, reason in reasons:
        rows = np.flatnonzero(flagged & ~left)
        left |= flagged
        tables.append(
            pa.table([keys.take(pa.array(rows)), [reason] * len(rows), ["targets"] * len(rows)], schema=REJECTED)
        )
    return catalogue.filter(pa.array(~left)), pa.concat_tables(tables).sort_by("spectrum_id")


def _thinned(high: np.ndarray, low: np.ndarray, objects: np.ndarray, stars: int | None, seed: int):
    """With `stars`, so many training stars at random and test stars in the same proportion; all rows of a star go together."""
    training, test = np.unique(objects[high]), np.unique(objects[low])
    if stars is None or stars >= len(training):
        return high, low
    wanted = {True: training[ranks.order(training, seed, "stars")[:stars]]}
    wanted[False] = test[ranks.order(test, seed, "stars")[: round(len(test) * stars / len(training))]]
    return high & np.isin(objects, wanted[True]), low & np.isin(objects, wanted[False])


def _sides(objects: np.ndarray, fractions: dict[str, float], seed: int) -> np.ndarray:
    """`train` or `valid` for each row; exact to one star, at least one star on each side."""
    stars = np.unique(objects)
    valid = min(max(1, round(fractions["valid"] * len(stars))), len(stars) - 1)
    chosen = stars[ranks.order(stars, seed, "valid")[:valid]]
    return np.where(np.isin(objects, chosen), "valid", "train").astype(object)


def _table(stars: pa.Table, objects: np.ndarray, split: np.ndarray, dataset: dict) -> pa.Table:
    """Combined spectra and, where the dataset has them, one row per visit behind those of several; shards hold whole stars."""
    visits = stars["nvisits"].to_numpy() if dataset["visits"] else np.zeros(len(stars), int)
    visits = np.where(visits > 1, visits, 0)  # the one visit of a star is its combined spectrum
    row = np.repeat(np.arange(len(stars)), visits + 1)
    visit = np.concatenate([np.arange(n + 1) for n in visits]) if len(visits) else np.zeros(0, int)
    whole = stars.drop_columns(["visit_sn", "commissioning"]).take(pa.array(row))
    names = pc.binary_join_element_wise(pc.cast(whole["location_id"], pa.string()), whole["apogee_id"], "-")
    suffix = pa.array([f"-v{number:02d}" if number else "" for number in visit], pa.string())
    each = stars["visit_sn"].to_pylist()
    sn = [
        combined if number == 0 else (each[star][number - 1] if each[star] else None)
        for star, number, combined in zip(row, visit, whole["sn_median"].to_pylist(), strict=True)
    ]
    sides = [VISITS_OF.get(split[star]) if number else split[star] for star, number in zip(row, visit, strict=True)]
    columns = {
        "spectrum_id": pc.binary_join_element_wise(names, suffix, ""),
        "object_id": pa.array(objects[row]),
        "visit": pa.array(visit, pa.int32()),
        "split": pa.array(sides, pa.string()),
    }
    whole = whole.set_column(whole.column_names.index("sn_median"), "sn_median", pa.array(sn, pa.float32()))
    for place, (name, column) in enumerate(columns.items()):
        whole = whole.add_column(place, name, column)
    number = shards.contiguous(len(stars), dataset["shards"])[row]
    whole = whole.append_column("product", pa.array([dataset["product"]] * len(whole), pa.string()))
    return whole.append_column("shard", pa.array(shards.names(number)))
