"""Fig. C1: average accuracy of the classes against S/N."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs
from resurvey.metrics import classification as cl

EDGES = np.linspace(0, 50, 15)  # 14 bins of S/N from 0 to 50, as in the paper
FEW = 5  # a class with fewer spectra in a bin is not averaged there: its accuracy is chance


def data(inputs: Inputs) -> pd.DataFrame:
    """A row per bin that holds spectra: `sn_low, sn_high, average, classes, all, error, n`.

    average: mean accuracy of the `classes` classes with at least FEW spectra in the bin, NaN where there is none; all: fraction of all
    n spectra that were recognised, error: its binomial standard error (Agresti & Coull's for z = 1, which is never zero).
    """
    table, labels = inputs.tidy.table, inputs.paper.labels
    known = table[table["class_pred"].isin(labels) & table["label"].isin(labels)]
    if known.empty:
        raise ResurveyError("the predictions have no predicted class (class_pred); accuracy cannot be drawn from them")
    rows = []
    for low, high in pairwise(EDGES):
        here = known[(known["sn_median"] >= low) & (known["sn_median"] < high)]
        if here.empty:
            continue
        matrix = cl.confusion(here["label"], here["class_pred"], labels)
        each = cl.class_accuracies(matrix)[matrix.sum(0) >= FEW]
        n, right = len(here), int(np.trace(matrix))
        share = (right + 0.5) / (n + 1)
        rows.append(
            {
                "sn_low": low,
                "sn_high": high,
                "average": float(np.mean(each)) if len(each) else np.nan,
                "classes": len(each),
                "all": right / n,
                "error": float(np.sqrt(share * (1 - share) / (n + 1))),
                "n": n,
            }
        )
    if not rows:
        raise ResurveyError(
            f"no spectrum has an S/N from {EDGES[0]:g} to {EDGES[-1]:g}; accuracy cannot be drawn against it"
        )
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """The average of the classes as points with the number of classes in it, all spectra as a line with its error."""
    fig = style.figure(style.ONE_COLUMN * 1.3, 3.1)
    axis = fig.subplots()
    middle = (data["sn_low"] + data["sn_high"]) / 2
    axis.fill_between(
        middle, 100 * (data["all"] - data["error"]), 100 * (data["all"] + data["error"]), color="0.85", lw=0
    )
    axis.plot(middle, 100 * data["all"], color="0.5", label="all spectra")
    some = data["classes"] > 0
    axis.plot(
        middle[some],
        100 * data["average"][some],
        "o-",
        ms=3.5,
        color=style.HIGH,
        label=f"mean of the classes with ≥ {FEW} spectra",
    )
    for x, y, count in zip(middle[some], data["average"][some], data["classes"][some], strict=True):
        axis.annotate(
            f"{count}",
            (x, 100 * y),
            xytext=(0, -9),
            textcoords="offset points",
            ha="center",
            fontsize=5.8,
            color=style.HIGH,
        )
    low = 100 * min(data["all"].min(), data["average"].min(skipna=True) if some.any() else 1)
    axis.set(
        xlim=(EDGES[0], EDGES[-1]), ylim=(max(low - 9, -6), 102), xlabel="median S/N per pixel", ylabel="accuracy [%]"
    )
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    style.footer(fig, meta)
    return fig
