"""Targets of a DESI dataset: spectra of each class from few whole files, chosen by the seed (one file: survey, program, pixel)."""

import hashlib
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.errors import ResurveyError
from resurvey.targets import ranks, select, shards
from resurvey.targets.build import NO_REDSHIFT, REJECTED, Targets
from resurvey.targets.objects import joined, object_ids
from resurvey.targets.split import SPLITS, split

FILE = ("survey", "program", "healpix")  # what names a file
CUTS = {"zwarning": "survey_zwarning", "objtype": "objtype", "primary": "specprimary"}


def build(catalogue: pa.Table, dataset: dict, seed: int) -> Targets:
    """Select, choose files, draw, split and assign. The result does not depend on the order of the catalogue's rows.

    catalogue: desi_catalogue.SCHEMA; dataset: a dataset's settings. The S/N is not known yet: `sn_median` is null, and what lies below
    selection.sn_min is rejected when it is read. Raises ResurveyError when a class has no spectrum, or nothing is left.
    """
    usable, rejected = _usable(catalogue)
    passed = passes(usable, dataset["selection"])
    label, names = _labels(usable, dataset["classes"])
    label = np.where(passed, label, -1)
    if dataset["classes"]:
        _require_classes(usable.filter(pa.array(passed)), label, names, dataset["name"])
    group, files = _files(usable)
    asked = wanted(dataset) if dataset["per_class"] else None
    taken = choose_files(group, label, files, asked, seed)
    candidates = np.flatnonzero(taken[group] & (label >= 0))
    keys = _keys(spectrum_ids(usable.take(pa.array(candidates))))
    chosen = candidates[select.draw(keys, label[candidates], asked, seed)]
    if not len(chosen):
        raise ResurveyError(
            f"dataset {dataset['name']}: no spectrum passes the selection; relax datasets/{dataset['name']}.yaml"
        )
    table = usable.take(pa.array(chosen))
    targetid = table["targetid"].to_numpy()
    positions = (table[name].to_numpy() for name in ("ra", "dec"))
    objects = joined(object_ids(*positions, targetid, dataset["same_object_arcsec"]), targetid)
    side = np.full(len(chosen), len(SPLITS), np.int8)  # no split: neither a side nor left out
    if dataset["split"]:
        side = split(objects, label[chosen], dataset["split"], seed)
    lost = side == -1
    rejected += [_rejection(table.filter(pa.array(lost)), "its object's spectra fit into no split without exceeding the count of a class")]  # fmt: skip
    kept = np.flatnonzero(~lost)
    sizes = np.bincount(group, minlength=len(files))
    result = _table(table.take(pa.array(kept)), objects[kept], label[chosen][kept], names, side[kept],
                    group[chosen][kept], sizes, dataset["shards"])  # fmt: skip
    available = np.bincount(label[label >= 0], minlength=len(names))
    rejected = pa.concat_tables(rejected)
    counts = {
        "catalogue": len(catalogue),
        "passed": int(passed.sum()),
        "classes": {
            name: {
                "available": int(available[index]),
                "drawn": int((label[chosen] == index).sum()),
                **{part: int(((label[chosen] == index) & (side == number)).sum()) for number, part in enumerate(SPLITS)},
            }
            for index, name in enumerate(names)
        }
        if dataset["classes"]
        else None,
        "spectra": len(kept),
        "objects": len(np.unique(objects[kept])),
        "plates": len(np.unique(group[chosen][kept])),
        "rejected": {row["values"]: row["counts"] for row in pc.value_counts(rejected["reason"]).to_pylist()},
    }  # fmt: skip
    return Targets(result, rejected.sort_by([("spectrum_id", "ascending"), ("reason", "ascending")]), counts)


def wanted(dataset: dict) -> int:
    """How many spectra of each class are drawn, those included that are spare."""
    return math.ceil(dataset["per_class"] * (1 + dataset["spare"]))


def passes(catalogue: pa.Table, cuts: dict) -> np.ndarray:
    """(n,) bool: the rows that pass all cuts but sn_min, and have a positive TARGETID; a null value passes no cut."""
    keep = pc.fill_null(pc.greater(catalogue["targetid"], 0), False).to_numpy()
    for name, column in (("surveys", "survey"), ("programs", "program")):
        if cuts.get(name) is not None:
            keep &= pc.is_in(catalogue[column], pa.array(cuts[name], pa.string())).to_numpy()
    for name, column in CUTS.items():
        if cuts.get(name) is None:
            continue
        values = catalogue[column]
        if len(values) and values.null_count == len(values):
            raise ResurveyError(f"selection.{name}: this catalogue has no {column}; set selection.{name}: null")
        keep &= pc.fill_null(pc.equal(values, cuts[name]), False).to_numpy()
    return keep


