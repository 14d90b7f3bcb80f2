"""Densities of stars in [X/Fe] against [Fe/H], the network's beside the pipeline's (Figs 17 and 18 of astroNN)."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs

CERTAIN = (
    0.2  # dex, on the total uncertainty of log g: removes dwarfs, whose log g was not learned, and problematic spectra
)
FE_H, X_FE = (-2.0, 0.6), (-0.6, 0.8)
BINS = (65, 56)  # of 0.04 and 0.025 dex
COLUMNS, ROW = 4, 1.3  # panels in a row; inch
SOURCES = {"pred": "network", "true": "ASPCAP"}


def data(inputs: Inputs, among: tuple[str, ...]) -> pd.DataFrame:
    """Counts in the bins that hold stars: `label, source` (network or ASPCAP), `fe_h, x_fe` (centres), `n`, `stars` (all of the panel),
    `certain` (combined spectra with a log g certain to 0.2 dex); a panel without stars is one row with n = 0. Stars: those of
    `certain` with both abundances of the source."""
    table = label_rows.combined(inputs.labels.table)
    label_rows.require(table, ["logg_total", "fe_h_pred", "fe_h_true"])
    certain = table[table["logg_total"].astype(float) < CERTAIN]
    parts = []
    for label in label_rows.labels(table, ["pred", "true"], among):
        for suffix, source in SOURCES.items():
            rows = label_rows.finite(certain, [f"{label}_{suffix}", f"fe_h_{suffix}"])
            iron = rows[f"fe_h_{suffix}"].to_numpy(float)
            parts.append(_counts(iron, rows[f"{label}_{suffix}"].to_numpy(float) - iron).assign(label=label, source=source, stars=len(rows)))  # fmt: skip
    columns = ["label", "source", "fe_h", "x_fe", "n", "stars", "certain"]
    return pd.concat(parts, ignore_index=True).assign(certain=len(certain))[columns]


def _counts(iron: np.ndarray, ratio: np.ndarray) -> pd.DataFrame:
    count, x, y = np.histogram2d(iron, ratio, BINS, (FE_H, X_FE))
    i, j = np.nonzero(count)
    if not len(i):
        return pd.DataFrame({"fe_h": [np.nan], "x_fe": [np.nan], "n": [0]})
    middle = [(edges[:-1] + edges[1:]) / 2 for edges in (x, y)]
    return pd.DataFrame({"fe_h": middle[0][i], "x_fe": middle[1][j], "n": count[i, j].astype(int)})


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Pairs of panels, the network's left of the pipeline's, on one logarithmic scale of counts."""
    names = list(dict.fromkeys(data["label"]))
    panels = [(name, source) for name in names for source in SOURCES.values()]
    rows = -(-len(panels) // COLUMNS)
    width, height = style.TWO_COLUMNS, ROW * rows + 0.65
    fig = style.figure(width, height)
    fig.set_layout_engine("none")
    style.footer(fig, meta)
    below = 0.55 / height
    axes = label_style.touching(fig, len(panels), COLUMNS, (0.5 / width, 1 - 0.75 / width, below, 1 - 0.08 / height))
    edges = [np.linspace(*reach, n + 1) for reach, n in zip((FE_H, X_FE), BINS, strict=True)]
    norm, image = LogNorm(1, max(int(data["n"].max()), 2)), None
    for number, (axis, (name, source)) in enumerate(zip(axes, panels, strict=True)):
        rows = data[(data["label"] == name) & (data["source"] == source)]
        found = rows[rows["n"] > 0]
        if found.empty:
            label_style.empty(axis, _why(rows.iloc[0]))
        else:
            count, *_ = np.histogram2d(found["fe_h"], found["x_fe"], edges, weights=found["n"])
            image = axis.pcolormesh(*edges, np.where(count > 0, count, np.nan).T, norm=norm, cmap="viridis", rasterized=True)  # fmt: skip
        axis.axhline(0, color="0.6", lw=0.4, ls=":", zorder=0)
        axis.axvline(0, color="0.6", lw=0.4, ls=":", zorder=0)
        axis.set(xlim=FE_H, ylim=X_FE, xticks=[-1.5, -1, -0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
        label_style.corner(axis, f"[{label_style.element(name)}/Fe]", size=7)
        label_style.corner(axis, source, "upper right", 6.3, color="0.3")
        if number + COLUMNS >= len(panels):
            axis.set_xlabel("[Fe/H]", labelpad=1)
        if number % COLUMNS == 0:
            axis.set_ylabel("[X/Fe]", labelpad=1)
    if image is not None:
        tall = min(3.0, height - 0.7) / height
        bar = fig.colorbar(image, cax=fig.add_axes((1 - 0.62 / width, 0.5 - tall / 2 + below / 2, 0.1 / width, tall)))
        bar.set_label("stars per bin", labelpad=1)
        style.plain_numbers(bar.ax)
    return fig


def _why(row: pd.Series) -> str:
    """Why a panel is empty."""
    if not row["certain"]:
        return f"no log g is certain\nto {CERTAIN} dex"
    return f"none of {row['stars']} stars\nlies here" if row["stars"] else "no star has both\nabundances"
