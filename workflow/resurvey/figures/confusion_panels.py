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
    size = max(len(set(data[data["model"] == model]["true"])) for model in models)
    side = 1.25 + 0.36 * size
    fig = style.figure(max(side * len(models) + 0.3, style.ONE_COLUMN), side + 0.75)
    axes = fig.subplots(1, len(models), squeeze=False)[0]
    for axis, model in zip(axes, models, strict=True):
        own = data[data["model"] == model]
        labels = list(dict.fromkeys(own["true"]))
        share, counts = (own.pivot(index="predicted", columns="true", values=v).loc[labels, labels].to_numpy() for v in ("fraction", "n"))  # fmt: skip
        _panel(axis, share, counts, labels)
        axis.set_title(
            f"{titles[model]}\naverage accuracy {100 * cl.average_accuracy(counts):.1f}%  (N = {counts.sum()})", pad=5
        )
    axes[0].set_ylabel("predicted class")
    style.footer(fig, {**meta, "model": ", ".join(models)})
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
