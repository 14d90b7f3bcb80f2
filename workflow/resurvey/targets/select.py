"""Cuts of the master catalogue, labels, and the random draw of each class."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.errors import ResurveyError
from resurvey.targets import ranks

COLUMNS = {
    "specprimary": "specprimary",
    "zwarning": "survey_zwarning",
    "platequality": "platequality",
    "targettype": "targettype",
    "sn_min": "sn_median",
    "plates": "plate",
}


def passes(catalogue: pa.Table, cuts: dict) -> np.ndarray:
    """(n,) bool: the rows that pass all cuts; a null cut is not applied, and a null value passes no cut but a `!`.

    A text that begins with `!` means all but that value (`targettype: "!SKY"`). Raises ResurveyError for a cut on a
    column that the catalogue has not got.
    """
    keep = np.ones(len(catalogue), bool)
    for name, value in cuts.items():
        if value is None:
            continue
        column = catalogue[COLUMNS[name]]
        if len(column) and column.null_count == len(column):
            raise ResurveyError(f"selection.{name}: this catalogue has no {COLUMNS[name]}; set selection.{name}: null")
        if name == "sn_min":
            good = pc.greater_equal(column, float(value))
        elif name == "plates":
            good = pc.is_in(column, pa.array(value, column.type))
        elif isinstance(value, str) and value.startswith("!"):
            good = pc.fill_null(pc.not_equal(column, value[1:]), True)
        else:
            good = pc.equal(column, value)
        keep &= pc.fill_null(good, False).to_numpy()
    return keep


def labels(catalogue: pa.Table, classes: list[dict] | None) -> tuple[np.ndarray, list[str | None]]:
    """((n,) int index into the labels or −1 for none, the labels). Without classes every row has index 0, label null."""
    if not classes:
        return np.zeros(len(catalogue), int), [None]
    wanted = {(entry["class"], entry["subclass"]): index for index, entry in enumerate(classes)}
    kinds, kind = _codes(catalogue["survey_class"])
    subs, sub = _codes(catalogue["survey_subclass"])
    lookup = np.array([[wanted.get((a, b), -1) for b in subs] for a in kinds], int).reshape(len(kinds), len(subs))
    return lookup[kind, sub], [entry["label"] for entry in classes]


def draw(keys: np.ndarray, label: np.ndarray, per_class: int | None, seed: int) -> np.ndarray:
    """(n,) bool: at random `per_class` spectra of each label ≥ 0, all where there are fewer (or per_class is null)."""
    keep = label >= 0
    if per_class is None:
        return keep
    for index in range(int(label.max(initial=-1)) + 1):
        mine = np.flatnonzero(label == index)
        keep[mine[ranks.order(keys[mine], seed, "draw")[per_class:]]] = False
    return keep


def require_classes(catalogue: pa.Table, label: np.ndarray, names: list, dataset: str) -> None:
    """Raise ResurveyError if a class has no spectrum at all, naming what the catalogue has."""
    empty = [name for index, name in enumerate(names) if not (label == index).any()]
    if not empty:
        return
    pairs = pc.binary_join_element_wise(
        pc.fill_null(catalogue["survey_class"], ""), pc.fill_null(catalogue["survey_subclass"], ""), "/"
    )
    found = sorted(pc.value_counts(pairs).to_pylist(), key=lambda entry: -entry["counts"])[:20]
    have = ", ".join(f"{entry['values'].rstrip('/')} ({entry['counts']:,})" for entry in found) or "nothing"
    raise ResurveyError(
        f"dataset {dataset}: the catalogue has no spectrum of {', '.join(map(str, empty))} after the cuts. It has {have}. "
        f"Take the class out of datasets/{dataset}.yaml: classes, or relax its selection"
    )


def _codes(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)
