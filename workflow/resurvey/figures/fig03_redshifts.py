"""Fig. 3: the redshift distribution of the extragalactic classes, stacked."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import histogram, style
from resurvey.figures.inputs import Inputs

TOP = 5.0  # beyond it stand a handful of quasars


def data(inputs: Inputs) -> pd.DataFrame:
    """Counts per class in bins of 0.1 up to z = 5."""
    table = inputs.targets
    values = {c: table.loc[table["label"] == c, "z"].to_numpy(float) for c in inputs.paper.redshift_labels}
    return histogram.counts({c: v for c, v in values.items() if len(v)}, np.arange(0, TOP + 0.05, 0.1))


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """One panel, logarithmic steps would hide the shape: linear counts."""
    fig = style.figure(style.ONE_COLUMN * 1.35, 2.9)
    axis = fig.subplots()
    histogram.stacked(axis, data, meta["paper"].labels)
    axis.set_xlabel("redshift $z$")
    style.footer(fig, meta)
    return fig
