"""Fig. D1: flux of one spectrum of each extragalactic class, and the pixels that decide its redshift and its class."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs

FLUX, REDSHIFT, CLASS = "0.25", "#c0392b", "#009e73"
STRIPS = 0.75  # height of a gradient's strip, where that of the flux is 1


def data(inputs: Inputs) -> pd.DataFrame:
    """Long form: `label, spectrum_id, z, sn_median, z_pred, prob, wavelength, flux, z_gradient, p_gradient` in the order of the classes.

    Gradients are absolute values, by flux over the spectrum's RMS. Stars and classes that the model does not know are left out.
    """
    table = inputs.gradients
    table = table[~table["label"].str.startswith("STAR") & table["prob"].notna()]
    if table.empty:
        raise ResurveyError("there is no galaxy or quasar of a class that the model knows; make the gradients again")
    grid = inputs.gradients_meta["grid"]
    wavelength = grid["start"] + grid["step"] * np.arange(grid["pixels"])
    order = {label: i for i, label in enumerate(style.ordered(list(table["label"])))}
    parts = []
    for row in sorted(table.itertuples(), key=lambda row: order[row.label]):
        about = {name: getattr(row, name) for name in ("label", "spectrum_id", "z", "sn_median", "z_pred", "prob")}
        slopes = {name: np.abs(np.asarray(getattr(row, name), float)) for name in ("z_gradient", "p_gradient")}
        parts.append(pd.DataFrame({**about, "wavelength": wavelength, "flux": np.asarray(row.flux, float), **slopes}))
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per spectrum, each gradient over its own maximum in a strip below the flux; grey lines mark the strongest pixels."""
    labels = list(dict.fromkeys(data["label"]))
    columns = 2 if len(labels) > 1 else 1
    lines = -(-len(labels) // columns)
    fig = style.figure(style.TWO_COLUMNS, 1.85 * lines + 0.4)
    axes = fig.subplots(lines, columns, sharex=True, squeeze=False).ravel()
    for axis in axes[len(labels) :]:
        axis.remove()
    for index, (axis, label) in enumerate(zip(axes, labels, strict=False)):
        _spectrum(axis, data[data["label"] == label])
        if index % columns == 0:
            axis.set_ylabel("flux and gradients")
        if index + columns >= len(labels):
            axis.set_xlabel(r"observed wavelength in vacuum [$\mathrm{\AA}$]")
            axis.tick_params(labelbottom=True)
    handles = axes[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=3)
    style.footer(fig, meta)
    return fig


def _spectrum(axis, rows: pd.DataFrame) -> None:
    first, wave = rows.iloc[0], rows["wavelength"].to_numpy()
    low, high = np.quantile(rows["flux"], (0.002, 0.9995))
    flux = (rows["flux"] - low) / max(high - low, 1e-9)
    axis.plot(wave, flux.clip(-0.05, 1.05), color=FLUX, lw=0.5, label="flux")
    for strip, (column, colour, words) in enumerate((("z_gradient", REDSHIFT, r"$|\partial z/\partial F|$"), ("p_gradient", CLASS, r"$|\partial P/\partial F|$")), 1):  # fmt: skip
        base, slope = -1.05 * STRIPS * strip, rows[column].to_numpy()
        known = np.isfinite(slope).any() and np.nanmax(slope) > 0
        height = STRIPS * slope / np.nanmax(slope) if known else np.full(len(wave), np.nan)
        axis.plot(wave, base + height, color=colour, lw=0.5, label=words)
        words = f"max {np.nanmax(slope):.2g}" if known else "no redshift network" if strip == 1 else "0 everywhere"
        axis.annotate(words, (1, base + STRIPS), xycoords=("axes fraction", "data"), xytext=(-3, -2), textcoords="offset points",
                      ha="right", va="top", fontsize=6, color=colour, bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.3})  # fmt: skip
    axis.set_yticks([])
    axis.set(xlim=(wave[0], wave[-1]), ylim=(-2.1 * STRIPS - 0.05, 1.12))
    redshift = f"{first['z']:.3f}" if np.isfinite(first["z"]) else "–"
    axis.set_title(
        f"{first['label']}, z = {redshift}, S/N = {first['sn_median']:.1f}, P = {first['prob']:.2f}",
        fontsize=7.5,
        loc="left",
        pad=3,
    )
