"""The scorecard of a paper on labels: measures, printed numbers, baselines, the command, the tables."""

import csv
import json

import label_scoring as samples
import numpy as np
import pandas as pd
import pytest
from resurvey import cli, files, settings
from resurvey.errors import ResurveyError
from resurvey.figures.make import make
from resurvey.metrics import label_baselines
from resurvey.metrics import paper as papers
from resurvey.metrics.label_baselines import baselines, guesses
from resurvey.metrics.label_clusters import members
from resurvey.metrics.label_scores import all_scores
from resurvey.metrics.label_tables import read_label_table
from resurvey.metrics.paper import load_paper

MAD = 1.482602218505602


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    paths = samples.run_folder(tmp_path_factory.mktemp("scored"), shards=1, stars=300, pixels=True)
    assert samples.merge_run(paths, 1) == 0 and samples.evaluate(paths) == 0
    return paths


@pytest.fixture(scope="module")
def scores(run):
    return all_scores(read_label_table(run["tidy"]), load_paper("astronn"))


def test_residuals_are_those_of_each_split(run, scores):
    rows = files.read_table(run["catalogue"]).to_pandas()
    for split in ("test", "train_visits", "test_visits", "valid"):
        part = rows[rows["split"] == split]
        off = (part["na_h"] - part["survey_na_h"]).dropna().to_numpy(float)
        score = scores[f"{split}_median", "na_h"]
        assert (score.n, score.left_out) == (len(off), len(part) - len(off)) and score.left_out > 0
        assert score.value == pytest.approx(np.median(off), abs=1e-6)
        assert scores[f"{split}_sigma_mad", "na_h"].value == pytest.approx(
            MAD * np.median(np.abs(off - np.median(off))), abs=1e-6
        )
    assert not [key for key in scores if key[0].startswith("train_median")]


def test_coverage_with_the_surveys_errors_by_hand(scores, tmp_path):
    rows = {"teff_pred": [4700.0] * 4, "teff_true": [4704.0, 4706.0, 4711.0, 4730.0], "teff_total": [3.0] * 4}
    pd.DataFrame({**rows, "teff_true_err": [4.0, 4.0, np.nan, 4.0], "split": "test"}).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = all_scores(read_label_table(tmp_path / "t.csv"), load_paper("astronn"))
    values = {key: (score.value, score.n, score.left_out) for (key, _), score in found.items() if "coverage" in key}
    assert values == {
        "test_coverage_1": (0.0, 4, 0), "test_coverage_2": (0.25, 4, 0),
        "test_coverage_1 with_error": (1 / 3, 3, 1), "test_coverage_2 with_error": (2 / 3, 3, 1),
    }  # fmt: skip
    wider = scores["test_coverage_1 with_error", "mg_h"].value
    assert (
        wider == pytest.approx(0.93, abs=0.06)
        and "survey's error" in scores["test_coverage_1 with_error", "mg_h"].convention
    )


def test_bias_and_noise_that_were_put_in_come_out(scores):
    for k, label in enumerate(samples.LABELS):
        sigma = samples.NOISE[k] * 100 / 150
        assert scores["test_median", label].value == pytest.approx(samples.BIAS[k], abs=0.6 * sigma)
        assert scores["test_sigma_mad", label].value == pytest.approx(sigma, rel=0.45)
        assert abs(scores["self_median", label].value) < 0.6 * sigma  # the bias is the same on both sides
        if label != "teff":  # whose bias is as large as its noise
            assert scores["test_coverage_1", label].value == pytest.approx(0.683, abs=0.15)
            assert scores["test_coverage_2", label].value == pytest.approx(0.954, abs=0.08)


def test_errors_of_visits_near_an_sn_of_50(scores):
    noise = 0.6745 * np.hypot(100 / 55, 100 / 130) * samples.NOISE  # of visit and combined spectrum
    ratio = [scores["mae_sn50", label].value / noise[k] for k, label in enumerate(samples.LABELS)]
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)
    assert 10 < scores["mae_sn50", "teff"].n < 60


