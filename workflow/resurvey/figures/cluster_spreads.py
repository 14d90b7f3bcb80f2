"""Spread of each abundance among the members of a cluster, by the network and by the pipeline (Figs 12 and 13 of astroNN)."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_clusters import homogeneity, members, spreads

LEAST = 3  # stars from which a spread is shown
LOOKS = {"network": ("o", label_style.NETWORK, "network", -0.13), "survey": ("s", label_style.SURVEY, "ASPCAP", 0.13)}


def data(inputs: Inputs, clusters: list[str]) -> pd.DataFrame:
    """`cluster, stars, label, source, n, mean, spread, total` of [X/H] (metrics/label_clusters.py); a cluster without members is one
    row with stars = 0. `mean_spread, mean_total`: over the elements of all these clusters, the paper's homogeneity."""
    table = inputs.labels.table
    label_rows.require(table, ["visit"])
    labels = label_rows.labels(table, ["pred"], label_style.ABUNDANCES)
    parts = []
    for cluster in clusters:
        stars = members(table, cluster)
        rows = pd.DataFrame({"label": [None], "n": [0]}) if stars.empty else spreads(stars, labels)
        if len(stars):
            rows = rows[rows["scale"] == "x_h"]
        parts.append(rows.assign(cluster=cluster, stars=len(stars)))
    mean, total, _ = homogeneity(table, clusters, labels)
    columns = ["cluster", "stars", "label", "source", "n", "mean", "spread", "total", "mean_spread", "mean_total"]
    return pd.concat(parts, ignore_index=True).assign(mean_spread=mean, mean_total=total).reindex(columns=columns)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per cluster: elements from left to right; green bars reach as high as the network's median total uncertainty."""
    clusters = list(dict.fromkeys(data["cluster"]))
    labels = [name for name in label_style.ABUNDANCES if name in set(data["label"].dropna())]
    fig = style.figure(style.TWO_COLUMNS, 0.55 + 1.9 * len(clusters))
    axes = fig.subplots(len(clusters), 1, squeeze=False, sharex=True).ravel()
    place = {name: i for i, name in enumerate(labels)}
    for axis, cluster in zip(axes, clusters, strict=True):
        rows = data[data["cluster"] == cluster]
        stars = int(rows["stars"].iloc[0])
        shown = rows[rows["n"] >= LEAST]
        for source, (mark, colour, words, aside) in LOOKS.items():
            part = shown[shown["source"] == source]
            x = part["label"].map(place) + aside
            if source == "network" and len(part):
                axis.bar(x, part["total"], width=0.26, color=label_style.MODEL, alpha=0.35, lw=0, label="median total uncertainty")  # fmt: skip
            axis.plot(x, part["spread"], mark, ms=4, color=colour, mec="white", mew=0.3, label=words)
        if shown.empty:
            label_style.empty(axis, f"no member of {cluster} is in this table" if not stars else f"{stars} members: too few for a spread")  # fmt: skip
        else:
            axis.set_ylim(0, 1.25 * float(shown[["spread", "total"]].max().max()))
        axis.set_xlim(-0.6, max(len(labels), 1) - 0.4)
        axis.set_xticks(range(len(labels)), [label_style.symbol(name) for name in labels], rotation=45, ha="right", rotation_mode="anchor")  # fmt: skip
        axis.tick_params(axis="x", top=False, length=2)
        axis.set_ylabel(r"spread $\sigma_{\rm MAD}$ [dex]")
        axis.set_title(f"{cluster}, {stars} stars", loc="left", pad=3)
    if data["mean_spread"].notna().any():
        both = " and clusters" if len(clusters) > 1 else ""
        mean, total = data["mean_spread"].iloc[0], data["mean_total"].iloc[0]
        axes[0].set_title(f"network, mean over elements{both}: spread {mean:.3f}, uncertainty {total:.3f} dex", loc="right", pad=3)  # fmt: skip
        handles, words = axes[0].get_legend_handles_labels()
        if handles:
            fig.legend(handles, words, loc="outside upper center", ncols=3, handletextpad=0.4)
    style.footer(fig, meta)
    return fig
