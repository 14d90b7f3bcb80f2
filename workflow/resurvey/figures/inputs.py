"""What a figure may draw from, and the errors when it is not there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.figures.style import ordered
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import Paper
from resurvey.metrics.tables import Tidy

if TYPE_CHECKING:
    from resurvey.metrics.label_tables import LabelTable


@dataclass
class Inputs:
    """A paper's conventions and the inputs that were given: a tidy table or those of several models, targets, example spectra,
    spectra of two classes at the same redshifts, networks, gradients; of stellar labels
    the tables of one or more models, one star's spectra, sensitivities, the release's small tables."""

    paper: Paper
    tidy: Tidy | None = None
    tables: list[Tidy] = field(default_factory=list)
    gradients: pd.DataFrame | None = None
    gradients_meta: dict = field(default_factory=dict)
    targets: pd.DataFrame | None = None
    examples: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    networks: list[Network] = field(default_factory=list)
    label_tables: "list[LabelTable]" = field(default_factory=list)
    star: pd.DataFrame | None = None
    star_meta: dict = field(default_factory=dict)
    sensitivity: pd.DataFrame | None = None
    sensitivity_meta: dict = field(default_factory=dict)
    extras: Path | None = None
    meta: dict = field(default_factory=dict)

    @property
    def labels(self) -> "LabelTable":
        """The table of the model that the figure shows: the first of those given."""
        return self.label_tables[0]

    def extra(self, name: str) -> tuple[pd.DataFrame | None, str]:
        """One of the release's small tables, or None and the reason why it is not there."""
        if self.extras is None:
            return None, "no list of the release's small tables (extras.json) was given"
        entry = files.read_json(self.extras)["tables"].get(name)
        if entry is None:
            return None, f"the release lists no {name}"
        if not entry.get("path"):
            return None, entry.get("reason") or f"{name} could not be had"
        return pd.read_csv(self.extras.with_name(entry["path"])), ""


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
