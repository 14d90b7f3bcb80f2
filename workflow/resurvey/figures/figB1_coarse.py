"""Fig. B1: confusion matrices of star, galaxy and quasar, of networks that learned no other classes."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import confusion_panels
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """The matrices (confusion_panels.matrices) in the order of the models."""
    return confusion_panels.matrices(inputs.tables)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per survey."""
    titles = {model: release or model for model, release in zip(data["model"], data["release"], strict=True)}
    return confusion_panels.draw(data, meta, titles)