def test_survey_values_that_are_missing_enter_nothing(scores):
    """-9999 in one residual of a hundred would show in no median; in N and in means it does."""
    assert scores["test_median", "logg"].n == 90 and scores["test_median", "teff"].n == 100
    assert all(np.isfinite(score.value) and abs(score.value) < 6000 for score in scores.values())


def test_clusters(run, scores):
    rows = files.read_table(run["catalogue"]).to_pandas().query("cluster == 'M13' and visit == 0 and starflag == 0")
    assert scores["mean M13", "al_h"].n == len(rows) == 23
    assert scores["mean M13", "al_h"].value == pytest.approx(rows["al_h"].mean(), abs=1e-6)
    ratio = rows["al_h"] - rows["fe_h"]
    assert scores["spread M13", "al_fe"].value == pytest.approx(MAD * (ratio - ratio.median()).abs().median(), abs=1e-6)
    assert scores["spread_over_sqrt_n M67", "fe_h"].value == pytest.approx(
        scores["spread M67", "fe_h"].value / np.sqrt(14)
    )
    assert ("spread M13", "fe_fe") not in scores and ("spread M13", "teff") not in scores
    assert scores["open_cluster_spread", "all"].n == 34 and not scores["open_cluster_spread", "all"].partial
    assert scores["open_cluster_spread", "all"].value == pytest.approx(np.hypot(0.02, 0.02), rel=0.3)
    assert scores["survey_spread M67", "mg_h"].value < scores["spread M67", "mg_h"].value


def test_a_missing_cluster_is_not_compared(run):
    found = read_label_table(run["tidy"])
    found.table.loc[found.table["cluster"] == "M67", "cluster"] = None
    score = all_scores(found, load_paper("astronn"))["open_cluster_spread", "all"]
    assert score.partial and score.n == 20 and "NGC 6819" in score.convention and "M67" not in score.convention


def test_uncertainties_outside_the_training_range_are_compared(run):
    found = read_label_table(run["tidy"])
    flagged = (
        (found.table["visit"] == 0)
        & (found.table["flags"].astype(int) & 3 == 0)
        & (found.table["apogee_id"] < "2M00000030")
    )
    found.table.loc[flagged, "flags"] = 1
    found.table.loc[flagged, "mg_h_total"] = 5.0
    outside = (found.table["visit"] == 0) & (found.table["flags"].astype(int) & 3 != 0)
    inside = (found.table["visit"] == 0) & ~outside
    score = all_scores(found, load_paper("astronn"))["total_ratio_outside", "mg_h"]
    expected = found.table.loc[outside, "mg_h_total"].median() / found.table.loc[inside, "mg_h_total"].median()
    assert score.n == outside.sum() and score.value == pytest.approx(expected) and score.value > 1


def card(path):
    return {(row["model"], row["quantity"], row["class"]): row for row in csv.DictReader(path.open())}


@pytest.fixture(scope="module")
def scored(run):
    base, out = run["tidy"].with_name("b.json"), run["tidy"].with_name("card.csv")
    wish = json.dumps({"paper": "astronn", "seed": 1})
    assert (
        cli.main(["baselines", "--shards", str(run["shards"]), "--count", "1", "--settings", wish, "--out", str(base)])
        == 0
    )
    given = ["--models", str(run["models"] / samples.MODEL), "--baselines", str(base), "--out", str(out)]
    assert cli.main(["score", "--paper", "astronn", str(run["tidy"]), *given]) == 0
    return card(out)


def test_paper_ours_difference(scored, scores):
    row = scored[samples.MODEL, "test_sigma_mad", "mg_h"]
    assert (row["paper"], row["source"]) == ("0.027", "Table 1") and int(row["n"]) == scores["test_sigma_mad", "mg_h"].n
    assert float(row["difference"]) == pytest.approx(scores["test_sigma_mad", "mg_h"].value - 0.027)
    assert "1.4826" in row["convention"] and row["survey"].startswith("MOCK SURVEY")
    assert scored[samples.MODEL, "self_median", "teff"]["paper"] == "-3"
    both = [scored[samples.MODEL, f"{split}_sigma_mad", "teff"] for split in ("train_visits", "test_visits")]
    assert (
        [row["paper"] for row in both] == ["24", "24"]
        and "training stars" in both[1]["note"]
        and both[0]["ours"] != both[1]["ours"]
    )
    assert scored[samples.MODEL, "seconds_with_dropout", "all"]["ours"] == "0.02"
    assert scored[samples.MODEL, "parameters", "all"]["ours"] == "3499122"
    assert scored[samples.MODEL, "val_loss", "all"]["ours"] == "-1.36"  # of the last epoch
    assert {(samples.MODEL, *key) for key in load_paper("astronn").printed(samples.MODEL, {})} <= scored.keys()


