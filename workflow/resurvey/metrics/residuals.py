"""Leung & Bovy's measures of labels (2019, §4), in the conventions that give the printed numbers.

All take arrays of one label, shape (n,); what is not finite on either side is no pair and is left out, so a missing value (the
survey's -9999, NaN in our tables) enters nothing. Of no pair at all every measure is NaN.
"""

import numpy as np

MAD_TO_SIGMA = 1.482602218505602  # 1 / Φ⁻¹(3/4), as astropy.stats.mad_std; the paper prints 1.4826 (Eq. 9)


def residual(predicted: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """predicted − reference (Eq. 8) of the pairs where both are finite, shape (≤ n,)."""
    difference = np.asarray(predicted, float) - np.asarray(reference, float)
    return difference[np.isfinite(difference)]


def median(values: np.ndarray) -> float:
    """Median of the finite values."""
    values = _finite(values)
    return float(np.median(values)) if values.size else float("nan")


def mean(values: np.ndarray) -> float:
    """Mean of the finite values."""
    values = _finite(values)
    return float(np.mean(values)) if values.size else float("nan")


def mad_std(values: np.ndarray) -> float:
    """σ_MAD = 1.4826… median|R − median(R)| (Eq. 9) of the finite values."""
    values = _finite(values)
    return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values)))) if values.size else float("nan")


def median_absolute_error(predicted: np.ndarray, reference: np.ndarray) -> float:
    """MAE of the paper's Figs 8 to 11: the *median* of |predicted − reference|."""
    return median(np.abs(residual(predicted, reference)))


def coverage(predicted: np.ndarray, reference: np.ndarray, sigma: np.ndarray, k: float) -> float:
    """Fraction with |predicted − reference| < k sigma, strictly; Gaussian errors give 0.683 and 0.954 for k = 1, 2."""
    error = np.abs(np.asarray(predicted, float) - np.asarray(reference, float))
    known = np.isfinite(error) & np.isfinite(sigma)
    return float(np.mean(error[known] < k * np.asarray(sigma, float)[known])) if known.any() else float("nan")


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's coefficient of the finite pairs; NaN for fewer than three or for a constant."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(x[both], y[both])[0, 1])


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]
