"""Table 2 of astroNN: individual visits of the test stars against the same network on their combined spectra."""

import pandas as pd

from resurvey.figures import astronn_residuals
from resurvey.figures.inputs import Inputs

draw = astronn_residuals.draw


def data(inputs: Inputs) -> pd.DataFrame:
    """See astronn_residuals.rows."""
    return astronn_residuals.rows(inputs, "self", "visits of the split test_visits beside their combined spectra")
