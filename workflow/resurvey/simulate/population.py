"""Truth tables: physical parameters of objects of each class, drawn so that redshifts and S/N follow Table 1 of the paper.

A truth table is a dict of equally long numpy arrays (COLUMNS). Redshift, S/N and instrument are drawn per class from
published distributions; the physical parameters come from one prior per kind of object that knows no class. A draw is
kept when the pipeline's rule (simulate/labels.py, with measurement noise) gives the class asked for.
"""

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.simulate import distributions, labels
from resurvey.simulate.galaxies import line_ratios
from resurvey.simulate.lines import BROAD, NEBULAR
from resurvey.simulate.stars import LOGG, SPECIAL, TEFF

KINDS = ("STAR", "GALAXY", "QSO", "SKY", "NONE")  # NONE: an unplugged fibre
BROAD_NAMES = tuple(BROAD)
SCALARS = {   # name: (dtype, fill for objects that it does not concern)
    "kind": ("U6", ""), "class": ("U6", ""), "subclass": ("U24", ""), "instrument": ("U4", ""), "z": ("f8", np.nan),
    "sn": ("f4", 0.0), "av_galactic": ("f4", 0.0), "teff": ("f4", np.nan), "feh": ("f4", np.nan), "logg": ("f4", np.nan),
    "template": ("i4", -1), "log_age_old": ("f4", np.nan), "log_age_young": ("f4", np.nan), "young_share": ("f4", np.nan),
    "middle_share": ("f4", np.nan), "av": ("f4", np.nan), "vdisp": ("f4", np.nan), "ew_halpha": ("f4", np.nan),
    "n2": ("f4", np.nan), "o3": ("f4", np.nan), "hardness": ("f4", np.nan), "line_sigma": ("f4", np.nan),
    "slope": ("f4", np.nan), "fwhm": ("f4", np.nan), "blueshift": ("f4", np.nan), "host_share": ("f4", np.nan),
    "iron": ("f4", np.nan), "balmer": ("f4", np.nan), "bal": ("f4", np.nan),
}  # fmt: skip
STAR_BOUNDS = {   # effective temperatures [K] between neighbouring pipeline templates (Gray & Corbally 2009, App. B)
    "A0": (8400, 11000), "F5": (6330, 6800), "F9": (5900, 6330), "G2": (5450, 5900), "K1": (4950, 5250), "K3": (4570, 4950),
    "K5": (4150, 4570),
}  # fmt: skip
OTHER_STARS = {   # types beyond the 13 classes: range of temperature, template of its own or None
    "M0": (3700, 3950, None), "M1": (3550, 3700, None), "M3": (3250, 3450, None), "M5": (3000, 3200, None), "WD": (0, 0, "white dwarf"),
    "OB": (17000, 25000, None), "B6": (13000, 16500, None), "Carbon": (0, 0, "carbon"), "CV": (0, 0, "white dwarf"), "K7": (3960, 4150, None),
    "K0V (10780)": (5250, 5400, None), "F3/F5V (30743)": (6800, 7200, None), "G4V (32923)": (5350, 5500, None),
}  # fmt: skip


def label_of(table: dict) -> np.ndarray:
    """`CLASS_SUBCLASS` per row, `nan` for an empty subclass."""
    return np.array([f"{c}_{s or 'nan'}" for c, s in zip(table["class"], table["subclass"], strict=True)], dtype=object)


def empty(count: int) -> dict:
    """A truth table of `count` rows filled with the columns' null values."""
    table = {name: np.full(count, fill, dtype) for name, (dtype, fill) in SCALARS.items()}
    table["broad_ew"] = np.full((count, len(BROAD)), np.nan, np.float32)
    return table


def take(table: dict, rows) -> dict:
    """Some rows of a truth table, by index or mask."""
    return {name: values[rows] for name, values in table.items()}


