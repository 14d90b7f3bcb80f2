"""Stacked histograms of one quantity by class (shared by Figs 3 and 4)."""

import numpy as np
import pandas as pd

from resurvey.figures import style


def counts(values: dict[str, np.ndarray], edges: np.ndarray) -> pd.DataFrame:
    """`label, low, high, n`; values beyond the edges are not in it."""
    parts = [
        pd.DataFrame({"label": label, "low": edges[:-1], "high": edges[1:], "n": np.histogram(v, edges)[0]})
        for label, v in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def stacked(axis, data: pd.DataFrame, labels: list[str]) -> None:
    """Bars upon each other, the first class at the bottom."""
    bottom = None
    for label in dict.fromkeys(data["label"]):
        rows = data[data["label"] == label]
        edges = [*rows["low"], rows["high"].iloc[-1]]
        height = rows["n"].to_numpy(float)
        base = np.zeros(len(height)) if bottom is None else bottom
        axis.stairs(
            base + height, edges, baseline=base, fill=True, color=style.colour(label, labels), label=label, lw=0
        )
        bottom = base + height
    axis.set_xlim(data["low"].min(), data["high"].max())
    axis.set_ylim(0, 1.08 * max(bottom.max(), 1))
    axis.set_ylabel("spectra per bin")
    axis.legend(loc="upper right")
