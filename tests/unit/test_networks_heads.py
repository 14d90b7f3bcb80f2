"""Losses, scalings and read-outs against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from resurvey.errors import ResurveyError
from resurvey.networks.heads import Bins, Huber, make_head

HUBER = {"kind": "huber", "z_range": [0.0, 5.0], "z_scale": 10.0, "delta": 0.1}


def test_cross_entropy_by_hand():
    head = make_head({"kind": "softmax"})
    outputs = torch.tensor([[[1.0, 2.0, 3.0]]])
    norm = math.log(math.exp(1) + math.exp(2) + math.exp(3))
    assert head.loss(outputs, torch.tensor([2])).item() == pytest.approx(norm - 3)
    assert head.loss(outputs, torch.tensor([0])).item() == pytest.approx(norm - 1)
    assert head.read(outputs)["prob"].sum().item() == pytest.approx(1)
    assert head.score(outputs, torch.tensor([2])).item() == 1


@pytest.mark.parametrize(
    ("z", "output", "loss"),
    [
        (0.3, 3.05, 0.5 * 0.05**2),  # |z·10 - output| below delta: a parabola
        (0.3, 4.0, 0.1 * 1.0 - 0.5 * 0.1**2),  # above: a line
        (7.0, 50.0, 0.0),  # z beyond 5 is learned as 5
        (-0.1, 0.0, 0.0),  # and below 0 as 0
    ],
)
def test_huber_loss_by_hand(z, output, loss):
    head = make_head(HUBER)
    outputs = torch.tensor([[[output]]])
    assert head.loss(outputs, head.encode(torch.tensor([z]))).item() == pytest.approx(loss, abs=1e-6)


def test_huber_loss_is_the_mean_over_members():
    head = make_head(HUBER)
    outputs = torch.tensor([[[3.05], [4.0]]])
    expected = (0.5 * 0.05**2 + 0.1 - 0.005) / 2
    assert head.loss(outputs, head.encode(torch.tensor([0.3]))).item() == pytest.approx(expected, rel=1e-4)


def test_huber_reads_mean_and_ddof_0_spread():
    read = make_head(HUBER).read(torch.tensor([[[1.0], [2.0], [6.0]]]))
    assert read["z"].item() == pytest.approx(0.3)
    assert read["z_std"].item() == pytest.approx(math.sqrt((0.2**2 + 0.1**2 + 0.3**2) / 3), rel=1e-6)


def test_validation_error_is_the_members_mean_in_z():
    score = make_head(HUBER).score(torch.tensor([[[1.0], [5.0]]]), torch.tensor([0.2]))
    assert score.item() == pytest.approx((0.1 + 0.3) / 2)
    assert make_head(HUBER).score(torch.tensor([[[50.0]]]), torch.tensor([6.0])).item() == pytest.approx(0)


@pytest.mark.parametrize(("high", "width"), [(0.6, 0.0015), (5.0, 0.006), (1.6, 0.01)])
def test_bins_give_back_known_redshifts(high, width):
    head = Bins(Bins.head([0.0, high], width, 1.0, 3))
    z = torch.cat([torch.linspace(0, high, 977, dtype=torch.float64), torch.tensor([0.0, high])])
    target = head.encode(z)
    torch.testing.assert_close(target.sum(1), torch.ones(len(z)))
    read = head.members(target.clamp_min(1e-12).log()[:, None])[:, 0]
    assert (torch.log1p(read) - torch.log1p(z)).abs().max() < 0.01 * width < 1.01e-4


@given(st.floats(0, 5), st.floats(0.75, 2.0))
def test_soft_target_is_a_gaussian_of_the_asked_width(z, soft):
    head = Bins(Bins.head([0.0, 5.0], 0.006, soft, 3))
    target, x = head.encode(torch.tensor([z], dtype=torch.float64))[0].double(), head.centres()
    mean = (target * x).sum()
    assert target.sum().item() == pytest.approx(1, abs=1e-5)
    assert mean.item() == pytest.approx(math.log1p(z), abs=0.006 * 0.05)
    assert ((target * (x - mean) ** 2).sum().sqrt() / 0.006).item() == pytest.approx(soft, rel=0.06)


def test_bins_loss_by_hand():
    head = Bins(Bins.head([0.0, 0.5], 0.01, 1.0, 3))
    target = head.encode(torch.tensor([0.2, 0.3]))
    uniform = torch.zeros(2, 3, head.count)
    assert head.loss(uniform, target).item() == pytest.approx(math.log(head.count), rel=1e-5)
    entropy = -(target * target.clamp_min(1e-30).log()).sum(1).mean()
    perfect = target.clamp_min(1e-30).log()[:, None].expand(-1, 3, -1)
    assert head.loss(perfect, target).item() == pytest.approx(entropy.item(), rel=1e-4)


def test_width_of_the_mixture_holds_spread_and_disagreement():
    head = Bins(Bins.head([0.0, 1.0], 0.002, 1.0, 3))
    logits = head.encode(torch.tensor([0.5, 0.5, 0.6])).clamp_min(1e-12).log()
    alone = head.read(logits[:1, None])
    assert alone["z_std"].item() == pytest.approx(
        0.002 * 1.5, rel=0.1
    )  # σ of one bin in ln(1+z), and the bins' own width
    three = head.read(logits[None])
    assert three["z"].item() == pytest.approx(0.5, abs=1e-4)  # the lost member does not move the peak of the mixture
    assert three["z_std"].item() == pytest.approx(
        0.1 / 2, rel=0.1
    )  # a third of it is 0.1 away: half of the central 68 %


def test_a_faint_tail_does_not_widen_the_error():
    head = Bins(Bins.head([0.0, 1.0], 0.002, 1.0, 3))
    tail = 0.99 * head.encode(torch.tensor([0.2])) + 0.01 * head.encode(torch.tensor([0.9]))
    assert head.read(tail.clamp_min(1e-12).log()[:, None])["z_std"].item() < 0.004


def test_peak_at_the_edge_of_the_bins_is_read():
    head = Bins(Bins.head([0.0, 0.5], 0.01, 1.0, 3))
    logits = torch.full((1, 1, head.count), -20.0)
    logits[..., -1] = 0
    z = head.members(logits).item()
    assert math.isfinite(z) and z > 0.5


def test_unknown_head_is_named():
    with pytest.raises(ResurveyError, match="gauss does not exist"):
        make_head({"kind": "gauss"})


def test_heads_prefer_the_better_score():
    assert Huber(HUBER).better(0.1, 0.2) == 0.1
    assert make_head({"kind": "softmax"}).better(0.1, 0.2) == 0.2


def test_peaks_of_a_distribution_highest_first():
    head = make_head(Bins.head([0.0, 1.0], 0.0015, 1.0, 3))
    x, known = head.centres(), [0.7, 0.2, 0.45]
    shape = sum(
        height * torch.exp(-0.5 * ((x - math.log1p(z)) / 0.0015) ** 2)
        for height, z in zip((1.0, 0.5, 0.2), known, strict=True)
    )
    outputs = (shape + 1e-12).log()[None, None]
    peaks, share = (found[0] for found in head.peaks(outputs, 3))
    assert share.tolist() == pytest.approx([1 / 1.7, 0.5 / 1.7, 0.2 / 1.7], rel=0.01)
    assert peaks.tolist() == pytest.approx(known, abs=3e-4)
    assert head.peaks(outputs, 1)[0][0, 0].item() == pytest.approx(head.read(outputs)["z"].item(), abs=1e-9)


def test_peaks_that_do_not_exist_are_nan():
    head = make_head(Bins.head([0.0, 0.01], 0.005, 1.0, 3))
    peaks, _ = head.peaks(torch.zeros(1, 1, head.count), head.count)
    assert torch.isfinite(peaks[0, 0]) and torch.isnan(peaks[0, -1])
