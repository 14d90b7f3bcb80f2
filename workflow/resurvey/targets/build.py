"""The targets of a dataset: selection, object identity, split and shard, with a reason for whatever is left out by force."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.errors import ResurveyError
from resurvey.targets import ranks, select, shards
from resurvey.targets.objects import object_ids
from resurvey.targets.split import SPLITS, split

REJECTED = pa.schema([("spectrum_id", pa.string()), ("reason", pa.string()), ("stage", pa.string())])
NO_REDSHIFT = "STAR"  # the survey's class whose redshift is a velocity and no label


@dataclass(frozen=True)
class Targets:
    """`table`: the contract's targets.parquet; `rejected`: what was left out by force; `counts`: what went where."""

    table: pa.Table
    rejected: pa.Table
    counts: dict


def build(catalogue: pa.Table, dataset: dict, seed: int) -> Targets:
    """Select, label, draw, split and assign. The result does not depend on the order of the catalogue's rows.

    catalogue: the columns of catalogue.parquet; dataset: a dataset's settings. Raises ResurveyError when a class has no
    spectrum, or nothing is left.
    """
    book = _Rejections()
    catalogue = _usable(catalogue, book)
    published = dataset.get("source") == "published"
    keys = _keys(catalogue)
    if published:
        objects = keys  # the authors' files hold no positions
    else:
        ra, dec = (catalogue[name].to_numpy() for name in ("ra", "dec"))
        objects = object_ids(ra, dec, keys, dataset["same_object_arcsec"])

    passed = select.passes(catalogue, dataset["selection"])
    label, names = select.labels(catalogue, dataset["classes"])
    label = np.where(passed, label, -1)
    if dataset["classes"]:
        select.require_classes(catalogue.filter(pa.array(passed)), label, names, dataset["name"])
    chosen = np.flatnonzero(select.draw(keys, label, None if published else dataset["per_class"], seed))
    if not len(chosen):
        raise ResurveyError(
            f"dataset {dataset['name']}: no spectrum passes the selection; relax datasets/{dataset['name']}.yaml"
        )

    available = np.bincount(label[label >= 0], minlength=len(names))
    side = _sides(catalogue, chosen, objects, label, dataset, seed)
    lost = chosen[side == -1]
    book.add(catalogue, lost, "its object's spectra fit into no split without exceeding the count of a class")
    kept, side = chosen[side != -1], side[side != -1]

    table = _table(catalogue, kept, objects, label, names, side, dataset)
    counts = {
        "catalogue": len(catalogue),
        "passed": int(passed.sum()),
        "classes": _class_counts(names, available, label[chosen], label[kept], side) if dataset["classes"] else None,
        "spectra": len(kept),
        "objects": len(np.unique(objects[kept])),
        "plates": len(set(zip(table["plate"].to_pylist(), table["mjd"].to_pylist(), strict=True))),
        "rejected": book.counts(),
    }
    return Targets(table, book.table(), counts)


def short_classes(counts: dict, per_class: int | None) -> list[str]:
    """The classes of which there were fewer spectra than asked for, in words."""
    classes = counts["classes"] or {}
    return [
        f"{name}: all {entry['available']:,} spectra are used, {per_class:,} were asked for"
        for name, entry in classes.items()
        if per_class and entry["available"] < per_class
    ]


def _usable(catalogue: pa.Table, book: "_Rejections") -> pa.Table:
    """Rows with a key and a position, one per spectrum, in the order of their keys."""
    keys = _keys(catalogue)
    good = np.ones(len(catalogue), bool)
    if "file" not in catalogue.column_names:
        ra, dec = (catalogue[name].to_numpy() for name in ("ra", "dec"))
        good = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & ~((ra == 0) & (dec == 0))
        book.add(catalogue, np.flatnonzero(~good), "the catalogue gives no position")
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    twice = np.flatnonzero(np.diff(keys[rows]) == 0)
    if len(twice):
        again = _repeated(catalogue, keys, rows, twice)
        book.add(catalogue, again, "the catalogue lists this spectrum more than once; one row was kept")
        rows = rows[~np.isin(rows, again)]
    return catalogue if np.array_equal(rows, np.arange(len(catalogue))) else catalogue.take(pa.array(rows))