def join(tables: list[dict]) -> dict:
    """Truth tables below each other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def draw_stars(rng: np.random.Generator, table: dict, bounds: tuple[float, float] = (4000.0, 11500.0)) -> None:
    """Fill in stellar parameters: disc and halo mixture in [Fe/H], dwarfs and giants, radial velocities."""
    count = len(table["sn"])
    low, high = np.log(bounds[0]), np.log(bounds[1])
    teff = np.exp(rng.uniform(low, high, count))
    halo = rng.random(count) < 0.3
    feh = np.where(halo, rng.normal(-1.4, 0.4, count), rng.normal(-0.35, 0.3, count))
    giant = rng.random(count) < np.interp(
        teff, [4000, 5000, 5600, 6500, 7500, 9500], [0.45, 0.35, 0.12, 0.05, 0.15, 0.35]
    )
    table["kind"][:], table["class"][:] = "STAR", "STAR"
    table["teff"][:] = np.clip(teff, TEFF[0], TEFF[-1])
    table["feh"][:] = np.clip(feh, -2.5, 0.45)
    table["logg"][:] = np.clip(
        np.where(giant, rng.normal(2.5, 0.5, count), rng.normal(4.4, 0.15, count)), LOGG[0] - 0.5, LOGG[1] + 0.3
    )
    table["z"][:] = rng.normal(0, np.where(halo, 150, 45)) / 2.998e5


def star_subclass(rng: np.random.Generator, table: dict) -> np.ndarray:
    """The type that the pipeline would assign: its temperature is the star's with an error that falls with S/N.

    Templates of solar metallicity take weak lines for heat, so metal-poor stars are labelled slightly too hot.
    """
    error = np.log1p(0.0035 + 0.05 / np.maximum(table["sn"], 1)) * rng.standard_normal(len(table["sn"]))
    seen = table["teff"] * np.exp(error) * (1 - 0.012 * (table["feh"] + 0.35))
    names = np.full(len(seen), "other", dtype="U24")
    for name, (low, high) in STAR_BOUNDS.items():
        names[(seen >= low) & (seen < high)] = name
    return names


def draw_galaxies(rng: np.random.Generator, table: dict) -> None:
    """Fill in galaxies' parameters from one prior: passive, star-forming and active nuclei overlap continuously."""
    count = len(table["sn"])
    forming = rng.random(count) < 0.62
    share = 10 ** np.where(forming, rng.normal(-0.85, 0.55, count), rng.normal(-3.0, 0.7, count))
    share = np.clip(share, 1e-5, 0.93)
    mass = rng.normal(10.75 - 0.45 * forming - 0.5 * (share > 0.2), 0.45)
    metals = np.clip(0.1 + 0.45 * (mass - 10.6) + rng.normal(0, 0.15, count), -1.2, 0.3)
    ew_stars = 260 * share**0.95 * rng.lognormal(0, 0.35, count)
    n2 = np.clip(-0.52 + 0.75 * np.minimum(metals, 0.1) + rng.normal(0, 0.09, count), -1.9, -0.30)
    o3 = np.clip(
        0.61 / (n2 - 0.02) + 1.15 + rng.normal(0, 0.13, count), -0.9, 0.95
    )  # abundance sequence, Kewley et al. 2013
    nucleus = rng.random(count) < 0.45
    seyfert = rng.random(count) < 0.55
    ew_nucleus = np.where(nucleus, rng.lognormal(np.log(np.where(seyfert, 9.0, 3.0)), 0.9), 1e-3)
    n2_agn = rng.normal(np.where(seyfert, -0.05, 0.08), 0.13)
    o3_agn = rng.normal(np.where(seyfert, 0.80, 0.32), np.where(seyfert, 0.2, 0.14))
    hard = ew_nucleus / (ew_nucleus + ew_stars)
    total_n2 = np.log10(hard * 10**n2_agn + (1 - hard) * 10**n2)
    total_o3 = np.log10(hard * 10**o3_agn + (1 - hard) * 10**o3)
    sigma = np.clip(10 ** (2.25 + 0.28 * (mass - 10.8) + rng.normal(0, 0.08, count)), 30, 420)
    table["kind"][:], table["class"][:] = "GALAXY", "GALAXY"
    table["log_age_old"][:] = rng.uniform(9.35, 10.12, count)
    table["log_age_young"][:] = rng.uniform(6.8, 8.3, count)
    table["young_share"][:] = share
    table["middle_share"][:] = np.clip(10 ** rng.normal(np.where(forming, -0.7, -1.6), 0.35), 0, 0.6) * (1 - share)
    table["feh"][:] = metals
    table["av"][:] = np.clip(rng.normal(np.where(forming, 0.55, 0.12), 0.35), 0, 2.5)
    table["vdisp"][:] = sigma
    table["line_sigma"][:] = np.clip(sigma * rng.lognormal(-0.35 + 0.25 * hard, 0.25), 35, 450)
    table["ew_halpha"][:] = ew_stars + ew_nucleus
    table["n2"][:], table["o3"][:], table["hardness"][:] = total_n2, total_o3, hard


