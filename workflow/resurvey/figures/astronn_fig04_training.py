"""Fig. 4 of astroNN: log g against Teff of the training set, coloured by [Fe/H], all of the survey's pipeline."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs

COLUMNS = ["teff", "logg", "fe_h"]


def data(inputs: Inputs) -> pd.DataFrame:
    """`spectrum_id, teff, logg, fe_h` of the stars of training and validation; empty where the survey gives none."""
    table = inputs.targets
    label_rows.require(table, ["spectrum_id", "split", *COLUMNS], "the targets")
    rows = table[table["split"].isin(["train", "valid"])]
    if rows.empty:
        raise ResurveyError("the targets: no row is of the split train or valid; there is no training set to draw")
    return rows[["spectrum_id", *COLUMNS]].sort_values("spectrum_id").reset_index(drop=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A Kiel diagram; what has no place in it is counted."""
    fig = style.figure(style.ONE_COLUMN * 1.25, 3.1)
    axis = fig.subplots()
    shown = label_rows.finite(data, COLUMNS)
    low, high = label_style.limits(shown["fe_h"])
    points = axis.scatter(shown["teff"], shown["logg"], c=shown["fe_h"], cmap=label_style.METALLICITY, vmin=low, vmax=high,
                          **{**style.marker(len(shown)), "alpha": 0.8})  # fmt: skip
    label_style.kiel(axis)
    bar = fig.colorbar(points, ax=axis, extend="both", aspect=30, pad=0.02)
    bar.set_label(label_style.with_unit("fe_h"))
    bar.solids.set_alpha(1)
    left_out = len(data) - len(shown)
    label_style.corner(axis, f"N = {len(shown):,}" + (f"\nno log g or [Fe/H]: {left_out:,}" if left_out else ""))
    style.footer(fig, meta)
    return fig
