"""Fig. 13: redshifts of the single networks ("point estimates") against the true ones, binned residuals with MAE on top."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import residual
from resurvey.figures.inputs import Inputs, redshift_rows


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per spectrum that has a point estimate."""
    return redshift_rows(inputs, ["z_true", "z_point"])[["spectrum_id", "label", "z_true", "z_point"]]


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class."""
    return residual.draw(data, meta, "z_point", None, r"point estimate $z_{\rm p}$")
