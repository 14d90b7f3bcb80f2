"""The paper's formulas of labels on cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from astropy.stats import mad_std as astropy_mad_std
from resurvey.metrics import label_clusters as lc
from resurvey.metrics import residuals as rs
from resurvey.metrics.label_curves import Bins, curve, mae_at, self_pairs

NAN = np.nan


def test_median_and_sigma_mad_by_hand():
    predicted, survey = np.array([4510.0, 4480, 4600, 4700, 5000]), np.array([4500.0, 4500, 4600, 4690, 4900])
    off = rs.residual(predicted, survey)  # 10, -20, 0, 10, 100
    assert rs.median(off) == 10
    assert rs.mad_std(off) == pytest.approx(1.4826022 * 10)  # |off - 10| = 0, 30, 10, 0, 90
    assert rs.median_absolute_error(predicted, survey) == 10  # of 10, 20, 0, 10, 100


def test_sigma_mad_is_astropys_and_of_a_gaussian_its_sigma():
    values = np.random.default_rng(1).normal(3, 0.05, 20001)
    assert rs.mad_std(values) == pytest.approx(astropy_mad_std(values), rel=1e-14)
    assert rs.mad_std(values) == pytest.approx(0.05, rel=0.02)


def test_missing_values_are_no_pairs():
    predicted, survey = np.array([1.0, 2.0, 3.0, NAN]), np.array([0.5, NAN, 2.7, 1.0])
    np.testing.assert_allclose(rs.residual(predicted, survey), [0.5, 0.3])
    assert rs.median(rs.residual(predicted, survey)) == pytest.approx(0.4)
    assert all(np.isnan(f(np.array([NAN]))) for f in (rs.median, rs.mad_std, rs.mean))


def test_coverage_by_hand():
    predicted, survey = np.zeros(6), np.array([0.5, 1.0, 1.5, 2.5, NAN, 0.1])
    sigma = np.array([1.0, 1.0, 1.0, 1.0, 1.0, NAN])
    assert rs.coverage(predicted, survey, sigma, 1) == 0.25  # 1.0 is not below 1 sigma
    assert rs.coverage(predicted, survey, sigma, 2) == 0.75


def test_correlation():
    x = np.array([1.0, 2, 3, NAN])
    assert rs.correlation(x, np.array([2.0, 1, 0, 7])) == pytest.approx(-1)
    assert np.isnan(rs.correlation(x, np.array([2.0, 2, 2, 2]))) and np.isnan(rs.correlation(x[:2], x[:2]))


def test_bins_are_half_open():
    bins = Bins(4000, 75, 20)
    assert bins.edges[[0, 1, 20]].tolist() == [4000, 4075, 5500]
    assert bins.number([3999.9, 4000, 4074.9, 4075, 5499.9, 5500, NAN]).tolist() == [-1, 0, 0, 1, 19, -1, -1]
    gravity = Bins(0.4, 0.2, 17)
    assert gravity.edges[-1] == pytest.approx(3.8) and gravity.number([0.4, 0.61, 3.79, 3.81]).tolist() == [
        0,
        1,
        16,
        -1,
    ]


def test_curve_by_hand():
    x = np.array([1.0, 4.0, 5.0, 6.0, 9.0, 50.0])
    predicted = np.array([1.0, 3.0, 2.0, 2.0, NAN, 0.0])
    reference = np.array([2.0, 1.0, 2.0, NAN, 1.0, 0.0])
    total, model = np.array([0.1, 0.3, 0.5, 9.0, 9.0, 9.0]), np.array([0.1, 0.2, 0.4, 9.0, 9.0, 9.0])
    found = curve(x, predicted, reference, Bins(0, 5, 3), total, model)
    assert found["n"].tolist() == [2, 1, 0]
    assert found.loc[0, ["mae", "offset", "total", "model"]].tolist() == pytest.approx([1.5, 0.5, 0.2, 0.15])
    assert found.loc[1, ["mae", "offset", "total"]].tolist() == [0, 0, 0.5]
    assert found.loc[2, ["mae", "offset", "total", "model"]].isna().all()
    assert curve(x, predicted, reference, Bins(0, 5, 3))["total"].isna().all()


def visits(rows):
    names = ["apogee_id", "location_id", "visit", "split", "sn_median", "teff_pred"]
    return pd.DataFrame(rows, columns=names)


def test_visits_meet_the_combined_spectrum_of_their_star_and_field():
    table = visits([
        ("a", 1, 0, "test", 150, 4500.0),
        ("a", 1, 1, "test_visits", 50, 4530.0),
        ("a", 1, 2, "test_visits", 60, 4400.0),
        ("a", 2, 0, "test", 140, 4900.0),  # the same star in another field
        ("b", 1, 1, "test_visits", 59, 4700.0),  # its combined spectrum is not there
        ("c", 1, 0, "train", 300, 4800.0),
        ("c", 1, 1, "train_visits", 55, 4900.0),
    ])  # fmt: skip
    pairs = self_pairs(table)
    assert pairs[["teff_pred", "teff_combined"]].to_numpy().tolist() == [[4530, 4500], [4400, 4500]]
    assert mae_at(pairs, "teff", 50, 60) == (30, 1)  # 60 belongs to the next bin
    assert mae_at(pairs, "teff", 60, 70) == (100, 1)
    assert self_pairs(table, "train_visits")["teff_combined"].tolist() == [4800]


def cluster(mg, fe, survey_fe, **changes):
    n = len(mg)
    return pd.DataFrame({
        "apogee_id": [f"s{i}" for i in range(n)], "visit": 0, "cluster": "M67", "sn_median": 100.0, "starflag": 0.0,
        "mg_h_pred": mg, "fe_h_pred": fe, "mg_h_true": mg, "fe_h_true": survey_fe, "mg_h_total": 0.02, "fe_h_total": 0.01,
        "teff_pred": 4500.0, "teff_true": 4500.0, "teff_total": 20.0,
    } | changes)  # fmt: skip


def test_spreads_of_a_cluster_by_hand():
    stars = cluster([0.1, 0.2, 0.3, 0.5], [0.0, 0.1, 0.1, 0.1], [0.0, NAN, 0.1, 0.3])
    found = lc.spreads(stars, ["teff", "mg_h", "fe_h"]).set_index(["label", "source", "scale"])
    assert set(found.index) == {
        (label, source, "x_h") for label in ("mg_h", "fe_h") for source in ("network", "survey")
    } | {("mg_h", source, "x_fe") for source in ("network", "survey")}
    row = found.loc["mg_h", "network", "x_h"]  # median .25, deviations .15 .05 .05 .25
    assert (row["n"], row["mean"]) == (4, pytest.approx(0.275))
    assert row["spread"] == pytest.approx(1.4826022 * 0.1) and row["spread_over_sqrt_n"] == pytest.approx(
        row["spread"] / 2
    )
    assert row["total"] == pytest.approx(0.02)
    row = found.loc["mg_h", "network", "x_fe"]  # .1 .1 .2 .4
    assert row["mean"] == pytest.approx(0.2) and row["spread"] == pytest.approx(1.4826022 * 0.05)
    row = found.loc["fe_h", "survey", "x_h"]  # 0 .1 .3: the missing one is in neither mean nor N
    assert (row["n"], row["mean"]) == (3, pytest.approx(0.4 / 3)) and row["spread"] == pytest.approx(1.4826022 * 0.1)
    assert found.loc["mg_h", "survey", "x_fe"]["n"] == 3


def test_members_have_no_starflag_and_stand_once():
    table = pd.concat([
        cluster([0.1, 0.2], [0, 0], [0, 0], starflag=[0.0, 4.0]),
        cluster([0.4], [0], [0], sn_median=200.0),  # s0 again, of higher S/N
        cluster([0.9], [0], [0], visit=1, apogee_id="s7"),
        cluster([0.9], [0], [0], cluster="M13", apogee_id="s8"),
        cluster([0.6], [0], [0], starflag=NAN, apogee_id="s9"),
    ], ignore_index=True)  # fmt: skip
    assert lc.members(table, "M67")["mg_h_pred"].tolist() == [0.4, 0.6]
    assert lc.members(table, "NGC 188").empty


def test_homogeneity_is_the_mean_over_clusters_and_elements():
    one = cluster([0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [0, 0, 0])  # spreads 1.48 · .1 and 0
    two = cluster(
        [0.0, 0.1, 0.4], [0.0, 0.2, 0.4], [0, 0, 0], cluster="NGC 6819", mg_h_total=0.04
    )  # 1.48 · .1, 1.48 · .2
    two["apogee_id"] = ["t0", "t1", "t2"]
    spread, uncertainty, n = lc.homogeneity(pd.concat([one, two]), ["M67", "NGC 6819"], ["teff", "mg_h", "fe_h"])
    assert spread == pytest.approx(1.4826022 * 0.1) and n == 6
    assert uncertainty == pytest.approx((0.02 + 0.01 + 0.04 + 0.01) / 4)
    assert lc.homogeneity(one, ["M67", "NGC 6819"], ["mg_h"])[2] == 3
    assert np.isnan(lc.homogeneity(one.iloc[:0], ["M67"], ["mg_h"])[0])
