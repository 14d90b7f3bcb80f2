"""The paper's network: parameters, lengths, Keras' constants, and wrong specs."""

import math

import pytest
import torch
from resurvey.errors import ResurveyError
from resurvey.networks.build import build, contrast, derived_seed, normalise
from resurvey.networks.resnet import count_parameters, lengths
from resurvey.settings import read_yaml

PAPER = read_yaml("workflow/papers/gasnet2.yaml")["defaults"]["architecture"]


def spec(**changes) -> dict:
    return {**PAPER, "pixels": 5001, "outputs": 1, "members": 1, "head": {"kind": "softmax"}, **changes}


@pytest.mark.parametrize(
    ("pixels", "outputs", "keras"),
    [(5001, 13, 4_163_325), (5001, 1, 4_160_241), (3600, 13, 3_901_181), (3600, 1, 3_898_097)],
)
def test_parameters_are_those_of_the_authors_code(pixels, outputs, keras):
    network = build(spec(pixels=pixels, outputs=outputs))
    assert count_parameters(network) == keras
    statistics = 2 * sum(2 * width for width in PAPER["widths"])
    assert sum(p.numel() for p in network.parameters()) == keras - statistics


def test_lengths_after_each_block():
    assert lengths(spec()) == [1666, 554, 184, 60, 19, 5]
    assert lengths(spec(pixels=3600)) == [1199, 399, 132, 43, 13, 3]
    assert lengths(spec(pixels=1251, padding="same")) == [417, 139, 47, 16, 6, 2]


def test_short_grid_is_refused_with_what_to_type():
    with pytest.raises(ResurveyError, match=r"block 6 of 6.*padding: same"):
        build(spec(pixels=1251))


def test_state_dict_reads_like_the_papers_network():
    state = build(spec(members=2)).state_dict()
    assert state["members.1.blocks.0.conv1.weight"].shape == (16, 1, 5)
    assert state["members.0.blocks.5.conv2.weight"].shape == (512, 512, 5)
    assert state["members.0.dense.weight"].shape == (256, 2560)


def test_keras_constants():
    network = build(spec(members=2), seed=1)
    first, second = network.members
    norm = first.blocks[3].bn1
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    for member in (first, second):
        for name, value in member.named_parameters():
            if name.endswith("bias"):
                assert not value.any()
        assert member.dense.weight.std().item() == pytest.approx(1e-3, rel=0.01)
        assert member.blocks[4].conv2.weight.mean().item() == pytest.approx(0, abs=1e-5)
    assert not torch.equal(first.dense.weight, second.dense.weight)
    assert torch.equal(build(spec(members=2), seed=1).members[1].dense.weight, second.dense.weight)
    assert not torch.equal(build(spec(members=2), seed=2).members[1].dense.weight, second.dense.weight)


def test_block_is_the_papers_written_out_in_one_dimension():
    block = build(spec(), seed=3).members[0].blocks[0].eval()
    with torch.no_grad():
        for conv in (block.conv1, block.conv2, block.shortcut):
            conv.weight.mul_(300)
    x = torch.randn(2, 1, 200)

    def conv(name: str, y: torch.Tensor, **options) -> torch.Tensor:
        module = getattr(block, name)
        return torch.nn.functional.conv1d(y, module.weight, module.bias, **options)

    scale = 1 / math.sqrt(1 + 1e-3)  # BatchNorm as it starts: mean 0, variance 1
    y = torch.relu(conv("conv1", x, padding=2) * scale)
    y = torch.relu(conv("conv2", y, stride=3) * scale)
    y = torch.nn.functional.max_pool1d(y, 5, stride=1, padding=2) + conv("shortcut", x, stride=3)
    torch.testing.assert_close(block(x.unsqueeze(2)).squeeze(2), y)
    assert (y < 0).any()  # nothing rectifies the sum


def test_dropout_stands_before_the_dense_layer_and_is_off_at_prediction():
    network = build(spec(), seed=1)
    flux = torch.rand(2, 5001) + 1
    assert network.members[0].dropout.p == 0.5
    network.eval()
    assert torch.equal(network(flux), network(flux))


