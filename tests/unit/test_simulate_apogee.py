"""Mock APOGEE spectra: lines react to their own abundances, windows and continuum pixels follow, noise and clusters are as asked."""

import numpy as np
import pytest
from resurvey.errors import ResurveyError
from resurvey.simulate import (
    apogee_clusters,
    apogee_lines,
    apogee_molecules,
    apogee_observation,
    apogee_pipeline,
    apogee_population,
    apogee_spectra,
    apogee_templates,
    apogee_windows,
)
from resurvey.surveys.apogee_grid import DR13, FULL, WAVELENGTH
from resurvey.surveys.apogee_labels import ELEMENTS, MISSING, NAMES

STAR = apogee_windows.probes()[0]


def with_label(name, value):
    star = STAR.copy()
    star[NAMES.index(name)] = value
    return star


def depth_at(wave, star):
    flux = apogee_spectra.normalised(star)[0]
    return 1 - float(flux[np.argmin(np.abs(WAVELENGTH - wave))])


def test_band_heads_and_airglow_lie_where_they_are_known_to_be():
    head = apogee_molecules.carbon_monoxide().wavelength
    for known in (15582.0, 15782.0, 15983.0, 16189.5, 16399.0):  # CO 3-0 … 7-4, vacuum
        count, edges = np.histogram(head, np.arange(known - 16, known + 17, 2))
        assert abs(edges[count.argmax()] - known) < 6  # lines crowd at the head
    wave, strength = apogee_molecules.airglow()
    for known in (15240.96, 15332.41, 16030.85, 16128.64, 16692.38):  # strongest OH lines, vacuum
        near = np.abs(wave - known) < 2
        assert strength[near].max() > 0.25


@pytest.mark.parametrize(
    ("name", "wave"),
    [("mg_h", 15770.2), ("al_h", 16755.1), ("k_h", 15172.5), ("ca_h", 16161.8), ("fe_h", 15626.0), ("ni_h", 16593.8), ("p_h", 15715.8)],
)  # fmt: skip
def test_depth_grows_with_the_line_s_own_abundance_and_saturates(name, wave):
    poor, solar, rich = (depth_at(wave, with_label(name, value)) for value in (-1.1, -0.1, 0.4))
    assert 0 <= poor < solar < rich < apogee_lines.DEEPEST
    other = "ca_h" if name != "ca_h" else "mg_h"
    assert abs(depth_at(wave, with_label(other, 0.4)) - solar) < 0.2 * (rich - solar)
    if solar > 0.3:  # the curve of growth flattens: less than in proportion to the atoms
        assert rich < solar * 10**0.5 * 0.6


def test_carbon_and_oxygen_hold_each_other_in_carbon_monoxide():
    normal = apogee_spectra._molecules(STAR[None])
    oxygen = apogee_spectra._molecules(with_label("o_h", 0.3)[None])
    carbon = apogee_spectra._molecules(with_label("c_h", 0.3)[None])
    assert oxygen["OH"] > normal["OH"] and oxygen["CN"] < normal["CN"]
    assert carbon["CO"] > normal["CO"] and carbon["OH"] < normal["OH"] and carbon["CN"] > normal["CN"]


def test_hydrogen_and_gravity():
    bracket = 1e8 / (apogee_lines.RYDBERG * (1 / 16 - 1 / 14**2))  # H I 4-14
    cool, warm = with_label("teff", 4200.0), with_label("teff", 6800.0)
    assert depth_at(bracket, warm) > depth_at(bracket, cool) + 0.05
    lines = apogee_lines.line_list()
    ionised = lines.element == ELEMENTS.index("TiII")
    ratio = [apogee_spectra.line_opacities(with_label("logg", g)[None])[0, ionised][0] for g in (1.0, 3.0)]
    assert ratio[0] > 2 * ratio[1]


def test_shift_and_broadening():
    still = apogee_spectra.normalised(STAR)[0]
    moved = apogee_spectra.normalised(STAR, shift=2 * apogee_spectra.FINE_KMS * 3)[0]  # three pixels to the red
    assert np.allclose(moved[203:8000], still[200:7997], atol=2e-4)
    wide = apogee_spectra.normalised(STAR, macro=15.0)[0]
    inner = slice(500, 8000)
    assert np.sum(1 - wide[inner]) == pytest.approx(np.sum(1 - still[inner]), rel=0.01)  # equivalent widths stay
    assert wide[inner].min() > still[inner].min() + 0.05


