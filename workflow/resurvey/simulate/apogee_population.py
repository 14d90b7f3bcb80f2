"""Who is in the mock APOGEE survey: parameters and abundances of stars, and how often and how well each is observed."""

import numpy as np

from resurvey.simulate import apogee_clusters
from resurvey.surveys.apogee_labels import ELEMENTS, NAMES

GIANT, DWARF, COOL, HOT = "giant", "dwarf", "cool", "hot"
SHARES = {GIANT: 0.85, DWARF: 0.08, COOL: 0.04, HOT: 0.03}
TRAINING = {"teff": (4000.0, 5500.0), "logg": (0.4, 3.8)}  # of the paper
# [X/Fe] = level + slope·[Fe/H] + response·[α/Fe] ± scatter, solar neighbourhood and disc giants, rounded
_TRENDS = {
    "C": (-0.06, 0.00, 0.45, 0.05), "N": (0.26, 0.05, 0.10, 0.07), "O": (0.01, 0.00, 1.00, 0.035), "Na": (0.01, 0.12, 0.35, 0.06),
    "Mg": (0.01, 0.00, 1.00, 0.03), "Al": (0.01, 0.05, 0.75, 0.05), "Si": (0.00, 0.00, 0.70, 0.03), "P": (0.02, 0.00, 0.50, 0.08),
    "S": (0.02, 0.00, 0.75, 0.05), "K": (0.01, 0.00, 0.45, 0.05), "Ca": (0.00, -0.02, 0.50, 0.03), "Ti": (0.00, 0.02, 0.60, 0.04),
    "V": (0.01, 0.10, 0.35, 0.05), "Cr": (0.00, 0.02, 0.05, 0.03), "Mn": (0.00, 0.22, -0.15, 0.03), "Fe": (0.0, 0.0, 0.0, 0.0),
    "Co": (0.02, 0.12, 0.30, 0.05), "Ni": (0.01, 0.03, 0.15, 0.025),
}  # fmt: skip
_TWINS = {"CI": "C", "TiII": "Ti"}  # measured apart from other lines: one element, but for 0.03 dex that stand for NLTE


