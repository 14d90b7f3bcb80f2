"""Classes of a model's own: groups of its dataset's classes, a part of each, labels exchanged on purpose (GaSNet-II, App. A, B)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.targets.ranks import keyed_hash

KEYS = ("classes", "contamination", "per_class")  # of a model's entry
COLUMNS = ["spectrum_id", "object_id", "label", "split"]


def asked(entry: dict) -> bool:
    """Whether a model's entry has any of KEYS."""
    return any(entry.get(key) for key in KEYS)


def groups_of(entry: dict, labels: Sequence[str]) -> dict[str, list[str]]:
    """{class of the model: classes of the dataset}; without `classes` in the entry each stands for itself."""
    return entry.get("classes") or {label: [label] for label in labels}


def relabelled(table: pd.DataFrame, groups: dict[str, list[str]], contamination: float, per_class: int | None, seed: int) -> np.ndarray:  # fmt: skip
    """The class (rows,) under which a model learns each spectrum, None for those that it leaves out.

    table: COLUMNS of all spectra. Spectra of classes in no group are left out. per_class: so many of each group, of all splits together,
    are kept, the first in a random order of their objects; None: all. contamination: of the training spectra of each group this
    fraction, rounded to whole spectra, gets the name of another group, all others alike ("randomly selected and shuffled labels",
    Figs. A1, A2); a larger fraction holds a smaller one. Other splits keep their labels. The order of the rows is of no consequence.
    Raises ResurveyError when a group has fewer than per_class spectra.
    """
    home = {label: name for name, members in groups.items() for label in members}
    label = table["label"].map(home).to_numpy(object)
    label[table["label"].map(home).isna().to_numpy()] = None
    objects, names = table["object_id"].to_numpy(np.int64), table["spectrum_id"].to_numpy(str)
    train = (table["split"] == "train").to_numpy()
    known = table["split"].notna().to_numpy()

    def first(rows: np.ndarray, count: int, purpose: str) -> np.ndarray:
        order = np.lexsort((names[rows], keyed_hash(objects[rows], seed, purpose)))
        return rows[order[:count]]

    for name in groups if per_class else ():
        rows = np.flatnonzero((label == name) & known)
        if len(rows) < per_class:
            raise ResurveyError(f"per_class: {per_class} of {name} are asked for, the shards hold {len(rows)}")
        left_out = np.setdiff1d(np.flatnonzero(label == name), first(rows, per_class, "part of a class"))
        label[left_out] = None
    result = label.copy()
    for name in groups if contamination else ():
        rows = np.flatnonzero((label == name) & train)
        chosen = first(rows, round(contamination * len(rows)), "contamination")
        others = np.array([other for other in groups if other != name], object)
        result[chosen] = others[keyed_hash(objects[chosen], seed, "contaminant") % np.uint64(len(others))]
    return result


def learned_classes(paths: Sequence[Path], groups: dict[str, list[str]], entry: dict, seed: int) -> pd.Series:
    """`relabelled` of the spectra of some shards, by spectrum_id. Raises ResurveyError."""
    from resurvey.files import read_table

    table = pd.concat([read_table(path, COLUMNS).to_pandas() for path in paths], ignore_index=True)
    found = relabelled(table, groups, entry.get("contamination") or 0.0, entry.get("per_class"), seed)
    return pd.Series(found, table["spectrum_id"])
