"""Fig. 11: loss and accuracy of the classifier, loss and MAE of the redshift networks, over the epochs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """Long form: `network, role, label, epoch, quantity, value`; point networks are left to their own ensembles' curves."""
    parts = []
    for network in inputs.networks:
        if network.role == "point":
            continue
        names = [c for c in network.history if c.removeprefix("val_") in ("loss", "acc", "mae")]
        long = network.history.melt("epoch", names, "quantity", "value")
        parts.append(long.assign(network=network.name, role=network.role, label=network.label or "classifier"))
    if not parts:
        raise ResurveyError("none of the networks is a classifier or a redshift ensemble: there are no curves to draw")
    return pd.concat(parts, ignore_index=True)[["network", "role", "label", "epoch", "quantity", "value"]]


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Dashed: training split; solid: validation split."""
    labels = meta["paper"].labels
    panels = []
    if (data["role"] == "classifier").any():
        panels.append(("classifier", "loss", "loss (cross-entropy)"))
    if (data["role"] == "redshift").any():
        panels += [("redshift", "loss", "loss"), ("redshift", "mae", r"MAE in $z$")]
    fig, axes = style.panels(len(panels), 2.5)
    present = style.ordered(list(data.loc[data["role"] == "redshift", "label"].unique()))
    for axis, (role, quantity, ylabel) in zip(axes, panels, strict=True):
        if role == "classifier":
            _classifier(axis, data[data["role"] == role])
        else:
            _redshift(axis, data[(data["role"] == role)], quantity, labels)
        axis.set(xlabel="epoch", ylabel=ylabel)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [Line2D([], [], color="0.2", ls="--"), Line2D([], [], color="0.2", ls="-")]
    handles += [Line2D([], [], color=style.colour(label, labels), lw=1.6) for label in present]
    fig.legend(handles, ["training", "validation", *present], loc="outside upper center", ncols=4, handlelength=1.6, columnspacing=1.0,
               fontsize=6.3)  # fmt: skip
    style.footer(fig, meta)
    return fig


def _curves(axis, rows: pd.DataFrame, quantity: str, colour) -> None:
    for name, line in ((quantity, "--"), (f"val_{quantity}", "-")):
        curve = rows[rows["quantity"] == name].sort_values("epoch")
        mark = "o" if len(curve) < 4 else None
        axis.plot(
            curve["epoch"] + 1,
            curve["value"],
            color=colour,
            ls=line,
            lw=0.8 if line == "--" else 1.1,
            marker=mark,
            ms=2,
        )


def _classifier(axis, rows: pd.DataFrame) -> None:
    _curves(axis, rows, "loss", style.LOW)
    axis.set_yscale("log")
    style.plain_numbers(axis)
    axis.tick_params(axis="y", which="both", right=False, colors=style.LOW)
    axis.yaxis.label.set_color(style.LOW)
    twin = axis.twinx()
    _curves(twin, rows, "acc", style.HIGH)
    twin.set_ylabel("accuracy", color=style.HIGH)
    twin.tick_params(axis="y", colors=style.HIGH)
    axis.set_title("classifier", loc="left", pad=3)


def _redshift(axis, rows: pd.DataFrame, quantity: str, labels: list[str]) -> None:
    for label in rows["label"].unique():
        _curves(axis, rows[rows["label"] == label], quantity, style.colour(label, labels))
    axis.set_yscale("log")
    style.plain_numbers(axis)
    axis.set_title("redshift ensembles", loc="left", pad=3)
