"""Fig. 17 of astroNN: [X/Fe] against [Fe/H] of α and odd-Z light elements, by the network and by the pipeline."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import abundance_planes
from resurvey.figures.inputs import Inputs

LABELS = ("o_h", "na_h", "mg_h", "al_h", "si_h", "s_h", "k_h", "ca_h", "ti_h", "tiii_h")


def data(inputs: Inputs) -> pd.DataFrame:
    """Counts of stars in the plane of each element."""
    return abundance_planes.data(inputs, LABELS)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A pair of panels per element."""
    return abundance_planes.draw(data, meta)
