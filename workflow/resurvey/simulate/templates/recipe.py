"""The recipe of mock spectra from templates: every choice as a setting, with its unit.

The default values are those with which networks that were trained on mocks alone classify and measure real SDSS spectra. Shares
are fractions of one; `scatter` of a lognormal is in dex where it says so, else in natural logarithms.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stars:
    """types: share of each; blended: share mixed with another star of the type; velocity [km/s]: σ; fast: share with a further uniform
    velocity of up to `fast_velocity` [km/s] either way; metals: `all`, `poor` (the third with the weakest lines), `rich` (the others);
    systems: (share, velocity, σ) [km/s] that replace `velocity` where given (the Magellanic Clouds)."""

    types: dict[str, float] = field(
        default_factory=lambda: {
            "A": 0.15,
            "B": 0.04,
            "F": 0.19,
            "G": 0.17,
            "K": 0.24,
            "M": 0.12,
            "WD": 0.06,
            "CV": 0.03,
        }
    )
    blended: float = 0.40
    velocity: float = 120.0
    fast: float = 0.20
    fast_velocity: float = 500.0
    metals: str = "all"
    systems: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Lines:
    """Nebular lines of one kind of galaxy: rest equivalent width of Hα [Å], median and scatter [dex]; log [N II]/Hα and log
    [O III]/Hβ, mean and σ [dex]; share of the ionisation that is an active nucleus."""

    halpha: float
    scatter: float
    n2: tuple[float, float]
    o3: tuple[float, float]
    hardness: float


LINES = {
    "none": Lines(1e-4, 0.0, (-0.3, 0.1), (0.0, 0.1), 0.0),
    "weak": Lines(3.0, 0.35, (0.0, 0.15), (0.2, 0.25), 0.5),
    "forming": Lines(18.0, 0.30, (-0.45, 0.15), (-0.1, 0.35), 0.0),
    "starburst": Lines(90.0, 0.30, (-0.95, 0.30), (0.45, 0.25), 0.0),
    "active": Lines(20.0, 0.35, (0.0, 0.15), (0.65, 0.30), 0.9),
}


@dataclass(frozen=True)
class Galaxies:
    """lines: share of each of LINES; passive: share of line-free and weak-lined galaxies whose continuum is of the passive templates;
    stacked: share blended with a stack (`stacks`: shares of luminous red, emission-line, narrow-line active), by a uniform share of
    the light up to `stack_light`; line_sigma [km/s]: range; av [mag]: dust of the lines, mean and σ; z, low_z: redshifts are uniform in ln(1+z)
    over `z`, a share `low` of them over `low_z`; broad: share of the weak-lined and active that have faint broad Balmer lines beside the narrow
    ones (SDSS calls them galaxies, BROADLINE), their Hα [Å] median and scatter [dex], range of FWHM [km/s]."""

    lines: dict[str, float] = field(
        default_factory=lambda: {"none": 0.32, "weak": 0.10, "forming": 0.28, "starburst": 0.14, "active": 0.16}
    )
    passive: float = 0.8
    stacked: float = 0.25
    stacks: tuple[float, float, float] = (0.45, 0.30, 0.25)
    stack_light: float = 1.0
    line_sigma: tuple[float, float] = (50.0, 350.0)
    av: tuple[float, float] = (0.5, 0.4)
    z: tuple[float, float] = (0.002, 1.1)
    low: float = 0.10
    low_z: tuple[float, float] = (0.0005, 0.03)
    broad: float = 0.0
    broad_halpha: tuple[float, float] = (30.0, 0.2)
    broad_width: tuple[float, float] = (1500.0, 6000.0)


@dataclass(frozen=True)
class Quasars:
    """components: σ of the second to fourth eigenspectrum's coefficients, in units of the mean spectrum's; change_z: range in which one
    set of eigenspectra follows the other; stacked: share (below z = 1.6) blended with the stack; line_scatter [dex] of each broad line's
    strength; line_width [km/s]: range of FWHM of what is added or taken; blueshift [km/s]: mean and σ of C IV's; tilt: σ of the exponent of
    λ; smc [mag]: mean A(V) of an exponential; forest: scatter (natural log) of the optical depth 0.0018 (1+z)^3.92; bal: share with broad absorption;
    narrow_absorber: share with Mg II or C IV absorbers; hosts: largest share of a host galaxy at rest 5100 Å, falling to none at
    z = `host_z`; narrow: share with narrow lines, their Hα [Å] median and scatter [dex]; z: uniform in ln(1+z)."""

    components: tuple[float, float, float] = (30.0, 22.0, 15.0)
    change_z: tuple[float, float] = (1.25, 1.6)
    stacked: float = 0.25
    line_scatter: float = 0.15
    line_width: tuple[float, float] = (1500.0, 9000.0)
    blueshift: tuple[float, float] = (700.0, 600.0)
    tilt: float = 0.35
    smc: float = 0.06
    forest: float = 0.3
    bal: float = 0.12
    narrow_absorber: float = 0.15
    hosts: float = 0.65
    host_z: float = 0.9
    narrow: float = 0.5
    narrow_halpha: tuple[float, float] = (12.0, 0.35)
    z: tuple[float, float] = (0.008, 6.3)


@dataclass(frozen=True)
class Foreground:
    """Dust of the Milky Way: A(V) [mag], median, scatter (natural log) and upper limit."""

    median: float = 0.09
    scatter: float = 0.6
    limit: float = 0.7


@dataclass(frozen=True)
class SignalToNoise:
    """Median S/N as the spectrograph counts it: mean and scatter (natural log) of a lognormal, and its limits."""

    mean: float
    scatter: float = 0.5
    limits: tuple[float, float] = (0.3, 300.0)


@dataclass(frozen=True)
class Recipe:
    """One class of objects. `objects` decides the kind; z: None for that of the kind, else (low, high, mean) of a beta distribution
    of total weight `z_weight`."""

    objects: Stars | Galaxies | Quasars
    sn: SignalToNoise
    foreground: Foreground = Foreground()
    z: tuple[float, float, float] | None = None
    z_weight: float = 4.0


SDSS_LIKE = {  # the three classes of SDSS and DESI
    "STAR": Recipe(Stars(), SignalToNoise(27.5, 0.8, (0.8, 80.0))),
    "GALAXY": Recipe(Galaxies(), SignalToNoise(10.0, 0.85, (0.8, 80.0))),
    "QSO": Recipe(Quasars(), SignalToNoise(8.0, 0.9, (0.8, 80.0))),
}


@dataclass(frozen=True)
class Mix:
    """A class of objects as several recipes, each with its share."""

    parts: tuple[tuple[float, Recipe], ...]

    def counts(self, count: int) -> list[tuple[Recipe, int]]:
        """The recipes with their numbers of objects, which add up to `count`."""
        total = sum(share for share, _ in self.parts)
        ends = [round(count * sum(share for share, _ in self.parts[: i + 1]) / total) for i in range(len(self.parts))]
        return [(recipe, end - start) for (_, recipe), start, end in zip(self.parts, [0, *ends], ends, strict=False)]


_BULGE = {"none": 0.5, "weak": 0.3, "forming": 0.2}
_OLD = {"none": 0.8, "weak": 0.2}
_QUASARS = Quasars(hosts=0.5)


def _hard(quasars: Quasars, broad_halpha: tuple[float, float]) -> dict[str, Mix]:
    """More of what networks find hard: faint stars; galaxies nearby, some of them bulges within z = 0.02 whose spectra are like those
    of stars, and faint passive ones far away; broad lines under a galaxy's light."""
    lines = {"broad_halpha": broad_halpha, "low": 0.0}
    return {
        "STAR": Mix(((0.8, SDSS_LIKE["STAR"]), (0.2, Recipe(Stars(), SignalToNoise(6.0, 0.6, (0.8, 80.0)))))),
        "GALAXY": Mix((
            (0.35, Recipe(Galaxies(broad=0.15, broad_halpha=broad_halpha), SignalToNoise(10.0, 0.85, (0.8, 80.0)))),
            (0.25, Recipe(Galaxies(broad=0.30, z=(0.0005, 0.25), **lines), SignalToNoise(18.0, 0.7, (0.8, 80.0)))),
            (0.15, Recipe(Galaxies(lines=_BULGE, passive=0.9, stacked=0.0, z=(0.0005, 0.02), low=0.0), SignalToNoise(30.0, 0.8, (0.8, 80.0)))),
            (0.25, Recipe(Galaxies(lines=_OLD, passive=0.9, z=(0.15, 0.8), low=0.0), SignalToNoise(5.0, 0.6, (0.8, 80.0)))),
        )),
        "QSO": Mix(((0.7, Recipe(quasars, SignalToNoise(8.0, 0.9, (0.8, 80.0)))), (0.3, Recipe(quasars, SignalToNoise(3.0, 0.5, (0.8, 80.0)))))),
    }  # fmt: skip


