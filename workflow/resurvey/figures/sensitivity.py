"""Mean derivative of a label by the flux of each pixel, by detector, with the windows of its element (Figs 14 and 15 of astroNN)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs
from resurvey.surveys import apogee_grid

RYDBERG = 109677.5834  # 1/cm, of hydrogen
BRACKETT = range(11, 21)  # upper levels of the lines that the survey's detectors cover
GROUPS = {"metal_poor": ("metal-poor", label_style.NETWORK), "metal_rich": ("metal-rich stars", label_style.SURVEY), "all": ("all stars", "0.25")}  # fmt: skip


def brackett() -> dict[str, float]:
    """Name: vacuum wavelength [Å] of the hydrogen lines between level 4 and a higher one."""
    return {f"Br {n}": 1e8 / (RYDBERG * (1 / 16 - 1 / n**2)) for n in BRACKETT}


def data(inputs: Inputs, label: str) -> pd.DataFrame:
    """`label, group, stars, chip, pixel, wavelength, mean` [unit of the label per unit of normalised flux], `window`: whether the
    pixel is in a window of the label's element. Groups: metal-poor and metal-rich stars, and all where there are neither.

    Raises ResurveyError when the table has not the label.
    """
    table = inputs.sensitivity
    label_rows.require(table, ["group", "label", "pixel", "mean", "stars"], "the sensitivities")
    rows = table[table["label"] == label]
    if rows.empty:
        known = ", ".join(table["label"].unique())
        raise ResurveyError(f"the sensitivities: there are none of {label} (labels in it: {known})")
    if rows["group"].ne("all").any():
        rows = rows[rows["group"] != "all"]
    pixel = rows["pixel"].to_numpy(int)
    chips = apogee_grid.from_meta(inputs.sensitivity_meta["grid"])
    borders = [part.stop for part in chips.slices[:-1]]
    windows, _ = inputs.extra("windows")
    inside = set()
    if windows is not None:
        label_rows.require(windows, ["element", "pixel"], "the windows")
        inside = set(windows.loc[windows["element"] == label_style.BY_NAME[label].window, "pixel"])
    columns = ["label", "group", "stars", "chip", "pixel", "wavelength", "mean", "window"]
    rows = rows.assign(
        chip=np.array(["blue", "green", "red"])[np.searchsorted(borders, pixel, "right")],
        wavelength=chips.wavelength()[pixel],
        window=np.isin(pixel, list(inside)),
    )
    return rows[columns].sort_values(["group", "pixel"]).reset_index(drop=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A strip per detector."""
    label = data["label"].iloc[0]
    fig = style.figure(style.TWO_COLUMNS, 4.6)
    chips = [chip for chip in ("blue", "green", "red") if (data["chip"] == chip).any()]
    axes = fig.subplots(len(chips), 1, squeeze=False).ravel()
    reach = 1.15 * float(np.nanmax(np.abs(data["mean"]))) or 1.0
    for axis, chip in zip(axes, chips, strict=True):
        part = data[data["chip"] == chip]
        first, last = part["wavelength"].min(), part["wavelength"].max()
        _windows(axis, part.drop_duplicates("pixel").sort_values("pixel"))
        axis.axhline(0, color="0.5", lw=0.5, ls=":")
        for group, (words, colour) in GROUPS.items():
            curve = part[part["group"] == group].sort_values("pixel")
            if len(curve):
                words += f" (N = {int(curve['stars'].iloc[0]):,})"
                axis.plot(curve["wavelength"], curve["mean"], color=colour, lw=0.6, label=words)
        axis.set(xlim=(first, last), ylim=(-reach, 1.25 * reach))
        for name, place in brackett().items():
            if first < place < last:
                axis.axvline(place, ymax=0.86, color="0.35", lw=0.5, ls=(0, (4, 2)), zorder=0)
                axis.annotate(name, (place, 0.88), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=6, color="0.35")  # fmt: skip
        axis.locator_params(axis="y", nbins=5)
    handles, words = axes[0].get_legend_handles_labels()
    if data["window"].any():
        handles.append(axes[0].fill_between([], [], [], color=style.MIDDLE, alpha=0.25, lw=0))
        words.append(f"windows of {label_style.element(label)}")
    fig.legend(handles, words, loc="outside upper center", ncols=len(words), handlelength=1.6)
    axes[-1].set_xlabel(r"wavelength in vacuum, at rest [$\mathrm{\AA}$]")
    unit = label_style.BY_NAME[label].unit
    fig.supylabel(f"mean ∂{label_style.symbol(label)} / ∂flux [{unit}]", fontsize=8.5)
    style.footer(fig, meta)
    return fig


def _windows(axis, pixels: pd.DataFrame) -> None:
    """Shade the runs of pixels in a window; one pixel is as wide as it is."""
    inside, wave = pixels["window"].to_numpy(), pixels["wavelength"].to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    for start, stop in edges.reshape(-1, 2):
        half = (wave[min(start + 1, len(wave) - 1)] - wave[start]) / 2
        axis.axvspan(wave[start] - half, wave[stop - 1] + half, color=style.MIDDLE, alpha=0.25, lw=0)
