"""Training of the label networks: loss, error and learning rate over the epochs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resurvey.errors import ResurveyError
from resurvey.figures import label_style, style
from resurvey.figures.inputs import Inputs

QUANTITIES = {"loss": "loss (Eqs. 5–7)", "mae": "MAE [spread of the label]", "lr": "learning rate"}


def data(inputs: Inputs) -> pd.DataFrame:
    """Long form: `model, network, epoch, quantity, value`; quantities loss, val_loss, mae, val_mae and lr, as far as recorded."""
    parts = []
    for network in inputs.networks:
        names = [name for name in network.history if name.removeprefix("val_") in QUANTITIES]
        long = network.history.melt("epoch", names, "quantity", "value")
        parts.append(long.assign(model=network.meta.get("model"), network=network.name))
    if not parts:
        raise ResurveyError("there is no network: there are no curves to draw")
    return pd.concat(parts, ignore_index=True)[["model", "network", "epoch", "quantity", "value"]]


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per quantity: dashed training, solid validation."""
    there = set(data["quantity"].str.removeprefix("val_"))
    panels = [(name, words) for name, words in QUANTITIES.items() if name in there]
    fig, axes = style.panels(len(panels), 2.3)
    for axis, (name, words) in zip(axes, panels, strict=True):
        for quantity, line, colour in ((name, "--", label_style.SURVEY), (f"val_{name}", "-", label_style.NETWORK)):
            curve = data[data["quantity"] == quantity].sort_values("epoch")
            if len(curve):
                look = ("-", "0.2") if name == "lr" else (line, colour)
                axis.plot(curve["epoch"] + 1, curve["value"], ls=look[0], color=look[1], marker="o" if len(curve) < 4 else None, ms=2)  # fmt: skip
        if name != "loss":  # which is negative where the network is certain
            axis.set_yscale("log")
        if name == "mae":
            style.plain_numbers(axis)
        axis.set(xlabel="epoch", ylabel=words)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [Line2D([], [], color=label_style.SURVEY, ls="--"), Line2D([], [], color=label_style.NETWORK)]
    fig.legend(
        handles, ["training (with dropout)", "validation"], loc="outside upper center", ncols=2, handlelength=1.8
    )
    style.footer(fig, meta)
    return fig
