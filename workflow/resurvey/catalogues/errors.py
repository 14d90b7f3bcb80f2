"""The recalibrated redshift error: what calibration.json says, applied to the ensemble's sigma."""

import numpy as np


def calibrated(z_std: np.ndarray, label: str, calibration: dict | None) -> np.ndarray:
    """1-sigma errors from the ensemble's sigma of class `label`: sqrt((scale · z_std)² + floor²), NaN without calibration.

    calibration: content of calibration.json, `{"classes": {label: {"scale": …, "floor": …}}}`.
    """
    entry = (calibration or {}).get("classes", {}).get(label)
    if entry is None:
        return np.full(np.shape(z_std), np.nan)
    return np.hypot(entry["scale"] * np.asarray(z_std, float), entry.get("floor", 0.0))
