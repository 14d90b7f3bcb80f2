"""Fig. 16 of astroNN: [Al/H] against [Mg/H] in M13 as networks with and without element windows predict them, and the pipeline."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_clusters import members

X, Y = "mg_h", "al_h"
COLOURS = [label_style.NETWORK, "#cc3311", label_style.THIRD]


def data(inputs: Inputs) -> pd.DataFrame:
    """`kind` training: the training set's labels (survey); `kind` model: each network's values of the members, with their total
    uncertainties; `kind` survey: the pipeline's of the same stars. Columns `kind, name, star, mg_h, al_h, mg_h_err, al_h_err`."""
    targets = inputs.targets
    label_rows.require(targets, ["split", "apogee_id", X, Y], "the targets")
    parts = [_rows(targets[targets["split"].isin(["train", "valid"])], "training", "training set", X, Y)]
    for table in inputs.label_tables:
        columns = [f"{name}_{suffix}" for name in (X, Y) for suffix in ("pred", "total")]
        label_rows.require(table.table, columns)
        stars = members(table.table, inputs.paper.mg_al)
        parts.append(_rows(stars, "model", table.model, *columns[::2], *columns[1::2]))
        if table is inputs.labels:
            parts.append(_rows(stars, "survey", "ASPCAP", f"{X}_true", f"{Y}_true"))
    return pd.concat(parts, ignore_index=True)


def _rows(table: pd.DataFrame, kind: str, name: str, x: str, y: str, *errors: str) -> pd.DataFrame:
    """The rows that have both abundances."""
    table = label_rows.finite(table, [x, y])
    found = pd.DataFrame({"kind": kind, "name": name, "star": table["apogee_id"], X: table[x], Y: table[y]})
    for label, error in zip((X, Y), errors, strict=False):
        found[f"{label}_err"] = table[error]
    return found


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Training set behind; each set of members with the median of its uncertainties as a cross aside."""
    fig = style.figure(style.ONE_COLUMN * 1.35, 3.5)
    axis = fig.subplots()
    training = data[data["kind"] == "training"]
    axis.scatter(training[X], training[Y], color="0.6", label=f"training set (N = {len(training):,})",
                 **{**style.marker(len(training)), "alpha": 0.5})  # fmt: skip
    stars = data[data["kind"] == "survey"]
    axis.plot(stars[X], stars[Y], "x", ms=4, mew=0.9, color="0.1", label=f"ASPCAP ({len(stars)} stars)")
    names = list(dict.fromkeys(data.loc[data["kind"] == "model", "name"]))
    models = [(data[(data["kind"] == "model") & (data["name"] == name)], name) for name in names]
    for (rows, name), colour in zip(models, COLOURS, strict=False):
        axis.plot(rows[X], rows[Y], "o", ms=3.4, color=colour, mec="white", mew=0.3, label=f"{name} ({len(rows)} stars)")  # fmt: skip
    members_of = data[data["kind"] != "training"]
    if members_of.empty:
        label_style.empty(axis, f"no member of {meta['paper'].mg_al} is in these tables")
    shown = members_of if len(members_of) else data
    for label, reach, above in ((X, axis.set_xlim, 0.12), (Y, axis.set_ylim, 0.36)):  # above: room for the legend
        low, high = shown[label].min(), shown[label].max()
        train = training[label].quantile([0.01, 0.99]) if len(training) else pd.Series([low, high])
        low, high = min(low, train.iloc[0]), max(high, train.iloc[1])
        reach(low - 0.12 * (high - low) - 0.05, high + above * (high - low) + 0.05)
    _median_errors(axis, models)
    axis.set(xlabel=label_style.with_unit(X), ylabel=label_style.with_unit(Y))
    axis.legend(loc="upper left", handletextpad=0.3, frameon=True, framealpha=0.8, edgecolor="none")
    style.footer(fig, meta)
    return fig


def _median_errors(axis, models: list) -> None:
    """The median uncertainty of each network's members as a cross, in the lower right corner."""
    right, bottom = axis.get_xlim()[1], axis.get_ylim()[0]
    wide, high = (end - start for start, end in (axis.get_xlim(), axis.get_ylim()))
    place = right
    for (rows, _), colour in reversed(list(zip(models, COLOURS, strict=False))):
        sizes = rows[[f"{X}_err", f"{Y}_err"]].median()
        if not sizes.notna().all():
            continue
        place -= sizes.iloc[0] + 0.04 * wide
        axis.errorbar(place, bottom + sizes.iloc[1] + 0.04 * high, xerr=sizes.iloc[0], yerr=sizes.iloc[1], fmt="none", ecolor=colour, elinewidth=1, capsize=2)  # fmt: skip
        place -= sizes.iloc[0]
