"""Fig. 12: the confusion matrix of the classifier, read along columns."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs
from resurvey.metrics import classification as cl


def data(inputs: Inputs) -> pd.DataFrame:
    """Long form: `predicted, true, n, fraction` (fraction of the true class)."""
    table, labels = inputs.tidy.table, inputs.paper.labels
    known = table[table["class_pred"].isin(labels) & table["label"].isin(labels)]
    if known.empty:
        raise ResurveyError(
            "the predictions have no predicted class (class_pred); a confusion matrix cannot be drawn from them"
        )
    matrix = cl.confusion(known["label"], known["class_pred"], labels)
    share = cl.along_columns(matrix)
    return pd.DataFrame(
        [
            {"predicted": p, "true": t, "n": int(matrix[i, j]), "fraction": share[i, j]}
            for i, p in enumerate(labels)
            for j, t in enumerate(labels)
        ]
    )


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Percentages of each true class; the columns sum to 100."""
    labels = list(dict.fromkeys(data["true"]))
    share = data.pivot(index="predicted", columns="true", values="fraction").loc[labels, labels].to_numpy()
    counts = data.pivot(index="predicted", columns="true", values="n").loc[labels, labels].to_numpy()
    fig = style.figure(5.6, 5.3)
    axis = fig.subplots()
    image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for i in range(len(labels)):
        for j in range(len(labels)):
            if counts[i, j]:
                value = 100 * share[i, j]
                axis.text(j, i, f"{value:.1f}" if value >= 0.05 else "<0.1", ha="center", va="center", fontsize=6.3,
                          color="white" if share[i, j] > 0.55 else "0.15")  # fmt: skip
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(top=False, right=False, length=0)
    axis.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", lw=0.6)
    axis.tick_params(which="minor", length=0, top=False, right=False)
    axis.set(xlabel="true class", ylabel="predicted class")
    total = counts.sum(0)
    each = f"{total.min()}" if total.min() == total.max() else f"{total.min()}–{total.max()}"
    axis.set_title(f"average accuracy {100 * cl.average_accuracy(counts):.1f}%  ({each} test spectra per class)", pad=6)
    bar = fig.colorbar(image, ax=axis, shrink=0.6, pad=0.015, aspect=28)
    bar.set_label("fraction of the true class")
    bar.ax.tick_params(right=True)
    style.footer(fig, meta)
    return fig
