"""The paper's formulas on cases worked by hand, and their properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from resurvey.metrics import redshift as rs

ONE = np.array([1.0])
redshifts = arrays(float, 12, elements=st.floats(0, 6, width=32))


def test_bias_is_a_natural_logarithm():
    assert rs.bias(ONE, np.array([3.0])) == pytest.approx(math.log(2))
    assert rs.bias(np.array([3.0]), ONE) == pytest.approx(math.log(2))


def test_bias_below_minus_one_is_never_good():
    assert rs.bias(ONE, np.array([-1.0]))[0] == np.inf
    assert rs.bias(ONE, np.array([-3.0]))[0] == np.inf
    assert rs.good_fraction(ONE, np.array([-3.0]), 1e9) == 0


def test_good_fraction_is_strict():
    true, predicted = np.zeros(1), np.array([0.001])
    limit = rs.bias(true, predicted)[0]
    assert rs.good_fraction(true, predicted, limit) == 0
    assert rs.good_fraction(true, predicted, np.nextafter(limit, 1)) == 1


def test_errors_worked_by_hand():
    true, predicted = np.array([0.0, 1.0, 6.0]), np.array([0.1, 0.8, 5.0])
    assert rs.mean_absolute_error(true, predicted) == pytest.approx((0.1 + 0.2 + 1.0) / 3)  # 6 is not clipped to 5
    assert rs.relative_error(true, predicted) == pytest.approx((0.1 + 0.1 + 1 / 7) / 3)
    assert rs.nmad(true, predicted) == pytest.approx(1.4826 * (1 / 7 - 0.1))
    assert rs.outlier_fraction(true, predicted, 0.11) == pytest.approx(1 / 3)


def test_t_and_coverage():
    true, predicted, sigma = np.zeros(4), np.array([0.5, 1.5, 3.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
    assert rs.t_values(true, predicted, sigma).tolist() == [0.5, 1.5, 3.0, 0.0]
    assert rs.coverage(true, predicted, sigma, 3) == 0.75  # t = 3 is outside
    assert rs.t_values(true, predicted, np.zeros(4))[0] == np.inf


def test_gaussian_errors_have_gaussian_coverage():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2, 100_000)
    off = rng.normal(0, sigma)
    for k, expected in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert rs.coverage(np.zeros_like(off), off, sigma, k) == pytest.approx(expected, abs=0.006)
    assert rs.nmad(np.zeros(100_000), rng.normal(0, 0.3, 100_000)) == pytest.approx(0.3, rel=0.02)


def test_robust_is_strict():
    assert rs.robust_fraction(np.array([0.001, 0.0011, 0.0009]), 0.001) == pytest.approx(1 / 3)


def test_sn_ranges_leave_nothing_out():
    ranges = rs.sn_ranges([0, 5, 10])
    assert [name for name, *_ in ranges] == ["S/N<5", "5≤S/N<10", "S/N>10"]
    for value in (-9.0, 0.0, 4.999, 5.0, 9.999, 10.0, 1e3):
        assert sum(low <= value < high for _, low, high in ranges) == 1


@given(redshifts, redshifts, st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_good_fraction_grows_with_its_limit(true, predicted, a, b):
    low, high = sorted((a, b))
    assert 0 <= rs.good_fraction(true, predicted, low) <= rs.good_fraction(true, predicted, high) <= 1


@given(redshifts, redshifts)
def test_bias_is_symmetric_and_bounds_the_relative_error(true, predicted):
    forth, back = rs.bias(true, predicted), rs.bias(predicted, true)
    np.testing.assert_allclose(forth, back, atol=1e-12)
    np.testing.assert_allclose(rs.bias(true, true), 0)
    assert rs.relative_error(true, predicted) <= np.expm1(forth).mean() + 1e-9
