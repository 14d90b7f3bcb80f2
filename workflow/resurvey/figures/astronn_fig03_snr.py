"""Fig. 3 of astroNN: S/N of the training set and of the two test sets."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import histogram, label_rows, label_style, style
from resurvey.figures.inputs import Inputs

TOP, WIDTH = 400.0, 10.0  # higher S/N is set to 400, as in the paper
SETS = {  # name: splits, colour
    "training set": (("train", "valid"), label_style.TRUTH),
    "test set, combined spectra": (("test",), label_style.NETWORK),
    "test set, individual visits": (("test_visits",), label_style.SURVEY),
}


def data(inputs: Inputs) -> pd.DataFrame:
    """Counts per set in bins of 10: `label` (the set), `low, high, n`. The S/N of visits comes from their predictions."""
    label_rows.require(inputs.targets, ["split", "sn_median"], "the targets")
    label_rows.require(inputs.labels.table, ["split", "sn_median"])
    values = {}
    for name, (splits, _) in SETS.items():
        table = inputs.labels.table if "test_visits" in splits else inputs.targets
        sn = table.loc[table["split"].isin(splits), "sn_median"].to_numpy(float)
        values[name] = np.minimum(sn[np.isfinite(sn)], TOP)
    if not any(len(sn) for sn in values.values()):
        raise ResurveyError("no spectrum of the training and test sets has an S/N; make the targets again")
    return histogram.counts(values, np.arange(0, TOP + WIDTH / 2, WIDTH))


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Outlines, so that no set hides another."""
    fig = style.figure(style.ONE_COLUMN * 1.3, 2.8)
    axis = fig.subplots()
    for name, (_, colour) in SETS.items():
        rows = data[data["label"] == name]
        edges = [*rows["low"], rows["high"].iloc[-1]]
        n = int(rows["n"].sum())
        axis.stairs(rows["n"], edges, color=colour, lw=1.1, label=f"{name} (N = {n:,})" if n else f"{name}: none")
    axis.set_xlim(0, TOP)
    axis.set_ylim(0, 1.3 * max(data["n"].max(), 1))
    axis.set_xlabel(f"median S/N per pixel (above {TOP:g} set to {TOP:g})")
    axis.set_ylabel("spectra per bin of 10")
    axis.legend(loc="upper right", handlelength=1.4)
    style.footer(fig, meta)
    return fig
