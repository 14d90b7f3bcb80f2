"""Fig. 7 of astroNN: log g against Teff as the network predicts them for the test set, by [Fe/H] and by the uncertainty of log g."""

import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from resurvey.figures import label_rows, label_style, style
from resurvey.figures.inputs import Inputs

COLUMNS = ["teff_pred", "logg_pred", "fe_h_pred", "logg_total"]
LOGG_ABOVE, TEFF_BELOW = 0.5, 6200.0  # of the isochrones, as in the authors' code


def data(inputs: Inputs) -> pd.DataFrame:
    """`kind` star: `spectrum_id, teff, logg, fe_h, logg_total` as predicted, `logg_known`: whether the survey gives log g;
    `kind` isochrone: `teff, logg, fe_h` (the isochrone's [M/H]), in the order along it; `kind` note: why there are none."""
    table = label_rows.of_split(inputs.labels.table, "test")
    label_rows.require(table, [*COLUMNS, "logg_true"])
    rows = label_rows.finite(table, COLUMNS)
    stars = pd.DataFrame(
        {
            "kind": "star",
            "spectrum_id": rows["spectrum_id"],
            **{name: rows[f"{name}_pred"] for name in ("teff", "logg", "fe_h")},
            "logg_total": rows["logg_total"],
            "logg_known": rows["logg_true"].notna(),
        }
    )
    found, reason = inputs.extra("isochrones")
    if found is None:
        return pd.concat([stars, pd.DataFrame([{"kind": "note", "spectrum_id": reason}])], ignore_index=True)
    label_rows.require(found, ["mh", "teff", "logg"], "the isochrones")
    lines = found[(found["logg"] > LOGG_ABOVE) & (found["teff"] < TEFF_BELOW)]
    lines = lines.rename(columns={"mh": "fe_h"})[["fe_h", "teff", "logg"]].assign(kind="isochrone")
    return pd.concat([stars, lines], ignore_index=True)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """Two panels on the same axes."""
    fig = style.figure(style.TWO_COLUMNS, 3.3)
    left, right = fig.subplots(1, 2, sharex=True, sharey=True)
    stars, lines = data[data["kind"] == "star"], data[data["kind"] == "isochrone"]
    look = {**style.marker(len(stars)), "alpha": 0.8}
    low, high = label_style.limits(stars["fe_h"])
    points = left.scatter(stars["teff"], stars["logg"], c=stars["fe_h"], cmap=label_style.METALLICITY, vmin=low, vmax=high, **look)  # fmt: skip
    for value, line in lines.groupby("fe_h", sort=False):
        shade = points.cmap(points.norm(value))
        left.plot(line["teff"], line["logg"], color="white", lw=2.0, zorder=3)
        left.plot(
            line["teff"], line["logg"], color=shade, lw=1.2, zorder=4, label=f"[M/H] = {value:+.2f}".replace("-", "−")
        )
    if len(lines):
        made_up = meta.get("origin") == "mock"  # a mock archive has giant branches of its own in the isochrones' place
        words = "the mock's giant branch" if made_up else "PARSEC, 5 Gyr"
        left.legend(loc="upper left", title=words, title_fontsize=7, alignment="left")
    note = data.loc[data["kind"] == "note", "spectrum_id"]
    if len(note):
        label_style.corner(left, f"no isochrones:\n{note.iloc[0]}", size=6.5, color="0.35")
    sigma = stars["logg_total"].clip(lower=1e-4)
    bottom, top = sigma.quantile([0.01, 0.99]) if len(sigma) else (0.01, 1.0)
    other = right.scatter(stars["teff"], stars["logg"], c=sigma, cmap="plasma", norm=LogNorm(bottom, max(top, 1.01 * bottom)), **look)  # fmt: skip
    unknown = int((~stars["logg_known"].astype(bool)).sum())
    words = f"N = {len(stars):,}" + (f"\n{unknown:,} have no log g of the survey" if unknown else "")
    label_style.corner(right, words, size=7)
    label_style.kiel(left)
    right.set_xlabel(label_style.with_unit("teff"))
    for axis, shown, words in ((left, points, label_style.with_unit("fe_h")), (right, other, r"$\sigma(\log g)$, total [dex]")):  # fmt: skip
        bar = fig.colorbar(shown, ax=axis, extend="both", aspect=30, pad=0.02)
        bar.set_label(words)
        bar.solids.set_alpha(1)
    style.plain_numbers(bar.ax)
    style.footer(fig, meta)
    return fig