MIXES = {
    # One recipe a class, as they are.
    "plain": {name: Mix(((1.0, recipe),)) for name, recipe in SDSS_LIKE.items()},
    "hard": _hard(_QUASARS, (30.0, 0.2)),
    # The same with active nuclei of any share of the light, where galaxies pass into quasars.
    "border": _hard(Quasars(hosts=0.85), (50.0, 0.4)),
    # Redshifts and S/N as of Table 1 of Zhong et al. (2024), subclasses in equal parts: a set to choose on, drawn apart.
    "table1": {
        "STAR": Mix(((1.0, Recipe(Stars(), SignalToNoise(31.0, 0.8, (0.8, 80.0)))),)),
        "GALAXY": Mix((
            (1.0, Recipe(Galaxies(lines=_OLD, passive=0.9), SignalToNoise(5.82, 0.6), z=(0.002, 1.1, 0.46))),
            (1.0, Recipe(Galaxies(lines={"active": 1.0}), SignalToNoise(14.3, 0.6), z=(0.0005, 0.57, 0.21))),
            (1.0, Recipe(Galaxies(lines={"starburst": 1.0}), SignalToNoise(9.78, 0.6), z=(0.0005, 0.57, 0.15))),
            (1.0, Recipe(Galaxies(lines={"forming": 1.0}), SignalToNoise(12.4, 0.6), z=(0.0005, 0.56, 0.11))),
        )),
        "QSO": Mix((
            (1.0, Recipe(_QUASARS, SignalToNoise(2.64, 0.5), z=(0.01, 6.3, 1.68))),
            (1.0, Recipe(_QUASARS, SignalToNoise(6.54, 0.6), z=(0.03, 5.29, 1.78))),
        )),
    },
}  # fmt: skip