@pytest.mark.parametrize(("kind", "length"), [("unit_rms", math.sqrt(300)), ("unit_norm", 1.0)])
def test_normalisation_is_independent_of_brightness(kind, length):
    flux = torch.randn(3, 300) * torch.tensor([[1e-4], [1.0], [1e6]])
    out = normalise(flux, kind)
    torch.testing.assert_close(out.norm(dim=1), torch.full((3,), length))
    torch.testing.assert_close(out, normalise(flux * 1e3, kind))
    assert not normalise(torch.zeros(1, 300), kind).any()


def test_output_has_members_side_by_side():
    network = build(spec(pixels=300, padding="same", members=3, outputs=7), seed=1).eval()
    flux = torch.randn(4, 300)
    out = network(flux)
    assert out.shape == (4, 3, 7)
    torch.testing.assert_close(out[:, 1], network.members[1](network.inputs(flux)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"padding": "full"}, "padding: full"),
        ({"widhts": [1]}, "does not know widhts"),
        ({"channels": ["ivar"]}, "ivar"),
    ],
)
def test_wrong_specs_are_named(change, match):
    with pytest.raises(ResurveyError, match=match):
        build(spec(**change))


def test_seeds_of_different_names_are_unrelated_and_stable():
    assert derived_seed(1, "a") != derived_seed(1, "b") != derived_seed(2, "b")
    assert derived_seed(2311, "gasnet2_sdss", "ResNet_P") == derived_seed(2311, "gasnet2_sdss", "ResNet_P")
    assert 0 <= derived_seed(1) < 2**63


def test_contrast_keeps_lines_and_loses_the_continuum():
    x = torch.linspace(-1, 1, 2501)
    line = torch.exp(-0.5 * ((torch.arange(2501) - 1200.0) / 3) ** 2)
    flat, steep = (contrast(((1 + 0.5 * line) * y)[None], "unit_rms")[0] for y in (torch.ones(2501), 1 + 0.4 * x))
    assert flat.square().mean().item() == pytest.approx(1, rel=1e-5)
    assert flat.argmax() == steep.argmax() == 1200
    assert (steep - flat)[100:-100].abs().max() < 0.1 * flat.max()
    assert flat[:1000].abs().max() < 0.05 * flat.max()
    torch.testing.assert_close(contrast(torch.full((1, 300), 7.0), "unit_rms"), torch.zeros(1, 300), atol=1e-3, rtol=0)


def test_contrast_is_the_running_mean_written_out():
    flux = torch.randn(2, 200).exp()
    x = torch.asinh(normalise(flux, "unit_rms"))
    less = torch.stack(
        [x[:, i] - x[:, max(i - 6, 0) : i + 7].mean(1) for i in range(200)], 1
    )  # 0.06 · 200 = 12, half of it
    torch.testing.assert_close(contrast(flux, "unit_rms"), normalise(less, "unit_rms"), atol=1e-5, rtol=1e-5)


def test_channels_stand_in_the_order_of_the_spec():
    network = build(spec(pixels=300, padding="same", channels=["asinh", "contrast"]), seed=1)
    flux = torch.randn(4, 300)
    seen = network.inputs(flux)
    assert seen.shape == (4, 2, 1, 300) and network.state_dict()["members.0.blocks.0.conv1.weight"].shape == (16, 2, 5)
    torch.testing.assert_close(seen[:, 0, 0], torch.asinh(normalise(flux, "unit_rms")))
    torch.testing.assert_close(seen[:, 1, 0], contrast(flux, "unit_rms"))
    assert build(spec(), seed=1).channels == ["flux"]


def test_openvino_sees_two_channels_as_torch_does():
    pytest.importorskip("openvino")
    from resurvey.inference.engines import OpenVinoEngine, run_batches

    network = build(
        spec(pixels=300, padding="same", outputs=3, channels=["asinh", "contrast"], init_std=0.05), seed=1
    ).eval()
    inputs = network.inputs(torch.randn(5, 300))
    with torch.inference_mode():
        expected = network.core(inputs)
    found = run_batches(OpenVinoEngine({"net": network}, 1, "f32"), "net", inputs)
    torch.testing.assert_close(found, expected, atol=1e-4 * expected.abs().max().item(), rtol=1e-3)
