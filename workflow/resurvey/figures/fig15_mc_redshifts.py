"""Fig. 15: ensemble means with their standard deviations against the true redshifts; binned residuals with mean σ on top."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import residual
from resurvey.figures.inputs import Inputs, redshift_rows


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per spectrum with an ensemble redshift."""
    return redshift_rows(inputs, ["z_true", "z_pred", "z_std"])[["spectrum_id", "label", "z_true", "z_pred", "z_std"]]


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class."""
    return residual.draw(data, meta, "z_pred", "z_std", r"ensemble mean $\bar z$")
