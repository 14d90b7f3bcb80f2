"""Objects of DESI's survey validation: stars, galaxies and quasars whose redshifts and S/N follow Table 3 of the paper.

The physics is that of population.py; there is no subclass to be met, since DESI's pipeline gives none to galaxies and quasars.
"""

import numpy as np

from resurvey.simulate import distributions, population
from resurvey.simulate.stars import SPECIAL

KINDS = ("STAR", "QSO", "GALAXY")
STAR_TYPES = (
    (3900, "M"),
    (5250, "K"),
    (6000, "G"),
    (7400, "F"),
    (10000, "A"),
    (np.inf, "B"),
)  # hottest [K] of each SUBTYPE
STARS = (3500.0, 10500.0)  # K
WHITE_DWARFS = 0.03
# Median and scatter of ln S/N per pixel of 0.8 Å: with the cut at 2, means of 19.1, 6.54 and 7.53 as in Table 3
SN = {"STAR": (12.4, 0.90), "QSO": (4.4, 0.75), "GALAXY": (6.0, 0.62)}
SN_RANGE = (0.5, 150.0)
# Galaxies by target class (bright galaxies, luminous red, emission lines): share, mean and scatter of z. Faint ones rarely have S/N > 2
GALAXIES = ((0.94, 0.145, 0.08), (0.04, 0.70, 0.15), (0.02, 1.15, 0.25))
GALAXY_Z, QSO_Z = (0.005, 1.69), (0.06, 4.27)


def draw(kind: str, count: int, rng: np.random.Generator) -> dict:
    """A truth table (population.py) of `count` objects of one kind, as DESI's pipeline would name them."""
    table = population.empty(count)
    table["instrument"][:] = "DESI"
    median, scatter = SN[kind]
    table["sn"][:] = np.clip(median * np.exp(scatter * rng.standard_normal(count)), *SN_RANGE)
    if kind == "GALAXY":
        table["z"][:] = _galaxy_redshifts(count, rng)
        population.draw_galaxies(rng, table)
    elif kind == "QSO":
        low, high = QSO_Z
        table["z"][:] = low + (high - low) * rng.beta(2.2, 3.85, count)
        population.draw_quasars(rng, table)
    else:
        population.draw_stars(rng, table, STARS)
        hottest, names = np.array([limit for limit, _ in STAR_TYPES]), np.array([name for _, name in STAR_TYPES])
        table["subclass"][:] = names[np.searchsorted(hottest, table["teff"])]
        dwarfs = rng.random(count) < WHITE_DWARFS
        table["template"][dwarfs], table["teff"][dwarfs] = SPECIAL["white dwarf"], np.nan
        table["subclass"][dwarfs] = "WD"
    table["av_galactic"][:] = distributions.galactic_dust(rng, count)
    return table


def _galaxy_redshifts(count: int, rng: np.random.Generator) -> np.ndarray:
    share, mean, scatter = np.transpose(GALAXIES)
    which = rng.choice(len(GALAXIES), count, p=share)
    z = mean[which] + scatter[which] * rng.standard_normal(count)
    low, high = GALAXY_Z
    outside = (z < low) | (z > high)
    z[outside] = rng.uniform(0.05, 0.3, outside.sum())
    return z
