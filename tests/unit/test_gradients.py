"""Gradients of class probability and redshift: against differences of the outputs, one spectrum at a time or many; the command."""

import json

import numpy as np
import pytest
import torch
import toy_spectra as toy
from resurvey import files
from resurvey.cli import main
from resurvey.inference.gradients import derivative, gradients
from resurvey.inference.models import Model, Trained
from resurvey.networks.build import build, normalise
from resurvey.networks.heads import Bins, make_head
from resurvey.training.weights import write_model

PIXELS = 81
HEADS = {
    "softmax": {"kind": "softmax"},
    "huber": {"kind": "huber", "z_range": [0, 5], "z_scale": 10, "delta": 0.1},
    "bins": Bins.head([0.0, 1.0], 0.05, 1.0, 3),
}
ARCHITECTURE = {**toy.ARCHITECTURE, "init_std": 0.15}


def trained(name: str, head: str, members: int = 2, pixels: int = PIXELS) -> Trained:
    """A network with random weights."""
    outputs = {"softmax": 3, "huber": 1}.get(head) or HEADS[head]["bins"]
    spec = {**ARCHITECTURE, "pixels": pixels, "outputs": outputs, "members": members, "head": HEADS[head]}
    about = {
        "classes": toy.LABELS,
        "grid": {**toy.GRID, "pixels": pixels},
        "dataset": "toy",
        "origin": "mock",
        "weights_sha256": name,
    }
    return Trained(name, about, build(spec, 5).eval())


def flux(count: int = 4, pixels: int = PIXELS) -> np.ndarray:
    """Noise on a continuum, in some unit."""
    return (3e3 + 1e3 * np.random.default_rng(3).normal(size=(count, pixels))).astype(np.float32)


def model() -> Model:
    """A classifier and an ensemble for galaxies."""
    return Model("toy", trained("P", "softmax", 1), {"GALAXY_nan": [trained("7", "huber")]})


@pytest.mark.parametrize("head", ["huber", "softmax", "bins"])
def test_a_gradient_is_what_a_small_step_changes(head):
    one = trained("n", head)
    x = normalise(torch.from_numpy(flux(2)), "unit_rms")
    column = torch.tensor([2, 0]) if head == "softmax" else None
    slope, _ = derivative([one], "prob" if head == "softmax" else "z", x, column)
    step = (
        5e-3 * slope / slope.norm(dim=1, keepdim=True)
    )  # uphill, where the change is largest beside float32's rounding

    def value(flux: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            read = make_head(HEADS[head]).read(one.network(flux))
        return (read["prob"].gather(1, column[:, None])[:, 0] if head == "softmax" else read["z"]).double().numpy()

    measured = (value(x + step) - value(x - step)) / 2
    assert (slope * step).sum(1).double().numpy() == pytest.approx(measured, rel=0.05)
    assert (measured > 0).all()


def test_spectra_of_a_batch_do_not_know_of_each_other(monkeypatch):
    labels = ["GALAXY_nan", "QSO_nan", "GALAXY_nan", "STAR_A0"]
    together = gradients(model(), flux(), labels)
    monkeypatch.setattr("resurvey.inference.gradients.BATCH", 1)
    alone = gradients(model(), flux(), labels)
    for name, values in together.items():
        np.testing.assert_allclose(values, alone[name], rtol=1e-4, atol=1e-8)


def test_what_a_model_has_no_network_for_is_no_number():
    found = gradients(model(), flux(), ["GALAXY_nan", "QSO_nan", "SKY", "STAR_A0"])
    assert np.isfinite(found["z_gradient"]).all(1).tolist() == [True, False, False, False]
    assert np.isfinite(found["p_gradient"]).all(1).tolist() == [True, True, False, True]
    assert np.isfinite(found["prob"]).tolist() == [True, True, False, True]


def test_the_unit_of_the_flux_is_of_no_consequence():
    once, again = (gradients(model(), scale * flux(), ["GALAXY_nan"] * 4) for scale in (1, 1e-3))
    np.testing.assert_allclose(once["z_gradient"], again["z_gradient"], rtol=1e-3, atol=1e-7)


@pytest.fixture
def run(tmp_path):
    """A model on disk and spectra of its grid."""
    for name, head, role, label in (("P", "softmax", "classifier", None), ("R", "huber", "redshift", "GALAXY_nan")):
        one = trained(name, head, pixels=toy.GRID["pixels"])
        about = {
            **one.about,
            "model": "toy",
            "network": name,
            "role": role,
            "class": label,
            "architecture": one.network.spec,
            "head": head,
        }
        write_model(one.network, {**about, "grid": toy.GRID}, tmp_path / "models/toy" / name)
    return tmp_path / "models", toy.write_shards(tmp_path / "shards", 10, 1)[0]


def test_the_command_writes_a_table(run, tmp_path, capsys):
    models, shard = run
    out = tmp_path / "g.parquet"
    given = ["gradients", "--models", str(models), "--model", "toy", "--out", str(out), "--spectra"]
    assert main([*given, str(shard)]) == 0
    table = files.read_table(out)
    assert len(table) == 30 and len(table["p_gradient"][0].as_py()) == toy.GRID["pixels"]
    meta = files.read_meta(out)
    assert (meta["origin"], meta["model"], meta["head"], meta["grid"]) == ("mock", "toy", "huber", toy.GRID)
    other = tmp_path / "other.parquet"
    files.write_table(
        files.read_table(shard).replace_schema_metadata(None), other, {**files.read_meta(shard), "dataset": "else"}
    )
    assert main([*given, str(other)]) == 2
    assert "its dataset is else" in capsys.readouterr().err
    assert json.loads((models / "toy/P/model.json").read_text())["role"] == "classifier"
