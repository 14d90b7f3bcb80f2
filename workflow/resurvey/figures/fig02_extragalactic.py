"""Fig. 2: one example spectrum of each extragalactic class."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import spectra
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """The examples' fluxes in long form."""
    return spectra.data(inputs, stars=False)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A strip per class."""
    return spectra.draw(data, meta, spectra.NEBULAR)
