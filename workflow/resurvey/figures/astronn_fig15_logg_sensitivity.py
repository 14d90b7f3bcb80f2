"""Fig. 15 of astroNN: which pixels decide the network's log g."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import sensitivity
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """The mean derivative of log g by the flux of each pixel."""
    return sensitivity.data(inputs, "logg")


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A strip per detector."""
    return sensitivity.draw(data, meta)
