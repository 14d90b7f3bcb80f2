"""Figs. A1, A2: confusion matrices of classifiers for which a part of the training labels was exchanged at random."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import confusion_panels
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """The matrices (confusion_panels.matrices), the least contaminated first."""
    return confusion_panels.matrices(sorted(inputs.tables, key=lambda table: table.meta.get("contamination", 0.0)))


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per fraction."""
    levels = dict(zip(data["model"], data["contamination"], strict=True))
    titles = {model: f"{100 * level:g}% contamination" for model, level in levels.items()}
    return confusion_panels.draw(data, meta, titles)
