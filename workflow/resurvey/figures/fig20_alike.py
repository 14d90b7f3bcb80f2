"""Fig. 20: two classes that the classifier confuses, at the same redshifts: their spectra, how alike they are, and where one is called the other.

The paper shows two spectra of each class at z = 0.3 and 0.9, set equal at 6000 Å. Single mock spectra are noisy, so the mean of those near the
redshift stands over them, and numbers are taken of all pairs.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import spectra, style
from resurvey.figures.inputs import Inputs

NEAR = 0.02  # in ln(1+z): spectra that count as being at the redshift; the nearest that can be used always does
PIVOT, AROUND = 6000.0, 100.0  # Å: where fluxes are set equal (§4.3.1), the median of so much on both sides
OII = 3728.5  # [O II], Å in vacuum; its window and the continuum's beside it, rest frame [Å]
LINE, SIDES = (3715.0, 3742.0), ((3650.0, 3705.0), (3752.0, 3800.0))
BIN = 0.1  # in z, of the panel of confusion
FEW = 5  # spectra in a bin that is drawn
LINES = {"[O II]": OII, "Ca H,K": 3952.0, r"H$\beta$": 4862.7, "[O III]": 5008.2, "Mg b": 5176.6, "Na D": 5895.6, r"H$\alpha$": 6564.6}  # fmt: skip


def data(inputs: Inputs) -> pd.DataFrame:
    """Long form `what, at, label, spectrum_id, n, x, value, error`; `at` is a panel's redshift.

    what: `single` and `mean`, flux over that at 6000 Å against observed wavelength [Å] at redshift `at`; `chi2`, median over pairs of
    spectra of χ² per pixel of their difference, set to one level, `label` both classes; `oii`, equivalent width of [O II] in the mean
    [Å, rest frame, emission positive]; with predictions `called`: of one class's test spectra in a bin of redshift (centre x), the
    fraction that is called the other, `label` "true as called". Raises ResurveyError where a class has no spectrum with light at 6000 Å.
    """
    table, grid = inputs.pairs, inputs.meta["grid"]
    wave = grid["start"] + grid["step"] * np.arange(grid["pixels"])
    classes = list(dict.fromkeys(table["label"]))
    rows: list[pd.DataFrame] = []
    for at, panel in table.groupby("at", sort=True):
        shifted = {label: _at_redshift(panel[panel["label"] == label], at, grid, wave) for label in classes}
        for label, (names, flux, ivar) in shifted.items():
            about = {"at": at, "label": label}
            rows.append(_frame("single", wave, flux[0], _sigma(ivar[0]), **about, spectrum_id=names[0], n=1))
            mean, sigma = _mean(flux, ivar)
            rows.append(_frame("mean", wave, mean, sigma, **about, n=len(flux)))
            rows.append(_frame("oii", [OII * (1 + at)], [equivalent_width(wave / (1 + at), mean)], **about, n=len(flux)))  # fmt: skip
        one, other = classes
        for a, b in ((one, one), (other, other), (one, other)):
            value, n = pair_chi2(*shifted[a][1:], *shifted[b][1:], same=a == b)
            rows.append(_frame("chi2", [np.nan], [value], at=at, label=f"{a} {b}", n=n))
    if inputs.tidy is not None:
        rows += [_called(inputs.tidy.table, *pair) for pair in (classes, classes[::-1])]
    return pd.concat(rows, ignore_index=True)


def _frame(what: str, x, value, error=np.nan, **about) -> pd.DataFrame:
    frame = pd.DataFrame({"what": what, "at": np.nan, "label": "", "spectrum_id": "", "n": 0, "x": np.asarray(x, float), "value": value, "error": error})  # fmt: skip
    return frame.assign(**about)


def _sigma(ivar: np.ndarray) -> np.ndarray:
    return np.where(ivar > 0, 1 / np.sqrt(np.where(ivar > 0, ivar, 1)), np.nan)


def _at_redshift(rows: pd.DataFrame, at: float, grid: dict, wave: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:  # fmt: skip
    """(ids, flux, ivar (n, pixels)) near a redshift, nearest first, moved to it by whole pixels: neighbours keep their own noise.

    Flux is over its median around 6000 Å; where nothing was measured flux and ivar are 0. Spectra without light there are left out;
    raises ResurveyError where none is left.
    """
    z = rows["z"].to_numpy(float)
    away = np.abs(np.log1p(z) - np.log1p(at))
    names, flux, ivar = [], [], []
    for number in np.argsort(away, kind="stable"):
        if names and away[number] > NEAR:
            break
        row = rows.iloc[number]
        source = np.rint((wave * (1 + z[number]) / (1 + at) - grid["start"]) / grid["step"]).astype(int)
        inside = (source >= 0) & (source < len(wave))
        light, weight = np.asarray(row["flux"], float), np.asarray(row["ivar"], float)
        light, weight = (np.where(inside, values[np.where(inside, source, 0)], 0.0) for values in (light, weight))
        pivot = (np.abs(wave - PIVOT) < AROUND) & (weight > 0)
        scale = np.median(light[pivot]) if pivot.any() else np.nan
        if np.isfinite(scale) and scale > 0:
            names.append(row["spectrum_id"])
            flux.append(np.where(weight > 0, light / scale, 0.0))
            ivar.append(weight * scale**2)
    if not names:
        raise ResurveyError(
            f"none of the {len(rows)} spectra of {rows['label'].iloc[0]} near z = {at:g} has light around {PIVOT:g} Å, where spectra "
            "are set equal; give other redshifts as pairs.z in the paper's file"
        )
    return names, np.array(flux), np.array(ivar)


def _mean(flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of spectra (n, pixels), weighted by inverse variances, and its error; NaN where none was measured."""
    total = ivar.sum(0)
    return np.where(total > 0, (flux * ivar).sum(0) / np.where(total > 0, total, 1), np.nan), _sigma(total)


