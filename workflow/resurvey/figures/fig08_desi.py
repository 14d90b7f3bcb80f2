"""Fig. 8: one example spectrum of each class of DESI, in the colours of the three arms that it is joined from."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import spectra
from resurvey.figures.inputs import Inputs

ARMS = (
    ("B", 3600.0, 5780.0, "#0072b2"),
    ("R", 5780.0, 7570.0, "#d55e00"),
    ("Z", 7570.0, 9824.0, "#882255"),
)  # to the overlaps' middle


def data(inputs: Inputs) -> pd.DataFrame:
    """The examples' fluxes in long form, with the `arm` of each wavelength. Raises ResurveyError where there are none."""
    parts = []
    for stars in (True, False):
        try:
            parts.append(spectra.data(inputs, stars))
        except ResurveyError:  # a sample without stars, or of stars only
            continue
    if not parts:
        raise ResurveyError("there is no example of any class; make the examples again")
    table = pd.concat(parts, ignore_index=True)
    names = [name for name, *_ in ARMS]
    return table.assign(arm=np.array(names)[np.digitize(table["wavelength"], [end for _, _, end, _ in ARMS[:-1]])])


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A strip per class."""
    fig = spectra.draw(data, meta, spectra.NEBULAR, spectra.STELLAR)
    colours = {name: colour for name, *_, colour in ARMS}
    for axis, (_, rows) in zip(fig.axes, data.groupby("label", sort=False), strict=True):
        (line,) = [line for line in axis.get_lines() if len(line.get_xdata()) == len(rows)]
        flux = line.get_ydata()
        for arm, part in rows.reset_index(drop=True).groupby("arm"):
            axis.plot(part["wavelength"], flux[part.index], color=colours[arm], lw=line.get_linewidth(), label=arm)
        line.remove()
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    fig.axes[0].legend(ncols=3, handlelength=1.0, borderpad=0.1, **above)
    return fig