def draw(count: int, members: int, rng: np.random.Generator, globulars: int = 0) -> dict[str, np.ndarray]:
    """`count` field stars, `members` of each of the paper's clusters, `globulars` of each other globular cluster: `labels` (n, 22),
    `kind`, `cluster` (n,) strings, `vhelio` [km/s]."""
    kinds = rng.choice(list(SHARES), count, p=list(SHARES.values()))
    iron = _iron(kinds, rng)
    labels = np.column_stack([*_parameters(kinds, iron, rng), _abundances(kinds, iron, rng)])
    halo = np.clip((-iron - 0.4) * 110, 35, 160)
    parts = [{"labels": labels, "kind": kinds, "cluster": np.full(count, "", "U8"), "vhelio": rng.normal(0, halo)}]
    paper, others = apogee_clusters.CLUSTERS, apogee_clusters.GLOBULARS
    for cluster, stars in [*((one, members) for one in paper), *((one, globulars) for one in others)]:
        abundance = apogee_clusters.abundances(cluster, stars, rng)
        gravity = rng.uniform(*cluster.gravity, stars)
        teff = branch(gravity, abundance[:, ELEMENTS.index("Fe")]) + rng.normal(0, 25, stars)
        parts.append(
            {
                "labels": np.column_stack([teff, gravity, abundance]),
                "kind": np.full(stars, GIANT, kinds.dtype),
                "cluster": np.full(stars, cluster.name, "U8"),
                "vhelio": rng.normal(*cluster.velocity, stars),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _iron(kinds: np.ndarray, rng) -> np.ndarray:
    """[Fe/H]: thin disc, thick disc, halo."""
    where = rng.choice(3, kinds.size, p=[0.78, 0.18, 0.04])
    mean, width = np.array([0.0, -0.42, -1.35])[where], np.array([0.20, 0.24, 0.35])[where]
    return np.clip(rng.normal(mean, width), -2.3, 0.48)


def branch(gravity: np.ndarray, iron: np.ndarray) -> np.ndarray:
    """Teff [K] of the red-giant branch at a log g, ≈ 5 Gyr; metal-poor branches are hotter."""
    x = gravity - 1.0
    return 4120 + 440 * x - 35 * x**2 - 230 * np.clip(iron, -1.8, 0.5)


def _parameters(kinds: np.ndarray, iron: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    n = kinds.size
    clump = rng.random(n) < 0.36
    gravity = np.where(clump, rng.normal(2.45, 0.09, n), 0.45 + 3.3 * rng.beta(2.0, 1.6, n))
    teff = np.where(
        clump, 4790 - 220 * np.clip(iron, -1, 0.5) + rng.normal(0, 55, n), branch(gravity, iron) + rng.normal(0, 60, n)
    )
    teff = np.clip(teff, 4010, 5480)
    gravity = np.clip(gravity, 0.42, 3.78)
    dwarf, cool, hot = (kinds == kind for kind in (DWARF, COOL, HOT))
    main = rng.uniform(4100, 6300, n)
    teff = np.select([dwarf, cool, hot], [main, rng.uniform(3550, 3990, n), rng.uniform(5550, 7800, n)], teff)
    gravity = np.select(
        [dwarf, cool, hot],
        [
            4.62 - 0.00013 * np.maximum(main - 4800, 0) + rng.normal(0, 0.05, n),
            rng.uniform(0.1, 1.1, n),
            rng.uniform(3.5, 4.4, n),
        ],
        gravity,
    )
    return teff, gravity


def _abundances(kinds: np.ndarray, iron: np.ndarray, rng) -> np.ndarray:
    """(n, 20) [X/H]: two sequences in [α/Fe], trends with [Fe/H], scatter of each element's own; giants have mixed C into N."""
    n = iron.size
    thick = rng.random(n) < np.clip(0.15 - 0.9 * (iron + 0.2), 0.08, 0.95)
    alpha = np.where(thick, np.clip(0.19 - 0.12 * (iron + 0.4), 0.05, 0.30), np.clip(-0.12 * iron, -0.03, 0.10))
    alpha = alpha + rng.normal(0, 0.02, n)
    ratio = {
        element: level + slope * iron + response * alpha + rng.normal(0, scatter, n) if element != "Fe" else np.zeros(n)
        for element, (level, slope, response, scatter) in _TRENDS.items()
    }
    mixing = rng.normal(0, 0.07, n)  # depends on the mass: what carbon loses, nitrogen gains
    unmixed = np.isin(kinds, (DWARF, HOT))
    ratio["C"] += np.where(unmixed, 0.08, -mixing)
    ratio["N"] += np.where(unmixed, -0.22, 1.6 * mixing)
    for twin, element in _TWINS.items():
        ratio[twin] = ratio[element] + rng.normal(0, 0.03, n)
    return np.column_stack([ratio[element] for element in ELEMENTS]) + iron[:, None]


def observing(count: int, visits: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Number of visits (n,) with mean `visits`, and S/N per pixel of the combined spectrum (n,): median about 200, from 20 to 900."""
    number = np.minimum(rng.geometric(1 / visits, count), 30)
    return number, np.clip(200 * rng.lognormal(0, 0.6, count), 20, 900)


def broadening(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) Gaussian σ [km/s] of macroturbulence, in warm and dwarf stars of rotation."""
    gravity, teff = labels[:, NAMES.index("logg")], labels[:, NAMES.index("teff")]
    wide = (gravity > 3.9) | (teff > 5600)
    giants = np.clip(4.4 - 0.5 * (gravity - 2.0) + rng.normal(0, 0.4, len(labels)), 2.0, 8.0)
    return np.where(wide, 2.0 + rng.gamma(1.4, 3.0 + np.clip(teff - 5800, 0, 2000) * 0.008, len(labels)), giants)
