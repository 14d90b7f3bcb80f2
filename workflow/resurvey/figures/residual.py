"""Panels of predicted against true redshift with the binned residual on top (shared by Figs 13, 15 and A3)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style
from resurvey.figures.inputs import absent
from resurvey.metrics import redshift as rs

BINS = 10
FILLED = 0.01  # bins with less than this share of the spectra do not set the axis of the residuals


def binned(rows: pd.DataFrame, predicted: str, error: str | None) -> pd.DataFrame:
    """Mean residual in ten equal bins of z_true: `z, residual, bar, n`. The bar is the mean of `error`, else the bin's MAE."""
    z = rows["z_true"].to_numpy(float)
    residual = rows[predicted].to_numpy(float) - z
    edges = np.linspace(z.min(), z.max() + 1e-9, BINS + 1)
    place = np.clip(np.digitize(z, edges) - 1, 0, BINS - 1)
    bar = rows[error].to_numpy(float) if error else np.abs(residual)
    found = [i for i in range(BINS) if (place == i).any()]
    return pd.DataFrame(
        {
            "z": [(edges[i] + edges[i + 1]) / 2 for i in found],
            "residual": [residual[place == i].mean() for i in found],
            "bar": [bar[place == i].mean() for i in found],
            "n": [int((place == i).sum()) for i in found],
        }
    )


def draw(data: pd.DataFrame, meta: dict, predicted: str, error: str | None, ylabel: str) -> Figure:
    """One panel per class; `error` names the column of the points' error bars (Fig. 15) or None (Fig. 13)."""
    labels = list(dict.fromkeys(data["label"]))
    paper = meta["paper"]
    rows, columns = style.grid_shape(len(labels))
    width = {1: 3.6, 2: 5.2}.get(columns, style.TWO_COLUMNS)
    height = rows * 2.95 + 0.3
    fig = style.figure(width, height)
    fig.set_layout_engine("none")  # panels that touch: margins and gaps in inches instead
    lines = style.footer(fig, meta, absent(data, paper))
    bottom = (0.45 + 0.11 * lines) / height
    outer = fig.add_gridspec(
        rows,
        columns,
        hspace=0.16,
        wspace=0.27,
        left=0.58 / width,
        right=1 - 0.08 / width,
        top=1 - 0.06 / height,
        bottom=bottom,
    )
    for index, label in enumerate(labels):
        cell = outer[index // columns, index % columns].subgridspec(2, 1, height_ratios=[1, 3.2], hspace=0.0)
        top, main = fig.add_subplot(cell[0]), fig.add_subplot(cell[1])
        rows_here = data[data["label"] == label]
        panel(top, main, rows_here, label, paper, predicted, error)
        if index % columns == 0:
            main.set_ylabel(ylabel)
            top.set_ylabel(r"$\langle z_{\rm p}-z_{\rm t}\rangle$")
        if index + columns >= len(labels):
            main.set_xlabel(r"true redshift $z_{\rm t}$")
    return fig


def panel(top, main, rows: pd.DataFrame, label: str, paper, predicted: str, error: str | None) -> None:
    """One class: redshifts with their errors in `main`, binned residuals in `top`, both with the same z axis."""
    true, value = rows["z_true"].to_numpy(float), rows[predicted].to_numpy(float)
    colour = style.colour(label, paper.labels)
    if error:
        main.errorbar(true, value, rows[error], fmt="none", ecolor=colour, elinewidth=0.35, alpha=0.45, rasterized=True)
    main.scatter(true, value, color=colour, **style.marker(len(rows)))
    high = float(np.quantile(true, 0.9995)) * 1.08
    high = max(high, float(true.max()) * 1.02)
    low = -0.02 * high
    main.plot([low, high], [low, high], color="0.2", lw=0.7, ls="--")
    main.set_xlim(low, high)
    main.set_ylim(low, high)
    main.set_yticks([tick for tick in main.get_yticks() if low <= tick <= 0.95 * high])  # room for the panel above
    outside = int(((value < low) | (value > high)).sum())
    limit = paper.threshold(label)
    text = (f"{label}\nMAE = {style.short(rs.mean_absolute_error(true, value))}\n"
            rf"$\Delta z$ = {style.short(rs.relative_error(true, value))}" + f"\nGF = {rs.good_fraction(true, value, limit):.2f}"
            f"\nN = {len(rows)}" + (f" ({outside} outside)" if outside else ""))  # fmt: skip
    main.text(0.04, 0.96, text, transform=main.transAxes, va="top", fontsize=7, linespacing=1.25,
              bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0})  # fmt: skip
    bins = binned(rows, predicted, error)
    top.axhline(0, color="0.2", lw=0.7, ls="--")
    top.errorbar(
        bins["z"],
        bins["residual"],
        bins["bar"],
        fmt="o",
        ms=2.5,
        color=colour,
        elinewidth=0.8,
        capsize=1.5,
        mec="0.2",
        mew=0.3,
    )
    top.set_xlim(low, high)
    top.tick_params(labelbottom=False)
    top.locator_params(axis="y", nbins=4)
    well = bins[bins["n"] >= max(5, FILLED * len(rows))]
    well = well if len(well) else bins
    reach = 1.25 * max([1e-4, *(np.abs(well["residual"]) + well["bar"])])
    top.set_ylim(-reach, reach)
    beyond = bins[np.abs(bins["residual"]) > reach]
    ends = np.sign(beyond["residual"]) * 0.86 * reach
    for z, end in zip(
        beyond["z"], ends, strict=True
    ):  # thinly filled bins far off: an arrow instead of a squeezed axis
        top.plot(z, end, marker="^" if end > 0 else "v", ms=3.5, color=colour, mec="0.2", mew=0.3)
