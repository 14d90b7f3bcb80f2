"""Objects drawn from a recipe: tables of what their spectra are made of."""

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.simulate.templates.libraries import STAR_TYPES, Libraries
from resurvey.simulate.templates.recipe import LINES, Galaxies, Quasars, Recipe, Stars

BROAD = {"Lya": 1215.67, "SiIV": 1399.8, "CIV": 1549.06, "CIII]": 1908.73, "MgII": 2798.75, "Hgamma": 4341.68, "Hbeta": 4862.68, "Halpha": 6564.61}  # fmt: skip
C_KMS = 2.99792458e5


def draw(recipe: Recipe, libraries: Libraries, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A table of `count` objects: kind, z, sn, av_galactic [mag] and what rendering needs; arrays of equal length."""
    table = {
        "kind": np.full(count, KIND[type(recipe.objects)]),
        "z": np.zeros(count),
        "sn": signal_to_noise(recipe, count, rng),
        "av_galactic": foreground(recipe, count, rng),
    }
    table |= DRAW[type(recipe.objects)](recipe.objects, libraries, count, rng)
    if recipe.z is not None:
        table["z"] = redshifts(recipe, count, rng)
    if isinstance(recipe.objects, Quasars):
        table |= _quasar_parts(recipe.objects, libraries, table["z"], rng)
    return table


def signal_to_noise(recipe: Recipe, count: int, rng) -> np.ndarray:
    """Median S/N (n,) float32 of a recipe."""
    sn = recipe.sn
    mu = np.log(sn.mean) - 0.5 * sn.scatter**2
    return np.clip(rng.lognormal(mu, sn.scatter, count), *sn.limits).astype(np.float32)


def foreground(recipe: Recipe, count: int, rng) -> np.ndarray:
    """A(V) (n,) float32 [mag] of the Milky Way's dust."""
    dust = recipe.foreground
    return np.minimum(rng.lognormal(np.log(dust.median), dust.scatter, count), dust.limit).astype(np.float32)


def redshifts(recipe: Recipe, count: int, rng) -> np.ndarray:
    """Redshifts (n,) of a recipe that gives their range and mean."""
    low, high, mean = recipe.z
    place = (mean - low) / (high - low)
    if not 0 < place < 1:
        raise ResurveyError(f"recipe: the mean redshift {mean} is not within {low} and {high}")
    return low + (high - low) * rng.beta(place * recipe.z_weight, (1 - place) * recipe.z_weight, count)


def uniform_log(span: tuple[float, float], count: int, rng) -> np.ndarray:
    """Redshifts (n,) uniform in ln(1+z)."""
    return np.expm1(rng.uniform(np.log1p(span[0]), np.log1p(span[1]), count))


def pick(shares: dict[str, float], count: int, rng) -> np.ndarray:
    """Names (n,) with the given shares."""
    weight = np.array(list(shares.values()), float)
    return rng.choice(np.array(list(shares)), count, p=weight / weight.sum())


def velocities(stars: Stars, count: int, rng) -> np.ndarray:
    """z (n,) of radial velocities."""
    if stars.systems:
        share, centre, width = np.transpose(stars.systems)
        which = rng.choice(len(share), count, p=share / share.sum())
        speed = rng.normal(centre[which], width[which])
    else:
        speed = rng.normal(0, stars.velocity, count)
        fast = rng.random(count) < stars.fast
        speed = speed + fast * rng.uniform(-stars.fast_velocity, stars.fast_velocity, count)
    return speed / C_KMS


def _stars(stars: Stars, libraries: Libraries, count: int, rng) -> dict:
    kind = pick(stars.types, count, rng)
    first, second = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for name in STAR_TYPES:
        rows = np.flatnonzero(kind == name)
        if len(rows):
            sets = np.arange(len(libraries.stars[name].coefficients))
            poor = libraries.weak_lines[name]
            if stars.metals == "poor":
                sets = poor
            elif stars.metals == "rich" and len(sets) > len(poor):
                sets = np.setdiff1d(sets, poor)
            first[rows], second[rows] = rng.choice(sets, (2, len(rows)))
    mix = np.where(rng.random(count) < stars.blended, rng.random(count), 0)
    return {"type": kind, "first": first, "second": second, "mix": mix, "z": velocities(stars, count, rng)}


def _galaxies(galaxies: Galaxies, libraries: Libraries, count: int, rng) -> dict:
    lines = pick(galaxies.lines, count, rng)
    sets = np.arange(len(libraries.galaxies.coefficients))
    active = np.setdiff1d(sets, libraries.passive)
    old = np.isin(lines, ("none", "weak")) & (rng.random(count) < galaxies.passive)
    pair = np.where(old, rng.choice(libraries.passive, (2, count)), rng.choice(active, (2, count)))
    stacked = rng.random(count) < galaxies.stacked
    share = np.array(galaxies.stacks) / sum(galaxies.stacks)
    low = rng.random(count) < galaxies.low
    z = np.where(low, uniform_log(galaxies.low_z, count, rng), uniform_log(galaxies.z, count, rng))
    table = {
        "type": lines,
        "first": pair[0],
        "second": pair[1],
        "mix": rng.random(count),
        "stack": rng.choice(3, count, p=share),
        "stack_light": np.where(stacked, rng.uniform(0, galaxies.stack_light, count), 0),
        "line_sigma": rng.uniform(*galaxies.line_sigma, count),
        "z": z,
        **nebular(lines, galaxies.av, count, rng),
    }
    median, scatter = galaxies.broad_halpha
    table["ew_broad"], table["broad_width"] = np.zeros(count), np.full(count, galaxies.broad_width[0])
    if galaxies.broad:  # recipes without keep their random numbers
        broad = np.isin(lines, ("weak", "active")) & (rng.random(count) < galaxies.broad)
        table["ew_broad"] = broad * median * 10 ** (scatter * rng.standard_normal(count))
        table["broad_width"] = rng.uniform(*galaxies.broad_width, count)
    return table


def nebular(lines: np.ndarray, av: tuple[float, float], count: int, rng) -> dict:
    """ew_halpha [Å], n2, o3, hardness, av of narrow lines (n,)."""
    names = list(LINES)
    rows = np.array([names.index(name) for name in lines])
    width, scatter, hardness = (
        np.array([getattr(LINES[n], key) for n in names])[rows] for key in ("halpha", "scatter", "hardness")
    )
    n2, o3 = (np.array([getattr(LINES[n], key) for n in names])[rows] for key in ("n2", "o3"))
    return {
        "ew_halpha": width * 10 ** (scatter * rng.standard_normal(count)),
        "n2": np.clip(rng.normal(n2[:, 0], n2[:, 1]), -1.9, 0.5),
        "o3": np.clip(rng.normal(o3[:, 0], o3[:, 1]), -0.9, 1.2),
        "hardness": hardness,
        "av": np.clip(rng.normal(*av, count), 0, 2.5),
    }


def _quasars(quasars: Quasars, libraries: Libraries, count: int, rng) -> dict:
    return {"z": uniform_log(quasars.z, count, rng)}


def _quasar_parts(quasars: Quasars, libraries: Libraries, z: np.ndarray, rng) -> dict:
    """What depends on a quasar's redshift: eigenspectra, host; and all else."""
    count = len(z)
    high = z > rng.uniform(*quasars.change_z, count)
    stack = np.where((rng.random(count) < quasars.stacked) & (z < 1.6), rng.random(count), 0)
    stack[high] = 0
    near = np.clip(1 - z / quasars.host_z, 0, 1)
    width = rng.uniform(*quasars.line_width, (count, len(BROAD)))
    change = 10 ** (rng.normal(0, quasars.line_scatter, (count, len(BROAD)))) - 1
    bal = np.where(rng.random(count) < quasars.bal, rng.uniform(0.4, 0.95, count), 0)
    narrow = rng.random(count) < quasars.narrow
    median, scatter = quasars.narrow_halpha
    return {
        "high": high,
        "components": _components(quasars, libraries, high, rng),
        "stack_light": stack,
        "line_change": change.astype(np.float32),
        "line_width": width.astype(np.float32),
        "blueshift": rng.normal(*quasars.blueshift, count),
        "tilt": rng.normal(0, quasars.tilt, count),
        "smc": np.clip(rng.exponential(quasars.smc, count), 0, 0.6),
        "forest": rng.lognormal(0, quasars.forest, count),
        "bal": bal,
        "absorber": rng.random(count) < quasars.narrow_absorber,
        "host_share": near * rng.uniform(0, quasars.hosts, count),
        "host": rng.choice(libraries.passive, count),
        "ew_halpha": narrow * median * 10 ** (scatter * rng.standard_normal(count)),
        "n2": rng.normal(-0.05, 0.12, count),
        "o3": rng.normal(0.95, 0.15, count),
        "hardness": np.ones(count),
        "av": np.zeros(count),
        "line_sigma": np.clip(rng.lognormal(np.log(170), 0.3, count), 80, 500),
    }


def _components(quasars: Quasars, libraries: Libraries, high: np.ndarray, rng) -> np.ndarray:
    """Coefficients (n, 3) of the second to fourth eigenspectrum, drawn again where the spectrum would come near zero."""
    result = np.zeros((len(high), 3), np.float32)
    for library, rows in (
        (libraries.quasars_low, np.flatnonzero(~high)),
        (libraries.quasars_high, np.flatnonzero(high)),
    ):
        grid = library.start + 1e-4 * np.arange(library.basis.shape[1])
        basis = library.basis[:4, (grid > np.log10(1216)) & (grid < np.log10(9000))][:, ::8]
        pending = rows
        for _ in range(100):
            if not len(pending):
                break
            trial = rng.normal(0, quasars.components, (len(pending), 3)).astype(np.float32)
            good = (trial @ basis[1:] > -0.85 * basis[0]).all(1)
            result[pending[good]] = trial[good]
            pending = pending[~good]
    return result


KIND = {Stars: "STAR", Galaxies: "GALAXY", Quasars: "QSO"}
DRAW = {Stars: _stars, Galaxies: _galaxies, Quasars: _quasars}
