"""Fig. 6 of astroNN: the network, drawn from its own specification: layers, widths, and the windows that each element sees."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from resurvey.errors import ResurveyError
from resurvey.figures import label_style, network_layers, style
from resurvey.figures.inputs import Inputs

LAYER, HEAD, LINK = "#d9e6f2", "#fbe3cc", "#d7ecdf"
ROW = 0.2  # inch per element
BASE = -1.2  # height of the connection


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per layer (figures/network_layers.py), with `windows`: the pixel runs that its part sees, as start-stop."""
    if len(inputs.networks) != 1:
        raise ResurveyError(f"this figure draws one network, {len(inputs.networks)} were given; give the folder of one")
    spec = inputs.networks[0].meta["architecture"]
    table = network_layers.layers(spec)
    runs = {label: " ".join(f"{start}-{stop}" for start, stop in runs) for label, runs in (spec.get("windows") or {}).items()}  # fmt: skip
    seen = table["part"].map(runs).where((table["layer"] == "dense"), None)
    first = ~table.duplicated("part")
    whole = (table["part"] == "full spectrum") & first
    return table.assign(windows=seen.where(first, None).mask(whole, f"0-{table['inputs'].iloc[0]}"))


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Above the full spectrum's network from left to right, below a row per element: windows, layers, label."""
    minis = [part for part in dict.fromkeys(data["part"]) if _is_mini(data, part)]
    heads = data[(data["layer"] == "head") & ~data["part"].isin(minis)]["part"].tolist()
    top = 1.65 if minis else 0.95
    height = top + 0.35 + ROW * len(minis) + (0.2 if minis else 0.0)
    fig = style.figure(style.TWO_COLUMNS, height)
    axis = fig.subplots()
    axis.set_axis_off()
    axis.set(xlim=(0, style.TWO_COLUMNS), ylim=(-height + 0.3, 0))
    _full(axis, data, heads, bool(minis))
    if minis:
        _elements(axis, data, minis, -top - 0.15)
    total = int(data["parameters"].sum())
    words = f"{total:,} parameters. Dashed edge: dropout follows. Each label has a value and a log-variance."
    axis.text(0.05, -0.95 if minis else -0.85, words, fontsize=7, va="center")
    style.footer(fig, meta)
    return fig


def _is_mini(data: pd.DataFrame, part: str) -> bool:
    return bool(((data["part"] == part) & (data["layer"] == "dense")).any()) and part not in (
        "full spectrum",
        "connection",
    )


def _box(axis, x: float, y: float, width: float, height: float, words: str, colour: str, dropout: bool = False, size: float = 6.8):  # fmt: skip
    """A box about (x, y), its left edge at x."""
    axis.add_patch(FancyBboxPatch((x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.04", facecolor=colour,
                                  edgecolor="0.3", lw=0.7, ls=(0, (2.5, 1.5)) if dropout else "-"))  # fmt: skip
    axis.text(x + width / 2, y, words, ha="center", va="center", fontsize=size, linespacing=1.15)


def _arrow(axis, start: tuple[float, float], end: tuple[float, float], **look) -> None:
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=5, lw=0.6, color="0.3", shrinkA=0, shrinkB=0, **look))  # fmt: skip