def choose_files(group: np.ndarray, label: np.ndarray, files: list[str], asked: int | None, seed: int) -> np.ndarray:
    """(files,) bool: those that are fetched, so that each label ≥ 0 has `asked` spectra in them (null: all files that have any).

    group: (n,) number of each row's file; files: their names. For the rarest class first, and then for the others as far as they are
    short, files are taken at random with probability proportional to their number of its spectra (an exponential race), so that
    files rich in it come early and few are needed.
    """
    classes = int(label.max(initial=-1)) + 1
    counts = np.zeros((len(files), classes), int)
    np.add.at(counts, (group[label >= 0], label[label >= 0]), 1)
    if asked is None:
        return counts.sum(1) > 0
    taken = np.zeros(len(files), bool)
    chance = (ranks.keyed_hash(_keys(pa.array(files, pa.string())), seed, "files") + 0.5) / 2.0**64
    for index in np.argsort(counts.sum(0), kind="stable"):
        short = asked - counts[taken, index].sum()
        having = np.flatnonzero(~taken & (counts[:, index] > 0))
        order = having[np.argsort(-np.log(chance[having]) / counts[having, index], kind="stable")]
        before = np.cumsum(counts[order, index]) - counts[order, index]
        taken[order[before < short]] = True
    return taken


def spectrum_ids(table: pa.Table) -> pa.ChunkedArray:
    """`{survey}-{program}-{targetid}` of each row."""
    return pc.binary_join_element_wise(table["survey"], table["program"], pc.cast(table["targetid"], pa.string()), "-")


def _keys(names: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n,) int64: 63 bits of a digest of each name."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names.to_pylist())
    return np.array([int.from_bytes(digest, "big") >> 1 for digest in digests], np.int64).reshape(-1)


def _usable(catalogue: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
    """Rows with a position, one per spectrum, in the order of their files and targets; and what was left out by force."""
    catalogue = catalogue.sort_by([(name, "ascending") for name in (*FILE, "targetid", "survey_zwarning", "survey_z")])
    ra, dec = (catalogue[name].to_numpy() for name in ("ra", "dec"))
    nowhere = ~(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)) | ((ra == 0) & (dec == 0))
    again = np.zeros(len(catalogue), bool)
    if len(catalogue) > 1:
        again[1:] = True
        for name in (*FILE, "targetid"):
            column = catalogue[name].combine_chunks()
            again[1:] &= np.asarray(pc.fill_null(pc.equal(column[1:], column[:-1]), False))
    rejected = [
        _rejection(catalogue.filter(pa.array(nowhere)), "the catalogue gives no position"),
        _rejection(
            catalogue.filter(pa.array(again & ~nowhere)),
            "the catalogue lists this spectrum more than once; one row was kept",
        ),
    ]
    return catalogue.filter(pa.array(~nowhere & ~again)).combine_chunks(), rejected


def _rejection(table: pa.Table, reason: str) -> pa.Table:
    return pa.table([spectrum_ids(table), [reason] * len(table), ["targets"] * len(table)], schema=REJECTED)


def _labels(catalogue: pa.Table, classes: list[dict] | None) -> tuple[np.ndarray, list[str | None]]:
    """((n,) int index into the labels or −1 for none, the labels). Without classes every row has index 0, label null."""
    if not classes:
        return np.zeros(len(catalogue), int), [None]
    place = pc.index_in(catalogue["survey_class"], pa.array([entry["class"] for entry in classes]))
    return pc.fill_null(place, -1).to_numpy().astype(int), [entry["label"] for entry in classes]


def _require_classes(catalogue: pa.Table, label: np.ndarray, names: list, dataset: str) -> None:
    empty = [name for index, name in enumerate(names) if not (label == index).any()]
    if empty:
        found = sorted(pc.value_counts(catalogue["survey_class"]).to_pylist(), key=lambda entry: -entry["counts"])
        have = ", ".join(f"{entry['values']} ({entry['counts']:,})" for entry in found) or "nothing"
        raise ResurveyError(
            f"dataset {dataset}: the catalogue has no spectrum of {', '.join(empty)} after the cuts. It has {have}. "
            f"Take the class out of datasets/{dataset}.yaml: classes, or relax its selection"
        )


def _files(catalogue: pa.Table) -> tuple[np.ndarray, list[str]]:
    """((n,) number of the file of each row in the order of survey, program and pixel, their names). Rows are sorted by file."""
    names = pc.binary_join_element_wise(
        catalogue["survey"], catalogue["program"], pc.cast(catalogue["healpix"], pa.string()), "-"
    )
    coded = names.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(int), coded.dictionary.to_pylist()


def _table(table: pa.Table, objects, label, names, side, group, sizes, count: int) -> pa.Table:
    stars = pc.equal(table["survey_class"], NO_REDSHIFT)

    def words(numbers: np.ndarray, known: list) -> pa.Array:
        return pa.DictionaryArray.from_arrays(numbers.astype(np.int32), pa.array(known, pa.string())).cast(pa.string())

    columns = {
        "spectrum_id": spectrum_ids(table),
        "object_id": pa.array(objects),
        "label": words(label, names),
        "z": pc.if_else(stars, pa.scalar(None, pa.float64()), table["survey_z"]),
        "sn_median": pa.nulls(len(table), pa.float32()),  # of the spectrum, when it is read
        "in_file": pa.array(sizes[group], pa.int32()),  # spectra that the file holds
        "split": words(side, [*SPLITS, None]),
        "shard": pa.array(shards.names(shards.assign(group, np.zeros(len(group), int), count))),
    }
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table.sort_by([(name, "ascending") for name in ("shard", *FILE, "targetid")])
