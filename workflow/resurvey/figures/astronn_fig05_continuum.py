"""Fig. 5 of astroNN: one star's spectrum in our continuum normalisation and in that of the survey's pipeline, by detector."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import label_style, style
from resurvey.figures.inputs import Inputs
from resurvey.surveys import apogee_grid

CHIPS = ("blue", "green", "red")
METHODS = {"chebyshev": ("our normalisation", label_style.NETWORK), "aspcap": ("ASPCAP's normalisation", label_style.SURVEY)}  # fmt: skip


def data(inputs: Inputs) -> pd.DataFrame:
    """`spectrum_id, sn_median, chip, wavelength` [Å, vacuum], the flux in each normalisation (`chebyshev`, `aspcap`), empty where a
    pixel is masked or the spectrum is not there, and `residual` = chebyshev − aspcap. Raises ResurveyError for another grid."""
    star = inputs.star
    chips = apogee_grid.from_meta(inputs.star_meta["grid"])
    columns = {"spectrum_id": star["spectrum_id"].iloc[0], "sn_median": star["sn_median"].iloc[0]}
    columns["chip"] = np.repeat(CHIPS, [part.stop - part.start for part in chips.slices])
    columns["wavelength"] = chips.wavelength()
    for method in METHODS:
        rows = star[star["method"] == method]
        columns[method] = np.full(chips.pixels, np.nan)
        if len(rows):
            flux, ivar = (np.asarray(rows[name].iloc[0], float) for name in ("flux", "ivar"))
            columns[method] = np.where(ivar > 0, flux, np.nan)
    if not np.isfinite(columns["chebyshev"]).any():
        raise ResurveyError("the example star has no spectrum in our own normalisation; make the examples again")
    table = pd.DataFrame(columns)
    return table.assign(residual=table["chebyshev"] - table["aspcap"])


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Per detector the spectra above their difference."""
    both = data["aspcap"].notna().any()
    fig = style.figure(style.TWO_COLUMNS, 0.45 + 1.9 * len(CHIPS))
    fig.set_layout_engine("none")
    width, height = fig.get_size_inches()
    lines = style.footer(fig, meta)
    outer = fig.add_gridspec(len(CHIPS), 1, hspace=0.24, left=0.55 / width, right=1 - 0.1 / width, top=1 - 0.3 / height,
                             bottom=(0.48 + 0.11 * lines) / height)  # fmt: skip
    flux = data[["chebyshev", "aspcap"]].to_numpy()
    low, high = max(float(np.nanmin(flux)), 0.0), float(np.nanquantile(flux, 0.9995))
    reach = 1.3 * float(np.nanquantile(np.abs(data["residual"]), 0.995)) if both else 0.1
    for row, chip in enumerate(CHIPS):
        cell = outer[row].subgridspec(2, 1, height_ratios=[2.6, 1], hspace=0.0)
        top = fig.add_subplot(cell[0])
        below = fig.add_subplot(cell[1], sharex=top)
        part = data[data["chip"] == chip]
        for method, (words, colour) in METHODS.items():
            if part[method].notna().any():
                top.plot(part["wavelength"], part[method], color=colour, lw=0.45, label=words, alpha=0.9)
        top.axhline(1, color="0.4", lw=0.5, ls=":")
        top.set(ylim=(low - 0.04, high + 0.05), xlim=(part["wavelength"].min(), part["wavelength"].max()))
        top.tick_params(labelbottom=False)
        label_style.corner(top, f"{chip} detector", "lower left", 7)
        below.axhline(0, color="0.4", lw=0.5, ls=":")
        below.set_ylim(-reach, reach)
        below.locator_params(axis="y", nbins=3)
        if part["residual"].notna().any():
            below.plot(part["wavelength"], part["residual"], color="0.25", lw=0.4)
        else:
            label_style.empty(below, "the pipeline's normalised spectrum (aspcapStar) is not in this run")
        if row == 0:
            star = data.iloc[0]
            top.set_title(f"{star['spectrum_id']}, S/N = {star['sn_median']:.0f}", loc="left", fontsize=7.5, pad=3)
            legend = top.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderaxespad=0, handlelength=1.4)
            for handle in legend.legend_handles:
                handle.set_linewidth(1.2)
        top.set_ylabel("flux / continuum")
        below.set_ylabel("difference")
        fig.align_ylabels([top, below])
    below.set_xlabel(r"wavelength in vacuum, at rest [$\mathrm{\AA}$]")
    return fig
