"""What a figure may draw from, and the errors when it is not there."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.figures.style import ordered
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import Paper
from resurvey.metrics.tables import Tidy


@dataclass
class Inputs:
    """A paper's conventions and the inputs that were given: a tidy table, targets, example spectra, networks."""

    paper: Paper
    tidy: Tidy | None = None
    targets: pd.DataFrame | None = None
    examples: pd.DataFrame | None = None
    networks: list[Network] = field(default_factory=list)
    meta: dict = field(default_factory=dict)


def redshift_rows(inputs: Inputs, columns: list[str]) -> pd.DataFrame:
    """Rows of the extragalactic classes with all `columns` finite, in the order of the panels.

    Raises ResurveyError when no row has them, naming what each class lacks.
    """
    table = inputs.tidy.table
    table = table[table["label"].isin(inputs.paper.redshift_labels)]
    usable = table[np.isfinite(table[columns].astype(float)).all(axis=1)]
    if usable.empty:
        empty = [c for c in columns if not table[c].notna().any()]
        lacks = f"the predictions have no {', '.join(empty)}" if empty else f"no row has all of {', '.join(columns)}"
        present = ", ".join(map(str, inputs.tidy.table["label"].unique()[:15])) or "none"
        raise ResurveyError(f"{lacks} for the classes {', '.join(inputs.paper.redshift_labels)} (classes in the file: {present}); "
                            "this figure cannot be drawn from it")  # fmt: skip
    rank = {label: i for i, label in enumerate(ordered(list(usable["label"].unique())))}
    order = usable["label"].map(rank).argsort(kind="stable")
    return usable.iloc[order].reset_index(drop=True)


def absent(data: pd.DataFrame, paper: Paper) -> list[str]:
    """Redshift classes of the paper that a figure's data do not show."""
    return [label for label in ordered(paper.redshift_labels) if label not in set(data["label"])]
