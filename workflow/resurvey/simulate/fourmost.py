"""The ten classes of 4MOST's mock spectra (Zhong et al. 2024, Table 2): redshifts, S/N, and what they are made of.

Table 2 gives ranges and means; the course in between is ours: beta distributions in z, lognormal S/N. What stands for Dyn, GalHR,
ESN, GalDiskLR and MCsn, whose templates are not public, is ours too (docs/simulation.md).
"""

from dataclasses import dataclass

import numpy as np

from resurvey.simulate import population, spectra
from resurvey.simulate.spectrographs import Spectrograph
from resurvey.simulate.stars import SPECIAL
from resurvey.simulate.templates import objects, render
from resurvey.simulate.templates.libraries import Libraries
from resurvey.simulate.templates.recipe import Foreground, Galaxies, Quasars, Recipe, SignalToNoise, Stars

CLOUDS = ((0.6, 262.0, 25.0), (0.4, 146.0, 25.0))  # share, radial velocity and dispersion [km/s] of the LMC and the SMC
DENSE = Foreground(0.35, 0.6, 1.5)  # A(V) towards the disc


def _z(low: float, high: float, mean: float, weight: float = 4.0) -> dict:
    return {"z": (low, high, mean), "z_weight": weight}


RECIPES: dict[str, Recipe] = {
    "STAR_Dyn": Recipe(
        Stars({"F": 0.35, "G": 0.40, "K": 0.25}, velocity=150.0, fast=0.0, metals="poor"), SignalToNoise(74.5)
    ),
    "STAR_GalHR": Recipe(Stars({"A": 0.10, "F": 0.55, "G": 0.35}, fast=0.0, systems=CLOUDS), SignalToNoise(39.9, 0.4)),
    "STAR_ESN": Recipe(Stars({"WD": 1.0}, velocity=60.0, fast=0.0), SignalToNoise(12.8)),
    "STAR_GalDiskLR": Recipe(
        Stars({"F": 0.30, "G": 0.30, "K": 0.30, "M": 0.10}, velocity=40.0, fast=0.0, metals="rich"),
        SignalToNoise(140.4, 0.4), DENSE,
    ),
    "STAR_MCsn": Recipe(Stars({"B": 0.10, "G": 0.20, "K": 0.50, "M": 0.20}, fast=0.0, systems=CLOUDS), SignalToNoise(72.3, 0.4)),
    "QSO_COSMO_AGN": Recipe(Quasars(), SignalToNoise(6.3), **_z(0.9, 4.0, 2.2, 2.5)),
    "GALAXY_ClusB": Recipe(
        Galaxies({"none": 0.30, "weak": 0.70}, passive=1.0, stacked=0.8, stacks=(1.0, 0.0, 0.0)),
        SignalToNoise(5.8), **_z(0.3, 1.0, 0.52),
    ),
    "GALAXY_WAVES": Recipe(Galaxies(stacks=(0.1, 0.7, 0.2)), SignalToNoise(1.6), **_z(0.0, 0.8, 0.32)),
    "GALAXY_RedGAL": Recipe(
        Galaxies({"none": 0.88, "weak": 0.12}, passive=1.0, stacked=0.8, stacks=(1.0, 0.0, 0.0)),
        SignalToNoise(8.7), **_z(0.0, 1.1, 0.33),
    ),
    "GALAXY_tides_host": Recipe(
        Galaxies({"none": 0.15, "weak": 0.10, "forming": 0.55, "starburst": 0.15, "active": 0.05}),
        SignalToNoise(19.7), **_z(0.0, 0.6, 0.11),
    ),
}  # fmt: skip
LABELS = tuple(RECIPES)


