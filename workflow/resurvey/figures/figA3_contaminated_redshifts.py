"""Fig. A3: ensemble redshifts of networks for which a part of the training spectra is of other classes, a row per fraction."""

import dataclasses

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import residual, style
from resurvey.figures.inputs import Inputs, redshift_rows


def data(inputs: Inputs) -> pd.DataFrame:
    """`contamination, model, label, z_true, z_pred, z_std` of every spectrum with an ensemble redshift, the least contaminated first."""
    parts = []
    for table in sorted(inputs.tables, key=lambda table: table.meta.get("contamination", 0.0)):
        rows = redshift_rows(dataclasses.replace(inputs, tidy=table), ["z_true", "z_pred", "z_std"])
        about = {"contamination": table.meta.get("contamination", 0.0), "model": table.model}
        parts.append(rows[["spectrum_id", "label", "z_true", "z_pred", "z_std"]].assign(**about))
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Rows: fractions of exchanged labels; columns: classes, with a share of good redshifts in each panel."""
    levels, labels = (list(dict.fromkeys(data[key])) for key in ("contamination", "label"))
    height = 2.7 * len(levels) + 0.35
    width = min(2.35 * len(labels) + 0.2, 2.35 * 6)
    fig = style.figure(width, height)
    grid = fig.add_gridspec(len(levels), len(labels))
    for i, level in enumerate(levels):
        for j, label in enumerate(labels):
            rows = data[(data["contamination"] == level) & (data["label"] == label)]
            cell = grid[i, j].subgridspec(2, 1, height_ratios=[1, 3.2], hspace=0.0)
            top, main = fig.add_subplot(cell[0]), fig.add_subplot(cell[1])
            if rows.empty:
                top.set_axis_off()
                main.set_axis_off()
                continue
            residual.panel(top, main, rows, label, meta["paper"], "z_pred", "z_std")
            if j == 0:
                main.set_ylabel(f"{100 * level:g}% contamination\n" + r"ensemble mean $\bar z$")
                top.set_ylabel(r"$\langle z_{\rm p}-z_{\rm t}\rangle$")
            if i == len(levels) - 1:
                main.set_xlabel(r"true redshift $z_{\rm t}$")
    style.footer(fig, {**meta, "model": ", ".join(dict.fromkeys(data["model"]))})
    return fig
