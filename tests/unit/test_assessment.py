"""Assessments: tables of known rows, labels of somebody, templates at a label, mocks beside real spectra, and the command itself."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from resurvey import cli, settings
from resurvey.assessment import spectra
from resurvey.errors import ResurveyError
from resurvey.figures import likeness as beside
from resurvey.metrics import assessment, likeness
from resurvey.paths import Paths
from resurvey.surveys.spectrum import Spectrum, pixel_edges

ROWS = pd.DataFrame({
    "spectrum_id": list("abcdef"),
    "set": ["one", "one", "one", "two", "two", "two"],
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


def line(table, **wanted):
    found = table
    for key, value in wanted.items():
        found = found[found[key] == value]
    assert len(found) == 1, wanted
    return found.iloc[0]


def test_confusion_by_hand():
    table = assessment.class_table(ROWS)
    assert line(table, set="all", true="GALAXY")[["STAR", "GALAXY", "QSO", "n", "recognised"]].tolist() == [
        1,
        1,
        0,
        2,
        0.5,
    ]
    assert line(table, set="all", true="QSO")["recognised"] == 1
    assert line(table, set="all", true="all")["recognised"] == pytest.approx(4 / 6)
    assert line(table, set="one", true="all")["n"] == 3 and np.isnan(line(table, set="one", true="QSO")["recognised"])
    assert set(assessment.class_table(ROWS.assign(set="all"))["set"]) == {"all"}


def test_a_class_error_costs_its_redshift_in_the_chain():
    table = assessment.redshift_table(ROWS)
    network = line(table, set="all", **{"class": "GALAXY"}, redshift=assessment.TRUE_CLASS)
    chain = line(table, set="all", **{"class": "GALAXY"}, redshift=assessment.NETWORK)
    assert network[["n", "without_z", "good", "outliers"]].tolist() == [2, 0, 1.0, 0.0]
    assert chain[["n", "without_z", "good", "outliers"]].tolist() == [2, 1, 0.5, 0.5]
    quasar = line(table, set="all", **{"class": "QSO"}, redshift=assessment.NETWORK)
    refined = line(table, set="all", **{"class": "QSO"}, redshift=assessment.REFINED)
    assert quasar["good"] == 0.5 and refined["good"] == 1.0 and refined["median"] < 1e-3
    plain = assessment.redshift_table(ROWS.drop(columns="z_refined"))
    assert assessment.REFINED not in set(plain["redshift"])


def test_every_spectrum_stands_in_one_line_by_sn():
    table = assessment.sn_table(ROWS.assign(sn_median=[20, 3, 4, np.nan, -1, 30]))
    assert table["n"].sum() == len(ROWS)
    assert line(table, **{"class": "GALAXY"}, sn="unknown")[["recognised", "good", "outliers"]].tolist() == [0, 0, 1]
    assert line(table, **{"class": "QSO"}, sn="< 0")["n"] == 1
    assert np.isnan(line(table, **{"class": "STAR"}, sn="> 10")["good"])


def test_worst_cases_are_class_errors_and_outliers_the_furthest_first():
    assert assessment.worst(ROWS)["spectrum_id"].tolist() == ["d", "b"]  # d has no redshift at all
    assert set(assessment.worst(ROWS.drop(columns="z_refined"))["spectrum_id"]) == {"b", "d", "f"}


def test_labels_of_somebody(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("spectrum_id,class,z\n0007,GALAXY,0.15\n8,STAR,\n")
    table = assessment.read_labels(path)
    assert table["spectrum_id"].tolist() == ["0007", "8"] and table["set"].tolist() == ["all", "all"]
    assert np.isnan(table["z_true"][1])
    for text, told in (("id,class,z\n", "lacks the columns spectrum_id"), ("spectrum_id,class,z\n1,NEBULA,0\n", "NEBULA"),
                       ("spectrum_id,class,z\n1,STAR,0\n1,STAR,0\n", "1 is given twice"), ("spectrum_id,class,z\n1,QSO,\n", "no z")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ResurveyError, match=told):
            assessment.read_labels(path)


def test_labels_of_the_files_themselves():
    rows = pd.DataFrame({"spectrum_id": ["1", "2", "3"], "survey_class": ["QSO", "GALAXY", None],
                         "survey_z": [1.0, 0.1, np.nan], "survey_zwarning": [0, 4, None]})  # fmt: skip
    assert assessment.own_labels(rows)["spectrum_id"].tolist() == ["1"]  # of 2 the survey is not sure, 3 has no class
    with pytest.raises(ResurveyError, match="--labels"):
        assessment.own_labels(rows.iloc[1:])
    with pytest.raises(ResurveyError, match="the first label is of 'x', the spectra are 1, 2"):
        assessment.labelled(pd.DataFrame({"spectrum_id": ["x"], "true": ["STAR"]}), rows)
    strange = rows.assign(**{"class": "NEBULA_HII"})
    with pytest.raises(ResurveyError, match="classes NEBULA are none of STAR, GALAXY, QSO"):
        assessment.labelled(pd.DataFrame({"spectrum_id": ["1"], "true": ["STAR"]}), strange)


def test_markdown_keeps_small_numbers():
    text = assessment.markdown(pd.DataFrame({"a": [0.91234, 2.1e-5, np.nan], "n": [1, 2, 3]}))
    assert text.splitlines()[2:] == ["| 0.912 | 1 |", "| 2.1e-05 | 2 |", "|  | 3 |"]


def noise(count, sn, rng, wave, label="GALAXY", z=0.1):
    """Flat spectra of given S/N with Gaussian errors."""
    sn = np.broadcast_to(np.asarray(sn, float), count)
    sigma = 1 / sn[:, None]
    flux = 1 + sigma * rng.standard_normal((count, len(wave)))
    ivar = np.broadcast_to(1 / sigma**2, flux.shape)
    return likeness.Sample(flux, ivar, np.full(count, label), np.full(count, z), sn)


@pytest.fixture
def wave():
    return 4000 + 2.0 * np.arange(1000)


def test_partners_are_alike_and_none_is_taken_twice(wave):
    rng = np.random.default_rng(0)
    mock = noise(400, rng.uniform(1, 50, 400), rng, wave[:3], z=0.1)
    real = noise(20, rng.uniform(5, 20, 20), rng, wave[:3], z=0.1)
    rows = likeness.partners(real, mock)
    assert len(rows) == likeness.PARTNERS * 20 == len(set(rows))
    assert mock.sn[rows].min() > 4 and mock.sn[rows].max() < 25
    assert len(likeness.partners(mock, real)) == 20  # no more than there are


def test_like_spectra_look_alike_and_errors_that_are_too_small_show(wave):
    rng = np.random.default_rng(1)
    real, mock = noise(60, 8, rng, wave), noise(200, 8, rng, wave)
    wrong = likeness.Sample(real.flux, real.ivar * 4, real.label, real.z, real.sn)
    for sample, expected in ((real, 1.0), (wrong, 2.0)):
        table = likeness.compare(sample, mock, wave)
        residual = table[table["what"] == "residual"].groupby("sample")["value"].median()
        assert residual["real"] == pytest.approx(expected, rel=0.05) and residual["mock"] == pytest.approx(1, rel=0.05)
        spectrum = table[table["what"] == "spectrum"]
        assert spectrum["value"].to_numpy() == pytest.approx(1, abs=0.1)
        assert spectrum["x"].between(4000 / 1.11, 6000 / 1.09).all()
        assert table[table["what"] == "sn"].groupby("sample")["value"].sum().to_numpy() == pytest.approx(1)


def test_the_figure_has_a_column_for_each_class_and_stands_without_any(wave, tmp_path):
    rng = np.random.default_rng(2)
    real = [noise(9, 6, rng, wave, name) for name in ("STAR", "QSO")]
    both = likeness.Sample(*(np.concatenate([getattr(part, key) for part in real]) for key in vars(real[0])))
    data = likeness.compare(both, both, wave)
    assert list(dict.fromkeys(data["class"])) == ["STAR", "QSO"]
    for table in (data, data.iloc[:0]):
        beside.draw(table, "words").savefig(tmp_path / "one.png")
        assert imread(tmp_path / "one.png")[..., :3].std() > 0.01


def test_a_wrong_redshift_is_worse_by_chi_square():
    """Templates at the label are compared with those at ours, on the spectrum's own pixels."""
    from resurvey.simulate.templates.libraries import Libraries, Library

    loglam = np.arange(3.3, 4.0, 1e-4)
    step = 1 / (1 + np.exp(-(10**loglam - 4000) / 20)) + np.exp(-0.5 * ((10**loglam - 5008) / 4) ** 2)
    galaxies = Library(3.3, np.float32(step)[None], np.ones((1, 1), np.float32))
    library = Libraries({}, *4 * [galaxies], np.zeros(0, int), {})
    wave = 10 ** np.arange(3.6, 3.96, 1e-4)
    flux = np.interp(np.log10(wave / 1.2), loglam, step) + 0.05 * np.random.default_rng(0).standard_normal(len(wave))
    one = Spectrum(
        "a",
        wave,
        pixel_edges(wave),
        np.float32(flux),
        np.full(len(wave), 400, np.float32),
        np.zeros(len(wave), int),
        "test",
    )
    rows = pd.DataFrame(
        {"spectrum_id": ["a", "b"], "true": "GALAXY", "ours": "GALAXY", "z_true": [0.5, 0.5], "z_ours": [0.2, 0.2]}
    )
    table = spectra.at_label(rows, {"a": one}, library)
    assert table["spectrum_id"].tolist() == ["a"] and table["better"].iloc[0] > 1000 and table["pixels"].iloc[0] > 3000
    swapped = rows.rename(columns={"z_true": "z_ours", "z_ours": "z_true"})
    assert spectra.at_label(swapped, {"a": one}, library)["better"].iloc[0] < -1000


