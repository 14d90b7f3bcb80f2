"""Residuals and uncertainties in bins of Teff, log g, S/N or a label itself (Figs 8 to 11)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from resurvey.metrics import residuals as rs


@dataclass(frozen=True)
class Bins:
    """Half-open bins of equal width: `start` + i·`step`, i = 0 … `count`."""

    start: float
    step: float
    count: int

    @property
    def edges(self) -> np.ndarray:
        """(count + 1,) edges."""
        return self.start + self.step * np.arange(self.count + 1)

    def number(self, values: np.ndarray) -> np.ndarray:
        """(n,) number of each value's bin, -1 outside of all and for NaN."""
        values = np.asarray(values, float)
        found = np.searchsorted(self.edges, values, side="right") - 1
        return np.where(np.isfinite(values) & (found >= 0) & (found < self.count), found, -1)


def curve(
    x: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray,
    bins: Bins,
    total: np.ndarray | None = None,
    model: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per bin of x: `low, high, n, mae, offset, total, model`.

    mae: median |predicted − reference|; offset: median of the signed residual; total, model: median uncertainties of the same
    pairs. All (n,) arrays; rows without a residual count in no bin; an empty bin is NaN with n = 0.
    """
    number = bins.number(x)
    known = np.isfinite(np.asarray(predicted, float) - np.asarray(reference, float))
    rows = []
    for k in range(bins.count):
        here = (number == k) & known
        rows.append({
            "low": bins.edges[k],
            "high": bins.edges[k + 1],
            "n": int(here.sum()),
            "mae": rs.median_absolute_error(predicted[here], reference[here]),
            "offset": rs.median(predicted[here] - reference[here]),
            "total": rs.median(total[here]) if total is not None else np.nan,
            "model": rs.median(model[here]) if model is not None else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def self_pairs(table: pd.DataFrame, split: str = "test_visits") -> pd.DataFrame:
    """Individual visits with the same network's values of their star's combined spectrum as `{label}_combined` (Table 2, Fig. 11).

    Rows of `split` whose combined spectrum (visit 0, same star and field) is in the table, as often as it is.
    """
    visits = table[table["split"] == split]
    predicted = [name for name in table if name.endswith("_pred")]
    combined = table.loc[table["visit"] == 0, ["apogee_id", "location_id", *predicted]]
    combined = combined.rename(columns={name: name.removesuffix("_pred") + "_combined" for name in predicted})
    return visits.merge(combined, "inner", ["apogee_id", "location_id"])


def mae_at(table: pd.DataFrame, label: str, low: float, high: float) -> tuple[float, int]:
    """(median |visit − combined| of one label at low ≤ S/N < high, number of visits); `table` as `self_pairs` gives it.

    The paper's "MAE at SNR=50" is the bin 50 to 60.
    """
    here = table[(table["sn_median"] >= low) & (table["sn_median"] < high)]
    off = rs.residual(here[f"{label}_pred"].to_numpy(), here[f"{label}_combined"].to_numpy())
    return rs.median(np.abs(off)), len(off)
