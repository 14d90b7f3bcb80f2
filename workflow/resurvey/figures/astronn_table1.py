"""Tables 1 and 4 of astroNN: residuals of the combined test spectra against the survey's labels (Table 4: of another model)."""

import pandas as pd

from resurvey.figures import astronn_residuals
from resurvey.figures.inputs import Inputs

draw = astronn_residuals.draw


def data(inputs: Inputs) -> pd.DataFrame:
    """See astronn_residuals.rows."""
    return astronn_residuals.rows(inputs, "test", "combined spectra of the split test with the survey's labels")