def pair_chi2(flux_a, ivar_a, flux_b, ivar_b, same: bool) -> tuple[float, int]:
    """(median over pairs of χ² per pixel, number of pairs) of spectra (n, pixels) of two classes; `same`: of one class, each pair once.

    χ² of a − s·b, variances of both added, s the ratio of their sums under these weights. Equal spectra with right errors give 1.
    """
    found = []
    for i, (one, weight) in enumerate(zip(flux_a, ivar_a, strict=True)):
        others = slice(i + 1, None) if same else slice(None)
        flux, ivar = flux_b[others], ivar_b[others]
        good = (weight > 0) & (ivar > 0)
        noise, others_noise = 1 / np.where(good, weight, 1), 1 / np.where(good, ivar, 1)
        share = good / (noise + others_noise)
        scale = ((share * one).sum(1) / np.maximum((share * flux).sum(1), 1e-30))[:, None]
        chi2 = (good * (one - scale * flux) ** 2 / (noise + scale**2 * others_noise)).sum(1)
        found.append(chi2[good.any(1)] / good.sum(1)[good.any(1)])
    values = np.concatenate(found) if found else np.zeros(0)
    return (float(np.median(values)) if len(values) else np.nan), len(values)


def equivalent_width(rest: np.ndarray, flux: np.ndarray) -> float:
    """Of [O II] [Å, rest frame, emission positive] against the mean flux on both sides; NaN where the line is not covered."""
    line = (rest > LINE[0]) & (rest < LINE[1])
    beside = [(rest > low) & (rest < high) for low, high in SIDES]
    if not all((part & np.isfinite(flux)).any() for part in (line, *beside)):
        return np.nan
    level = np.mean([np.nanmean(flux[part]) for part in beside])
    return float(np.nansum(flux[line] / level - 1) * (rest[1] - rest[0]))