def test_baselines_stand_beside(run, scored):
    shard = files.read_table(run["shards"] / "0000.parquet").to_pandas()
    train, test = (shard.loc[shard["split"] == name, "teff"].dropna() for name in ("train", "test"))
    off = train.median() - test
    row = scored[samples.MODEL, "test_median", "teff"]
    assert float(row["majority_or_median"]) == pytest.approx(off.median(), rel=1e-5)
    row = scored[samples.MODEL, "test_sigma_mad", "teff"]
    assert float(row["majority_or_median"]) == pytest.approx(MAD * (off - off.median()).abs().median(), rel=1e-5)
    assert float(row["pca_linear"]) < 0.3 * float(row["majority_or_median"])
    linear = scored[samples.MODEL, "self_sigma_mad", "teff"]
    assert float(linear["pca_linear"]) > 0 and linear["majority_or_median"] == "0.0"


def test_baselines_of_clusters_are_of_the_same_members(run):
    """Members that were trained on count too: the network's spread is of all."""
    paper = load_paper("astronn")
    rows = files.read_table(run["shards"] / "0000.parquet").to_pandas()
    stars = members(rows, "M13")
    rows.loc[stars.index[::2], "split"] = "train"
    flux = np.stack(rows["flux"])
    linear = baselines(flux, rows.rename(columns={name: f"{name}_true" for name in paper.labels}), paper)["pca_linear"]
    ratio = linear["spread M13"]["fe_h"] / linear["spread_over_sqrt_n M13"]["fe_h"]
    assert ratio == pytest.approx(np.sqrt(len(stars)))
    assert not [name for name in linear if name.startswith("survey_")]


def test_a_table_without_splits_is_told_what_it_lacks(tmp_path, capsys):
    rows = pd.DataFrame({"teff_pred": [4800.0, 4900.0, 5000.0], "teff_true": [4810.0, 4890.0, 5020.0]})
    rows.to_csv(tmp_path / "own.csv", index=False)
    assert cli.main(["score", "--paper", "astronn", str(tmp_path / "own.csv")]) == 0
    assert "3 rows: no row is of a split" in capsys.readouterr().out
    rows.assign(split="test").to_csv(tmp_path / "own.csv", index=False)
    assert cli.main(["score", "--paper", "astronn", str(tmp_path / "own.csv")]) == 0
    printed = capsys.readouterr().out
    assert "of a split" not in printed and "no row is of the split test_visits" in printed
    assert "no row is of a cluster" in printed


