"""Fig. 11 of astroNN: the network on individual visits against itself on the combined spectra, as S/N falls."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import label_errors, label_rows, label_style
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_curves import mae_at, self_pairs


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, low, high` (of the visit's S/N), `n, mae, offset, total, model`; `mae_50, n_50`: of the visits with 50 ≤ S/N < 60, the
    paper's "MAE at SNR = 50"."""
    table = inputs.labels.table
    label_rows.of_split(table, "test_visits")
    rows = self_pairs(table)
    label_rows.require(rows, ["sn_median"], "the visits of the test set whose combined spectrum is there too")
    parts = []
    for name in label_rows.labels(rows, ["pred"]):
        mae, n = mae_at(rows, name, *inputs.paper.mae_at_sn)
        parts.append(
            label_errors.curves(rows, name, "sn_median", "combined", inputs.paper.bins["sn"]).assign(mae_50=mae, n_50=n)
        )
    if not any(part["n"].sum() for part in parts):
        raise ResurveyError("no visit of the test set with an S/N has a prediction for itself and for its combined spectrum")  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per label with its error at S/N 50."""
    at = data.groupby("label")[["mae_50", "n_50"]].first()
    extra = {}
    for label, row in at.iterrows():
        form = "{:.0f} K" if label_style.BY_NAME[label].unit == "K" else "{:.3f}"
        extra[label] = form.format(row["mae_50"]) if row["n_50"] else "none at S/N 50"
    return label_errors.draw(data, meta, "S/N of the visit", "median |visit − combined|", extra)
