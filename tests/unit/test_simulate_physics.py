"""Simulated spectra show what textbooks say: lines where they belong, breaks with age, ratios of atomic physics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resurvey.simulate import galaxies, population, quasars, stars
from resurvey.simulate.instruments import BOSS, SDSS
from resurvey.simulate.kernels import BLOCK, add_lines, forest, project
from resurvey.simulate.spectra import noiseless
from resurvey.simulate.wavelengths import STEP, galactic_extinction, rest_wavelengths

WAVE = rest_wavelengths()
RNG = np.random.default_rng


def width(flux, line, half):
    """Equivalent width [Å] of an absorption line over the median of both sides."""
    inside = np.abs(WAVE - line) < half
    side = (np.abs(WAVE - line) > half) & (np.abs(WAVE - line) < 1.6 * half)
    return ((1 - flux[inside] / np.median(flux[side])) * np.gradient(WAVE[inside])).sum()


def galaxy(**values):
    """Truth row of an old galaxy with strong lines at z = 0.1 seen by SDSS."""
    table = population.empty(1)
    table["kind"][:], table["class"][:], table["instrument"][:] = "GALAXY", "GALAXY", "SDSS"
    defaults = {
        "z": 0.1,
        "log_age_old": 10.0,
        "log_age_young": 7.5,
        "young_share": 0.0,
        "middle_share": 0.0,
        "feh": 0.0,
    }
    lines = {"av": 0.0, "vdisp": 120, "line_sigma": 100, "ew_halpha": 80.0, "n2": -0.5, "o3": 0.3, "hardness": 0.0}
    for name, value in {**defaults, **lines, **values}.items():
        table[name][:] = value
    return table


def line_flux(**values):
    """Flux of emission lines alone, with the grid: a spectrum less the same one without lines."""
    loglam = SDSS.loglam()
    with_lines = noiseless(galaxy(**values), SDSS, loglam, RNG(0))[0].astype(float)
    without = noiseless(galaxy(**{**values, "ew_halpha": 0.0}), SDSS, loglam, RNG(0))[0].astype(float)
    return 10**loglam, with_lines - without, without


def flux_at(wave, flux, line, half=18):
    inside = np.abs(wave - line) < half
    return (flux[inside] * np.gradient(wave)[inside]).sum()


def break_4000(flux: np.ndarray) -> float:
    """D4000 in the narrow definition of Balogh et al. (1999): mean f_ν in 4000-4100 Å over 3850-3950 Å of a rest-grid spectrum."""
    wave = 10 ** (galaxies.REST_START + galaxies.STEP * np.arange(len(flux)))
    density = flux * wave**2
    red, blue = (wave > 4000) & (wave < 4100), (wave > 3850) & (wave < 3950)
    return float(density[red].mean() / density[blue].mean())


@pytest.mark.parametrize(("line", "teff"), [(4862.68, 9500), (6564.61, 7000), (3934.78, 5800), (8544.44, 5000)])
def test_stellar_lines_lie_at_their_vacuum_wavelengths(line, teff):
    flux = stars.template(teff, 0.0, 4.5)
    near = np.abs(WAVE - line) < 8
    assert abs(WAVE[near][np.argmin(flux[near])] - line) < 1.0


def test_balmer_lines_are_strongest_in_a_stars():
    strength = {t: width(stars.template(t, 0.0, 4.5), 4862.68, 25) for t in (5800, 6500, 7500, 9500, 12000, 17000)}
    assert max(strength, key=strength.get) == 9500
    assert strength[5800] < strength[6500] < strength[7500] < strength[9500]
    assert strength[9500] > strength[12000] > strength[17000]
    assert 8 < strength[9500] < 16  # Å, dwarfs: Gray & Corbally (2009)


@pytest.mark.parametrize(("line", "half"), [(5894.6, 12), (5176, 20), (3934.78, 12)])
def test_metal_lines_grow_as_stars_cool(line, half):
    strength = [width(stars.template(t, 0.0, 4.5), line, half) for t in (7500, 6500, 5800, 5000, 4500)]
    assert (np.diff(strength) > 0).all()


def test_metals_blanket_the_blue():
    poor, rich = (stars.template(5500, m, 4.5) for m in (-1.8, 0.2))
    blue, red = (WAVE > 3800) & (WAVE < 4200), (WAVE > 7200) & (WAVE < 8000)
    assert rich[blue].mean() / rich[red].mean() < 0.85 * poor[blue].mean() / poor[red].mean()


def test_titanium_oxide_bands_belong_to_m_stars_alone():
    def depth(teff):
        flux = stars.template(teff, 0.0, 4.5)
        return flux[(WAVE > 7060) & (WAVE < 7090)].mean() / flux[(WAVE > 7025) & (WAVE < 7045)].mean()

    assert depth(3300) < 0.5 < 0.9 < depth(4500)


def test_neighbouring_types_pass_continuously_into_one_another():
    index, weight = stars.mixture(np.linspace(5895, 5905, 3), np.zeros(3), np.full(3, 4.4))
    spectra = np.einsum("nk,nkp->np", weight, stars.library()[index])
    assert np.allclose(weight.sum(1), 1)
    assert np.abs(spectra[2] / spectra[0] - 1).max() < 0.03


def test_4000_angstrom_break_grows_with_age_and_metallicity():
    grid = galaxies.library().reshape(len(galaxies.LOG_AGE), len(galaxies.METALS), -1)
    values = np.array([[break_4000(flux) for flux in row] for row in grid])
    assert (np.diff(values[2:, 2]) > 0).all()
    assert (np.diff(values[-1]) > 0).all()
    assert 1.6 < values[-1, 2] < 2.1  # old, solar: Balogh et al. 1999
    assert values[0, 2] < 1.1


def test_turnoff_mass_of_the_sun_is_ten_billion_years():
    assert galaxies.turnoff_mass(10.0) == pytest.approx(1.0)
    assert galaxies.turnoff_mass(9.0) > 2


@pytest.mark.parametrize("z", [0.0, 0.1, 0.3])
def test_emission_lines_are_redshifted(z):
    wave, lines, _ = line_flux(z=z, o3=0.8)
    for line in (5008.24, 4862.68, 6564.61):
        near = np.abs(wave - line * (1 + z)) < 12
        if near.sum() > 20:
            centre = (
                (wave[near] * lines[near]).sum() / lines[near].sum()
                if line != 6564.61
                else wave[near][np.argmax(lines[near])]
            )
            assert abs(centre / (line * (1 + z)) - 1) * 2.998e5 < 45  # km/s


def test_line_fluxes_obey_atomic_physics():
    wave, lines, _ = line_flux(n2=-1.8, o3=0.3)
    ha, hb, o3, o3_weak = (flux_at(wave, lines, line * 1.1) for line in (6564.61, 4862.68, 5008.24, 4960.30))
    assert ha / hb == pytest.approx(2.86, rel=0.03)  # case B; [N II] adds 2 %
    assert o3 / o3_weak == pytest.approx(2.98, rel=0.01)
    assert np.log10(o3 / hb) == pytest.approx(0.3, abs=0.01)


def test_dust_raises_the_balmer_decrement():
    wave, lines, _ = line_flux(av=1.0, n2=-1.8)
    assert flux_at(wave, lines, 6564.61 * 1.1) / flux_at(wave, lines, 4862.68 * 1.1) > 3.2


def test_equivalent_width_of_halpha_is_what_was_asked_for():
    wave, lines, continuum = line_flux(n2=-1.9, ew_halpha=60.0)
    level = np.median(continuum[np.abs(wave - 6564.61 * 1.1) < 60])
    assert flux_at(wave, lines, 6564.61 * 1.1) / level / 1.1 == pytest.approx(60, rel=0.06)


def test_broad_line_width_and_blueshift():
    flux, centre, sigma = quasars.broad_lines(
        np.array([2.0]), np.array([-1.5]), np.array([4000.0]), np.array([900.0]), np.ones((1, 17))
    )
    civ = list(population.BROAD_NAMES).index("CIV")
    assert 10 ** centre[0, civ] == pytest.approx(1549.06 * (1 - 900 / 2.998e5) * 3, rel=1e-5)
    assert sigma[0, civ] < sigma[0, civ + 17]
    assert (flux > 0).all()


@pytest.mark.parametrize("z", [2.3, 3.0, 4.0])
def test_forest_has_the_measured_mean_optical_depth(z):
    loglam, count = BOSS.loglam(), 250
    transmission = np.ones((count, len(loglam)), np.float32)
    forest(
        transmission,
        loglam[0],
        np.full(count, z + 0.25),
        np.ones(count),
        RNG(1).standard_normal(transmission.shape, np.float32),
    )
    near = np.abs(10**loglam / 1215.67 - 1 - z) < 0.05
    assert -np.log(transmission[:, near].mean()) == pytest.approx(
        0.0018 * (1 + z) ** 3.92, rel=0.12
    )  # Faucher-Giguere et al. 2008
    assert (transmission[:, 10**loglam > 1215.67 * (z + 1.25)] == 1).all()


def test_galactic_extinction_of_the_standard_bands():
    ratio = galactic_extinction(np.array([3650.0, 4400.0, 5494.5, 8000.0]))
    assert ratio == pytest.approx([1.57, 1.32, 1.0, 0.60], abs=0.05)  # U, B, V, I: Cardelli et al. 1989, Table 3


@settings(max_examples=25, deadline=None)
@given(st.integers(-40, 400), st.floats(0, 0.999), st.floats(0.5, 12))
def test_projection_shifts_and_broadens_without_losing_flux(shift, fraction, sigma):
    basis = np.zeros((1, 1200), np.float32)
    basis[0, 600] = 1
    out = np.zeros((1, 512), np.float32)
    blocks = np.full((1, 512 // BLOCK), sigma, np.float32)
    project(
        basis,
        np.zeros((1, 1), np.int32),
        np.ones((1, 1), np.float32),
        np.array([300.0 + shift * 0.5 + fraction]),
        blocks,
        out,
    )
    place = 600 - (300 + shift * 0.5 + fraction)
    if 60 < place < 450:
        assert out.sum() == pytest.approx(1, abs=2e-3)
        assert (out[0] * np.arange(512)).sum() / out.sum() == pytest.approx(place, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.floats(3.62, 3.9), st.floats(0.8, 20), st.floats(0.1, 100))
def test_added_lines_hold_their_flux(centre, sigma, flux):
    loglam = SDSS.loglam()
    out = np.zeros((1, len(loglam)), np.float32)
    add_lines(out, loglam[0], np.array([[flux]]), np.array([[centre]]), np.array([[sigma]]))
    total = (out[0] * 10**loglam * STEP * np.log(10)).sum()
    assert total == pytest.approx(flux, rel=5e-3)