def test_a_table_of_ones_own_shows_what_it_allows_and_its_name(tmp_path, capsys):
    values = {"teff_pred": [4800.0, 4900.0, 5000.0], "teff_true": [4810.0, 4890.0, 5020.0]}
    pd.DataFrame({**values, "split": "test"}).to_csv(tmp_path / "own.csv", index=False)
    assert cli.main(["score", "--paper", "astronn", str(tmp_path / "own.csv")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("own.csv — it does not say of which survey") and "published" not in printed
    assert sum(line.startswith("test_") for line in printed.splitlines()) == 2  # median and σ_MAD of Teff
    assert len(printed.splitlines()) < 20 and "self_median (22)" in printed


def test_where_nothing_can_be_measured_no_empty_table_is_printed(tmp_path, capsys):
    pd.DataFrame({"teff_pred": [4800.0]}).to_csv(tmp_path / "own.csv", index=False)
    assert cli.main(["score", "--paper", "astronn", str(tmp_path / "own.csv")]) == 0
    printed = capsys.readouterr().out
    assert "quantity" not in printed and "not measured, " in printed


def test_members_are_kept_whatever_share_is_drawn(run, monkeypatch):
    monkeypatch.setattr(label_baselines, "ROWS", 250)
    found = label_baselines.of_shards([run["shards"] / "0000.parquet"], load_paper("astronn"), 1)
    stars = members(files.read_table(run["shards"] / "0000.parquet").to_pandas(), "M13")
    assert found["share"] < 1
    ratio = found["pca_linear"]["spread M13"]["fe_h"] / found["pca_linear"]["spread_over_sqrt_n M13"]["fe_h"]
    assert ratio == pytest.approx(np.sqrt(len(stars)))


def test_baselines_are_of_their_own_dataset_only(run, tmp_path):
    table, meta = files.read_table(run["tidy"]), files.read_meta(run["tidy"])
    files.write_table(
        table, tmp_path / "t.parquet", {**meta, "model": "astronn_aspcap", "dataset": "apogee_dr14_aspcap"}
    )
    out = tmp_path / "c.csv"
    base = run["tidy"].with_name("b.json")
    assert (
        cli.main(
            ["score", "--paper", "astronn", str(tmp_path / "t.parquet"), "--baselines", str(base), "--out", str(out)]
        )
        == 0
    )
    row = card(out)["astronn_aspcap", "test_median", "teff"]
    assert row["majority_or_median"] == "" and (row["paper"], row["source"]) == ("-22", "Table 4")
    assert not any("Table 1" in row["source"] for row in card(out).values())


def test_the_printed_table_and_json(run, capsys):
    assert cli.main(["score", "--paper", "astronn", str(run["tidy"])]) == 0
    printed = capsys.readouterr().out
    assert "MOCK SURVEY" in printed and "test σMAD" in printed and "§4.2, Fig. 11" in printed
    assert cli.main(["score", "--paper", "astronn", str(run["tidy"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paper"] == "astronn"


def test_truth_that_went_in(run, tmp_path, capsys):
    assert (
        cli.main(
            [
                "score",
                "--paper",
                "astronn",
                str(run["tidy"]),
                "--truth",
                str(run["targets"]),
                "--out",
                str(tmp_path / "c.csv"),
            ]
        )
        == 0
    )
    rows = card(tmp_path / "c.csv")
    assert float(rows[samples.MODEL, "test_coverage_1", "mg_h"]["ours"]) > 0.5
    assert "|network − targets.parquet|" in rows[samples.MODEL, "test_coverage_1", "mg_h"]["convention"]
    assert "targets.parquet" in rows[samples.MODEL, "survey_spread M13", "al_h"]["convention"]
    assert cli.main(["score", "--paper", "gasnet2", str(run["tidy"]), "--truth", str(run["targets"])]) == 2
    assert "--truth: the tables of gasnet2 hold their truth" in capsys.readouterr().err


def test_linear_labels_are_found_by_a_linear_model():
    rng = np.random.default_rng(4)
    label = rng.normal(size=(300, 3))
    flux = 1 + 0.05 * label[:, :2] @ rng.normal(size=(2, 40))
    known = label.copy()
    known[::3, 1] = np.nan
    known[9:, 2] = np.nan  # too few
    found = guesses(flux[:200], known[:200], flux[200:])
    assert np.std(found["pca_linear"][:, 1] - label[200:, 1]) < 0.05
    np.testing.assert_allclose(found["trivial"], np.tile(np.nanmedian(known[:200], 0), (100, 1)) * [1, 1, np.nan])
    assert np.isnan(found["pca_linear"][:, 2]).all()


def test_a_constant_is_consistent_with_itself(scored):
    """Which is why its numbers stand beside a network's."""
    for quantity in ("self_median", "self_sigma_mad", "mae_sn50", "spread M13"):
        row = scored[samples.MODEL, quantity, "al_h"]
        assert float(row["majority_or_median"]) == 0 and float(row["ours"]) != 0
    assert float(scored[samples.MODEL, "test_visits_sigma_mad", "al_h"]["majority_or_median"]) > 0.05
    assert scored[samples.MODEL, "test_coverage_1", "al_h"]["pca_linear"] == ""


@pytest.mark.parametrize("name", ["astronn_table1", "astronn_table2", "astronn_table3", "astronn_table4"])
def test_tables_are_drawn(run, scores, name, tmp_path):
    make(name, [str(run["tidy"])], [str(tmp_path / "t.png"), str(tmp_path / "t.csv")], "astronn")
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
    rows = pd.read_csv(tmp_path / "t.csv", dtype={"paper_median": str}).set_index(
        "label" if name != "astronn_table3" else ["set", "label"]
    )
    if name == "astronn_table3":
        assert len(rows) == 6 and set(rows["n_train"]) == {80}
        assert rows.loc[("test_visits", "teff"), "median"] == pytest.approx(scores["test_visits_median", "teff"].value)
        assert rows.loc[("train_visits", "fe_h"), "paper_median"] == "-0.004"
    else:
        prefix, paper = ("self", "-3") if name == "astronn_table2" else ("test", "-20")
        assert list(rows.index) == samples.LABELS and rows.loc["teff", "paper_median"] == paper
        assert rows.loc["si_h", "sigma_mad"] == pytest.approx(scores[f"{prefix}_sigma_mad", "si_h"].value)


def test_tables_without_their_rows_say_so(run, tmp_path):
    table, meta = files.read_table(run["tidy"]), files.read_meta(run["tidy"])
    files.write_table(
        table.filter(table["visit"].to_numpy() == 0), tmp_path / "t.parquet", {**meta, "model": "astronn_aspcap"}
    )
    for name, words in (
        ("astronn_table2", "no visits of the split test_visits"),
        ("astronn_table3", "no model of Table 3"),
    ):
        with pytest.raises(ResurveyError, match=words):
            make(name, [str(tmp_path / "t.parquet")], [str(tmp_path / "x.csv")], "astronn")


def test_models_that_the_paper_does_not_know_stand_beside_its_first():
    paper = load_paper("astronn")
    assert paper.printed("mine", {}) == paper.printed("astronn_censored", {})
    assert paper.printed("astronn_n1043", {})["train_visits_sigma_mad", "teff"]["printed"] == "53"
    assert ("test_median", "teff") not in paper.printed("astronn_n1043", {})


def test_groups_of_printed_numbers_are_taken_apart():
    group = {"of": ["m", "s"], "source": "T", "model": "x", "printed": {"a": ["1", "2"], "b": ["3", "4"]}}
    rows = papers._rows([group, {"of": "m", "class": "all", "printed": "5", "source": "U"}])
    assert [(row["of"], row["class"], row["printed"]) for row in rows] == [
        ("m", "a", "1"), ("s", "a", "2"), ("m", "b", "3"), ("s", "b", "4"), ("m", "all", "5"),
    ]  # fmt: skip
    assert rows[0]["model"] == "x" and "model" not in rows[4]
    with pytest.raises(ResurveyError, match="m, s of a"):
        papers._rows([{**group, "printed": {"a": ["1"]}}])


def test_expected_entries_are_checked():
    data = settings.read_yaml(settings.WORKFLOW / "papers/astronn.yaml")
    settings.validate(data, "paper", "astronn.yaml")
    for wrong in ({"of": "m", "printed": "1", "source": "T"}, {"of": ["m"], "printed": "1", "class": "a", "source": "T"},
                  {"of": "m", "printed": {"a": ["1"]}, "source": "T"}):  # fmt: skip
        with pytest.raises(ResurveyError, match=r"expected\.0"):
            settings.validate({**data, "expected": [wrong]}, "paper", "astronn.yaml")


def test_every_printed_number_is_one_that_is_measured(scored):
    """A misspelt quantity in the paper's file would stand unmeasured for ever."""
    paper = load_paper("astronn")
    measured = {key[1:] for key, row in scored.items() if row["ours"]}
    assert not {(entry["of"], entry["class"]) for entry in paper.expected} - measured
