"""Fig. 18 of astroNN: [X/Fe] against [Fe/H] of the other elements, by the network and by the pipeline."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import abundance_planes
from resurvey.figures.inputs import Inputs

LABELS = ("c_h", "ci_h", "n_h", "p_h", "v_h", "cr_h", "mn_h", "co_h", "ni_h")


def data(inputs: Inputs) -> pd.DataFrame:
    """Counts of stars in the plane of each element."""
    return abundance_planes.data(inputs, LABELS)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A pair of panels per element."""
    return abundance_planes.draw(data, meta)
