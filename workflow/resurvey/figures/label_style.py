"""How figures of stellar labels name, colour and arrange them."""

import numpy as np
from matplotlib.figure import Figure

from resurvey.surveys.apogee_labels import BY_NAME, NAMES

NETWORK, SURVEY, THIRD, TRUTH = "#0072b2", "#d55e00", "#009e73", "0.15"  # network, ASPCAP, The Cannon, what was put in
TOTAL, MODEL = "#e69f00", "#009e73"  # the two uncertainties
ABUNDANCES = tuple(name for name in NAMES if BY_NAME[name].window)
METALLICITY = "viridis"
PLAIN = {"teff": r"$T_{\rm eff}$", "logg": r"$\log g$"}


def symbol(label: str) -> str:
    """As the paper prints it: [Al/H], log g."""
    return PLAIN.get(label, BY_NAME[label].symbol)


def with_unit(label: str) -> str:
    """For an axis: name and unit."""
    return f"{symbol(label)} [{BY_NAME[label].unit}]"


def element(label: str) -> str:
    """The element of an abundance [X/H]."""
    return BY_NAME[label].symbol.removeprefix("[").removesuffix("/H]")


def touching(fig: Figure, n: int, columns: int, box: tuple[float, float, float, float]) -> list:
    """n panels without gaps between them, `columns` in a row, within `box` (left, right, bottom, top as fractions of the figure).

    Numbers stand at the left and below the lowest panel of each column. For figures without a layout engine.
    """
    rows = -(-n // columns)
    left, right, bottom, top = box
    spec = fig.add_gridspec(rows, columns, left=left, right=right, bottom=bottom, top=top, wspace=0, hspace=0)
    axes = [fig.add_subplot(spec[i // columns, i % columns]) for i in range(n)]
    for i, axis in enumerate(axes):
        axis.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= n)
    return axes


def empty(axis, words: str) -> None:
    """An empty panel says why it is."""
    axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center", fontsize=6.5, color="0.4", wrap=True)


def corner(axis, words: str, place: str = "upper left", size: float = 7.5, **look) -> None:
    """Words in a corner of a panel, readable over points."""
    x, ha = (0.04, "left") if "left" in place else (0.96, "right")
    y, va = (0.95, "top") if "upper" in place else (0.06, "bottom")
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    axis.text(x, y, words, transform=axis.transAxes, ha=ha, va=va, fontsize=size, bbox=box, zorder=6, **look)


def limits(values: np.ndarray, low: float = 0.01, high: float = 0.99, step: float = 0.1) -> tuple[float, float]:
    """Range of a colour scale: the quantiles of what is finite, rounded outwards to `step`."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, step
    a, b = np.quantile(values, [low, high])
    a, b = np.floor(a / step) * step, np.ceil(b / step) * step
    return float(a), float(b if b > a else a + step)


def kiel(axis, ylabel: bool = True) -> None:
    """Axes of a Kiel diagram: hot stars on the left, dwarfs below."""
    axis.invert_xaxis()
    axis.invert_yaxis()
    axis.set_xlabel(with_unit("teff"))
    if ylabel:
        axis.set_ylabel(with_unit("logg"))
