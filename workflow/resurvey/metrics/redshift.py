"""GaSNet-II's measures of redshifts (Zhong et al. 2024, §4.1), in the conventions that give the printed numbers.

All take arrays of redshifts, true `z_true` and predicted `z_pred`, shape (n,), finite; the truth is never clipped.
"""

import numpy as np


def bias(z_true: np.ndarray, z_pred: np.ndarray) -> np.ndarray:
    """|ln((1+z_t)/(1+z_p))|, natural logarithm (Eq. 9); infinite for z_pred ≤ −1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.abs(np.log1p(z_true) - np.log1p(z_pred))
    return np.where(np.asarray(z_pred) > -1, value, np.inf)


def good_fraction(z_true: np.ndarray, z_pred: np.ndarray, threshold: float) -> float:
    """Fraction with Bias < threshold, strictly (Eq. 10); 0.0015 for galaxies, 0.015 for quasars."""
    return _mean(bias(z_true, z_pred) < threshold)


def relative_error(z_true: np.ndarray, z_pred: np.ndarray) -> float:
    """Δz: mean of |z_p − z_t| / (1 + z_t) (Eq. 11)."""
    return _mean(np.abs(z_pred - z_true) / (1 + z_true))


def mean_absolute_error(z_true: np.ndarray, z_pred: np.ndarray) -> float:
    """MAE: mean of |z_p − z_t| (Eq. 12)."""
    return _mean(np.abs(z_pred - z_true))


def nmad(z_true: np.ndarray, z_pred: np.ndarray) -> float:
    """1.4826 · median|d − median(d)| of d = (z_p − z_t)/(1 + z_t): a scatter that outliers do not move."""
    scaled = (z_pred - z_true) / (1 + z_true)
    return 1.4826 * _median(np.abs(scaled - _median(scaled)))


def outlier_fraction(z_true: np.ndarray, z_pred: np.ndarray, limit: float = 0.01) -> float:
    """Fraction with |z_p − z_t|/(1 + z_t) ≥ limit: catastrophic in the surveys' sense (§4.1)."""
    return _mean(np.abs(z_pred - z_true) / (1 + z_true) >= limit)


def t_values(z_true: np.ndarray, z_pred: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """t = |z_t − z̄| / σ (Fig. 16); infinite for σ = 0 unless the prediction is exact."""
    error = np.abs(z_true - z_pred)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / sigma)


def coverage(z_true: np.ndarray, z_pred: np.ndarray, sigma: np.ndarray, k: float) -> float:
    """Fraction with t < k; Gaussian errors give 0.683, 0.954, 0.997 for k = 1, 2, 3."""
    return _mean(t_values(z_true, z_pred, sigma) < k)


def robust_fraction(sigma: np.ndarray, val_mae: float) -> float:
    """Fraction with σ < MAE of the validation split, strictly (§4.2.3, Fig. 18)."""
    return _mean(np.asarray(sigma) < val_mae)


def sn_ranges(edges: list[float]) -> list[tuple[str, float, float]]:
    """(name, from, to) of the half-open S/N ranges with these lower edges.

    The first range is open below (a median S/N can be negative and such spectra count), the last above.
    """
    lower, upper = [-np.inf, *edges[1:]], [*edges[1:], np.inf]
    names = [
        f"S/N<{high:g}" if np.isinf(low) else f"S/N>{low:g}" if np.isinf(high) else f"{low:g}≤S/N<{high:g}"
        for low, high in zip(lower, upper, strict=True)
    ]
    return list(zip(names, lower, upper, strict=True))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=float)) if np.size(values) else float("nan")


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if np.size(values) else float("nan")
