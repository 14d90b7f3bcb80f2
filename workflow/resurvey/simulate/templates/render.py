"""Objects of a recipe → noiseless spectra on a log-λ grid: templates mixed, shifted, broadened, with lines, dust and absorption."""

import numba
import numpy as np

from resurvey.simulate import extinction
from resurvey.simulate.galaxies import line_ratios
from resurvey.simulate.kernels import LOG10_E, add_lines, project
from resurvey.simulate.lines import NEBULAR
from resurvey.simulate.spectra import broad_absorption, broadening
from resurvey.simulate.spectrographs import Spectrograph
from resurvey.simulate.templates.libraries import STACKS, STAR_TYPES, Libraries, Library
from resurvey.simulate.templates.objects import BROAD, C_KMS
from resurvey.simulate.wavelengths import PIXEL_KMS, STEP, smc_attenuation

_ABSORBERS = np.array([(2796.35, 1.0), (2803.53, 0.7), (1548.2, 0.8), (1550.77, 0.55)])  # line [Å], relative strength
_WIDE = np.log10(np.array([1216.0, 10000.0]))
_HALPHA = 6564.61
_BALMER = {
    "Halpha": 1.0,
    "Hbeta": 0.25,
    "Hgamma": 0.09,
}  # broad lines under a galaxy's light: fluxes, Hα = 1, somewhat reddened


