"""Scoring real spectra: known tables, somebody's own labels, and the mock spectra that networks are trained on."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toy_templates
from resurvey.errors import ResurveyError
from resurvey.inference.models import load_network
from resurvey.networks.build import build
from resurvey.networks.heads import make_head
from resurvey.settings import read_yaml
from resurvey.simulate.templates import libraries, registry
from resurvey.training.weights import write_model

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import join_networks
import real_spectra
import train_on_mocks

ROWS = pd.DataFrame({
    "spectrum_id": list("abcdef"),
    "true": ["STAR", "STAR", "GALAXY", "GALAXY", "QSO", "QSO"],
    "z_true": [0.0, 0.0, 0.1, 0.2, 1.0, 2.0],
    "ours": ["STAR", "GALAXY", "GALAXY", "STAR", "QSO", "QSO"],
    "class": ["STAR", "GALAXY", "GALAXY", "STAR", "QSO", "QSO"],
    "class_prob": [0.9, 0.6, 0.9, 0.5, 0.9, 0.9],
    "z": [np.nan, 0.3, 0.1001, np.nan, 1.01, 2.5],
    "z_refined": [np.nan, 0.3, 0.1, np.nan, 1.0, 2.001],
    "sn_median": [20, 3, 4, np.nan, 7, 30],
    "prob_GALAXY": 0.5, "prob_QSO": 0.5, "z_std_GALAXY": 0.1, "z_std_QSO": 0.1,
    "z_GALAXY": [0, 0.3, 0.1001, 0.2, 0, 0], "z_QSO": [0, 0, 0, 0, 1.01, 2.5],
})  # fmt: skip


def test_confusion_by_hand():
    lines = real_spectra.class_table(ROWS).splitlines()
    assert lines[2:] == [
        "| STAR | 1 | 1 | 0 | 2 | 0.500 |",
        "| GALAXY | 1 | 1 | 0 | 2 | 0.500 |",
        "| QSO | 0 | 0 | 2 | 2 | 1.000 |",
        "| all | | | | 6 | 0.667 |",
    ]


def test_a_class_error_costs_its_redshift_in_the_chain():
    lines = real_spectra.redshift_table(ROWS).splitlines()[2:]
    cells = {tuple(line.split(" | ")[:2]): line.split(" | ")[2:] for line in lines}
    galaxy, chain = cells["| GALAXY", "network, true class"], cells["| GALAXY", "network, whole chain"]
    assert galaxy[0:2] == ["2", "0"] and galaxy[3:] == ["1.000 (< 0.0015)", "1.000 (< 0.01) |"]
    assert chain[0:2] == ["2", "1"] and chain[3:] == ["0.500 (< 0.0015)", "0.500 (< 0.01) |"]
    quasar, refined = cells["| QSO", "network, whole chain"], cells["| QSO", "refined, whole chain"]
    assert quasar[3] == "0.500 (< 0.015)" and refined[3] == "1.000 (< 0.015)"


def test_every_spectrum_stands_in_one_row_of_the_table_by_sn():
    lines = real_spectra.by_sn(ROWS).splitlines()[2:]
    assert sum(int(line.split("|")[3]) for line in lines) == len(ROWS)
    assert "| GALAXY | unknown | 1 | 0.000 | 0.000 | 1 |" in lines
    assert "| QSO | > 10 | 1 | 1.000 | 1.000 | 0 |" in lines


def test_worst_cases_are_class_errors_and_outliers():
    assert set(real_spectra.worst(ROWS)["spectrum_id"]) == {"b", "d"}
    assert set(real_spectra.worst(ROWS.drop(columns="z_refined"))["spectrum_id"]) == {"b", "d", "f"}
    assert real_spectra.off(np.array([0.1, np.nan]), np.array([0.1, 0.1])).tolist() == [0, np.inf]


def test_labels_of_somebody(tmp_path):
    rows = pd.DataFrame({"spectrum_id": ["1", "2", "3"], "survey_class": ["QSO", "GALAXY", None],
                         "survey_z": [1.0, 0.1, np.nan], "survey_zwarning": [0, 4, None]})  # fmt: skip
    assert real_spectra.given(rows, None)["spectrum_id"].tolist() == [
        "1"
    ]  # of 2 the survey is not sure, 3 has no class
    (tmp_path / "labels.csv").write_text("spectrum_id,class,z\n2,GALAXY,0.15\n")
    assert real_spectra.given(rows, str(tmp_path / "labels.csv")).values.tolist() == [["2", "GALAXY", 0.15, "given"]]


def test_training_mocks_are_on_the_grid_and_reproducible(tmp_path, monkeypatch):
    rows = toy_templates.rows(toy_templates.write(tmp_path))
    monkeypatch.setattr(registry, "templates", lambda collections=None: rows)
    libraries._load.cache_clear()
    first, again, other = (train_on_mocks.split(str(tmp_path), ["STAR", "QSO"], 4, [seed]) for seed in (1, 1, 2))
    libraries._load.cache_clear()
    assert first.flux.shape == (8, 2501) and np.isfinite(first.flux).all() and first.flux.any(1).all()
    assert first.number.tolist() == [0] * 4 + [2] * 4 and np.isnan(first.z[:4]).all() and (first.z[4:] > 0).all()
    assert np.array_equal(first.flux, again.flux) and not np.array_equal(first.flux, other.flux)


def test_share_of_nearby_galaxies(shared):
    for mix, expected in (("recipe", 0.10 + 0.90 * 0.30), ("nearby", 0.45 + 0.55 * 0.30)):  # ln 1.25 / ln 2.1 = 0.30
        _, truth = train_on_mocks.mocks(str(shared / "reference"), "GALAXY", 512, [1], None, mix)
        assert (truth["z"] < 0.25).mean() == pytest.approx(expected, abs=0.06)


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
