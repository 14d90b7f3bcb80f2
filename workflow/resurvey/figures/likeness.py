"""Mock spectra beside real ones of the same class: mean and scatter, S/N, errors and residuals by wavelength (metrics/likeness.py)."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style
from resurvey.metrics import likeness

COLOURS = {"real": "0.1", "mock": "#d55e00", "mock, all": "#e6b89c"}
WORDS = {"real": "real", "mock": "mock, of like S/N and z", "mock, all": "mock, all"}
ROWS = {
    "spectrum": "flux over its median\n(mean, 16–84 %)",
    "sn": "share of the spectra",
    "error": "error over its median\n(median, 16–84 %)",
    "residual": f"scatter about neighbours\nover the errors (S/N < {likeness.NOISY:g})",
}


def draw(data: pd.DataFrame, words: str) -> Figure:
    """data: as metrics/likeness.compare gives them; words: what is compared, for the footer."""
    names = list(dict.fromkeys(data["class"]))
    fig = style.figure(3.1 * max(len(names), 1) + 0.4, 8.2)
    axes = fig.subplots(len(ROWS), max(len(names), 1), squeeze=False)
    for column, name in enumerate(names):
        for row, what in enumerate(ROWS):
            _panel(axes[row, column], data[(data["class"] == name) & (data["what"] == what)], what, name)
            if not column:
                axes[row, 0].set_ylabel(ROWS[what])
    fig.supxlabel(words, fontsize=6.5, x=0.99, ha="right", color="0.45", fontstyle="italic")
    return fig


def _panel(axis, data: pd.DataFrame, what: str, name: str) -> None:
    for sample, part in data.groupby("sample", sort=False):
        colour = COLOURS[sample]
        if what == "sn":
            axis.step(
                part["x"], part["value"], where="mid", color=colour, label=f"{WORDS[sample]} ({part['n'].sum():.0f})"
            )
            continue
        axis.plot(part["x"], part["value"], color=colour, lw=0.9, label=WORDS[sample])
        if what != "residual":
            axis.fill_between(part["x"], part["low"], part["high"], color=colour, alpha=0.2, lw=0)
    if what == "spectrum":
        axis.set(title=name, xlabel="wavelength [Å]" if name == "STAR" else "rest wavelength [Å]")
        middle = data[data["sample"] == "real"]
        if len(middle):
            axis.set_ylim(min(0.0, middle["low"].min()), 1.2 * middle["high"].quantile(0.97))
    elif what == "sn":
        axis.set(xscale="log", xlabel="median S/N per pixel")
        axis.set_ylim(0, 1.55 * data["value"].max() if len(data) else 1)
        axis.legend(loc="upper left")
    else:
        axis.set_xlabel("observed wavelength [Å]")
        top = data["high" if what == "error" else "value"].quantile(0.995) if len(data) else 1.0
        axis.set_ylim(0, 1.15 * top)
        if what == "residual":
            axis.axhline(1, color="0.6", lw=0.5, ls=":")
