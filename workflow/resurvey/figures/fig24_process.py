"""Fig. 24: from templates of known class and redshift to the networks F(flux) = (P, z), and from these to any spectrum."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from resurvey.figures import style
from resurvey.figures.inputs import Inputs

PLAIN, KNOWN, NETWORK = "white", "#fbe3cc", "#d9e6f2"
ROW = 0.21  # inch per network


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per network but the point estimates: `network, role, class, origin, release, n_train, z_min, z_max` from its model.json.

    z_min, z_max: redshifts that it learned from, NaN for a classifier. origin: `mock` or `real`, the spectra that it learned from.
    """
    rows = {}
    for network in inputs.networks:
        name, meta = network.name.split("/")[0], network.meta
        if network.role != "point" and name not in rows:
            about = {"network": name, "role": network.role, "class": network.label or "", "origin": meta.get("origin")}
            about |= {"release": meta.get("release") or meta.get("dataset"), "n_train": meta.get("n_train")}
            rows[name] = about | {key: meta.get("metrics", {}).get(key) for key in ("z_min", "z_max")}
    order = {label: i for i, label in enumerate(style.ordered([row["class"] for row in rows.values()]))}
    found = sorted(rows.values(), key=lambda row: (row["role"] != "classifier", order[row["class"]]))
    return pd.DataFrame(found).astype({"z_min": float, "z_max": float})


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Above, what the networks learn from; below, what they are applied to."""
    high = max(ROW * len(data) + 0.25, 0.9)
    height = high + 1.55
    fig = style.figure(style.TWO_COLUMNS, height)
    axis = fig.subplots()
    axis.set_axis_off()
    axis.set(xlim=(0, style.TWO_COLUMNS), ylim=(-height + 0.25, 0))
    middle, width = -0.3 - high / 2, 1.5
    first = data.iloc[0]
    source = "mock survey in the layout of" if first["origin"] == "mock" else "spectra of"
    given = "parameters of the simulation:" if first["origin"] == "mock" else "labels of the survey:"
    axis.text(0.02, -0.1, "training:  F(flux) = (P$_i$, z$_i$)", fontsize=8, va="center")
    _box(axis, 0.05, middle, width, 0.75, f"{given}\nclass i,\nredshift z$_i$", KNOWN)
    _box(
        axis,
        1.85,
        middle,
        width,
        0.75,
        f"{source}\n{first['release']},\n{int(first['n_train'] or 0):,} spectra to learn",
        PLAIN,
    )
    _box(axis, 3.65, middle, 3.3, high, "\n".join(_words(row) for row in data.itertuples()), NETWORK, 6.4)
    _arrow(axis, (0.05 + width, middle), (1.85, middle))
    _arrow(axis, (1.85 + width, middle), (3.65, middle))
    below = -0.3 - high - 0.7
    axis.text(0.02, below + 0.42, "prediction:  the networks fit (i, z$_i$) to a spectrum", fontsize=8, va="center")
    _box(axis, 1.85, below, width, 0.45, "any spectrum\non the same grid", PLAIN)
    _box(axis, 4.45, below, 1.7, 0.45, "P$_i$ of each class,\nz$_i$ and its σ", KNOWN)
    _arrow(axis, (1.85 + width, below + 0.1), (3.65, middle - high / 2 + 0.15))
    _arrow(axis, (5.3, middle - high / 2), (5.3, below + 0.225))
    style.footer(fig, meta)
    return fig


def _words(row) -> str:
    if row.role == "classifier":
        return f"{row.network}: the class, from {int(row.n_train or 0):,}"
    span = f", {max(row.z_min, 0):.2f} < z < {row.z_max:.2f}" if pd.notna(row.z_max) else ""
    return f"{row.network}: z of {row[3]}, from {int(row.n_train or 0):,}{span}"


def _box(axis, x: float, y: float, width: float, height: float, words: str, colour: str, size: float = 6.8) -> None:
    """A box whose left edge is at x, about y."""
    axis.add_patch(FancyBboxPatch((x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.04", facecolor=colour, edgecolor="0.3", lw=0.7))  # fmt: skip
    axis.text(x + width / 2, y, words, ha="center", va="center", fontsize=size, linespacing=1.4)


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=6, lw=0.7, color="0.3", shrinkA=0, shrinkB=0)
    )