def galaxy_subclass(rng: np.random.Generator, table: dict) -> np.ndarray:
    """Subclass that the pipeline's rule gives to noisy measurements of these galaxies' lines."""
    names = list(NEBULAR)
    ratios = line_ratios(*(table[name].astype(float) for name in ("n2", "o3", "av", "hardness")))
    width = table["ew_halpha"].astype(float)
    flux, error = {}, {}
    for name, key in (("Hbeta", "Hbeta"), ("OIII", "[OIII]5008"), ("Halpha", "Halpha"), ("NII", "[NII]6585")):
        error[name] = labels.width_error_mixed(table, NEBULAR[key])
        true = width * ratios[:, names.index(key)] * (1 + table["z"])
        with np.errstate(invalid="ignore"):
            flux[name] = np.where(np.isfinite(error[name]), true + error[name] * rng.standard_normal(len(width)), 0)
    rest_width = width * rng.lognormal(0, 0.05, len(width))  # the pipeline's continuum under the line is uncertain
    return labels.galaxy_subclass(flux, error, rest_width, table["line_sigma"].astype(float))


def draw_quasars(rng: np.random.Generator, table: dict) -> None:
    """Fill in quasars' parameters: line strengths scatter together and alone (Shen et al. 2011), 10 % have broad absorption.

    They lie 0.10 dex above those of bright quasars, as the Baldwin effect has it for the faint ones that prevail here."""
    count = len(table["sn"])
    broad = np.array(list(BROAD.values()))
    common = rng.normal(0.10, 0.13, count) - np.where(rng.random(count) < 0.04, rng.uniform(0.3, 1.0, count), 0)
    scatter = rng.normal(0, 1, (count, len(broad))) * broad[:, 2] * 0.7
    table["kind"][:], table["class"][:] = "QSO", "QSO"
    table["broad_ew"][:] = broad[:, 1] * 10 ** (common[:, None] + scatter)
    table["slope"][:] = rng.normal(-1.55, 0.32, count)
    table["fwhm"][:] = np.clip(rng.lognormal(np.log(4000), 0.28, count), 1200, 12000)
    table["blueshift"][:] = rng.normal(700, 600, count)
    near = np.clip((1.0 - table["z"]) / 0.9, 0, 1)
    table["host_share"][:] = near * rng.beta(1.3, 1.8, count) * 0.85
    table["iron"][:] = rng.lognormal(-0.1, 0.45, count)
    table["balmer"][:] = np.clip(rng.normal(0.12, 0.06, count), 0, None)
    table["bal"][:] = np.where(rng.random(count) < 0.10, rng.uniform(0.4, 0.95, count), 0)
    table["av"][:] = np.clip(rng.exponential(0.06, count), 0, 0.6)
    table["log_age_old"][:] = rng.uniform(9.0, 10.1, count)
    table["feh"][:] = rng.uniform(-0.3, 0.25, count)
    table["ew_halpha"][:] = rng.lognormal(np.log(12), 0.8, count)  # of the narrow lines
    table["n2"][:], table["o3"][:], table["hardness"][:] = (
        rng.normal(-0.05, 0.12, count),
        rng.normal(0.95, 0.15, count),
        1.0,
    )
    table["vdisp"][:] = rng.uniform(100, 250, count)
    table["line_sigma"][:] = np.clip(rng.lognormal(np.log(170), 0.3, count), 80, 500)


