"""Fig. 12 of astroNN: spread of each abundance among the stars of the open clusters M67 and NGC 6819."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import cluster_spreads
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """Spread and uncertainty of each element in each cluster."""
    return cluster_spreads.data(inputs, inputs.paper.open_clusters)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per cluster."""
    return cluster_spreads.draw(data, meta)
