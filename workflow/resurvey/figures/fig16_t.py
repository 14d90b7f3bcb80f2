"""Fig. 16: t = |z_t − z̄|/σ against redshift, with the fraction below 3."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style
from resurvey.figures.fig14_bias_snr import label_edges
from resurvey.figures.inputs import Inputs, absent, redshift_rows
from resurvey.metrics import redshift as rs

TOP = 6.0  # points above are drawn as triangles at the edge


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, z_true, t` of every spectrum with an ensemble redshift."""
    rows = redshift_rows(inputs, ["z_true", "z_pred", "z_std"])
    t = rs.t_values(*(rows[c].to_numpy(float) for c in ("z_true", "z_pred", "z_std")))
    return rows[["spectrum_id", "label", "z_true"]].assign(t=t)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class."""
    paper = meta["paper"]
    labels = list(dict.fromkeys(data["label"]))
    fig, axes = style.panels(len(labels), 1.7)
    for index, (axis, label) in enumerate(zip(axes, labels, strict=True)):
        rows = data[data["label"] == label]
        inside = rows["t"] < 3
        look = style.marker(len(rows))
        axis.scatter(
            rows["z_true"][inside], rows["t"][inside], color=style.ROBUST, label=f"t < 3: {np.mean(inside):.3f}", **look
        )
        out = rows[~inside]
        above = out["t"] > TOP
        axis.scatter(
            out["z_true"][~above],
            out["t"][~above],
            color=style.LOW,
            **{**look, "alpha": 0.8},
            label=f"t ≥ 3: {len(out)}",
        )
        if above.any():
            axis.scatter(out["z_true"][above], np.full(int(above.sum()), TOP * 0.965), marker="^", s=9, color=style.LOW, linewidths=0,
                         label=f"t > {TOP:g}: {int(above.sum())}")  # fmt: skip
        axis.axhline(3, color="0.15", lw=0.8, ls="--")
        axis.set_ylim(0, TOP * 1.3)
        axis.set_yticks([0, 1, 2, 3, 4, 5, 6])
        axis.set_title(label, loc="left", pad=3)
        legend = axis.legend(loc="upper right", ncols=3, handletextpad=0.1, columnspacing=0.6, borderpad=0.1)
        for handle in legend.legend_handles:
            handle.set(alpha=1, sizes=[10])
        label_edges(axis, index, len(labels), r"$t = |z_{\rm t}-\bar z|/\sigma_z$")
    style.footer(fig, meta, absent(data, paper))
    return fig