def quasar_subclass(rng: np.random.Generator, table: dict) -> np.ndarray:
    """BROADLINE where the rule detects a broad line, empty elsewhere."""
    broad = np.zeros(len(table["sn"]), bool)
    for name in np.unique(table["instrument"]):
        rows = table["instrument"] == name
        broad[rows] = labels.quasar_is_broadline(
            table["sn"][rows].astype(float), table["z"][rows], table["broad_ew"][rows], table["fwhm"][rows],
            1 - table["host_share"][rows], str(name), rng)  # fmt: skip
    return np.where(broad, "BROADLINE", "")


DRAW = {
    "STAR": (draw_stars, star_subclass),
    "GALAXY": (draw_galaxies, galaxy_subclass),
    "QSO": (draw_quasars, quasar_subclass),
}


def draw_class(rng: np.random.Generator, kind: str, subclass: str, count: int) -> dict:
    """A truth table of `count` objects that the pipeline labels (kind, subclass), e.g. ("GALAXY", "AGN").

    Each object's z, S/N and instrument are drawn once; its physics is drawn again until the label fits, and after 60
    attempts z and S/N are drawn afresh. Raises ResurveyError for a class that the priors do not reach.
    """
    label = f"{kind}_{subclass or 'nan'}"
    draw, rule = DRAW[kind]
    result = observed = distributions.draw(rng, label, count, empty(count))
    pending = np.arange(count)
    for attempt in range(1, 400):
        trial = {name: values.copy() for name, values in take(observed, pending).items()}
        if kind == "STAR":
            low, high = STAR_BOUNDS[subclass]
            draw(rng, trial, (low * 0.93, high * 1.07))
        else:
            draw(rng, trial)
        names = rule(rng, trial)
        trial["subclass"][:] = subclass
        hit = names == subclass
        for name, values in trial.items():
            result[name][pending[hit]] = values[hit]
        pending = pending[~hit]
        if len(pending) == 0:
            break
        if attempt % 60 == 0:
            again = distributions.draw(rng, label, len(pending), empty(len(pending)))
            for name in ("z", "sn", "instrument"):
                observed[name][pending] = again[name]
    else:
        raise ResurveyError(
            f"mock: no objects of the class {label} could be drawn; choose one of {', '.join(distributions.LABELS)}"
        )
    result["av_galactic"][:] = distributions.galactic_dust(rng, count)
    return result


def draw_other_stars(rng: np.random.Generator, subclass: str, count: int) -> dict:
    """Stars beyond the 13 classes (OTHER_STARS); white dwarfs, CVs and carbon stars have templates of their own."""
    low, high, special = OTHER_STARS[subclass]
    table = distributions.draw(rng, "STAR_K5", count, empty(count))
    draw_stars(rng, table, (low, high) if low else (9000, 11000))
    if special:
        table["template"][:] = SPECIAL[special]
        table["teff"][:] = np.nan
    table["subclass"][:] = subclass
    table["av_galactic"][:] = distributions.galactic_dust(rng, count)
    return table


def draw_blank(rng: np.random.Generator, kind: str, instrument: str, count: int) -> dict:
    """Fibres without a source: `SKY`, or `NONE` for unplugged ones."""
    table = empty(count)
    table["kind"][:], table["instrument"][:] = kind, instrument
    return table
