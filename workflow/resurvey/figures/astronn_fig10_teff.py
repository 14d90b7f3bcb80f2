"""Fig. 10 of astroNN: error against the pipeline and uncertainties of each abundance at high S/N, in bins of Teff."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import label_errors, label_rows, label_style
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, low, high` (of the network's Teff), `n, mae, offset, total, model` of the combined spectra of the test set."""
    rows = label_rows.of_split(inputs.labels.table, "test")
    label_rows.require(rows, ["teff_pred"])
    labels = label_rows.labels(rows, ["pred", "true"], label_style.ABUNDANCES)
    parts = [label_errors.curves(rows, name, "teff_pred", "true", inputs.paper.bins["teff"]) for name in labels]
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per abundance."""
    return label_errors.draw(data, meta, f"network {label_style.with_unit('teff')}", "median |network − ASPCAP|")
