"""Confusion matrices: orientation, normalisation, collapsing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from resurvey.metrics import classification as cl

LABELS = ["STAR_A0", "STAR_K5", "GALAXY_AGN", "QSO_nan"]


def test_columns_are_true_classes():
    matrix = cl.confusion(["STAR_A0", "STAR_A0", "QSO_nan"], ["STAR_K5", "STAR_A0", "QSO_nan"], LABELS)
    assert matrix[:, 0].tolist() == [1, 1, 0, 0]
    assert matrix[3].tolist() == [0, 0, 0, 1]
    assert cl.class_accuracies(matrix)[[0, 3]].tolist() == [0.5, 1.0]


def test_average_is_over_classes_not_spectra():
    matrix = np.diag([1, 0, 98, 1]) + np.array([[0, 0, 0, 1], [0] * 4, [0] * 4, [0] * 4])
    assert cl.average_accuracy(matrix) == pytest.approx((1 + 1 + 0.5) / 3)  # the class without objects does not count


def test_unknown_class_is_named():
    with pytest.raises(ValueError, match="STAR_M9"):
        cl.confusion(["STAR_M9"], ["STAR_A0"], LABELS)


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60))
def test_columns_sum_to_one_and_collapsing_keeps_all(pairs):
    matrix = cl.confusion([t for t, _ in pairs], [p for _, p in pairs], LABELS)
    sums = cl.along_columns(matrix).sum(0)
    assert np.allclose(sums[np.isfinite(sums)], 1)
    assert np.isfinite(sums).tolist() == (matrix.sum(0) > 0).tolist()
    coarse, groups = cl.collapsed(matrix, LABELS)
    assert groups == ["STAR", "GALAXY", "QSO"]
    assert coarse.sum() == len(pairs)
    assert np.trace(coarse) >= np.trace(matrix)
