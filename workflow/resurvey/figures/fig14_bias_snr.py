"""Fig. 14: Bias of the point estimates against redshift in three ranges of S/N, Good_Frac of each in the legend."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs, absent, redshift_rows
from resurvey.metrics import redshift as rs

FLOOR = 1e-6  # a Bias below this is drawn here: a perfect prediction has no place on a logarithmic axis


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, z_true, sn_median, bias, estimate`: of the point estimate, for classes without one of the ensemble mean."""
    parts = []
    for column in ("z_point", "z_pred"):
        try:
            rows = redshift_rows(inputs, ["z_true", column, "sn_median"])
        except ResurveyError:
            if column == "z_pred" and not parts:
                raise
            continue
        known = {label for part in parts for label in part["label"].unique()}
        rows = rows[~rows["label"].isin(known)]
        bias = rs.bias(rows["z_true"].to_numpy(float), rows[column].to_numpy(float))
        parts.append(rows[["spectrum_id", "label", "z_true", "sn_median"]].assign(bias=bias, estimate=column))
    result = pd.concat(parts, ignore_index=True)
    rank = {label: i for i, label in enumerate(style.ordered(list(result["label"].unique())))}
    return result.iloc[result["label"].map(rank).argsort(kind="stable")].reset_index(drop=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class, Bias on a logarithmic axis with the threshold of Eq. 10."""
    paper = meta["paper"]
    labels = list(dict.fromkeys(data["label"]))
    fig, axes = style.panels(len(labels), 2.2)
    colours = [style.LOW, style.MIDDLE, style.HIGH]
    for index, (axis, label) in enumerate(zip(axes, labels, strict=True)):
        rows = data[data["label"] == label]
        limit = paper.threshold(label)
        for (name, low, high), tint in zip(rs.sn_ranges(paper.snr_bins), colours, strict=True):
            here = rows[(rows["sn_median"] >= low) & (rows["sn_median"] < high)]
            good = f"{np.mean(here['bias'] < limit):.2f}" if len(here) else "–"
            axis.scatter(here["z_true"], np.maximum(here["bias"], FLOOR), color=tint, **style.marker(len(rows)),
                         label=f"{name}: GF = {good} (N = {len(here)})")  # fmt: skip
        bias_axis(axis, rows["bias"], limit)
        estimate = "" if rows["estimate"].iloc[0] == "z_point" else " (ensemble mean)"
        axis.set_title(label + estimate, loc="left", pad=3)
        corner_legend(axis)
        label_edges(axis, index, len(labels), "Bias")
    style.footer(fig, meta, absent(data, paper))
    return fig


def bias_axis(axis, bias: pd.Series, limit: float, line: float = 0.0) -> None:
    """Logarithmic Bias axis with room for a legend below and for another `line` above, and the Good_Frac threshold."""
    axis.set_yscale("log")
    finite = bias.to_numpy()[np.isfinite(bias)]
    axis.set_ylim(FLOOR * 0.03, max(2 * float(finite.max(initial=0)), 4 * limit, 4 * line))
    axis.axhline(limit, color="0.15", lw=0.8, ls="--", zorder=3)
    name_line(axis, f"thr = {limit:g}", limit, above=limit >= line, right=True)


def name_line(axis, words: str, value: float, above: bool, right: bool) -> None:
    """The name of a horizontal line, on the side of it where no other line is, at the right or left edge."""
    axis.annotate(words, (1 if right else 0, value), xycoords=("axes fraction", "data"), xytext=(-4 if right else 4, 1.5 if above else -2),
                  textcoords="offset points", ha="right" if right else "left", va="bottom" if above else "top", fontsize=6.5, zorder=5,
                  bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.4})  # fmt: skip


def corner_legend(axis) -> None:
    """A legend in the room below the points, its own points larger than theirs."""
    legend = axis.legend(loc="lower right", handletextpad=0.1, borderpad=0.2, labelspacing=0.25, frameon=True, framealpha=0.8,
                         edgecolor="none")  # fmt: skip
    for handle in legend.legend_handles:
        handle.set(alpha=1, sizes=[10])


def label_edges(axis, index: int, n: int, ylabel: str) -> None:
    """Axis labels on the left and the bottom panels only."""
    columns = style.grid_shape(n)[1]
    if index % columns == 0:
        axis.set_ylabel(ylabel)
    if index + columns >= n:
        axis.set_xlabel(r"true redshift $z_{\rm t}$")
