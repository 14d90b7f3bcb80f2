"""What models make of labelled spectra, at one glance: confusion and redshift errors, a line of panels per model."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resurvey.figures import style
from resurvey.metrics import assessment

COLOURS = {assessment.TRUE_CLASS: "0.55", assessment.NETWORK: style.HIGH, assessment.REFINED: style.LOW}
SMALLEST, LARGEST = 1e-6, 5.0  # |Δ ln(1+z)| at the ends of the axis


def draw(models: dict[str, pd.DataFrame], words: str) -> Figure:
    """models: by name the rows of metrics/assessment.py; words: what the spectra are, for the footer."""
    fig = style.figure(style.TWO_COLUMNS, 2.35 * len(models) + 0.4)
    axes = fig.subplots(len(models), 3, squeeze=False, width_ratios=[1, 1.15, 1.15])
    for line, (name, rows) in zip(axes, models.items(), strict=True):
        _confusion(line[0], rows, name)
        for axis, kind in zip(line[1:], assessment.GOOD, strict=True):
            _errors(axis, rows[rows["true"] == kind], kind)
    lines = [Line2D([], [], color=colour, label=how) for how, colour in COLOURS.items()]
    fig.legend(handles=lines, loc="outside upper center", ncols=len(lines))
    fig.supxlabel(words, fontsize=6.5, x=0.99, ha="right", color="0.45", fontstyle="italic")
    return fig


def _confusion(axis, rows: pd.DataFrame, name: str) -> None:
    names = assessment.CLASSES
    counts = np.array([[((rows["true"] == true) & (rows["ours"] == ours)).sum() for ours in names] for true in names])
    total = counts.sum(1, keepdims=True)
    share = counts / np.maximum(total, 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(counts.shape):
        text = f"{counts[i, j]}\n{100 * share[i, j]:.1f} %" if counts[i, j] else ""
        axis.text(j, i, text, ha="center", va="center", color="white" if share[i, j] > 0.55 else "0.15")
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names, rotation=90, va="center")
    axis.tick_params(length=0)
    right = 100 * (rows["true"] == rows["ours"]).mean()
    axis.set(xlabel="predicted", ylabel="label", title=f"{name}\n{right:.1f} % of {len(rows)} as labelled")


def _errors(axis, rows: pd.DataFrame, kind: str) -> None:
    """Which fraction has an error below each value; what does not reach 1 at the right end has no redshift of its class."""
    axis.set(
        xscale="log",
        xlim=(SMALLEST, LARGEST),
        ylim=(0, 1.02),
        xlabel=r"$|\Delta\ln(1+z)|$",
        ylabel="fraction below",
        title=f"{kind} ({len(rows)})",
    )
    if rows.empty:
        axis.text(0.5, 0.5, "no label of this class", ha="center", va="center", transform=axis.transAxes)
        return
    for how, z in assessment.methods(rows).items():
        d = np.sort(np.maximum(assessment.off(rows, z), SMALLEST))
        d = d[np.isfinite(d)]
        share = np.r_[np.arange(len(d) + 1), len(d)] / len(rows)
        axis.step(np.r_[SMALLEST, d, LARGEST], share, where="post", color=COLOURS[how], label=how)
    for limit, word in ((assessment.GOOD[kind], "good"), (assessment.FAR[kind], "outlier")):
        axis.axvline(limit, color="0.3", lw=0.6, ls=":")
        axis.annotate(f"{word} {limit:g}", (limit, 0.03), rotation=90, fontsize=6, ha="right", va="bottom", color="0.3")