def noiseless(
    table: dict, libraries: Libraries, device: Spectrograph, loglam: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Spectra (n, N) float32 of order one at `loglam` (N,), reddened by the Milky Way; zero for rows of the kind SKY.

    Line widths are those of the spectrograph and the object together. `rng` draws what is not in the table: forest and absorbers.
    """
    flux = np.zeros((len(table["kind"]), len(loglam)), np.float32)
    for kind, render in (("STAR", _stars), ("GALAXY", _galaxies), ("QSO", _quasars)):
        rows = np.flatnonzero(table["kind"] == kind)
        if len(rows):
            part = {name: values[rows] for name, values in table.items()}
            flux[rows] = render(part, libraries, device, loglam, rng)
    extinction.redden(flux, extinction.milky_way(10**loglam), np.asarray(table["av_galactic"]))
    return flux


def _project(library: Library, weight: np.ndarray, z, device, loglam, velocity=None) -> np.ndarray:
    """Σ weight·eigenspectrum (n, N), redshifted and broadened by line spread and `velocity` [km/s]."""
    count = len(weight)
    flux = np.zeros((count, len(loglam)), np.float32)
    index = np.tile(np.arange(len(library.basis), dtype=np.int32), (count, 1))
    origin = (loglam[0] - np.log10(1 + z) - library.start) / STEP
    sigma = broadening(device, loglam, np.zeros(count) if velocity is None else velocity)
    project(library.basis, index, weight.astype(np.float32), origin, sigma, flux)
    return flux


def _mixed(library: Library, table: dict) -> np.ndarray:
    """Coefficients (n, B) of two sets mixed."""
    sets, mix = library.coefficients, table["mix"].astype(np.float32)[:, None]
    return (1 - mix) * sets[table["first"]] + mix * sets[table["second"]]


def _stars(table, libraries, device, loglam, rng) -> np.ndarray:
    flux = np.zeros((len(table["z"]), len(loglam)), np.float32)
    for name in STAR_TYPES:
        rows = np.flatnonzero(table["type"] == name)
        if len(rows):
            part = {key: table[key][rows] for key in ("first", "second", "mix", "z")}
            library = libraries.stars[name]
            flux[rows] = _project(library, _mixed(library, part), part["z"], device, loglam)
    return np.maximum(flux, 0, out=flux)


def _galaxies(table, libraries, device, loglam, rng) -> np.ndarray:
    library = libraries.galaxies
    light = table["stack_light"].astype(np.float32)
    weight = _mixed(library, table) * (1 - light)[:, None]
    weight[np.arange(len(weight)), len(library.basis) - len(STACKS) + table["stack"]] += light
    flux = _project(library, weight, table["z"], device, loglam)
    np.maximum(flux, 0, out=flux)
    level = weight @ library.level(_HALPHA - 90, _HALPHA - 40)
    _narrow(flux, table, device, loglam, level)
    _faint_broad(flux, table, loglam, level)
    return flux


def _faint_broad(flux, table, loglam, level) -> None:
    """Add broad Balmer lines to the galaxies that have them; `level` as for the narrow ones."""
    rows = np.flatnonzero(table["ew_broad"] > 0)
    if not len(rows):
        return
    part = flux[rows]
    strength = (table["ew_broad"] * np.maximum(level, 0) * (1 + table["z"]))[rows, None] * np.array([*_BALMER.values()])
    centre = np.log10([[BROAD[name] for name in _BALMER]]) + np.log10(1 + table["z"][rows])[:, None]
    sigma = np.repeat(table["broad_width"][rows, None] / 2.355 / PIXEL_KMS, len(_BALMER), axis=1)
    add_lines(part, float(loglam[0]), strength.astype(float), centre, sigma.astype(float))
    flux[rows] = part


def _narrow(flux, table, device, loglam, level) -> None:
    """Add nebular lines; `level` (n,): continuum at Hα, to which the equivalent width refers."""
    ratios = line_ratios(*(table[name].astype(float) for name in ("n2", "o3", "av", "hardness")))
    strength = (table["ew_halpha"] * np.maximum(level, 0) * (1 + table["z"]))[:, None] * ratios
    centre = np.log10(np.array(list(NEBULAR.values())))[None] + np.log10(1 + table["z"])[:, None]
    sigma = np.hypot(table["line_sigma"][:, None] / PIXEL_KMS, np.maximum(device.curve("wdisp", centre), 0.3))
    add_lines(flux, float(loglam[0]), strength.astype(float), centre, sigma)


def _quasars(table, libraries, device, loglam, rng) -> np.ndarray:
    count, z = len(table["z"]), table["z"]
    flux = np.zeros((count, len(loglam)), np.float32)
    for library, rows in (
        (libraries.quasars_low, np.flatnonzero(~table["high"])),
        (libraries.quasars_high, np.flatnonzero(table["high"])),
    ):
        if len(rows):
            weight = np.zeros((len(rows), len(library.basis)), np.float32)
            keep = 1 - table["stack_light"][rows].astype(np.float32)
            weight[:, 0], weight[:, 1:4] = keep, keep[:, None] * table["components"][rows]
            if len(library.basis) > 4:
                weight[:, 4] = table["stack_light"][rows]
            flux[rows] = _project(library, weight, z[rows], device, loglam)
    np.maximum(flux, 0.02, out=flux)
    _change_lines(flux, table, loglam)
    tilt, dust = table["tilt"].astype(np.float32), table["smc"].astype(np.float32)
    power = (np.log(10) * (loglam - np.log10(2500))).astype(np.float32)
    rest = smc_attenuation(10**loglam).astype(np.float32)[None] * ((1 + z) ** 1.2)[:, None].astype(np.float32)
    exponent = tilt[:, None] * (power[None] - np.log1p(z)[:, None].astype(np.float32))
    exponent -= np.float32(extinction.LN_PER_MAG) * dust[:, None] * rest
    flux *= np.exp(exponent)
    broad_absorption(flux, table, loglam, rng)
    _absorbers(flux, table, loglam, rng)
    _host(flux, table, libraries, device, loglam)
    _forest(flux, table, loglam, rng)
    return flux


def _change_lines(flux, table, loglam) -> None:
    """Strengthen or weaken each broad line: a factor on the flux that has a Gaussian course across it; C IV's is blueshifted."""
    names = list(BROAD)
    wave = np.array([BROAD[name] for name in names])
    speed = np.array([name == "CIV" for name in names]) * table["blueshift"][:, None]
    centre = np.log10(wave * (1 - speed / C_KMS)) + np.log10(1 + table["z"])[:, None]
    sigma = table["line_width"] / 2.355 / PIXEL_KMS
    area = table["line_change"] * np.sqrt(2 * np.pi) * sigma * STEP / LOG10_E * 10**centre
    factor = np.zeros_like(flux)
    add_lines(factor, float(loglam[0]), area.astype(float), centre, sigma.astype(float))
    flux *= np.maximum(1 + factor, np.float32(0.1))


def _absorbers(flux, table, loglam, rng) -> None:
    """Narrow Mg II and C IV absorption of gas in front of the quasar, saturated to at most 95 %."""
    rows = np.flatnonzero(table["absorber"])
    if not len(rows):
        return
    shift = (1 + table["z"][rows]) * rng.uniform(0.75, 1.0, len(rows))
    centre = np.log10(_ABSORBERS[:, 0])[None] + np.log10(shift)[:, None]
    width = rng.lognormal(np.log(0.8), 0.5, (len(rows), 1)) * _ABSORBERS[:, 1] * shift[:, None]  # equivalent width, Å
    depth = np.zeros((len(rows), len(loglam)), np.float32)
    add_lines(depth, float(loglam[0]), width, centre, np.full(centre.shape, 1.2))
    flux[rows] *= 1 - np.minimum(depth, np.float32(0.95))


def _host(flux, table, libraries, device, loglam) -> None:
    """Add the host galaxy, `host_share` of the light at rest 5100 Å, and the narrow lines."""
    library, z = libraries.galaxies, table["z"]
    rows = np.flatnonzero(table["host_share"] > 0.01)
    place = (np.log10(5100 * (1 + z)) - loglam[0]) / STEP
    reach = np.clip(place.astype(int), 0, len(loglam) - 40)
    level = np.median(flux[np.arange(len(flux))[:, None], reach[:, None] + np.arange(40)], axis=1)
    if len(rows):
        weight = library.coefficients[table["host"][rows]]
        share = table["host_share"][rows]
        weight = (
            weight * (share / (1 - share) * level[rows] / np.maximum(weight @ library.level(5050, 5150), 0.05))[:, None]
        )
        flux[rows] += np.maximum(_project(library, weight, z[rows], device, loglam), 0)
    _narrow(flux, table, device, loglam, level)


@numba.njit(cache=True, fastmath=True)
def _absorb(flux, loglam, alpha, beta, z, strength, noise):
    """Lyα and Lyβ forest and Lyman limit, in place; alpha, beta (N,): mean optical depth at (1+z)^3.92 of the two lines' gas; see
    kernels.forest, whose fluctuations these are."""
    for row in range(flux.shape[0]):
        field = 0.0
        lya = np.log10(1215.67 * (1 + z[row]))
        lyb = np.log10(1025.72 * (1 + z[row]))
        edge = np.log10(911.75 * (1 + z[row]))
        for i in range(flux.shape[1]):
            if loglam[i] > lya:
                break
            field = 0.6 * field + 0.8 * noise[row, i]
            clumps = np.exp(1.3 * field - 0.845) * strength[row]
            depth = alpha[i] * clumps
            if loglam[i] < lyb:
                depth += beta[i] * clumps
            if loglam[i] < edge:
                depth += 4.0 - 3.0 * 10.0 ** (3 * (loglam[i] - edge))
            flux[row, i] *= np.exp(-depth)


def _forest(flux, table, loglam, rng) -> None:
    rows = np.flatnonzero(1215.67 * (1 + table["z"]) > 10 ** loglam[0])
    if not len(rows):
        return
    wave = 10**loglam
    mean, mean_b = 0.0018 * (wave / 1215.67) ** 3.92, 0.16 * 0.0018 * (wave / 1025.72) ** 3.92
    last = int(np.searchsorted(wave, 1215.67 * (1 + table["z"][rows].max())))
    part = flux[rows, :last]
    noise = rng.standard_normal(part.shape, np.float32)
    _absorb(
        part,
        loglam[:last],
        mean * (1.1 + 1.45 * mean),
        mean_b * (1.1 + 1.45 * mean_b),
        table["z"][rows],
        table["forest"][rows],
        noise,
    )
    flux[rows, :last] = part
