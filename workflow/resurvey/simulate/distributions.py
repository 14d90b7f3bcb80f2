"""Redshift and S/N of each class, by instrument, as in the paper's sample.

Quantiles of z and the relation of ln S/N to z for GALAXY_nan, AGN, STARFORMING and QSO_nan are those of the authors'
published test sets (3,000 spectra each; `label` and `SNR` in results/*-MC.fits of Fucheng-Zhong/GaSNet-II), split at
plate 3510 into SDSS and BOSS; STARBURST, BROADLINE and the stars are set so that means and ranges match Table 1 of
Zhong et al. (2024).
"""

from dataclasses import dataclass

import numpy as np

QUANTILES = np.array([0, 0.025, 0.10, 0.25, 0.50, 0.75, 0.90, 0.975, 1.0])


@dataclass(frozen=True)
class Sample:
    """One class seen by one instrument. `z`: redshifts at QUANTILES; ln S/N = a + b·z ± scatter within sn_range."""

    share: float  # of the class's spectra
    z: tuple[float, ...] | None  # None: stars
    a: float
    b: float
    scatter: float
    sn_range: tuple[float, float]


def _star(mean: float, share: float) -> Sample:
    return Sample(share, None, np.log(mean) - 0.5 * 0.5**2, 0.0, 0.5, (4.0, 130.0))


SAMPLES: dict[str, dict[str, Sample]] = {
    "GALAXY_nan": {
        "SDSS": Sample(
            0.23, (0.002, 0.035, 0.064, 0.092, 0.137, 0.217, 0.360, 0.467, 0.60), 3.17, -4.53, 0.40, (1.2, 60)
        ),
        "BOSS": Sample(
            0.77, (0.004, 0.161, 0.287, 0.443, 0.540, 0.645, 0.794, 0.972, 1.15), 2.75, -3.35, 0.42, (0.4, 50)
        ),
    },
    "GALAXY_AGN": {
        "SDSS": Sample(
            0.61, (0.003, 0.028, 0.046, 0.071, 0.100, 0.137, 0.179, 0.245, 0.385), 3.43, -5.86, 0.29, (2.0, 60)
        ),
        "BOSS": Sample(
            0.39, (0.006, 0.050, 0.099, 0.222, 0.442, 0.499, 0.533, 0.554, 0.565), 3.55, -5.12, 0.36, (0.8, 60)
        ),
    },
    "GALAXY_STARBURST": {
        "SDSS": Sample(
            0.68, (0.002, 0.008, 0.025, 0.050, 0.090, 0.145, 0.215, 0.300, 0.385), 2.52, -1.8, 0.50, (1.2, 60)
        ),
        "BOSS": Sample(
            0.32, (0.003, 0.020, 0.070, 0.140, 0.250, 0.380, 0.480, 0.540, 0.565), 2.45, -2.6, 0.55, (0.8, 50)
        ),
    },
    "GALAXY_STARFORMING": {
        "SDSS": Sample(
            0.88, (0.002, 0.020, 0.032, 0.053, 0.079, 0.115, 0.152, 0.218, 0.375), 2.65, -2.15, 0.44, (1.5, 60)
        ),
        "BOSS": Sample(
            0.12, (0.003, 0.017, 0.048, 0.111, 0.242, 0.395, 0.500, 0.538, 0.560), 2.69, -3.44, 0.60, (1.0, 50)
        ),
    },
    "QSO_nan": {
        "SDSS": Sample(0.04, (0.15, 0.246, 0.537, 0.903, 1.313, 1.795, 2.153, 3.40, 4.6), 1.63, -0.14, 0.60, (0.8, 28)),
        "BOSS": Sample(0.96, (0.15, 0.582, 0.812, 1.100, 1.474, 2.213, 2.793, 3.60, 5.0), 0.84, -0.05, 0.55, (0.4, 30)),
    },
    "QSO_BROADLINE": {
        "SDSS": Sample(0.40, (0.03, 0.20, 0.450, 0.850, 1.390, 1.900, 2.500, 3.80, 4.9), 2.12, -0.07, 0.48, (1.8, 60)),
        "BOSS": Sample(0.60, (0.10, 0.60, 0.950, 1.500, 2.150, 2.550, 2.950, 3.60, 4.9), 1.55, -0.03, 0.45, (1.2, 50)),
    },
}
for _name, _mean in (("A0", 26.2), ("F5", 30.5), ("F9", 34.9), ("G2", 33.7), ("K1", 32.8), ("K3", 31.1), ("K5", 31.0)):
    SAMPLES[f"STAR_{_name}"] = {"SDSS": _star(_mean, 0.78), "BOSS": _star(_mean, 0.22)}
LABELS = tuple(SAMPLES)


def draw(rng: np.random.Generator, label: str, count: int, table: dict) -> dict:
    """Fill instrument, z and sn of a truth table of `count` rows for one class; returns the table."""
    (first, one), (second, two) = SAMPLES[label].items()
    pick = rng.random(count) < one.share
    place, normal = rng.random(count), rng.standard_normal(count)
    for name, sample, rows in ((first, one, pick), (second, two, ~pick)):
        z = np.interp(place[rows], QUANTILES, sample.z) if sample.z else np.zeros(rows.sum())
        sn = np.exp(sample.a + sample.b * z + sample.scatter * normal[rows])
        table["instrument"][rows] = name
        table["z"][rows] = z
        table["sn"][rows] = np.clip(sn, *sample.sn_range)
    return table


def galactic_dust(rng: np.random.Generator, count: int) -> np.ndarray:
    """Foreground A(V) [mag] at high latitude: lognormal, median 0.09 mag, up to 0.7 (Schlafly & Finkbeiner 2011)."""
    return np.minimum(rng.lognormal(np.log(0.09), 0.6, count), 0.7).astype(np.float32)
