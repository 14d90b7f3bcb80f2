"""Median absolute error and median uncertainties of each label in bins of one quantity (Figs 9, 10 and 11 of astroNN)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resurvey.figures import label_style, style
from resurvey.metrics.label_curves import Bins, curve

LEAST = 3  # spectra in a bin that is drawn
COLUMNS = 4
WIDE = ("teff", "logg")  # panels of their own scale, above those of the abundances
TOP, ROW = 1.35, 1.0  # inch


def curves(rows: pd.DataFrame, label: str, x: str, reference: str, bins: Bins) -> pd.DataFrame:
    """`label, low, high, n, mae, offset, total, model` of one label in bins of the column `x` (metrics/label_curves.py)."""
    columns = [f"{label}_{part}" for part in ("pred", reference, "total", "model")]
    predicted, truth, total, model = (rows[name].to_numpy(float) for name in columns)
    return curve(rows[x].to_numpy(float), predicted, truth, bins, total, model).assign(label=label)


def draw(data: pd.DataFrame, meta: dict, xlabel: str | dict[str, str], words: str, extra: dict[str, str] | None = None) -> Figure:  # fmt: skip
    """Teff and log g in the first row, where they are there, and abundances below on one scale.

    xlabel: of all panels, or by label with `` for the abundances; words: what the error is of; extra: further words per label.
    """
    labels = list(dict.fromkeys(data["label"]))
    wide, rest = [label for label in labels if label in WIDE], [label for label in labels if label not in WIDE]
    rows = -(-len(rest) // COLUMNS)
    own_x = isinstance(xlabel, dict)
    gap = (0.5 if own_x else 0.32) if wide and rest else 0.0
    above, lines = 0.32, 1
    height = above + (TOP if wide else 0) + gap + ROW * rows + 0.45 + 0.11 * lines
    fig = style.figure(style.TWO_COLUMNS, height)
    fig.set_layout_engine("none")
    style.footer(fig, meta)
    axes = _axes(fig, wide, rest, rows, above, gap)
    names = xlabel if own_x else dict.fromkeys([*WIDE, ""], xlabel)
    drawn = data[data["n"] >= LEAST]
    reach = _reach(drawn[drawn["label"].isin(rest)])
    for label, axis in axes.items():
        part = data[data["label"] == label]
        _panel(axis, part[part["n"] >= LEAST], part)
        note = (extra or {}).get(label)
        label_style.corner(axis, label_style.symbol(label) + (f"  {note}" if note else ""), size=7)
        axis.set_ylim(*(reach if label in rest else _reach(drawn[drawn["label"] == label])))
        if label in WIDE:
            axis.set_ylabel(f"[{label_style.BY_NAME[label].unit}]", labelpad=2)
            if own_x or not rest:
                axis.set_xlabel(names[label], labelpad=2)
    middle = (above + (TOP + gap if wide else 0) + ROW * rows / 2) / height
    if rest:
        fig.text(0.012, 1 - middle, f"{words} [dex]", rotation=90, ha="left", va="center", fontsize=8.5)
        fig.text(0.53, (0.18 + 0.11 * lines) / height, names[""], ha="center", va="center", fontsize=8.5)
    handles = [Line2D([], [], color=label_style.NETWORK, marker="o", ms=2.5, lw=1),
               Line2D([], [], color=label_style.TOTAL, lw=1), Line2D([], [], color=label_style.MODEL, lw=2)]  # fmt: skip
    fig.legend(handles, [words, "bars: median total uncertainty", "median model uncertainty"], loc="upper center", ncols=3,
               bbox_to_anchor=(0.53, 1), borderaxespad=0.3, handlelength=1.6)  # fmt: skip
    return fig


def _axes(fig: Figure, wide: list[str], rest: list[str], rows: int, above: float, gap: float) -> dict:
    """{label: axes}; the abundances' panels touch."""
    width, height = fig.get_size_inches()
    left, right = 0.62 / width, 1 - 0.08 / width
    found, top = {}, 1 - above / height
    if wide:
        spec = fig.add_gridspec(1, len(WIDE), left=left, right=right, top=top, bottom=top - TOP / height, wspace=0.2)
        found |= {label: fig.add_subplot(spec[0, i]) for i, label in enumerate(wide)}
        top -= (TOP + gap) / height
    if rest:
        box = (left, right, top - ROW * rows / height, top)
        found |= dict(zip(rest, label_style.touching(fig, len(rest), COLUMNS, box), strict=True))
    return found


def _panel(axis, drawn: pd.DataFrame, all_bins: pd.DataFrame) -> None:
    middle = ((drawn["low"] + drawn["high"]) / 2).to_numpy()
    axis.axhline(0, color="0.6", lw=0.5, ls=":", zorder=0)
    axis.set_xlim(all_bins["low"].min(), all_bins["high"].max())
    axis.xaxis.set_major_locator(_Inner(nbins=5))
    axis.yaxis.set_major_locator(_Inner(nbins=5))
    if drawn.empty:
        n = int(all_bins["n"].sum())
        label_style.empty(axis, f"fewer than {LEAST} spectra in each bin" if n else "no spectrum has both values")
        return
    known = drawn["total"].notna().to_numpy()
    for name, colour, thick, cap in (
        ("total", label_style.TOTAL, 0.8, 1.2),
        ("model", label_style.MODEL, 1.7, 0),
    ):
        axis.errorbar(middle[known], drawn["mae"][known], drawn[name][known], fmt="none", ecolor=colour, elinewidth=thick, capsize=cap, capthick=thick)  # fmt: skip
    axis.plot(middle, drawn["mae"], color=label_style.NETWORK, lw=0.9, marker="o", ms=1.8, zorder=5)


def _reach(drawn: pd.DataFrame) -> tuple[float, float]:
    """Limits of y that show every error, and the bars of all but the worst bins, below a corner for the label."""
    if drawn.empty:
        return -0.35, 1.0
    error, bar = drawn["mae"].to_numpy(float), drawn["total"].fillna(0).to_numpy(float)
    top = max(1.5 * float(np.nanquantile(error + bar, 0.95)), 1.45 * float(np.nanmax(error)))
    return -max(0.1 * top, 1.15 * float(np.nanquantile(bar - error, 0.95))), top


class _Inner(MaxNLocator):
    """Ticks that keep off the ends, where the next panel's begin."""

    def tick_values(self, low: float, high: float) -> np.ndarray:
        ticks = super().tick_values(low, high)
        edge = 0.06 * (high - low)
        return ticks[(ticks > low + edge) & (ticks < high - edge)]
