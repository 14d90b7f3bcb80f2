"""Fig. E1: the ensemble's σ and the classifier's accuracy against the velocity dispersion of galaxies."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs

LIMIT = 450  # km/s, the paper's; 0 and 850 are fits that failed
BINS = 9
FEW = 5  # a bin with fewer spectra has neither median nor accuracy


def data(inputs: Inputs) -> pd.DataFrame:
    """`spectrum_id, label, vdisp, z_std, right` of the galaxies with 0 < vdisp < LIMIT.

    right: 1 where the class was recognised, 0 where not, NaN in predictions without classes. Raises ResurveyError when nothing is left.
    """
    table = inputs.tidy.table
    rows = table[table["label"].isin(inputs.paper.labels) & table["label"].astype(str).str.startswith("GALAXY")]
    rows = rows[(rows["vdisp"] > 0) & (rows["vdisp"] < LIMIT)]
    right = (rows["class_pred"] == rows["label"]).astype(float).where(rows["class_pred"].notna())
    rows = rows.assign(right=right)[["spectrum_id", "label", "vdisp", "z_std", "right"]]
    rows = rows[rows["z_std"].notna() | rows["right"].notna()]
    if rows.empty:
        raise ResurveyError(
            f"no galaxy has a velocity dispersion between 0 and {LIMIT} km/s and a σ or a predicted class"
        )
    rank = {label: i for i, label in enumerate(style.ordered(list(rows["label"].unique())))}
    return rows.iloc[rows["label"].map(rank).argsort(kind="stable")].reset_index(drop=True)


def binned(rows: pd.DataFrame, column: str, how: str) -> pd.DataFrame:
    """`vdisp, value, n`: `how` (mean, median) of a column in BINS equal bins with at least FEW spectra."""
    rows = rows[rows[column].notna()]
    width = LIMIT / BINS
    groups = rows.groupby((rows["vdisp"] // width).astype(int))[column].agg([how, "size"])
    groups = groups[groups["size"] >= FEW]
    return pd.DataFrame(
        {"vdisp": (groups.index + 0.5) * width, "value": groups[how].to_numpy(), "n": groups["size"].to_numpy()}
    )


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """σ of each class on top, accuracy below; a panel for which the predictions hold nothing is left out."""
    labels = list(dict.fromkeys(data["label"]))
    kinds = [kind for kind, column in (("sigma", "z_std"), ("accuracy", "right")) if data[column].notna().any()]
    fig = style.figure(style.ONE_COLUMN * 1.45, {1: 3.4, 2: 5.2}[len(kinds)])
    axes = fig.subplots(len(kinds), 1, sharex=True, squeeze=False, height_ratios=[3, 2][: len(kinds)])[:, 0]
    for axis, kind in zip(axes, kinds, strict=True):
        (_sigma if kind == "sigma" else _accuracy)(axis, data, labels, meta["paper"].labels)
    axes[-1].set(xlim=(0, LIMIT), xlabel=r"velocity dispersion [km s$^{-1}$]")
    style.footer(fig, meta)
    return fig


def _sigma(axis, data: pd.DataFrame, labels: list[str], known: list[str]) -> None:
    positive = data[data["z_std"] > 0]
    shuffled = positive.sample(frac=1, random_state=0)  # no class lies on top of the others
    axis.scatter(shuffled["vdisp"], shuffled["z_std"], c=[style.colour(name, known) for name in shuffled["label"]], **{**style.marker(len(positive)), "alpha": 0.35})  # fmt: skip
    for label in labels:
        rows = positive[positive["label"] == label]
        if rows.empty:
            continue
        line = binned(rows, "z_std", "median")
        axis.plot(line["vdisp"], line["value"], "o-", ms=3, mec="0.2", mew=0.4, color=style.colour(label, known), label=f"{label} (N = {len(rows)})", zorder=4)  # fmt: skip
    low, high = np.quantile(positive["z_std"], (0.001, 1.0))
    axis.set(yscale="log", ylim=(low * 0.7, high * 8), ylabel=r"$\sigma_z$")
    axis.legend(loc="upper left", ncols=2 if len(labels) > 3 else 1, fontsize=6.2)


def _accuracy(axis, data: pd.DataFrame, labels: list[str], known: list[str]) -> None:
    lowest = 1.0
    for label in labels:
        line = binned(data[data["label"] == label], "right", "mean")
        if line.empty:
            continue
        error = np.sqrt(np.clip(line["value"] * (1 - line["value"]), 0.25 / line["n"], None) / line["n"])
        axis.errorbar(line["vdisp"], 100 * line["value"], 100 * error, fmt="o-", ms=3, mec="0.2", mew=0.4, elinewidth=0.6, color=style.colour(label, known), label=label)  # fmt: skip
        lowest = min(lowest, float((line["value"] - error).min()))
    named = set(data.loc[data["z_std"] > 0, "label"])
    lacking = [label for label in labels if label not in named]  # the legend of the panel above names the others
    bottom = max(100 * lowest - 5, -3)
    handles = [line for line in axis.get_legend_handles_labels()[0] if line.get_label() in lacking]
    if handles:
        bottom -= 0.25 * (103 - bottom)
        axis.legend(handles=handles, loc="lower left", ncols=2, fontsize=6.2)
    axis.set(ylim=(bottom, 103), ylabel="accuracy [%]")
