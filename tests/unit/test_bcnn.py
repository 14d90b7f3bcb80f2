"""astroNN's networks: sizes, layers, Keras' constants, what gradients may and may not do."""

import csv
import math

import numpy as np
import pytest
import torch
import toy_labels as toy
from resurvey.errors import ResurveyError
from resurvey.networks.bcnn import MaxNormLinear, NarrowConv, dropouts, with_masks, without_dropout
from resurvey.networks.build import build
from resurvey.settings import overlay, read_yaml
from resurvey.simulate import apogee_windows
from resurvey.surveys.apogee_labels import LABELS, NAMES
from resurvey.training.labels import LabelHyper
from resurvey.training.optimise import make_optimizer
from resurvey.training.windows import runs

PAPER = read_yaml("workflow/papers/astronn.yaml")
# Pixels of the DR14 windows (astroNN's aspcap_l31c masks), for made-up windows of the same sizes; [Fe/H] needs none
SIZES = {f"{element.lower()}_h": size for element, size in apogee_windows.SIZES.items() if element != "Fe"}


def architecture(model: str) -> dict:
    return overlay(PAPER["defaults"], PAPER["models"][model])["architecture"]


def published(model: str, windows: dict | None, **changes) -> dict:
    whole = {**architecture(model), "pixels": 7514, "labels": list(NAMES), "head": {"kind": "censored"}, **changes}
    return whole if windows is None else {**whole, "windows": windows}


def parameters(spec: dict) -> int:
    return sum(p.numel() for p in build(spec).parameters())


@pytest.mark.parametrize(("dense", "count"), [([192, 64], 3_499_122), ([192, 96], 3_505_554)])
def test_parameters_of_the_published_network(dense, count):
    windows = {label: [[100, 100 + size]] for label, size in SIZES.items()}
    assert parameters(published("astronn_censored", windows, dense=dense)) == count


def test_parameters_with_the_real_windows(shared):
    with open(shared / "reference/apogee/apogee_dr14_pixels.csv") as handle:
        rows = list(csv.DictReader(handle))
    pixels = {
        label.name: [i for i, row in enumerate(rows) if int(row[f"win_{label.window}"])]
        for label in LABELS
        if label.window
    }
    assert {label: len(pixels[label]) for label in SIZES} == SIZES
    windows = {label: runs(pixels[label]) for label in SIZES}
    assert len(windows["c_h"]) == 250
    assert parameters(published("astronn_censored", windows)) == 3_499_122


def test_parameters_of_the_uncensored_network():
    assert parameters(published("astronn_uncensored", None)) == 1_961_986


def test_shapes_and_names():
    network = build(toy.spec(), seed=3)
    flux = torch.from_numpy(toy.spectra(5, 1)[0])
    assert network(flux).shape == (5, 6, 2) and build(toy.spec(toy.UNCENSORED), 1)(flux).shape == (5, 6, 2)
    assert set(network.mini) == {"mg_h", "al_h", "c_h"}
    state = network.state_dict()
    assert state["mini.c_h.dense1.weight"].shape == (24, 60) and state["mini.al_h.out.weight"].shape == (2, 8 + 5)
    assert state["flux_mean"].shape == (160,) and not any("index" in name or "places" in name for name in state)


def test_an_element_sees_its_windows_and_five_numbers():
    """Other pixels reach an element only through the connection and the three parameters."""
    network = build(toy.spec(), seed=3).eval()
    flux = torch.from_numpy(toy.spectra(1, 1)[0])
    with torch.no_grad(), without_dropout(network):
        before = network(flux)
        for mini in network.mini.values():
            mini.out.weight[:, -5:] = 0
        network.connection.weight.zero_()
        cut = network(flux)
        changed = flux.clone()
        changed[0, :20] += 0.3
        changed[0, 48:60] += 0.3  # in no window
        after = network(changed)
    elements = [toy.LABELS.index(label) for label in network.mini]
    assert torch.equal(after[0, elements], cut[0, elements])
    assert not torch.equal(before[0, elements], cut[0, elements])
    others = [i for i in range(6) if i not in elements]
    assert (after[0, others] != cut[0, others]).all()


def test_no_error_of_an_element_reaches_the_parameters():
    network = build(toy.spec(), seed=3).train()
    flux = torch.from_numpy(toy.spectra(4, 1)[0])
    network(flux)[:, toy.LABELS.index("mg_h")].sum().backward()
    assert network.core.weight.grad is None or not network.core.weight.grad.any()
    assert network.connection.weight.grad.abs().sum() > 0  # but the connection learns, and with it the full spectrum
    assert network.full.dense1.weight.grad.abs().sum() > 0
    network.zero_grad(set_to_none=True)
    network.eval()
    network(flux)[:, toy.LABELS.index("mg_h")].sum().backward()  # for sensitivities the way is open
    assert network.core.weight.grad.abs().sum() > 0


