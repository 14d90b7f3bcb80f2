"""Fig. 17: the ensemble's σ against S/N, with the running median of each class."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style
from resurvey.figures.inputs import Inputs, absent, redshift_rows

BINS = 12


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, sn_median, z_std` of every spectrum with an ensemble redshift."""
    return redshift_rows(inputs, ["z_std", "sn_median"])[["spectrum_id", "label", "sn_median", "z_std"]]


def median_line(rows: pd.DataFrame) -> pd.DataFrame:
    """Median σ in bins of equal numbers of spectra of positive S/N: `sn, sigma`."""
    rows = rows[rows["sn_median"] > 0]
    n = int(np.clip(len(rows) // 20, 1, BINS))
    parts = np.array_split(np.argsort(rows["sn_median"].to_numpy()), n)
    sn, sigma = rows["sn_median"].to_numpy(), rows["z_std"].to_numpy()
    return pd.DataFrame([(np.median(sn[p]), np.median(sigma[p])) for p in parts if len(p)], columns=["sn", "sigma"])


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class; the medians of the other classes stand faintly behind for comparison."""
    paper = meta["paper"]
    labels = list(dict.fromkeys(data["label"]))
    fig, axes = style.panels(len(labels), 2.0)
    lines = {label: median_line(data[data["label"] == label]) for label in labels}
    positive = data[(data["sn_median"] > 0) & (data["z_std"] > 0)]
    xlim = max(positive["sn_median"].min(), 0.1) * 0.8, positive["sn_median"].max() * 1.2
    ylim = max(positive["z_std"].min(), 1e-6) * 0.7, positive["z_std"].max() * 1.6
    for index, (axis, label) in enumerate(zip(axes, labels, strict=True)):
        rows = positive[positive["label"] == label]
        axis.scatter(
            rows["sn_median"], rows["z_std"], color=style.colour(label, paper.labels), **style.marker(len(rows))
        )
        for other, line in lines.items():
            mine = other == label
            axis.plot(line["sn"], line["sigma"], color="0.1" if mine else "0.6", ls="--", lw=1.2 if mine else 0.5, zorder=4 if mine else 1,
                      label="median" if mine else None)  # fmt: skip
        if len(lines) > 1:
            axis.plot([], [], color="0.6", ls="--", lw=0.5, label="other classes")
        axis.set(xscale="log", yscale="log", xlim=xlim, ylim=ylim)
        axis.set_title(label, loc="left", pad=3)
        axis.legend(loc="upper right")
        columns = style.grid_shape(len(labels))[1]
        if index % columns == 0:
            axis.set_ylabel(r"$\sigma_z$")
        if index + columns >= len(labels):
            axis.set_xlabel("median S/N per pixel")
    style.footer(fig, meta, absent(data, paper))
    return fig