@dataclass(frozen=True)
class FromTemplates:
    """Spectra of the ten classes from a folder of public templates."""

    libraries: Libraries

    def draw(self, label: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Objects of a class: kind, z, sn, av_galactic and what `noiseless` needs."""
        return objects.draw(RECIPES[label], self.libraries, count, rng)

    def noiseless(self, table: dict, device: Spectrograph, loglam: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spectra (n, N) float32 of rows of one class."""
        return render.noiseless(table, self.libraries, device, loglam, rng)


class FromPhysics:
    """The same classes from the built-in physics: nothing is fetched."""

    def draw(self, label: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Objects of a class: a truth table of simulate/population.py with z, S/N and dust of the class's recipe."""
        recipe, table = RECIPES[label], population.empty(count)
        table["sn"][:] = objects.signal_to_noise(recipe, count, rng)
        table["av_galactic"][:] = objects.foreground(recipe, count, rng)
        if recipe.z is not None:
            table["z"][:] = objects.redshifts(recipe, count, rng)
        redshift = table["z"].copy()
        DRAW[type(recipe.objects)](label, recipe.objects, table, rng)
        if recipe.z is not None:
            table["z"][:] = redshift
        return table

    def noiseless(self, table: dict, device: Spectrograph, loglam: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spectra (n, N) float32 of rows of one class."""
        return spectra.noiseless(table, device, loglam, rng)


# Of the stars of each class: temperature [K], mean and scatter of [Fe/H], log g or None: that of the field
_STARS = {
    "STAR_Dyn": ((4400, 7000), -1.8, 0.4, None),
    "STAR_GalHR": ((5000, 6900), -0.4, 0.2, 2.0),
    "STAR_ESN": ((9000, 11000), -0.3, 0.1, None),
    "STAR_GalDiskLR": ((3600, 7500), -0.05, 0.2, None),
    "STAR_MCsn": ((3600, 5200), -0.5, 0.3, 2.0),
}


def _stars(label: str, stars: Stars, table: dict, rng) -> None:
    count = len(table["sn"])
    span, mean, scatter, logg = _STARS[label]
    population.draw_stars(rng, table, span)
    table["feh"][:] = np.clip(rng.normal(mean, scatter, count), -2.5, 0.45)
    if logg is not None:
        table["logg"][:] = logg
    if label == "STAR_MCsn":
        hot = rng.random(count) < 0.1  # young blue stars
        table["teff"][hot] = np.exp(rng.uniform(np.log(9000), np.log(20000), hot.sum()))
    table["z"][:] = objects.velocities(stars, count, rng)
    if label == "STAR_ESN":
        table["template"][:] = SPECIAL["white dwarf"]
        table["teff"][:] = np.nan


def _galaxies(label: str, galaxies: Galaxies, table: dict, rng) -> None:
    count = len(table["sn"])
    population.draw_galaxies(rng, table)
    kind = objects.pick(galaxies.lines, count, rng)
    lines = objects.nebular(kind, galaxies.av, count, rng)
    old = np.isin(kind, ("none", "weak")) & (rng.random(count) < galaxies.passive)
    young = np.where(kind == "starburst", rng.uniform(0.3, 0.8, count), 10 ** rng.normal(-1.0, 0.3, count))
    table["young_share"][:] = np.where(old, 10 ** rng.normal(-4, 0.4, count), young)
    table["middle_share"][:] = np.where(
        old, 0.01, np.minimum(10 ** rng.normal(-0.8, 0.3, count), 0.9 - table["young_share"])
    )
    table["log_age_old"][:] = np.where(old, rng.uniform(9.7, 10.12, count), table["log_age_old"])
    table["feh"][:] = np.where(old, rng.uniform(-0.1, 0.3, count), table["feh"])
    table["vdisp"][:] = np.where(old, rng.normal(240, 45, count).clip(120, 400), table["vdisp"])
    for name in ("ew_halpha", "n2", "o3", "hardness"):
        table[name][:] = lines[name]
    table["av"][:] = np.where(old, 0.1, lines["av"])
    table["line_sigma"][:] = rng.uniform(*galaxies.line_sigma, count)


def _quasars(label: str, quasars: Quasars, table: dict, rng) -> None:
    population.draw_quasars(rng, table)


DRAW = {Stars: _stars, Galaxies: _galaxies, Quasars: _quasars}