def test_dropout_is_always_on_and_can_be_switched_off():
    network = build(toy.spec(), seed=3).eval()
    flux = torch.from_numpy(toy.spectra(3, 1)[0])
    with torch.no_grad():
        assert not torch.equal(network(flux), network(flux))
        with without_dropout(network):
            still = network(flux)
            assert torch.equal(still, network(flux))
        kept = {name: torch.ones(1, dtype=torch.bool) for name in dropouts(network)}
        network_p = [setattr(layer, "p", 0.0) for layer in dropouts(network).values()]
        with with_masks(network, kept):
            assert network_p and torch.allclose(network(flux), still)


def test_kept_values_are_scaled():
    network = build(toy.spec(), seed=3)
    layer = network.full.drop3
    torch.manual_seed(0)
    x = layer(torch.ones(200, 500))
    assert set(np.unique(x.numpy().round(5))) == {0.0, np.float32(round(1 / 0.9, 5))}
    assert x.mean().item() == pytest.approx(1, abs=0.01)


def test_max_norm_is_keras():
    layer = MaxNormLinear(3, 2, 0.5)
    layer.weight.data = torch.tensor([[3.0, 4.0, 0.0], [0.1, 0.2, 0.2]])
    layer.constrain()
    # the first: norm 5, scaled to 0.5; the second: norm 0.3, below it, but for Keras' 1e-7
    expected = torch.tensor([[0.3, 0.4, 0.0], [0.1, 0.2, 0.2]])
    torch.testing.assert_close(layer.weight.data, expected, rtol=1e-6, atol=1e-7)


def test_keras_start():
    network = build(published("astronn_censored", {label: [[0, size]] for label, size in SIZES.items()}), seed=1)
    for layer in (network.full.dense1, network.mini["c_h"].dense1, network.connection, network.mini["c_h"].dense2):
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.1)
    for head, fan_in in ((network.core, 64), (network.mini["c_h"].out, 69), (network.mini["al_h"].out, 21)):
        limit = math.sqrt(6 / (fan_in + 1))
        assert 0.8 * limit < head.weight.abs().max().item() <= limit
    assert not any(p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_l2_is_in_the_gradient_of_the_right_kernels():
    """Adam's weight decay of 2·l2 is the gradient of l2·Σw², and no bias, head, second mini layer or connection has it."""
    network = build({**toy.spec(), "l2": 0.25}, seed=1)
    hyper = LabelHyper(**{**toy.TRAINING, "lr": 1.0})
    optimizer = make_optimizer(network.parameter_groups(), hyper)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    held = {id(weight) for weight in optimizer.param_groups[0]["params"]}
    names = {name for name, weight in network.named_parameters() if id(weight) in held}
    assert names == {f"full.{layer}.weight" for layer in ("conv1", "conv2", "dense1", "dense2")} | {
        f"mini.{label}.dense1.weight" for label in ("mg_h", "al_h", "c_h")
    }
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))


def test_even_kernels_are_padded_as_keras_does():
    """A kernel of 8 sees 3 pixels before and 4 behind."""
    network = build(toy.spec(), seed=1)
    with torch.no_grad():
        network.full.conv1.weight.fill_(1.0)
        x = torch.zeros(1, 160)
        x[0, 50] = 1
        seen = network.full.before_dropout(x)[0, 0].nonzero().flatten().tolist()
    assert seen == list(range(46, 54))


def test_narrow_convolutions_are_convolutions():
    layer = NarrowConv(3, 5, 4)
    x = torch.randn(2, 3, 20, requires_grad=True)
    found, expected = layer(x), torch.nn.functional.conv1d(x, layer.weight, layer.bias)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    mine, theirs = (torch.autograd.grad(y.square().sum(), [x, layer.weight, layer.bias]) for y in (found, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"widths": [3]}, "does not know widths"),
        ({"windows": {"mg_h": [[0, 3]], "c_h": [[0, 3]]}}, "none for the label al_h"),
        ({"windows": {**toy.WINDOWS, "mg_h": [[150, 161]]}}, "mg_h are not within the 160 pixels"),
        ({"full_spectrum_labels": ["teff", "feh"]}, "feh are no labels"),
        ({"kind": "bcnn"}, "kind: bcnn does not exist; it may be resnet, apogee_bcnn"),
    ],
)
def test_wrong_specs_are_named(change, match):
    with pytest.raises(ResurveyError, match=match):
        build({**toy.spec(), **change})
