"""The pipeline's rules that turn measured lines into subclasses (SDSS DR9-16 "Catalogs" page; Bolton et al. 2012)."""

import numpy as np

from resurvey.simulate.instruments import relative_signal_to_noise
from resurvey.simulate.lines import BROAD
from resurvey.simulate.wavelengths import PIXEL_KMS, STEP

DETECTION = 5.0  # σ that each of Hβ, [O III], Hα and [N II] must reach
STARBURST_EW = 50.0  # Å of Hα
BROAD_DETECTION = 10.0  # σ of a line that counts as broad; its width must exceed 200 km/s at 5 σ
# The pipeline fits all broad lines with one Gaussian each, whose residuals widen its errors; with this factor the S/N at
# which quasars pass from `nan` to BROADLINE lies where Table 1 of Zhong et al. (2024) has it
BROAD_ERROR = 3.4


def width_error(sn: np.ndarray, z: np.ndarray, wave: float, sigma_kms: np.ndarray, instrument: str) -> np.ndarray:
    """1 σ error of a line's observed equivalent width [Å] for median S/N per pixel `sn` (n,); inf outside the coverage."""
    observed = wave * (1 + z)
    grid, relative = relative_signal_to_noise(instrument)
    local = np.maximum(sn, 0.05) * np.interp(observed, grid, relative)
    pixels = 2 * np.sqrt(np.pi) * np.hypot(sigma_kms / PIXEL_KMS, 0.9)
    error = observed * STEP * np.log(10) * np.sqrt(pixels) / local
    return np.where((observed > grid[0] * 1.003) & (observed < grid[-1] * 0.997), error, np.inf)


def galaxy_subclass(lines: dict, errors: dict, width_ha: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Subclasses (n,) from measured fluxes and errors of Hbeta, OIII, Halpha, NII (same unit), EW(Hα) [Å] and σ [km/s].

    AGN where log [O III]/Hβ > 0.7 - 1.2 (log [N II]/Hα + 0.4), else STARBURST where EW(Hα) > 50 Å, else STARFORMING;
    empty where a line is not detected. BROADLINE is appended to lines at 10 σ that are wider than 200 km/s at 5 σ.
    """
    found = np.ones(len(sigma), bool)
    for name, flux in lines.items():
        found &= flux > DETECTION * errors[name]
    with np.errstate(invalid="ignore", divide="ignore"):
        o3, n2 = np.log10(lines["OIII"] / lines["Hbeta"]), np.log10(lines["NII"] / lines["Halpha"])
        active = o3 > 0.7 - 1.2 * (n2 + 0.4)
        significance = lines["Halpha"] / errors["Halpha"]
    subclass = np.where(active, "AGN", np.where(width_ha > STARBURST_EW, "STARBURST", "STARFORMING")).astype(object)
    subclass[~found] = ""
    broad = (significance > 10) & (sigma * (1 - 5 / np.maximum(significance, 1e-3)) > 200)
    return np.where(broad, [f"{name} BROADLINE".strip() for name in subclass], subclass).astype(str)


def quasar_is_broadline(sn, z, strength, fwhm, continuum_share, instrument, rng) -> np.ndarray:
    """Whether any broad line is measured at 10 σ (n,) bool; strength (n, lines): rest EW [Å] over the quasar's continuum."""
    best = np.full(len(sn), -np.inf)
    for i, (wave, *_rest) in enumerate(BROAD.values()):
        error = BROAD_ERROR * width_error(sn, z, wave, fwhm / 2.355, instrument)
        best = np.maximum(best, strength[:, i] * continuum_share * (1 + z) / error)
    return best + rng.standard_normal(len(sn)) > BROAD_DETECTION


def width_error_mixed(table: dict, wave: float) -> np.ndarray:
    """`width_error` of narrow lines for a truth table with spectra of several instruments (n,)."""
    error = np.full(len(table["sn"]), np.inf)
    for name in np.unique(table["instrument"]):
        rows = table["instrument"] == name
        error[rows] = width_error(
            table["sn"][rows].astype(float), table["z"][rows], wave, table["line_sigma"][rows].astype(float), str(name)
        )
    return error
