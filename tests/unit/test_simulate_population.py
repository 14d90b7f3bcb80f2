"""The mock survey's classes follow the pipeline's rules, and its redshifts and S/N follow Table 1 of the paper."""

import numpy as np
import pytest
from resurvey.errors import ResurveyError
from resurvey.simulate import distributions, labels, population

TABLE_1 = {   # Zhong et al. 2024, Table 1: mean z, range of z, mean S/N
    "STAR_A0": (None, None, 26.2), "STAR_F5": (None, None, 30.5), "STAR_F9": (None, None, 34.9), "STAR_G2": (None, None, 33.7),
    "STAR_K1": (None, None, 32.8), "STAR_K3": (None, None, 31.1), "STAR_K5": (None, None, 31.0),
    "GALAXY_nan": (0.46, (0.00, 1.86), 5.82), "GALAXY_AGN": (0.21, (0.00, 0.57), 14.3),
    "GALAXY_STARBURST": (0.15, (0.00, 0.57), 9.78), "GALAXY_STARFORMING": (0.11, (0.00, 0.56), 12.4),
    "QSO_nan": (1.68, (0.01, 7.04), 2.64), "QSO_BROADLINE": (1.78, (0.03, 5.29), 6.54),
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    tables = {}
    for i, label in enumerate(distributions.LABELS):
        kind, _, name = label.partition("_")
        tables[label] = population.draw_class(np.random.default_rng(i), kind, "" if name == "nan" else name, 1500)
    return tables


@pytest.mark.parametrize("label", TABLE_1)
def test_redshift_and_signal_to_noise_follow_table_1(drawn, label):
    mean, limits, sn = TABLE_1[label]
    table = drawn[label]
    assert table["sn"].mean() == pytest.approx(sn, rel=0.10)
    if mean is None:
        assert np.abs(table["z"]).max() * 2.998e5 < 900  # km/s
    else:
        assert table["z"].mean() == pytest.approx(mean, rel=0.10)
        assert limits[0] <= table["z"].min() and table["z"].max() <= limits[1] + 0.01


def test_all_thirteen_classes_and_no_other():
    assert set(distributions.LABELS) == set(TABLE_1)


def test_galaxies_lie_where_their_class_says(drawn):
    agn, forming, burst = (drawn[f"GALAXY_{name}"] for name in ("AGN", "STARFORMING", "STARBURST"))
    for table, side in ((agn, 1), (forming, -1), (burst, -1)):
        distance = side * (table["o3"] - (0.7 - 1.2 * (table["n2"] + 0.4)))
        assert np.mean(distance > 0) > 0.85  # the rest was scattered across the line by noise
    assert np.mean(burst["ew_halpha"] > 50) > 0.95
    assert np.mean(forming["ew_halpha"] < 50) > 0.95


def test_classes_are_neighbours_in_one_space(drawn):
    """No gap between star-forming and starburst, passive and active: the border regions are populated."""
    forming, burst = drawn["GALAXY_STARFORMING"]["ew_halpha"], drawn["GALAXY_STARBURST"]["ew_halpha"]
    assert np.mean(forming > 40) > 0.05
    assert np.mean(burst < 60) > 0.05
    for low, high in (("K5", "K3"), ("K3", "K1"), ("G2", "F9"), ("F9", "F5")):
        border = population.STAR_BOUNDS[low][1]
        cool, hot = drawn[f"STAR_{low}"]["teff"], drawn[f"STAR_{high}"]["teff"]
        assert np.mean(cool > 0.99 * border) > 0.05
        assert np.mean(hot < 1.01 * border) > 0.05


def test_rule_for_galaxies():
    lines = {name: np.array(values, float) for name, values in {
        "Hbeta": [10, 10, 10, 10, 1], "OIII": [50, 5, 5, 5, 5], "Halpha": [30, 30, 30, 30, 30], "NII": [20, 9, 9, 9, 9]}.items()}  # fmt: skip
    errors = {name: np.full(5, 0.6) for name in lines}
    ew, sigma = np.array([20, 20, 51, 49.9, 20.0]), np.array([100, 100, 100, 100, 100.0])
    assert labels.galaxy_subclass(lines, errors, ew, sigma).tolist() == [
        "AGN",
        "STARFORMING",
        "STARBURST",
        "STARFORMING",
        "",
    ]
    wide = labels.galaxy_subclass(lines, errors, ew, np.full(5, 400.0))
    assert wide.tolist() == [
        "AGN BROADLINE",
        "STARFORMING BROADLINE",
        "STARBURST BROADLINE",
        "STARFORMING BROADLINE",
        "BROADLINE",
    ]


def test_broad_lines_are_found_at_high_signal_to_noise_only():
    table = population.empty(400)
    table["z"][:], table["instrument"][:] = 1.6, "BOSS"
    rng = np.random.default_rng(0)
    population.draw_quasars(rng, table)
    found = {}
    for sn in (0.8, 3.0, 12.0):
        table["sn"][:] = sn
        found[sn] = np.mean(population.quasar_subclass(rng, table) == "BROADLINE")
    assert found[0.8] < 0.1 < found[3.0] < 0.9 < found[12.0]


def test_lines_beyond_the_red_end_are_not_detected():
    error = labels.width_error(np.full(3, 20.0), np.array([0.1, 0.39, 0.45]), 6585.28, np.full(3, 120.0), "SDSS")
    assert np.isfinite(error).tolist() == [True, True, False]


def test_types_are_intervals_of_temperature_with_noise(drawn):
    for name, (low, high) in population.STAR_BOUNDS.items():
        teff = drawn[f"STAR_{name}"]["teff"]
        assert low * 0.93 <= teff.min() and teff.max() <= high * 1.07
        assert 0.6 < np.mean((teff >= low) & (teff < high)) < 1.0


def test_unreachable_class_is_refused(monkeypatch):
    monkeypatch.setitem(
        population.DRAW, "GALAXY", (population.draw_galaxies, lambda rng, table: np.full(len(table["sn"]), ""))
    )
    with pytest.raises(ResurveyError, match="GALAXY_AGN"):
        population.draw_class(np.random.default_rng(0), "GALAXY", "AGN", 3)
