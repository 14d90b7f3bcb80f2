"""Confusion matrices of several models side by side, each with its own classes (shared by Figs. A1, A2 and B1)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.metrics import classification as cl
from resurvey.metrics.tables import Tidy


def matrices(tables: list[Tidy]) -> pd.DataFrame:
    """Long form: `model, contamination, release, predicted, true, n, fraction` (fraction of the true class), the models as they come.

    contamination: fraction of training labels that were exchanged. Raises ResurveyError for a table without predicted classes.
    """
    parts = []
    for table in tables:
        labels = list(table.meta.get("labels") or dict.fromkeys(table.table["class_pred"].dropna()))
        known = table.table[table.table["class_pred"].isin(labels) & table.table["label"].isin(labels)]
        if known.empty:
            raise ResurveyError(
                f"{table.model}: no spectrum has a predicted class (class_pred); there is no confusion matrix of it"
            )
        matrix = cl.confusion(known["label"], known["class_pred"], labels)
        share = cl.along_columns(matrix)
        about = {
            "model": table.model,
            "contamination": table.meta.get("contamination", 0.0),
            "release": table.meta.get("release"),
        }
        parts += [
            {**about, "predicted": p, "true": t, "n": int(matrix[i, j]), "fraction": share[i, j]}
            for i, p in enumerate(labels)
            for j, t in enumerate(labels)
        ]
    return pd.DataFrame(parts)


def draw(data: pd.DataFrame, meta: dict, titles: dict[str, str]) -> Figure:
    """A panel per model; titles: what stands above each, by model, before its average accuracy."""
    models = list(dict.fromkeys(data["model"]))
    classes = [tuple(dict.fromkeys(data.loc[data["model"] == model, "true"])) for model in models]
    alike = len(set(classes)) == 1  # the classes need be named once only
    side = max(1.6, 0.4 * max(map(len, classes)))
    fig = style.figure(max((side + (0.15 if alike else 1.0)) * len(models) + 1.2, style.ONE_COLUMN), side + 1.75)
    axes = fig.subplots(1, len(models), squeeze=False)[0]
    for axis, model, labels in zip(axes, models, map(list, classes), strict=True):
        own = data[data["model"] == model]
        share, counts = (
            own.pivot(index="predicted", columns="true", values=value).loc[labels, labels].to_numpy()
            for value in ("fraction", "n")
        )
        _panel(axis, share, counts, labels)
        if alike and axis is not axes[0]:
            axis.set_yticklabels([])
        accuracy = f"average accuracy {100 * cl.average_accuracy(counts):.1f}%"
        axis.set_title(f"{titles[model]}, N = {counts.sum()}\n{accuracy}", pad=5)
    axes[0].set_ylabel("predicted class")
    releases = ", ".join(dict.fromkeys(data["release"].dropna()))
    style.footer(fig, {**meta, "model": ", ".join(models), "release": releases or None})
    return fig


def _panel(axis, share: np.ndarray, counts: np.ndarray, labels: list[str]) -> None:
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for i in range(len(labels)):
        for j in range(len(labels)):
            if counts[i, j]:
                value = 100 * share[i, j]
                words = f"{value:.1f}" if value >= 0.05 else "<0.1"
                axis.text(j, i, words, ha="center", va="center", fontsize=7.5 if len(labels) < 6 else 6, color="white" if share[i, j] > 0.55 else "0.15")  # fmt: skip
    names = [
        label.split("_", 1)[-1] if len({name.split("_")[0] for name in labels}) == 1 else label for label in labels
    ]
    axis.set_xticks(range(len(labels)), names, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), names)
    axis.tick_params(top=False, right=False, length=0)
    axis.set_xlabel("true class")