def test_one_star_does_not_depend_on_its_neighbours():
    stars = np.array([STAR, with_label("al_h", 0.5), with_label("teff", 5200.0)])
    assert np.allclose(apogee_spectra.normalised(stars)[1], apogee_spectra.normalised(stars[1])[0], atol=1e-6)


def test_windows_have_the_sizes_and_hold_their_element_s_lines():
    windows = apogee_windows.windows()
    pixels = {element: np.array([p for name, p, _ in windows if name == element]) for element in ELEMENTS}
    sizes = {element: found.size for element, found in pixels.items()}
    for element in ("C", "N", "Fe", "O", "CI", "Mg", "Al", "Si", "S", "Ca"):
        assert sizes[element] == apogee_windows.SIZES[element]
    assert all(3 <= sizes[element] <= apogee_windows.SIZES[element] for element in ELEMENTS)
    assert all(0 < weight <= 1 for *_, weight in windows)
    reaction = DR13.cut(np.mean([apogee_spectra.sensitivity(star) for star in apogee_windows.probes()], axis=0))
    for k, element in enumerate(ELEMENTS):
        if element not in apogee_windows.BANDS:
            assert (reaction[:, pixels[element]].argmax(axis=0) == k).all()
        outside = np.delete(reaction[k], pixels[element])
        assert reaction[k, pixels[element]].mean() > 3 * outside.mean()


def test_aluminium_outside_its_windows_changes_nothing():
    window = np.array([p for name, p, _ in apogee_windows.windows() if name == "Al"])
    change = np.abs(DR13.cut(apogee_spectra.normalised(with_label("al_h", 0.4)) - apogee_spectra.normalised(STAR))[0])
    assert change[window].max() > 0.03
    assert np.median(np.delete(change, window)) < 1e-6


def test_continuum_pixels_are_nearly_free_of_lines():
    pixels = apogee_windows.continuum_pixels()
    counts = [((pixels >= start) & (pixels < stop)).sum() for start, stop in DR13.runs]
    assert tuple(counts) == apogee_windows.CONTINUUM and np.unique(pixels).size == 529
    absorbed = 1 - apogee_spectra.normalised(apogee_windows.probes())
    assert absorbed[:, pixels].mean() < 0.012
    assert absorbed[:, DR13.index].mean() > 3 * absorbed[:, pixels].mean()
    for start, stop in DR13.runs:  # a polynomial is held at both ends
        inside = pixels[(pixels >= start) & (pixels < stop)]
        assert inside.min() < start + (stop - start) / 12 and inside.max() > stop - (stop - start) / 12


def test_population_is_the_one_asked_for():
    table = apogee_population.draw(3000, 200, np.random.default_rng(1))
    labels = {name: table["labels"][:, k] for k, name in enumerate(NAMES)}
    giants = (table["kind"] == "giant") & (table["cluster"] == "")
    assert giants[:3000].mean() == pytest.approx(0.85, abs=0.03)
    assert labels["teff"][giants].min() >= 4000 and labels["teff"][giants].max() <= 5500
    assert labels["logg"][giants].min() >= 0.4 and labels["logg"][giants].max() <= 3.8
    assert labels["teff"][giants].mean() == pytest.approx(4655, abs=120)  # means of the paper's training set
    assert labels["fe_h"][giants].mean() == pytest.approx(-0.12, abs=0.08)
    assert (labels["logg"][table["kind"] == "dwarf"] > 3.9).all()
    magnesium = labels["mg_h"] - labels["fe_h"]
    assert np.corrcoef(magnesium[giants], labels["fe_h"][giants])[0, 1] < -0.4
    assert np.corrcoef((labels["c_h"] - labels["fe_h"])[giants], (labels["n_h"] - labels["fe_h"])[giants])[0, 1] < 0


def test_clusters_have_their_means_and_spreads():
    table = apogee_population.draw(0, 2000, np.random.default_rng(2))
    for cluster in apogee_clusters.CLUSTERS:
        mine = table["labels"][table["cluster"] == cluster.name][:, 2:]
        mean, spread = mine.mean(0), mine.std(0)
        at = dict(zip(ELEMENTS, zip(mean, spread, strict=True), strict=True))
        assert at["Fe"][0] == pytest.approx(cluster.metals, abs=0.01)
        if cluster.name == "M13":
            assert at["Al"][1] == pytest.approx(0.5, abs=0.1)
            assert at["Mg"][1] == pytest.approx(0.12, abs=0.05) and at["Ni"][1] < 0.08
            assert np.corrcoef(mine[:, ELEMENTS.index("Mg")], mine[:, ELEMENTS.index("Al")])[0, 1] < -0.5
            assert at["N"][0] - at["Fe"][0] == pytest.approx(0.85, abs=0.05)
        else:
            assert spread == pytest.approx(np.full(20, apogee_clusters.OPEN_SPREAD), abs=0.003)


