"""Fig. 14 of astroNN: which pixels decide the network's [Mg/H]."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import sensitivity
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """The mean derivative of [Mg/H] by the flux of each pixel."""
    return sensitivity.data(inputs, "mg_h")


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A strip per detector."""
    return sensitivity.draw(data, meta)
