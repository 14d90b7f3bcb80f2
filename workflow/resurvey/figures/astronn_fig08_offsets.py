"""Fig. 8 of astroNN: network, pipeline and The Cannon against each other as S/N falls."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_curves import curve

LABELS = ("teff", "logg", "fe_h", "al_h")
PAIRS = {  # name: columns, of which the second is subtracted, colour
    "network − ASPCAP": ("{}_pred", "{}_true", label_style.NETWORK),
    "network − Cannon": ("{}_pred", "cannon_{}", label_style.THIRD),
    "ASPCAP − Cannon": ("{}_true", "cannon_{}", label_style.SURVEY),
}
TEFF, VSCATTER = (4000.0, 5500.0), 1.0  # K, km/s: the cuts of the paper
LEAST = 3  # spectra in a bin that is drawn


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, pair, low, high, n, mae, offset` of combined spectra in bins of S/N; flags 0, little scatter in velocity, and the
    pipeline's Teff in the paper's range, where the table knows them. A pair of which nothing is known has n = 0 everywhere."""
    table = label_rows.combined(inputs.labels.table)
    label_rows.require(table, ["sn_median", "teff_true"])
    good = table["teff_true"].between(*TEFF)
    for name in ("starflag", "aspcapflag"):
        good &= table[name].isna() | (table[name] == 0)
    good &= table["vscatter"].isna() | (table["vscatter"] < VSCATTER)
    rows, parts = table[good], []
    if rows.empty:
        raise ResurveyError(f"the predictions: none of {len(table)} combined spectra passes the cuts of the figure")
    sn = rows["sn_median"].to_numpy(float)
    for label in label_rows.labels(table, ["pred"], LABELS):
        for pair, (first, second, _) in PAIRS.items():
            values = [rows.get(name.format(label), pd.Series(np.nan, rows.index)).to_numpy(float) for name in (first, second)]  # fmt: skip
            parts.append(curve(sn, *values, inputs.paper.bins["sn_wide"]).assign(label=label, pair=pair))
    return pd.concat(parts, ignore_index=True)[["label", "pair", "low", "high", "n", "mae", "offset"]]


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Median absolute error above, median offset below."""
    labels = list(dict.fromkeys(data["label"]))
    fig = style.figure(0.4 + 1.65 * len(labels), 3.7)
    axes = fig.subplots(2, len(labels), sharex=True, squeeze=False)
    for column, label in enumerate(labels):
        for row, (name, words) in enumerate((("mae", "MAE"), ("offset", "median offset"))):
            axis = axes[row, column]
            absent = _curves(axis, data[data["label"] == label], name)
            axis.set_xlim(data["low"].min(), data["high"].max())
            axis.margins(y=0.15)
            if name == "mae":
                axis.set_ylim(bottom=0)
                axis.set_title(label_style.with_unit(label), pad=4)
            else:
                axis.axhline(0, color="0.5", lw=0.5, ls=":", zorder=0)
            if absent and name == "mae":
                label_style.corner(axis, "\n".join(f"no {words}" for words in absent), size=6, color="0.4")
            if column == 0:
                axis.set_ylabel(words)
    fig.align_ylabels(axes[:, 0])
    handles, words = max((axis.get_legend_handles_labels() for axis in axes.flat), key=lambda pair: len(pair[0]))
    fig.legend(handles, words, loc="outside upper center", ncols=len(words) or 1, handlelength=1.6)
    fig.supxlabel("")
    for axis in axes[-1]:
        axis.set_xlabel("median S/N per pixel")
    style.footer(fig, meta)
    return fig


def _curves(axis, rows: pd.DataFrame, name: str) -> list[str]:
    """Draw each pair; returns those of which there is nothing."""
    absent = []
    for pair, (*_, colour) in PAIRS.items():
        part = rows[(rows["pair"] == pair) & (rows["n"] >= LEAST)]
        if part.empty:
            absent.append(pair)
            continue
        axis.plot((part["low"] + part["high"]) / 2, part[name], color=colour, lw=1, marker="o", ms=1.8, label=pair)
    return absent
