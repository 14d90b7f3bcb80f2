"""Abundances of the members of star clusters: means and spreads (Figs 12, 13), by network and by survey."""

import numpy as np
import pandas as pd

from resurvey.metrics import residuals as rs

IRON = "fe_h"


def members(table: pd.DataFrame, cluster: str) -> pd.DataFrame:
    """Combined spectra of a cluster's members whose STARFLAG is 0 (§4.3; where the table does not know it, all), one row per star:
    that of the highest S/N."""
    good = table["starflag"].isna() | (table["starflag"] == 0) if "starflag" in table else True
    rows = table[(table["cluster"] == cluster) & (table["visit"] == 0) & good]
    return rows.sort_values("sn_median", ascending=False, kind="stable").drop_duplicates("apogee_id").sort_index()


def abundances(labels: list[str]) -> list[str]:
    """Those of the labels that are [X/H]."""
    return [label for label in labels if label.endswith("_h")]


def spreads(stars: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """One row per element and source: `label, source, scale, n, mean, spread, spread_over_sqrt_n, total`.

    source: `network` or `survey`; scale: `x_h` for [X/H], `x_fe` for [X/H] − [Fe/H] of the same star and source (no row for Fe).
    spread is σ_MAD over the stars with a value; the authors print σ_MAD/√N beside means of [X/H], and σ_MAD of [X/Fe]. total: median
    total uncertainty of the network's [X/H], NaN for the survey and for [X/Fe].
    """
    rows = []
    for label in abundances(labels):
        for source, part in (("network", "pred"), ("survey", "true")):
            values = stars[f"{label}_{part}"].to_numpy(float)
            total = rs.median(stars[f"{label}_total"].to_numpy(float)) if source == "network" else np.nan
            rows.append(_spread(label, source, "x_h", values, total))
            if label != IRON and IRON in labels:
                iron = stars[f"{IRON}_{part}"].to_numpy(float)
                rows.append(_spread(label, source, "x_fe", values - iron, np.nan))
    return pd.DataFrame(rows)


def _spread(label: str, source: str, scale: str, values: np.ndarray, total: float) -> dict:
    n = int(np.isfinite(values).sum())
    spread = rs.mad_std(values)
    over = spread / np.sqrt(n) if n else np.nan
    return {"label": label, "source": source, "scale": scale, "n": n, "mean": rs.mean(values), "spread": spread,
            "spread_over_sqrt_n": over, "total": total}  # fmt: skip


def homogeneity(table: pd.DataFrame, clusters: list[str], labels: list[str]) -> tuple[float, float, int]:
    """(mean spread, mean uncertainty, stars) over all [X/H] of some open clusters: the paper's 0.030 ± 0.029 dex (§4.3).

    Uncertainty: the mean of the members' median total uncertainties, "the mean uncertainty in the scatter". NaN without members.
    """
    found = [
        (len(stars), spreads(stars, labels)) for stars in (members(table, name) for name in clusters) if len(stars)
    ]
    if not found:
        return float("nan"), float("nan"), 0
    rows = pd.concat([rows for _, rows in found])
    rows = rows[(rows["source"] == "network") & (rows["scale"] == "x_h")]
    return rs.mean(rows["spread"].to_numpy()), rs.mean(rows["total"].to_numpy()), sum(n for n, _ in found)
