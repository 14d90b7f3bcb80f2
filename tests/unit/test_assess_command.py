"""`resurvey assess` from files to pictures: two models, one wrong label, mock shards beside."""

import threading

import numpy as np
import pandas as pd
import pytest
import toy_spectra as toy
import toy_templates
from matplotlib.image import imread
from resurvey import files
from resurvey.cli import main
from resurvey.training.job import fit
from resurvey.training.samples import read_sample

WAVE = toy.GRID["start"] + toy.GRID["step"] * np.arange(toy.GRID["pixels"])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two trained models (one with the paper's head), the shards that they learned from, 18 spectra with labels, one of which is wrong."""
    folder = tmp_path_factory.mktemp("assess")
    paths = toy.write_shards(folder / "shards", 120)
    for model, head in (("toy", "bins"), ("paper", "huber")):
        for network, label in (("ResNet_P", None), ("ResNet_7", "GALAXY_nan"), ("ResNet_11", "QSO_nan")):
            settings = toy.settings(head=head, epochs=4)
            sample = read_sample(paths, toy.LABELS, label)
            fit(
                sample,
                {**settings, "model": model},
                network,
                folder / "models" / model / network,
                threading.Event(),
                quiet=True,
            )
    (folder / "spectra").mkdir()
    lines = []
    for label in toy.LABELS:
        for number, (flux, z) in enumerate(zip(*toy.spectra(label, 6, seed=5), strict=True)):
            name = f"{label}_{number}.txt"
            np.savetxt(folder / "spectra" / name, np.column_stack([WAVE, flux, np.full(len(flux), 0.05)]))
            lines.append({"spectrum_id": name, "class": label.split("_")[0], "z": z})
    labels = pd.DataFrame(lines)
    labels.loc[labels["spectrum_id"] == "QSO_nan_0.txt", ["class", "z"]] = ["STAR", 0.0]
    labels.loc[len(labels)] = {"spectrum_id": "nowhere.txt", "class": "STAR", "z": 0.0}
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    with toy_templates.registered(tmp_path_factory.mktemp("toys")) as folder:
        yield folder


def words(models, out, *more):
    both = [str(models / "models" / name) for name in ("toy", "paper")]
    labels = ["--labels", str(models / "labels.csv"), "--engine", "torch"]
    return ["assess", str(models / "spectra"), "--model", *both, "--out", str(out), *labels, *map(str, more)]


def test_everything_in_one_folder(models, templates, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(words(models, out, "--templates", templates, "--mocks", *sorted((models / "shards").glob("0*.parquet"))))
        == 0
    )
    printed = capsys.readouterr().out
    classes = pd.read_csv(out / "classes.csv")
    whole = classes[classes["true"] == "all"].set_index("model")
    assert whole.loc["toy", "n"] == whole.loc["paper", "n"] == 18 and whole.loc["toy", "recognised"] > 0.8
    worst = pd.read_csv(out / "worst.csv")
    wrong = worst[(worst["model"] == "toy") & (worst["spectrum_id"] == "QSO_nan_0.txt")]
    assert wrong["true"].tolist() == ["STAR"] and wrong["class"].tolist() == ["QSO_nan"], "a label is never dropped"
    assert "| toy | QSO_nan_0.txt |" in printed
    unused = pd.read_csv(out / "unused.csv")
    assert unused["spectrum_id"].tolist() == ["nowhere.txt"] * 2
    redshifts = pd.read_csv(out / "redshifts.csv")
    assert set(redshifts[redshifts["model"] == "toy"]["redshift"]) > set(
        redshifts[redshifts["model"] == "paper"]["redshift"]
    )
    rows = files.read_table(out / "rows.parquet").to_pandas()
    assert len(rows) == 36 and rows["model"].value_counts().to_dict() == {"toy": 18, "paper": 18}
    mocks = pd.read_csv(out / "mocks.csv")
    assert set(mocks["sample"]) == {"real", "mock", "mock, all"} and set(mocks["class"]) == {"STAR", "GALAXY", "QSO"}
    for name in ("overview", "worst", "labels", "mocks"):
        assert imread(out / f"{name}.png")[..., :3].std() > 0.02
    assert files.read_json(out / "assessment.json")["models"] == ["toy", "paper"]
    assert not list(out.glob(".*")), "no temporary file is left"


def test_without_templates_and_mocks_there_is_less(models, tmp_path):
    out = tmp_path / "out"
    assert main(words(models, out)) == 0
    assert (out / "worst.png").exists() and not {"labels.csv", "mocks.png"} & {path.name for path in out.iterdir()}


@pytest.mark.parametrize("more, told", [
    (["--mocks", "targets.parquet"], "is not a shard"),
    (["--labels", "strange.csv"], "no label is of one of the spectra"),
    (["--model", "models/toy", "models/toy"], "two have one name"),
])  # fmt: skip
def test_what_does_not_fit_together_is_named(models, more, told, tmp_path, capsys):
    (models / "strange.csv").write_text("spectrum_id,class,z\nx,STAR,0\n")
    places = {"targets.parquet": "shards/targets.parquet", "strange.csv": "strange.csv", "models/toy": "models/toy"}
    if more[1] == "targets.parquet":
        files.write_table(
            files.read_table(models / "shards/targets.parquet"), tmp_path / "plain.parquet", {"origin": "mock"}
        )
        more = [more[0], str(tmp_path / "plain.parquet")]
    given = [str(models / places[word]) if word in places else word for word in more]
    assert main(words(models, tmp_path / "out", *given)) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "assessment.json").exists()
