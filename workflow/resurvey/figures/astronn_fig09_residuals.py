"""Fig. 9 of astroNN: error against the pipeline and uncertainties of each label at high S/N, in bins of the label."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import label_errors, label_rows, label_style
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, low, high` (of the pipeline's label), `n, mae, offset, total, model` of the combined spectra of the test set."""
    rows = label_rows.of_split(inputs.labels.table, "test")
    labels = label_rows.labels(rows, ["pred", "true"])
    bins = inputs.paper.bins
    parts = [label_errors.curves(rows, n, f"{n}_true", "true", bins.get(n, bins["abundance"])) for n in labels]
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per label."""
    names = {name: f"ASPCAP {label_style.with_unit(name)}" for name in label_errors.WIDE} | {"": "ASPCAP [X/H] [dex]"}
    return label_errors.draw(data, meta, names, "median |network − ASPCAP|")