def test_a_run_is_asked_for_assessments_by_name():
    given = {"mine": {"spectra": "folder", "labels": "labels.csv"}}
    resolved = settings.load("config.yaml", {"preset": "smoke_mocks_to_real", "assess": given})
    paths = Paths(resolved)
    assert resolved["assess"]["mine"]["models"] == ["mocks_to_real", "mocks_to_real_huber"]
    assert paths.assessments() == [("mocks_to_real", "mine")]
    made = paths.assessment_files("mocks_to_real", "mine")
    assert "results/smoke_mocks_to_real/mocks_to_real/assessment_mine/worst.png" in made and not any(
        "labels" in f for f in made
    )
    assert Paths(settings.load("config.yaml", {"preset": "demo"})).assessments() == []
    for wrong, told in (({"spectre": "x"}, "did you mean spectra"), ({"spectra": "x", "models": ["mocks_to_rea"]}, "did you mean mocks_to_real")):  # fmt: skip
        with pytest.raises(ResurveyError, match=told):
            settings.load("config.yaml", {"preset": "smoke_mocks_to_real", "assess": {"mine": wrong}})


def test_labels_that_cannot_be_read_are_told_before_any_prediction(tmp_path, capsys):
    (tmp_path / "spectrum.txt").write_text("4000 1\n4001 1\n")
    words = ["assess", str(tmp_path / "spectrum.txt"), "--model", "none", "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--labels", str(tmp_path / "none.csv")]) == 2
    assert "cannot be read as CSV" in capsys.readouterr().err
    (tmp_path / "labels.csv").write_text("spectrum_id,class,z\n1,STAR,0\n")
    assert cli.main([*words, "--labels", str(tmp_path / "labels.csv")]) == 2
    assert "no trained network is there" in capsys.readouterr().err


def test_presets_of_mocks_to_real_touch_no_other_paper():
    for preset in ("mocks_to_real", "smoke_mocks_to_real"):
        resolved = settings.load("config.yaml", {"preset": preset})
        assert list(resolved["models"]) == ["mocks_to_real", "mocks_to_real_huber"]
        assert list(resolved["releases"]) == ["sdss_template_mock"] and resolved["archive"]["origin"] == "mock"
    for preset in ("demo", "smoke", "paper", "full", "demo_desi", "demo_4most", "demo_appendices"):
        assert "mocks_to_real" not in settings.load("config.yaml", {"preset": preset})["papers"]


def test_the_paper_s_head_stands_beside_with_its_own_input():
    models = settings.load("config.yaml", {"preset": "mocks_to_real"})["models"]
    ours, paper = models["mocks_to_real"], models["mocks_to_real_huber"]
    assert (ours["head"], paper["head"]) == ("bins", "huber")
    assert paper["architecture"]["channels"] == ["flux"] and paper["training"]["z_scale"] == 10.0
    assert json.dumps(ours["training"]) == json.dumps(paper["training"])
