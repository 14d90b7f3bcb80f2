"""Fig. 10: the pipeline of sub-networks and the layers of one, drawn from the networks' own specifications."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from resurvey.figures import resnet_layers, style
from resurvey.figures.inputs import Inputs

PLAIN, LAYER, CLASS, REDSHIFT = "white", "#d9e6f2", "#d7ecdf", "#fbe3cc"
ROW, GAP = 0.34, 0.12  # inch
KEYS = ("kernel", "stride", "pool", "padding", "dropout")


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per layer of each network (figures/resnet_layers.py): `network, role, class, members, head, input`, its settings, its numbers.

    Point estimates are left out: they are ensembles of one. Members that were trained apart are one network here.
    """
    parts, seen = [], {}
    for network in inputs.networks:
        name = network.name.split("/")[0]
        if network.role == "point":
            continue
        spec = network.meta["architecture"]
        if name in seen:
            parts[seen[name]]["members"] += spec["members"]
            continue
        seen[name] = len(parts)
        about = {
            "network": name,
            "role": network.role,
            "class": network.label or "",
            "members": spec["members"],
            "input": spec["pixels"],
        }
        about |= {"head": network.meta.get("head"), **{key: spec[key] for key in KEYS}}
        parts.append(resnet_layers.layers(spec).assign(**about))
    order = {label: i for i, label in enumerate(style.ordered([part["class"].iloc[0] for part in parts]))}
    parts.sort(key=lambda part: (part["role"].iloc[0] != "classifier", order[part["class"].iloc[0]]))
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """a) all networks side by side on one spectrum; b) the layers of the first, and what is in a block."""
    networks = list(dict.fromkeys(data["network"]))
    height = 0.35 + (ROW + GAP) * len(networks) + 2.35
    fig = style.figure(style.TWO_COLUMNS, height)
    axis = fig.subplots()
    axis.set_axis_off()
    axis.set(xlim=(0, style.TWO_COLUMNS), ylim=(-height + 0.3, 0))
    bottom = _pipeline(axis, data, networks)
    _layers(axis, data[data["network"] == networks[0]], bottom - 0.25)
    style.footer(fig, meta)
    return fig


def _box(axis, x: float, y: float, width: float, height: float, words: str, colour: str, size: float = 6.8) -> None:
    """A box whose left edge is at x, about y."""
    axis.add_patch(FancyBboxPatch((x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.04", facecolor=colour, edgecolor="0.3", lw=0.7))  # fmt: skip
    axis.text(x + width / 2, y, words, ha="center", va="center", fontsize=size, linespacing=1.15)


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=5, lw=0.6, color="0.3", shrinkA=0, shrinkB=0)
    )


def _pipeline(axis, data: pd.DataFrame, networks: list[str]) -> float:
    axis.text(0.02, -0.1, "a)  every network sees the same spectrum", fontsize=8, va="center")
    top = -0.3
    middle = top - (ROW + GAP) * len(networks) / 2
    _box(axis, 0.05, middle, 0.95, 0.55, f"spectrum,\n{data['input'].iloc[0]:,} pixels,\nnormalised", PLAIN)
    for number, name in enumerate(networks):
        rows = data[data["network"] == name]
        first, last = rows.iloc[0], rows.iloc[-1]
        y = top - (ROW + GAP) * (number + 0.5)
        classifier = first["role"] == "classifier"
        _arrow(axis, (1.0, middle), (1.55, y))
        members = "" if first["members"] == 1 else f"{first['members']} × "
        words = (
            f"{members}{name}   ({rows['parameters'].sum():,} parameters each)"
            if members
            else f"{name}   ({rows['parameters'].sum():,} parameters)"
        )
        _box(axis, 1.55, y, 2.75, ROW, words, CLASS if classifier else REDSHIFT)
        _arrow(axis, (4.3, y), (4.6, y))
        if classifier:
            result = f"probabilities of {last['channels']} classes"
        elif first["head"] == "bins":
            result = rf"{first['class']}: $\bar z$, $\sigma_z$ from {last['channels']} bins of z"
        else:
            result = rf"{first['class']}: $\bar z$, $\sigma_z$ over the members"
        _box(axis, 4.6, y, 2.35, ROW, result, PLAIN)
    return top - (ROW + GAP) * len(networks)


def _layers(axis, rows: pd.DataFrame, y: float) -> None:
    first = rows.iloc[0]
    axis.text(0.02, y, f"b)  one sub-network: {first['network']}", fontsize=8, va="center")
    shown = rows[rows["part"] != "dropout"]
    width = (style.TWO_COLUMNS - 0.1 - 0.1 * len(shown)) / (len(shown) + 1)
    middle, x = y - 0.5, 0.05
    _box(axis, x, middle, width, 0.6, f"flux\n{first['input']:,}", PLAIN, 6.3)
    for row in shown.itertuples():
        _arrow(axis, (x + width, middle), (x + width + 0.1, middle))
        x += width + 0.1
        name = {"block": f"Block({row.channels})", "dense": "Dense", "output": "output"}[row.part]
        size = f"{row.channels} × {row.pixels:,}" if row.part == "block" else f"{row.channels}"
        _box(
            axis,
            x,
            middle,
            width,
            0.6,
            f"{name}\n{size}\n{row.parameters:,}",
            LAYER if row.part != "output" else CLASS,
            6.0,
        )
    axis.text(0.05, middle - 0.42, "Below each name: channels × pixels after it, and its parameters (BatchNorm's running statistics included). "
              f"Dropout {first['dropout']:g} before the dense layer.", fontsize=6.3, va="center", color="0.35")  # fmt: skip
    _block(axis, first, middle - 0.95)


def _block(axis, first: pd.Series, y: float) -> None:
    kernel, stride, pool = first["kernel"], first["stride"], first["pool"]
    left, width, gap = 0.75, 1.35, 0.2
    axis.text(0.05, y, "Block(n):", fontsize=7.5, va="center")
    words = (
        f"conv n, {kernel}\nBatchNorm, ReLU",
        f"conv n, {kernel}, /{stride}, {first['padding']}\nBatchNorm, ReLU",
        f"max-pool {pool}, /1",
    )
    x = left
    for text in words:
        _box(axis, x, y + 0.14, width, 0.3, text, LAYER, 6.3)
        _arrow(axis, (x + width, y + 0.14), (x + width + gap, y + 0.14))
        x += width + gap
    _box(axis, x, y, 0.45, 0.3, "sum", CLASS, 6.8)
    _box(
        axis,
        left,
        y - 0.26,
        3 * width + 2 * gap,
        0.22,
        f"shortcut: conv n, {kernel}, /{stride}, {first['padding']} of the block's input",
        LAYER,
        6.3,
    )
    _arrow(axis, (x - gap, y - 0.26), (x + 0.1, y - 0.15))
