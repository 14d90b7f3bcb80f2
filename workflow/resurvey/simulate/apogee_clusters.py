"""Star clusters of the mock APOGEE survey: what was published of their abundances, rounded.

M67: means of Leung & Bovy 2019 (Fig. 12); NGC 6819: [Fe/H] as Meszaros et al. 2013, else as M67; both with a spread of 0.02 dex.
M13: means and spreads of Meszaros et al. 2015 (C, N, O, Mg, Al, Si, Ca): two populations with one anti-correlation in them.
The other globular clusters: [Fe/H] as there; the rest is M13's, with spreads that fall as [Fe/H] rises, as they find.
"""

from dataclasses import dataclass

import numpy as np

from resurvey.surveys.apogee_labels import ELEMENTS

_M67 = dict(zip(ELEMENTS, (-0.04, -0.10, 0.44, 0.05, 0.11, 0.10, 0.11, 0.07, 0.04, 0.04, 0.07, 0.07, 0.07, 0.05, 0.09, 0.08,
                           0.08, 0.08, 0.11, 0.09), strict=True))  # fmt: skip
_M13 = {
    "C": -0.50, "CI": -0.50, "N": 0.85, "O": 0.25, "Na": 0.20, "Mg": 0.15, "Al": 0.70, "Si": 0.38, "P": 0.20, "S": 0.35, "K": 0.20, "Ca": 0.24,
    "Ti": 0.20, "TiII": 0.20, "V": 0.00, "Cr": -0.05, "Mn": -0.35, "Fe": 0.0, "Co": 0.0, "Ni": 0.0,
}  # [X/Fe]  # fmt: skip
# [X/Fe] moves along with the share of processed gas, a number of mean 0 and deviation 1
_M13_PROCESSED = {"C": -0.08, "CI": -0.08, "N": 0.17, "O": -0.22, "Na": 0.22, "Mg": -0.09, "Al": 0.48, "Si": 0.03}


@dataclass(frozen=True)
class Cluster:
    """name as in the table of members; field and its LOCATION_ID; centre [deg]; vhelio and its spread [km/s]; log g range; [Fe/H];
    processed: how far its stars spread along M13's anti-correlation, 1 as M13's; None for an open cluster."""

    name: str
    field: str
    location_id: int
    centre: tuple[float, float]
    velocity: tuple[float, float]
    gravity: tuple[float, float]
    metals: float
    processed: float | None = None


CLUSTERS = (  # those of the paper
    Cluster("M67", "M67", 4162, (132.83, 11.81), (33.8, 0.9), (2.2, 3.7), 0.08),
    Cluster("NGC 6819", "K21_074+09", 4263, (295.33, 40.19), (2.3, 1.0), (1.6, 3.5), 0.09),
    Cluster("M13", "M13", 4106, (250.42, 36.46), (-244.5, 6.0), (0.9, 2.9), -1.50, 1.0),
)
GLOBULARS = (  # others that APOGEE observed: their stars are in the training set, no list of members names them
    Cluster("M2", "M2", 4115, (323.36, -0.82), (-3.6, 10.0), (0.9, 2.6), -1.49, 0.9),
    Cluster("M3", "M3", 4117, (205.55, 28.38), (-147.2, 6.5), (0.9, 2.9), -1.40, 1.0),
    Cluster("M5", "M5", 4119, (229.64, 2.08), (53.8, 7.0), (0.9, 2.9), -1.24, 0.8),
    Cluster("M53", "M53", 4121, (198.23, 18.17), (-63.0, 5.0), (0.9, 2.4), -1.95, 1.1),
    Cluster("M107", "M107", 4123, (248.13, -13.05), (-34.7, 4.0), (1.0, 3.0), -1.01, 0.4),
)
OPEN_SPREAD = 0.02


def abundances(cluster: Cluster, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 20) [X/H] in the order of ELEMENTS."""
    if cluster.processed is None:
        shift = cluster.metals - _M67["Fe"]
        means = np.array([_M67[element] + shift for element in ELEMENTS])
        common = rng.normal(0, OPEN_SPREAD / 2, (count, 1))
        return means + common + rng.normal(0, OPEN_SPREAD * np.sqrt(0.75), (count, len(ELEMENTS)))
    # more stars of the first population than a normal number gives: 40 % hardly processed
    first = rng.random(count) < 0.4
    share = cluster.processed * np.where(first, rng.normal(-1.1, 0.25, count), rng.normal(0.72, 0.45, count))
    result = np.array([[_M13[element] for element in ELEMENTS]]) + rng.normal(0, 0.025, (count, len(ELEMENTS)))
    for element, slope in _M13_PROCESSED.items():
        result[:, ELEMENTS.index(element)] += slope * share
    return result + cluster.metals + rng.normal(0, 0.05, (count, 1))
