"""Scripts behind docs/mocks-to-real.md: mock spectra that networks are trained on, joined networks, the fixed set of real spectra."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_templates
from resurvey.errors import ResurveyError
from resurvey.inference.models import load_network
from resurvey.metrics.assessment import read_labels
from resurvey.networks.build import build
from resurvey.networks.heads import make_head
from resurvey.settings import read_yaml
from resurvey.simulate.spectrographs import SPECTROGRAPHS
from resurvey.simulate.templates import libraries, mock, pipeline, recipe
from resurvey.training.weights import write_model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import join_networks
import real_labels
import train_on_mocks


def test_training_mocks_are_on_the_grid_and_reproducible(tmp_path):
    with toy_templates.registered(tmp_path):
        first, again, other = (train_on_mocks.split(str(tmp_path), ["STAR", "QSO"], 4, [seed]) for seed in (1, 1, 2))
    assert first.flux.shape == (8, 2501) and np.isfinite(first.flux).all() and first.flux.any(1).all()
    assert (first.number[:4] == 0).all() and set(first.number[4:]) <= {1, 2}  # where light mixes, the templates decide
    assert np.isnan(first.z[:4]).all() and (first.z[4:] > 0).all()
    assert np.array_equal(first.flux, again.flux) and not np.array_equal(first.flux, other.flux)


@pytest.mark.real
def test_share_of_nearby_galaxies(shared):
    expected = (
        0.35 * (0.10 + 0.90 * 0.30) + 0.25 + 0.15 + 0.25 * 0.19
    )  # of the parts of the mix; ln 1.25 / ln 2.1 = 0.30
    _, truth = train_on_mocks.mocks(str(shared / "reference"), "GALAXY", 512, [1], "hard")
    assert (truth["z"] < 0.25).mean() == pytest.approx(expected, abs=0.06)


@pytest.mark.real
def test_where_light_mixes_the_class_is_that_of_the_templates_that_fit(shared):
    library, device = libraries.load(shared / "reference"), SPECTROGRAPHS["SDSS"]
    wave, sn = train_on_mocks.NATIVE, recipe.SignalToNoise(20.0, 0.1)
    share = {}
    for width in (0.1, 800.0):  # Å of broad Hα
        galaxies = recipe.Galaxies(lines={"weak": 1.0}, broad=1.0, broad_halpha=(width, 0.0), z=(0.02, 0.2), low=0.0)
        table, seen = mock.simulate(recipe.Recipe(galaxies, sn), library, device, wave, 40, 1)
        table["ew_broad"][:5] = 0  # not mixed: the recipe's class
        classes = pipeline.fitted_class("GALAXY", table, seen, library)
        assert (classes[:5] == "GALAXY").all()
        share[width] = (classes[5:] == "QSO").mean()
    assert share[0.1] < 0.2 and share[800.0] > 0.8
    table, seen = mock.simulate(recipe.SDSS_LIKE["STAR"], library, device, wave, 3, 1)
    assert (pipeline.fitted_class("STAR", table, seen, library) == "STAR").all()


@pytest.mark.real
def test_white_noise_is_as_large_in_the_blue_as_in_the_red(shared):
    """Neighbouring pixels' differences at 4000-4400 Å over those at 5600-6400 Å: the instrument's blue end is noisier."""
    ratio = {}
    for without in ("nothing", "white"):
        flux, _ = train_on_mocks.mocks(str(shared / "reference"), "QSO", 128, [3], "plain", without)
        noise = [np.median(np.abs(np.diff(flux[:, a:b])), axis=1) for a, b in ((0, 200), (800, 1200))]
        ratio[without] = np.median(noise[0] / noise[1])
    assert ratio["nothing"] > 1.3 * ratio["white"] and ratio["white"] < 1.2


def test_joined_networks_average_their_probabilities(tmp_path):
    about = {
        "role": "classifier", "class": None, "classes": ["A", "B"], "grid": {}, "origin": "mock", "resample": "linear", "masks": {},
        "n_train": 3, "n_valid": 1, "best_epoch": 0, "metrics": {}, "data_digest": "d",
    }  # fmt: skip
    spec = read_yaml("workflow/papers/gasnet2.yaml")["defaults"]["architecture"]
    spec |= {"pixels": 200, "padding": "same", "widths": [2, 4], "outputs": 2, "members": 1, "init_std": 0.5}
    networks = [build({**spec, "head": {"kind": "softmax"}}, seed=seed) for seed in (1, 2)]
    folders = [tmp_path / "m" / name for name in ("one", "two")]
    for network, folder in zip(networks, folders, strict=True):
        write_model(network, {**about, "architecture": network.spec}, folder)
    join_networks.join(tmp_path / "m" / "both", folders)
    both, flux = load_network(tmp_path / "m" / "both", "both"), torch.randn(4, 200)
    single = [make_head(n.spec["head"]).read(n.eval()(flux))["prob"] for n in networks]
    torch.testing.assert_close(
        make_head({"kind": "softmax"}).read(both.network(flux))["prob"], (single[0] + single[1]) / 2
    )
    assert both.about["n_train"] == 6 and len(both.about["joined"]) == 2 and "metrics" not in both.about
    write_model(networks[0], {**about, "architecture": networks[0].spec, "classes": ["B", "A"]}, folders[0])
    with pytest.raises(ResurveyError, match="classes is not that of"):
        join_networks.join(tmp_path / "m" / "both", folders)


@pytest.mark.real
def test_the_fixed_set_of_real_spectra(shared, tmp_path, monkeypatch):
    monkeypatch.setattr(real_labels, "SHARED", shared)
    real_labels.main([str(tmp_path)])
    labels = read_labels(tmp_path / "labels.csv")
    assert labels["true"].value_counts().to_dict() == {"QSO": 99, "STAR": 78, "GALAXY": 59}
    assert labels["set"].value_counts().to_dict() == {"real/sdss": 162, "published/gasnet3": 74}
    assert len(list((tmp_path / "spectra").rglob("*.*"))) == 163
