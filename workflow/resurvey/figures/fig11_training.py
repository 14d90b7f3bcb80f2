"""Fig. 11: loss and accuracy of the classifier, loss and MAE of the redshift networks, over the epochs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    for axis, (role, quantity, ylabel) in zip(axes, panels, strict=True):
        if role == "classifier":
            _classifier(axis, data[data["role"] == role])
        else:
            _redshift(axis, data[(data["role"] == role)], quantity, labels)
        axis.set(xlabel="epoch", ylabel=ylabel)
    style.footer(fig, meta)
    return fig


def _curves(axis, rows: pd.DataFrame, quantity: str, colour) -> None:
    for name, line in ((quantity, "--"), (f"val_{quantity}", "-")):
        curve = rows[rows["quantity"] == name].sort_values("epoch")
        mark = "o" if len(curve) < 4 else None
        axis.plot(curve["epoch"] + 1, curve["value"], color=colour, ls=line, lw=0.8 if line == "--" else 1.1, marker=mark, ms=2)


def _classifier(axis, rows: pd.DataFrame) -> None:
    _curves(axis, rows, "loss", style.LOW)
    axis.set_yscale("log")
    axis.tick_params(axis="y", which="both", right=False)
    twin = axis.twinx()
    _curves(twin, rows, "acc", style.HIGH)
    twin.set_ylabel("accuracy")
    twin.tick_params(axis="y", colors=style.HIGH)
    axis.tick_params(axis="y", which="both", colors=style.LOW)
    handles = [Line2D([], [], color=style.LOW), Line2D([], [], color=style.HIGH), *_lines()]
    axis.legend(handles, ["loss", "accuracy", "training", "validation"], loc="center right")
    axis.set_title("classifier", loc="left", pad=3)


def _redshift(axis, rows: pd.DataFrame, quantity: str, labels: list[str]) -> None:
    present = style.ordered(list(rows["label"].unique()))
    for label in present:
        _curves(axis, rows[rows["label"] == label], quantity, style.colour(label, labels))
    axis.set_yscale("log")
    axis.set_title("redshift ensembles", loc="left", pad=3)
    if quantity == "loss":
        axis.legend(_lines(), ["training", "validation"], loc="upper right")
    else:
        handles = [Line2D([], [], color=style.colour(label, labels)) for label in present]
        axis.legend(handles, present, loc="upper right", fontsize=6, handlelength=1.2)


def _lines() -> list[Line2D]:
    return [Line2D([], [], color="0.2", ls="--"), Line2D([], [], color="0.2", ls="-")]