def test_other_globular_clusters_spread_along_m13s_anti_correlation():
    table = apogee_population.draw(0, 400, np.random.default_rng(2), globulars=1500)
    kept = apogee_population.draw(0, 400, np.random.default_rng(2))
    assert all((table[name][: len(kept[name])] == kept[name]).all() for name in kept)  # nobody else changes
    spreads = {}
    for cluster in apogee_clusters.GLOBULARS:
        mine = table["labels"][table["cluster"] == cluster.name][:, 2:]
        at = {element: mine[:, ELEMENTS.index(element)] for element in ("Fe", "Mg", "Al", "N")}
        assert len(mine) == 1500 and at["Fe"].mean() == pytest.approx(cluster.metals, abs=0.01)
        assert np.corrcoef(at["Mg"], at["Al"])[0, 1] < -0.3 and np.corrcoef(at["N"], at["Al"])[0, 1] > 0.5
        spreads[cluster.metals] = at["Al"].std()
    assert spreads[-1.01] < 0.25 < spreads[-1.24] < spreads[-1.95]  # metal-poor clusters spread more


def observed(sn=180.0, shift=(12.0, -18.0, 3.0), persistence=0, seed=0):
    light = apogee_observation.continuum(4650, 11.0, 0.1)
    spectrum = apogee_spectra.normalised(STAR)[0]
    rng = np.random.default_rng(seed)
    return apogee_observation.observe(spectrum, light, sn, np.array(shift), persistence, rng), spectrum * light


@pytest.mark.parametrize("sn", [25.0, 180.0, 600.0])
def test_signal_to_noise_is_as_asked_and_visits_combine_to_it(sn):
    seen, _ = observed(sn)
    assert seen.sn == pytest.approx(sn, rel=0.05)
    assert np.sqrt((seen.visit_sn**2).sum()) == pytest.approx(sn, rel=0.05)
    assert seen.flux.shape == seen.error.shape == seen.mask.shape == (5, FULL)


def test_errors_describe_the_noise():
    seen, expected = observed(100.0, (10.0,))
    assert seen.flux.shape == (1, FULL)
    middle = slice(*DR13.runs[1])
    clean = (seen.mask[0, middle] == 0) & (seen.error[0, middle] < 1e9)
    ratio = (seen.flux[0, middle] / expected[middle])[clean]
    smooth = np.polynomial.Polynomial.fit(np.arange(ratio.size), ratio, 4)(
        np.arange(ratio.size)
    )  # what is left of the response
    pull = (ratio - smooth) * expected[middle][clean] / seen.error[0, middle][clean]
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.07)
    assert (np.abs(pull) > 6).mean() < 0.01


def test_gaps_and_bad_pixels_hold_nothing_and_sky_lines_are_marked():
    seen, _ = observed()
    gap = np.ones(FULL, bool)
    gap[DR13.index] = False
    gap[3255:3300] = gap[200:260] = False  # the detectors' edges move with the velocity
    for row in range(5):
        assert (seen.flux[row, gap][seen.error[row, gap] >= apogee_observation.NO_DATA] == 0).all()
        assert (seen.error[row, 3400:3500] >= apogee_observation.NO_DATA).all()
    visit = 2
    sky = (seen.mask[visit] & apogee_observation.SKYLINE) != 0
    data = seen.error[visit] < apogee_observation.NO_DATA
    assert 0.01 < sky[DR13.index].mean() < 0.12
    assert np.median(seen.error[visit][sky & data]) > 1.5 * np.median(seen.error[visit][~sky & data])
    centres = WAVELENGTH[sky & data] * (1 + seen.shift[0] / 299792.458)
    assert np.abs(centres - 15241.1).min() < 1.0  # where the Earth sees it, not the star
    assert (seen.mask[0] & seen.mask[2] == seen.mask[2]).all()  # row 0: OR of the visits
    assert (seen.mask[1] & ~seen.mask[2] == 0).all()  # row 1: AND
    assert ((seen.mask[2] & apogee_observation.BADPIX) != 0)[DR13.index].sum() > 10
    assert ((seen.mask[2] & apogee_observation.CRPIX) != 0).sum() > 2