def _full(axis, data: pd.DataFrame, heads: list[str], censored: bool) -> None:
    rows = data[data["part"] == "full spectrum"].reset_index(drop=True)
    middle, width, gap, left = -0.37, 0.83, 0.18, 0.05
    pixels = int(rows["inputs"].iloc[0])
    _box(axis, left, middle, width, 0.62, f"spectrum less\nits mean\n{pixels:,} pixels", "white")
    x = left + width
    for row in rows.itertuples():
        _arrow(axis, (x, middle), (x + gap, middle))
        size = f"{row.outputs:,} values" if row.layer != "dense" else f"{row.outputs} neurons"
        if row.layer == "convolution":
            words = f"convolution\n{row.outputs // pixels} filters\n{row.parameters:,} par."
        else:
            words = f"{row.layer}\n{size}" + (f"\n{row.parameters:,} par." if row.parameters else "")
        _box(axis, x + gap, middle, width, 0.62, words, LAYER, bool(row.dropout))
        x += gap + width
    end = x + gap
    if not censored:
        _arrow(axis, (x, middle), (end, middle))
        _box(axis, end, middle, width * 0.78, 0.62, f"{len(heads)} labels,\nvalue and\nlog-variance", HEAD, size=6.2)
        return
    half = 0.62 / max(len(heads), 1)
    for number, label in enumerate(heads):
        y = middle + 0.31 - half * (number + 0.5)
        _arrow(axis, (x, middle), (end, y))
        _box(axis, end, y, 0.6, half * 0.86, label_style.symbol(label), HEAD)
    link = data[data["part"] == "connection"].iloc[0]
    base = BASE
    _box(axis, x - width, base, width, 0.4, f"connection\n{int(link['outputs'])} neurons", LINK)
    _arrow(axis, (x - width / 2, middle - 0.31), (x - width / 2, base + 0.2))
    _box(axis, end, base, 0.6, 0.4, "values,\nno gradient", LINK, size=5.8)
    _arrow(axis, (end + 0.3, middle - 0.31), (end + 0.3, base + 0.2))


def _elements(axis, data: pd.DataFrame, minis: list[str], y: float) -> None:
    """Each element's windows on the spectrum, its two dense layers and its head, which the connection joins."""
    pixels = int(data["inputs"].iloc[0])
    left, strip = 0.62, 2.75
    columns = {"windows": left, "first": 3.85, "second": 4.72, "head": 6.2}
    for words, x, ha in (("element", 0.05, "left"), (f"its windows among the {pixels:,} pixels", left, "left"),
                         ("dense", columns["first"] + 0.3, "center"), ("dense", columns["second"] + 0.3, "center"),
                         ("label", columns["head"] + 0.3, "center")):  # fmt: skip
        axis.text(x, y, words, fontsize=6.5, ha=ha, va="center", color="0.35")
    bus = columns["head"] - 0.3
    joint = BASE - 0.3
    axis.plot([bus, bus], [joint, y - ROW * len(minis)], color=style.MIDDLE, lw=1.1)
    axis.plot([bus - 0.45, bus - 0.45, columns["head"] + 0.2, columns["head"] + 0.2], [BASE - 0.2, joint, joint, BASE - 0.2], color=style.MIDDLE, lw=1.1)  # fmt: skip
    for number, part in enumerate(minis, 1):
        rows = data[data["part"] == part]
        first, second = rows.iloc[0], rows.iloc[1]
        here = y - ROW * number
        axis.text(0.05, here, label_style.element(part), fontsize=7, va="center")
        axis.text(columns["first"] - 0.16, here, f"{int(first['inputs']):,}", fontsize=6.2, va="center", ha="right", color="0.35")  # fmt: skip
        axis.add_patch(Rectangle((left, here - 0.055), strip, 0.11, facecolor="0.95", edgecolor="0.6", lw=0.3))
        for run in str(first["windows"]).split():
            start, stop = map(int, run.split("-"))
            wide = max((stop - start) / pixels * strip, 0.008)
            axis.add_patch(Rectangle((left + start / pixels * strip, here - 0.055), wide, 0.11, color=style.HIGH, lw=0))
        _arrow(axis, (columns["first"] - 0.13, here), (columns["first"], here))
        for name, row in (("first", first), ("second", second)):
            _box(axis, columns[name], here, 0.6, ROW * 0.78, f"{int(row['outputs'])}", LAYER, bool(row["dropout"]))
        _arrow(axis, (columns["first"] + 0.6, here), (columns["second"], here))
        _arrow(axis, (columns["second"] + 0.6, here), (columns["head"], here))
        axis.plot(bus, here, "o", ms=2, color=style.MIDDLE)
        _box(axis, columns["head"], here, 0.6, ROW * 0.78, label_style.symbol(part), HEAD)