def _repeated(catalogue: pa.Table, keys: np.ndarray, rows: np.ndarray, twice: np.ndarray) -> np.ndarray:
    """Of rows with the same key, all but one: the last by (test split, primary, reduction, all other values) stays."""
    members = rows[np.isin(keys[rows], keys[rows[twice]])]
    entries = catalogue.take(pa.array(members)).to_pylist()
    ranked = sorted(
        range(len(members)),
        key=lambda i: (
            keys[members[i]],
            entries[i].get("split") == "test",
            bool(entries[i]["specprimary"]),
            entries[i]["run2d"] or "",
            str(entries[i]),
        ),
    )
    ranked_keys = keys[members[ranked]]
    last = np.r_[ranked_keys[1:] != ranked_keys[:-1], True]
    return members[np.array(ranked)[~last]]


def _sides(catalogue, chosen, objects, label, dataset, seed) -> np.ndarray:
    if dataset.get("source") == "published":
        return np.array([SPLITS.index(name) for name in catalogue["split"].take(pa.array(chosen)).to_pylist()], np.int8)
    if dataset["split"] is None:
        return np.full(len(chosen), len(SPLITS), np.int8)  # no split: neither a side nor left out
    return split(objects[chosen], label[chosen], dataset["split"], seed)


def _table(catalogue, kept, objects, label, names, side, dataset) -> pa.Table:
    table = catalogue.take(pa.array(kept))
    stars = pc.equal(table["survey_class"], NO_REDSHIFT)
    columns = {
        "spectrum_id": spectrum_ids(table),
        "object_id": pa.array(objects[kept]),
        "label": pa.DictionaryArray.from_arrays(label[kept].astype(np.int32), pa.array(names, pa.string())).cast(
            pa.string()
        ),
        "z": pc.if_else(stars, pa.scalar(None, pa.float64()), table["survey_z"]),
        "split": pa.DictionaryArray.from_arrays(side.astype(np.int32), pa.array([*SPLITS, None], pa.string())).cast(
            pa.string()
        ),
    }
    if dataset.get("source") == "published":
        order = np.lexsort((table["row"].to_numpy(), np.asarray(table["file"].to_pylist(), str)))
        number = np.empty(len(order), int)
        number[order] = shards.contiguous(len(order), dataset["shards"])
        table = table.drop_columns(["split"])
    else:
        number = shards.assign(table["plate"].to_numpy(), table["mjd"].to_numpy(), dataset["shards"])
        order = np.arange(len(table))  # by key, so by plate and by shard
    columns["shard"] = pa.array(shards.names(number))
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table if np.array_equal(order, np.arange(len(order))) else table.take(pa.array(order))


def _class_counts(names, available, drawn, kept, side) -> dict:
    return {
        name: {
            "available": int(available[index]),
            "drawn": int((drawn == index).sum()),
            **{split: int(((kept == index) & (side == number)).sum()) for number, split in enumerate(SPLITS)},
        }
        for index, name in enumerate(names)
    }


def _keys(catalogue: pa.Table) -> np.ndarray:
    return ranks.spectrum_keys(*(catalogue[name].to_numpy() for name in ("plate", "mjd", "fiberid")))


def spectrum_ids(table: pa.Table) -> pa.ChunkedArray:
    """`{plate:04d}-{mjd}-{fiberid:04d}` of each row."""

    def digits(name: str, width: int):
        return pc.utf8_lpad(pc.cast(table[name], pa.string()), width, "0")

    return pc.binary_join_element_wise(digits("plate", 4), digits("mjd", 1), digits("fiberid", 4), "-")


class _Rejections:
    """What is left out by force, and why."""

    def __init__(self):
        self._tables: list[pa.Table] = []

    def add(self, catalogue: pa.Table, rows: np.ndarray, reason: str) -> None:
        if len(rows):
            ids = spectrum_ids(catalogue.take(pa.array(rows)))
            texts = [pa.array([text] * len(rows)) for text in (reason, "targets")]
            self._tables.append(pa.table([ids, *texts], schema=REJECTED))

    def table(self) -> pa.Table:
        whole = pa.concat_tables(self._tables) if self._tables else REJECTED.empty_table()
        return whole.sort_by([("spectrum_id", "ascending"), ("reason", "ascending")])

    def counts(self) -> dict[str, int]:
        return {table["reason"][0].as_py(): len(table) for table in self._tables}
