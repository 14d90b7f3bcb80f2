"""Example spectra stacked in one column, with the lines that tell the class (shared by Figs 1 and 2)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.inputs import Inputs

# Vacuum wavelengths [Å] (NIST; SDSS table of galaxy and quasar lines).
STELLAR = {"Ca K": 3934.8, "Ca H": 3969.6, r"H$\delta$": 4102.9, r"H$\gamma$": 4341.7, r"H$\beta$": 4862.7, "Mg b": 5176.6,
           "Na D": 5895.6, r"H$\alpha$": 6564.6, "Ca II": 8544.4}  # fmt: skip
NEBULAR = {r"Ly$\alpha$": 1215.7, "C IV": 1549.5, "C III]": 1908.7, "Mg II": 2799.1, "[O II]": 3728.5, "Ca H,K": 3952.0,
           r"H$\beta$": 4862.7, "[O III]": 5008.2, "Mg b": 5176.6, "Na D": 5895.6, r"H$\alpha$": 6564.6, "[S II]": 6725.5}  # fmt: skip

NEAR = 10.0  # [Å] flux so near to a named line is shown in full; elsewhere single pixels may be bad


def data(inputs: Inputs, stars: bool) -> pd.DataFrame:
    """Long form: `label, spectrum_id, z, sn_median, wavelength, flux` of one example per class."""
    table = inputs.examples
    table = table[table["label"].str.startswith("STAR") == stars]
    if table.empty:
        raise ResurveyError(
            f"there is no example of a {'star' if stars else 'galaxy or quasar'}; make the examples again"
        )
    grid = inputs.meta["grid"]
    wavelength = grid["start"] + grid["step"] * np.arange(grid["pixels"])
    order = {label: i for i, label in enumerate(inputs.paper.labels)}
    parts = []
    for row in sorted(table.itertuples(), key=lambda row: order.get(row.label, 99)):
        flux = np.where(np.asarray(row.ivar) > 0, np.asarray(row.flux, float), np.nan)
        parts.append(pd.DataFrame({"label": row.label, "spectrum_id": row.spectrum_id, "z": row.z, "sn_median": row.sn_median,
                                   "wavelength": wavelength, "flux": flux}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame, meta: dict, lines: dict[str, float], stellar: dict[str, float] | None = None) -> Figure:
    """One strip per class: flux over its median against vacuum wavelength, lines marked at the spectrum's redshift.

    stellar: the lines of stars, where they share the figure with others.
    """
    labels = list(dict.fromkeys(data["label"]))
    fig = style.figure(style.TWO_COLUMNS, 0.3 + 1.15 * len(labels))
    axes = fig.subplots(len(labels), 1, sharex=True, squeeze=False).ravel()
    fig.get_layout_engine().set(hspace=0.0, h_pad=0.015)
    for axis, label in zip(axes, labels, strict=True):
        rows = data[data["label"] == label]
        marked = stellar if stellar and label.startswith("STAR") else lines
        flux = rows["flux"].to_numpy(float)
        scale = abs(np.nanmedian(flux)) or 1.0
        axis.plot(rows["wavelength"], flux / scale, color=style.colour(label, meta["paper"].labels), lw=0.5)
        low, high = np.nanquantile(flux / scale, [0.003, 0.998])
        z = float(rows["z"].iloc[0]) if np.isfinite(rows["z"].iloc[0]) else 0.0
        away = np.abs(rows["wavelength"].to_numpy()[:, None] - (1 + z) * np.array(list(marked.values())))
        high = max(high, np.nanmax(flux[away.min(1) < NEAR], initial=-np.inf) / scale)
        reach = high - low
        axis.set_ylim(low - 0.12 * reach, high + 0.45 * reach)
        mark(axis, marked, z, rows["wavelength"].min(), rows["wavelength"].max())
        redshift = f", z = {z:.3f}" if z else ""
        axis.set_title(f"{label}{redshift}, S/N = {rows['sn_median'].iloc[0]:.1f}", loc="right", fontsize=7.5, pad=2)
        axis.locator_params(axis="y", nbins=4)
        axis.set_xlim(rows["wavelength"].min(), rows["wavelength"].max())
    axes[-1].set_xlabel(r"observed wavelength in vacuum [$\mathrm{\AA}$]")
    fig.supylabel("flux / median flux", fontsize=8.5)
    style.footer(fig, meta)
    return fig


def mark(axis, lines: dict[str, float], z: float, first: float, last: float) -> None:
    """Thin lines at the observed wavelengths, names on top; where one collides with that before, a row lower."""
    ends = [-np.inf, -np.inf]  # where the last name of each row stands
    for name, rest in lines.items():
        place = rest * (1 + z)
        if not first + 20 < place < last - 20:
            continue
        axis.axvline(place, color="0.6", lw=0.4, ls=":", zorder=0)
        row = next((i for i, end in enumerate(ends) if place - end > 210), None)
        if row is not None and place < last - 220:
            axis.annotate(name, (place, 1), xycoords=("data", "axes fraction"), xytext=(1.5, -2 - 7 * row), textcoords="offset points",
                          va="top", fontsize=6, color="0.35")  # fmt: skip
            ends[row] = place
