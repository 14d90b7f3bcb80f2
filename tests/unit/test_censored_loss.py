"""The robust objective (Eqs. 5-7) against sums worked out by hand."""

import math

import pytest
import torch
from resurvey.networks.censored_loss import Censored, objective
from resurvey.networks.heads import make_head

NAN = float("nan")


def pair(*labels: tuple[float, float]) -> torch.Tensor:
    """One spectrum: (labels, 2)."""
    return torch.tensor([labels], dtype=torch.float32)


def test_one_label_without_error():
    # y = 1, ŷ = 3, v = ln 4: ½·4/4 + ½·ln 4
    found = objective(pair((3.0, math.log(4))), pair((1.0, 0.0)))
    assert found.tolist() == pytest.approx([0.5 + 0.5 * math.log(4)])


def test_error_and_predictive_variance_add_up():
    # e^v = 1, err² = 3: s = ln 4
    found = objective(pair((3.0, 0.0)), pair((1.0, math.sqrt(3))))
    assert found.tolist() == pytest.approx([0.5 + 0.5 * math.log(4)])


def test_missing_labels_count_nothing_and_the_rest_is_scaled_up():
    # D = 3, one missing; losses of the others ½ (Δ = 1, s = 0) and ½·9 + 0 = 4.5; (0.5 + 4.5)/3 · 3/2 = 2.5
    outputs = pair((1.0, 0.0), (77.0, 5.0), (3.0, 0.0))
    assert objective(outputs, pair((0.0, 0.0), (NAN, NAN), (0.0, 0.0))).tolist() == pytest.approx([2.5])
    # an unknown error is none, and the error of a missing label does not matter
    assert objective(outputs, pair((0.0, NAN), (NAN, 0.3), (0.0, 0.0))).tolist() == pytest.approx([2.5])


def test_gradients_are_those_of_the_formula_and_nothing_comes_from_missing_labels():
    outputs = pair((2.0, math.log(2)), (5.0, 1.0)).requires_grad_()
    target = pair((1.0, math.sqrt(2)), (NAN, NAN))
    objective(outputs, target).sum().backward()
    # s = ln(2 + 2); dJ/dŷ = (ŷ-y)e^-s = 1/4; dJ/dv = (½ - ½(ŷ-y)²e^-s)·e^v/(e^v + err²) = (½ - ⅛)·½
    assert outputs.grad[0, 0].tolist() == pytest.approx([0.25, 0.1875])
    assert outputs.grad[0, 1].tolist() == [0.0, 0.0]


def test_spectrum_without_any_label_gives_no_loss_and_no_gradient():
    outputs = pair((1.0, 0.0)).requires_grad_()
    found = objective(outputs, pair((NAN, NAN)))
    found.sum().backward()
    assert found.item() == 0 and not outputs.grad.any()


def test_extreme_variances_stay_numbers():
    found = objective(pair((1.0, 90.0), (1.0, -60.0)), pair((0.0, 0.0), (0.0, 0.1)))
    assert torch.isfinite(found).all()


def test_head():
    head = make_head({"kind": "censored"})
    assert isinstance(head, Censored) and (head.metric, head.monitor) == ("mae", "val_loss")
    outputs = torch.cat([pair((1.0, 0.0), (5.0, 0.0)), pair((3.0, 0.0), (2.0, 0.0))])
    target = torch.cat([pair((0.0, 0.0), (NAN, NAN)), pair((0.0, 0.0), (0.0, 0.0))])
    assert head.score(outputs, target).tolist() == [1.0, 2.5]
    # spectra count alike, however many labels they have: ½·1, (4.5 + 2)/2
    assert head.loss(outputs, target).item() == pytest.approx((0.5 + 3.25) / 2)
