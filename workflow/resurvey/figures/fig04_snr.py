"""Fig. 4: the distribution of S/N: stars, galaxies, quasars, each stacked by class."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import histogram, style
from resurvey.figures.inputs import Inputs
from resurvey.metrics.classification import superclass

TOP = {"STAR": 80.0, "GALAXY": 40.0, "QSO": 20.0}


def data(inputs: Inputs) -> pd.DataFrame:
    """Counts per class in 40 bins, `group` is star, galaxy or quasar."""
    table, parts = inputs.targets, []
    for group, top in TOP.items():
        labels = [c for c in inputs.paper.labels if superclass(c) == group]
        values = {c: table.loc[table["label"] == c, "sn_median"].to_numpy(float) for c in labels}
        values = {c: v for c, v in values.items() if len(v)}
        if values:
            parts.append(histogram.counts(values, np.linspace(0, top, 41)).assign(group=group))
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Three panels below each other."""
    groups = list(dict.fromkeys(data["group"]))
    fig = style.figure(style.ONE_COLUMN * 1.35, 0.2 + 1.85 * len(groups))
    for axis, group in zip(fig.subplots(len(groups), 1, squeeze=False).ravel(), groups, strict=True):
        histogram.stacked(axis, data[data["group"] == group], meta["paper"].labels)
        axis.get_legend().set_title(None)
    axis.set_xlabel("median S/N per pixel")
    style.footer(fig, meta)
    return fig
