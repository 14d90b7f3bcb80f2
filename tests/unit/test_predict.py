"""`resurvey predict`: anybody's files in, one row or one reason per spectrum out."""

import re
import threading

import numpy as np
import pytest
import toy_spectra as toy
import toy_templates
from resurvey import files
from resurvey.cli import main
from resurvey.errors import ResurveyError
from resurvey.inference.own import expand, find_model
from resurvey.settings.refining import templates_digest
from resurvey.simulate.templates import registry
from resurvey.training.job import fit
from resurvey.training.samples import read_sample

WAVE = toy.GRID["start"] + toy.GRID["step"] * np.arange(toy.GRID["pixels"])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    paths = toy.write_shards(folder / "shards", 120)
    for network, label in (("ResNet_P", None), ("ResNet_7", "GALAXY_nan"), ("ResNet_11", "QSO_nan")):
        sample = read_sample(paths, toy.LABELS, label)
        fit(sample, toy.settings(epochs=4), network, folder / "run/models/toy" / network, threading.Event(), quiet=True)
    return folder


@pytest.fixture
def spectra(tmp_path):
    """Twelve text files and three that hold no spectrum."""
    folder = tmp_path / "spectra"
    (folder / "deeper").mkdir(parents=True)
    for label in toy.LABELS:
        for number, flux in enumerate(toy.spectra(label, 4, seed=5)[0]):
            where = folder / "deeper" if number == 3 else folder
            np.savetxt(where / f"{label}_{number}.txt", np.column_stack([WAVE, flux, np.full(len(flux), 0.05)]))
    (folder / "empty.txt").write_text("")
    (folder / "letter.txt").write_text("Dear all,\nplease find attached\n")
    np.savetxt(folder / "infrared.txt", np.column_stack([WAVE + 20000, np.ones(len(WAVE)), np.ones(len(WAVE))]))
    (folder / ".hidden").write_text("x")
    return folder


def test_every_spectrum_has_a_row_or_a_reason(results, spectra, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    code = main(
        ["predict", str(spectra), "--model", str(results / "run/models/toy"), "--out", str(out), "--engine", "torch"]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    table, rejected = files.read_table(out).to_pandas(), files.read_table(tmp_path / "out.rejected.parquet").to_pandas()
    assert len(table) == 12 and len(rejected) == 3
    assert sorted(rejected["file"]) == sorted(str(spectra / f"{name}.txt") for name in ("empty", "letter", "infrared"))
    assert sorted(rejected["stage"]) == ["read", "read", "resample"] and rejected["reason"].str.len().min() > 10
    assert "trained on mock spectra and met real ones" in printed.err
    from resurvey.catalogues.flags import Flag

    assert (table["flags"] & int(Flag.MOCK_TRAINED_REAL_INPUT)).all()
    assert table["class"].isin(toy.LABELS).all() and (table["n_good"] > 240).all()
    stars = table[table["class"].str.startswith("STAR")]
    assert stars["z"].isna().all() and table.drop(stars.index)["z"].notna().all()
    meta = files.read_meta(out)
    assert (
        meta["origin"] == "real"
        and meta["trained_on"] == "mock"
        and set(meta["weights"]) == {"ResNet_P", "ResNet_7", "ResNet_11"}
    )


def test_same_name_in_two_folders_are_two_rows(results, spectra, tmp_path):
    (spectra / "deeper/GALAXY_nan_0.txt").write_bytes((spectra / "GALAXY_nan_0.txt").read_bytes())
    out = tmp_path / "out.parquet"
    assert (
        main(
            ["predict", f"{spectra}/**/GALAXY_nan_0.txt", "--model", str(results / "run/models/toy"), "--out", str(out)]
        )
        == 0
    )
    table = files.read_table(out).to_pandas()
    assert len(table) == table["spectrum_id"].nunique() == 2
    assert np.ptp(table["class_prob"]) < 1e-6


def test_nothing_usable_is_said_and_written(results, spectra, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert (
        main(["predict", str(spectra / "letter.txt"), "--model", str(results / "run/models/toy"), "--out", str(out)])
        == 1
    )
    assert len(files.read_table(out)) == 0 and len(files.read_table(tmp_path / "out.rejected.parquet")) == 1


def test_files_of_names_globs_and_folders(spectra):
    assert len(expand([str(spectra)])) == 15
    assert len(expand([str(spectra / "*.txt"), str(spectra / "empty.txt")])) == 12
    with pytest.raises(ResurveyError, match=r"nothing\*: matches no file"):
        expand([str(spectra / "nothing*")])


def test_model_by_path_or_name(results, tmp_path):
    assert find_model(str(results / "run/models/toy")) == ((results / "run/models").resolve(), "toy")
    assert find_model("toy", results) == (results / "run/models", "toy")
    with pytest.raises(ResurveyError, match=r"--model toys: .* did you mean toy\?"):
        find_model("toys", results)
    with pytest.raises(ResurveyError, match=r"train one, e\.g\. make demo"):
        find_model("toy", tmp_path)
    with pytest.raises(ResurveyError, match=r"models: holds the models one, two; give one, e\.g\. .*models/one"):
        for name in ("one", "two"):
            files.write_json({"model": name}, tmp_path / "models" / name / "ResNet_P/model.json")
        find_model(str(tmp_path / "models"))
    (results / "other/models/toy").mkdir(parents=True)
    (results / "other/models/toy/ResNet_P").symlink_to(results / "run/models/toy/ResNet_P")
    with pytest.raises(ResurveyError, match="stands in several runs"):
        find_model("toy", results)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--out", "out.csv"], "give out.parquet"),
        (["--out", "{tmp}"], "give .*parquet|is a folder"),
        (["--out", "{tmp}/file/deeper/out.parquet"], "nothing can be written in"),
        (["--threads", "0"], "give 1 or more"),
    ],
)
def test_mistakes_are_told_before_the_work(results, spectra, tmp_path, capsys, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    given = [word.format(tmp=tmp_path) for word in given]
    assert main(["predict", str(spectra), "--model", str(results / "run/models/toy"), *given]) == 2
    printed = capsys.readouterr().err.strip()
    assert len(printed.splitlines()) == 1 and re.search(message, printed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "spectra"]


def test_refined_redshifts_stand_beside_the_others(results, spectra, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "templates"
    folder.mkdir()
    rows = toy_templates.rows(toy_templates.write(folder))
    monkeypatch.setattr(registry, "templates", lambda collections=None: rows)
    out, model = tmp_path / "out.parquet", str(results / "run/models/toy")
    assert main(["predict", str(spectra), "--model", model, "--out", str(out), "--refine", str(folder)]) == 0
    table = files.read_table(out).to_pandas()
    stars, capable = table["class"].str.startswith("STAR"), table["class"].isin(["GALAXY_nan", "QSO_nan"])
    assert stars.any() and table.loc[stars, "z_refined"].isna().all() and table.loc[capable, "z_refined"].notna().all()
    assert (table.loc[capable, "chi2"] > 0).all() and table.loc[capable, "peak"].between(0, 4).all()
    assert files.read_meta(out)["templates"] == templates_digest(str(folder))
    assert main(["predict", str(spectra), "--model", model, "--out", str(out), "--refine", str(tmp_path / "none")]) == 2
    assert "resurvey templates" in capsys.readouterr().err
