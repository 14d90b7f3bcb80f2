"""Single spectra with the lines where their labels and where we expect them: that a person sees who is right."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style
from resurvey.surveys.spectrum import Spectrum

PANELS = 12
SMOOTH = 7  # pixels of the running mean that is drawn over the pixels themselves
SHOWN = (3750.0, 9300.0)  # Å
LABEL, OURS = "tab:red", "tab:blue"
LINES = {"Lyα": 1215.67, "C IV": 1549.06, "C III]": 1908.73, "Mg II": 2799.1, "[O II]": 3728.5, "K": 3934.8, "H": 3969.6, "Hβ": 4862.7,
         "[O III]": 5008.2, "Mg b": 5176.6, "Na D": 5895.6, "Hα": 6564.6}  # fmt: skip


def draw(rows: pd.DataFrame, spectra: dict[str, Spectrum], title: str) -> Figure:
    """The first PANELS of the rows (`spectrum_id, true, z_true, class, class_prob, z_ours, sn_median`) that have a spectrum."""
    shown = rows[rows["spectrum_id"].isin(spectra)].head(PANELS)
    fig = style.figure(style.TWO_COLUMNS * 1.35, 1.75 * max(len(shown), 1) + 0.5)
    axes = fig.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    fig.suptitle(f"{title}: {len(shown)} of {len(rows)}", fontsize=9)
    if shown.empty:
        axes[0].set_axis_off()
        axes[0].text(0.5, 0.5, "none", ha="center", va="center")
    for axis, (_, row) in zip(axes, shown.iterrows(), strict=False):
        _panel(axis, row, spectra[row["spectrum_id"]])
    axes[-1].set_xlabel("vacuum wavelength [Å]")
    return fig


def _panel(axis, row: pd.Series, one: Spectrum) -> None:
    flux = np.where(one.ivar > 0, one.flux, np.nan)
    smooth = pd.Series(flux).rolling(SMOOTH, center=True, min_periods=1).mean().to_numpy()
    axis.plot(one.wavelength, flux, color="0.8", lw=0.4, rasterized=True)
    axis.plot(one.wavelength, smooth, color="k", lw=0.6, rasterized=True)
    inside = smooth[(one.wavelength > SHOWN[0]) & (one.wavelength < SHOWN[1])]
    low, high = np.nanpercentile(inside, (0.5, 99.7)) if np.isfinite(inside).any() else (0.0, 1.0)
    room = max(high - low, 1e-30)
    axis.set(xlim=SHOWN, ylim=(low - 0.3 * room, high + 0.35 * room), ylabel="flux")
    for z, colour, place, where in ((row["z_true"], LABEL, 0.02, "bottom"), (row["z_ours"], OURS, 0.98, "top")):
        last = -np.inf
        for name, rest in sorted(LINES.items(), key=lambda line: line[1]):
            at = rest * (1 + (z if np.isfinite(z) else 0))
            if SHOWN[0] + 40 < at < SHOWN[1] - 60:
                axis.axvline(at, color=colour, lw=0.5, ls=":")
                if at > last + 130:  # else its name would cover the one before
                    axis.text(at, place, name, color=colour, fontsize=6, va=where, transform=axis.get_xaxis_transform())
                    last = at
    words = ["" if not np.isfinite(z) else f" z = {z:.4f}" for z in (row["z_true"], row["z_ours"])]
    sn = f", S/N {row['sn_median']:.1f}" if np.isfinite(row["sn_median"]) else ""
    axis.set_title(
        f"{row['spectrum_id']}{sn}: label {row['true']}{words[0]} (red, below), "
        f"ours {row['class']} (p = {row['class_prob']:.2f}){words[1]} (blue, above)"
    )
