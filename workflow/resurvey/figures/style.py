"""The look of all figures: sizes, fonts, colours that stay with their class, and the words that say what was drawn."""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from resurvey.metrics.scorecard import survey_words

ONE_COLUMN, TWO_COLUMNS = 3.35, 7.0  # widths of a journal's columns [inch]
EXTRAGALACTIC = {
    "GALAXY_nan": "#d55e00",
    "GALAXY_AGN": "#0072b2",
    "GALAXY_STARBURST": "#009e73",
    "GALAXY_STARFORMING": "#56b4e9",
    "QSO_nan": "#cc79a7",
    "QSO_BROADLINE": "#e69f00",
    "QSO_COSMO_AGN": "#cc79a7",
    "GALAXY_ClusB": "#0072b2",
    "GALAXY_WAVES": "#009e73",
    "GALAXY_RedGAL": "#d55e00",
    "GALAXY_tides_host": "#56b4e9",
    "GALAXY": "#d55e00",  # of samples without subclasses
    "QSO": "#cc79a7",
}  # Okabe & Ito's palette: told apart by the colour-blind
LOW, MIDDLE, HIGH = "#d55e00", "#009e73", "#0072b2"
ROBUST, UNSTABLE = "#0072b2", "#e69f00"
PANEL_ORDER = ["GALAXY_AGN", "GALAXY_nan", "GALAXY_STARBURST", "GALAXY_STARFORMING", "QSO_BROADLINE", "QSO_nan"]
LETTERS_PER_INCH = 19  # of the footer's type, capitals included
HEADS = {"huber": "Huber"}
RC = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "axes.linewidth": 0.6,
    "lines.linewidth": 0.9,
    "savefig.dpi": 220,
    "pdf.fonttype": 42,
}


def apply() -> None:
    """Set matplotlib's defaults for a figure."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(RC)


def colour(label: str, labels: list[str]) -> str | tuple:
    """The colour of a class: the extragalactic ones fixed, stars from blue to red in the sample's order (hot to cool)."""
    if label in EXTRAGALACTIC:
        return EXTRAGALACTIC[label]
    stars = [name for name in labels if name.startswith("STAR")]
    place = stars.index(label) / max(len(stars) - 1, 1) if label in stars else 0.5
    return matplotlib.colormaps["viridis"](0.05 + 0.85 * place)


def ordered(labels: list[str]) -> list[str]:
    """Redshift classes in the order of the paper's panels."""
    return sorted(labels, key=lambda label: (PANEL_ORDER.index(label) if label in PANEL_ORDER else 99, label))


def grid_shape(n: int) -> tuple[int, int]:
    """(rows, columns) of n panels: up to three in a row."""
    columns = min(n, 3) if n != 4 else 2
    return -(-n // columns), columns


def figure(width: float, height: float) -> Figure:
    """An empty figure in the house style with constrained layout."""
    apply()
    return Figure(figsize=(width, height), layout="constrained")


def panels(n: int, height: float, sharey: bool = False) -> tuple[Figure, list]:
    """A figure with n equal panels of `height` inches; width by the number of columns."""
    rows, columns = grid_shape(n)
    width = {1: ONE_COLUMN * 1.25, 2: 5.2}.get(columns, TWO_COLUMNS)
    fig = figure(width, rows * height + 0.25)
    axes = fig.subplots(rows, columns, sharey=sharey, squeeze=False).ravel()
    for axis in axes[n:]:
        axis.remove()
    return fig, list(axes[:n])


def marker(n: int) -> dict:
    """Size and opacity of points for n of them; rasterised so that a PDF stays small."""
    return {
        "s": float(np.clip(4000 / max(n, 1), 1.5, 6)),
        "alpha": float(np.clip(1200 / max(n, 1), 0.3, 0.85)),
        "linewidths": 0,
        "rasterized": True,
    }


def short(value: float) -> str:
    """Three decimals as the paper prints them; one digit where that would print a zero."""
    return f"{value:.3f}" if not 0 < abs(value) < 0.0005 else f"{value:.1g}"


class _Plain(LogFormatterSciNotation):
    """Which ticks of a logarithmic axis get a number is decided as ever; the number is plain: 0.3, not 3 x 10^-1."""

    def __call__(self, x, pos=None):
        return super().__call__(x, pos) and f"{x:g}"


def plain_numbers(axis) -> None:
    """Plain numbers on a logarithmic y axis that spans little more than a decade."""
    low, high = axis.get_ylim()
    if high < 20 * low:
        axis.yaxis.set_major_formatter(_Plain())
        axis.yaxis.set_minor_formatter(_Plain())


def footer(fig: Figure, meta: dict, absent: list[str] | None = None) -> int:
    """Under the figure: model and head, what the spectra are, which classes are absent. Returns the number of lines."""
    words = []
    if meta.get("model"):
        head = HEADS.get(meta.get("head"), meta.get("head"))
        words.append(meta["model"] + (f" ({head} head)" if head else ""))
    words.append(survey_words(meta))
    if absent:
        words.append("not predicted: " + ", ".join(absent))
    lines = textwrap.wrap("  ·  ".join(words), int(fig.get_figwidth() * LETTERS_PER_INCH))
    colour = "#b00020" if meta.get("origin") == "mock" else "0.45"
    fig.supxlabel(
        "\n".join(lines), fontsize=6.5, x=0.99, ha="right", color=colour, fontstyle="italic", linespacing=1.15
    )
    return len(lines)
