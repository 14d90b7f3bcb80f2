"""`resurvey predict` with a label model: APOGEE's files in, labels with uncertainties out, or a reason."""

import numpy as np
import pytest
import torch
import toy_labels as toy
from apogee_files import continuum_csv, rows, write_apstar, write_aspcapstar
from resurvey import files
from resurvey.cli import main
from resurvey.networks.build import build
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.training.weights import write_model

DATASET = {"grid": {"chips": "dr13"}, "continuum": {"method": "chebyshev", "degree": 2}, "mask_bits": [0, 7, 12]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained network on APOGEE's pixels, in its folder."""
    home = tmp_path_factory.mktemp("models")
    normaliser = Normaliser.from_settings(DATASET, {"continuum_pixels": continuum_csv(home / "pixels.csv")})
    spec = {**toy.spec(), "pixels": normaliser.chips.pixels}
    network = build(spec, 3).eval()
    network.standardise(torch.ones(spec["pixels"]), torch.from_numpy(toy.MEAN), torch.from_numpy(toy.SPREAD))
    about = {"model": "toy", "paper": "astronn", "network": "bcnn", "role": "labels", "class": None, "classes": None}
    about |= {
        "labels": list(toy.LABELS),
        "architecture": spec,
        "grid": normaliser.chips.meta(),
        "n_train": 9,
        "n_valid": 1,
    }
    about |= {
        "continuum": normaliser.meta(),
        "origin": "mock",
        "dataset": "d",
        "hyper": {},
        "metrics": {},
        "head": "censored",
    }
    about |= {"normalisation": {"label_mean": toy.MEAN.tolist(), "label_std": toy.SPREAD.tolist()}, "code_version": "0"}
    about["trained_on"] = {name: {"n": 9, "range": [-1e9, 1e9]} for name in toy.LABELS}
    write_model(network, about, home / "toy" / "bcnn")
    return home / "toy"


def predict(model, out, *paths, passes=4):
    code = main(["predict", *map(str, paths), "--model", str(model), "--out", str(out), "--passes", str(passes)])
    return code, *(files.read_table(out.with_suffix(end)).to_pandas() for end in (".parquet", ".rejected.parquet"))


def test_a_star_and_its_visits_get_labels(model, tmp_path):
    write_apstar(tmp_path / "apStar-r8-2M00000001+0000001.fits", *rows(3))
    code, table, rejected = predict(model, tmp_path / "o.parquet", tmp_path / "apStar-r8-2M00000001+0000001.fits")
    assert code == 0 and table["visit"].tolist() == [0, 1, 2, 3] and len(rejected) == 0
    assert set(table["apogee_id"]) == {"2M00000001+0000001"} and (table["n_good"] > 7000).all()
    for label in toy.LABELS:
        parts = table[[f"{label}_model", f"{label}_predictive"]].to_numpy(float)
        np.testing.assert_allclose(np.hypot(*parts.T), table[f"{label}_total"], rtol=1e-5)
        assert np.isfinite(table[label]).all() and (parts > 0).all()


def test_a_spectrum_that_is_normalised_otherwise_has_a_reason(model, tmp_path):
    flux, error, _ = rows(0)
    write_aspcapstar(tmp_path / "aspcapStar-r8-l31c.2-2M1.fits", np.ravel(flux)[:8575], np.ravel(error)[:8575])
    (tmp_path / "letter.txt").write_text("Dear all,\n")
    code, table, rejected = predict(model, tmp_path / "o.parquet", tmp_path)
    assert code == 1 and len(table) == 0 and len(rejected) == 2
    assert "apStar" in rejected["reason"].str.cat() and f"{toy.LABELS[0]}_total" in table


def test_the_number_of_passes_is_checked(model, tmp_path, capsys):
    write_apstar(tmp_path / "apStar-r8-2M1.fits", *rows(2))
    arguments = ["predict", str(tmp_path), "--model", str(model), "--out", str(tmp_path / "o.parquet"), "--passes", "1"]
    assert main(arguments) == 2
    assert "--passes 1" in capsys.readouterr().err