def _called(table: pd.DataFrame, true: str, called: str) -> pd.DataFrame:
    """In bins of redshift the fraction of one class that is called another, with its binomial error; bins with FEW spectra or more."""
    own = table[(table["label"] == true) & table["class_pred"].notna() & table["z_true"].notna()]
    groups = (own["class_pred"] == called).groupby((own["z_true"] // BIN).astype(int)).agg(["mean", "size"])
    groups = groups[groups["size"] >= FEW]
    share, n = groups["mean"].to_numpy(float), groups["size"].to_numpy()
    error = np.sqrt(np.clip(share * (1 - share), 0.25 / np.maximum(n, 1), None) / np.maximum(n, 1))
    return _frame("called", (groups.index.to_numpy() + 0.5) * BIN, share, error, label=f"{true} as {called}", n=n)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per redshift, and one of the confusion where there are predictions."""
    labels = list(dict.fromkeys(data.loc[data["what"] == "mean", "label"]))
    panels = sorted(data["at"].dropna().unique())
    called = data[data["what"] == "called"]
    fig = style.figure(style.TWO_COLUMNS, 2.25 * len(panels) + (1.75 if len(called) else 0) + 0.3)
    axes = fig.subplots(len(panels) + bool(len(called)), 1, squeeze=False, height_ratios=[2.25] * len(panels) + [1.6] * bool(len(called)))[:, 0]  # fmt: skip
    for axis, at in zip(axes, panels, strict=False):
        _panel(axis, data[data["at"] == at], labels, at, meta["paper"].labels)
    axes[len(panels) - 1].set_xlabel(r"observed wavelength in vacuum [$\mathrm{\AA}$]")
    if len(called):
        for name, rows in called.groupby("label", sort=False):
            colour = style.colour(name.split(" as ")[0], meta["paper"].labels)
            axes[-1].errorbar(rows["x"], 100 * rows["value"], 100 * rows["error"], fmt="o-", ms=3, elinewidth=0.6, color=colour, label=f"{name} (N = {rows['n'].sum()})")  # fmt: skip
        axes[-1].set(xlabel="redshift", ylabel="called the other [%]", ylim=(-4, 104))
        axes[-1].legend(loc="upper right")
    style.footer(fig, meta)
    return fig


def _panel(axis, rows: pd.DataFrame, labels: list[str], at: float, known: list[str]) -> None:
    tops, bottoms = [], []
    for label in labels:
        own, colour = rows[rows["label"] == label], style.colour(label, known)
        single, mean = (own[own["what"] == what] for what in ("single", "mean"))
        width = own.loc[own["what"] == "oii", "value"].iloc[0]
        oii = "" if np.isnan(width) else f", EW([O II]) = {width:.1f} Å"
        axis.plot(single["x"], single["value"], color=colour, lw=0.35, alpha=0.35)
        axis.plot(mean["x"], mean["value"], color=colour, lw=0.9, label=f"{label}, mean of {mean['n'].iloc[0]}{oii}")
        values = np.r_[single["value"][single["error"] > 0], mean["value"].dropna()]
        low, high = np.quantile(values, (0.01, 0.985))
        tops.append(max(high, mean["value"].quantile(0.997)))  # a cosmic ray is no line
        bottoms.append(low)
    first, last = rows["x"].min(), rows["x"].max()
    reach = max(tops) - min(bottoms)
    axis.set(xlim=(first, last), ylim=(min(bottoms) - 0.2 * reach, max(tops) + 0.45 * reach), ylabel="flux / flux at 6000 Å")  # fmt: skip
    spectra.mark(axis, LINES, at, first, last)
    chi2 = rows[rows["what"] == "chi2"].set_index("label")["value"]
    one, other = labels
    named = ((one, f"{one} {one}"), (other, f"{other} {other}"), ("one of each", f"{one} {other}"))
    values = ", ".join(f"{name} {'–' if np.isnan(chi2[key]) else format(chi2[key], '.2f')}" for name, key in named)
    words = rf"$\chi^2$ per pixel of pairs: {values}"
    axis.set_title(f"z = {at:g}", loc="left", pad=3)
    axis.set_title(words, loc="right", fontsize=7, pad=3)
    axis.legend(loc="lower right")  # spectra of red galaxies rise to the right