def test_persistence_brightens_the_blue_end():
    none, high = observed(seed=3)[0], observed(seed=3, persistence=1)[0]
    blue = slice(2500, 3200)
    assert np.median(high.flux[1, blue] / none.flux[1, blue]) > 1.03
    assert np.median(high.flux[1, 6500:8000] / none.flux[1, 6500:8000]) == pytest.approx(1, abs=0.005)
    assert ((high.mask[2, blue] & apogee_observation.PERSIST[0]) != 0).mean() > 0.99


def test_pseudo_continuum_gives_back_the_lines():
    seen, _ = observed(500.0)
    flux, error = apogee_pipeline.pseudo_continuum(seen.flux[1:2], seen.error[1:2], seen.mask[1:2])
    inside = np.zeros(FULL, bool)
    inside[DR13.index] = True
    good = inside & (seen.mask[1] == 0) & (error[0] < 1)
    residual = (flux[0] - apogee_spectra.normalised(STAR)[0])[good]
    assert np.median(residual) == pytest.approx(0.01, abs=0.012) and np.std(residual) < 0.02
    assert (flux[0, ~inside] == 0).all()


def test_pipeline_leaves_out_what_it_cannot_measure():
    rng = np.random.default_rng(4)
    table = apogee_population.draw(4000, 100, rng)
    truth, sn = table["labels"], np.full(len(table["labels"]), 200.0)
    found = apogee_pipeline.labels(truth, table["kind"], sn, rng)
    value, error = found["value"], found["error"]
    assert ((value == MISSING) == (error == MISSING)).all()
    dwarf = table["kind"] == "dwarf"
    assert (value[dwarf, 1] == MISSING).all() and (value[~dwarf & (truth[:, 1] < 3.5), 1] != MISSING).all()
    m13 = table["cluster"] == "M13"
    sodium = NAMES.index("na_h")
    assert (value[m13, sodium] == MISSING).mean() > 0.95
    assert (value[table["cluster"] == "M67", sodium] == MISSING).mean() < 0.1
    pull = ((value - truth) / error)[(value != MISSING)]
    assert np.std(pull) == pytest.approx(1.0, abs=0.02) and abs(np.mean(pull)) < 0.02
    low = apogee_pipeline.labels(truth, table["kind"], sn / 8, rng)
    assert (low["value"] == MISSING).mean() > (value == MISSING).mean()


def test_missing_templates_are_named(tmp_path):
    (tmp_path / apogee_templates.FILES["windows"]).write_bytes(b"")
    with pytest.raises(ResurveyError, match=r"cannon_apokasc_quadratic_model\.fits, binspec"):
        apogee_templates.model(str(tmp_path))
    for name in apogee_templates.FILES.values():
        (tmp_path / name).write_bytes(b"not FITS")
    with pytest.raises(ResurveyError, match="not the published ones"):
        apogee_templates.model(str(tmp_path))


@pytest.mark.real
def test_templates_of_real_giants(shared):
    model = apogee_templates.model(str(shared / "reference/apogee"))
    mean = np.loadtxt(
        shared / "reference/apogee/mean_training_spectrum_astroNN_0617_run001.csv", delimiter=",", skiprows=1
    )[:, 1]
    stars = np.array([STAR, with_label("al_h", 0.5), with_label("logg", 4.5)])
    flux = DR13.cut(model.normalised(stars))
    common = np.isin(DR13.index, np.arange(330, 3230))
    assert np.corrcoef(flux[0, common], mean[common])[0, 1] > 0.97
    sizes = {element: sum(1 for name, *_ in model.windows() if name == element) for element in ELEMENTS}
    assert sizes == apogee_windows.SIZES
    aluminium = np.array([p for name, p, _ in model.windows() if name == "Al"])
    assert (flux[1] <= flux[0] + 1e-6).all() and (flux[0] - flux[1])[aluminium].max() > 0.03
    assert np.abs(np.delete(flux[1] - flux[0], aluminium)).max() < 1e-6
    assert 0.3 < flux[2].min() < flux[2].max() <= 1.2
    assert model.continuum_pixels().size == 529


@pytest.mark.real
def test_line_list_looks_like_real_giants(shared):
    mean = np.loadtxt(
        shared / "reference/apogee/mean_training_spectrum_astroNN_0617_run001.csv", delimiter=",", skiprows=1
    )[:, 1]
    mine = DR13.cut(apogee_spectra.normalised(STAR))[0]
    assert np.corrcoef(mine, mean)[0, 1] > 0.6
    assert mine.mean() == pytest.approx(mean.mean(), abs=0.02) and mine.std() == pytest.approx(mean.std(), rel=0.3)
