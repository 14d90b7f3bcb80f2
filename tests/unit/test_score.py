"""The scorecard: rows, counts of what was left out, the words for a mock survey, the command."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scoring_samples as samples
from astropy.io import fits
from resurvey import cli, files
from resurvey.inference.refine import FIELDS
from resurvey.metrics.baselines import baselines
from resurvey.metrics.paper import load_paper
from resurvey.metrics.scores import all_scores
from resurvey.metrics.tables import read_tidy


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run, merged and evaluated."""
    folder = tmp_path_factory.mktemp("scored")
    paths = samples.run_folder(folder, shards=2, per_class=40)
    paths |= {
        "catalogue": folder / "c.parquet",
        "fits": folder / "c.fits",
        "rejected": folder / "r.parquet",
        "tidy": folder / "tidy.parquet",
    }
    assert samples.merge_run(paths) == 0
    assert cli.main(["evaluate", "--catalogue", str(paths["catalogue"]), "--out", str(paths["tidy"])]) == 0
    return paths


def test_scores_are_those_of_the_test_split(run):
    tidy, paper = read_tidy(run["tidy"]), load_paper("gasnet2")
    scores = all_scores(tidy, paper)
    assert len(tidy.table) == 2 * 13 * 6
    assert scores["average_accuracy", "all"].n == 2 * 13 * 6
    assert scores["mc_gf", "QSO_nan"].n == 12
    assert (
        sum(
            scores[f"mc_gf {name}", "QSO_nan"].n
            for name in ("S/N<5", "5≤S/N<10", "S/N>10")
            if (f"mc_gf {name}", "QSO_nan") in scores
        )
        == 12
    )
    assert ("mc_gf", "STAR_A0") not in scores


def test_catalogue_tidy_and_fits_score_the_same(run):
    paper = load_paper("gasnet2")
    of = [all_scores(read_tidy(run[name]), paper) for name in ("tidy", "catalogue", "fits")]
    for key, score in of[0].items():
        if "z_err" in key[0] or key[0] == "robust":
            continue  # a FITS file carries neither calibration nor validation errors
        assert of[1][key].value == pytest.approx(score.value, abs=1e-12)
        assert of[2][key].value == pytest.approx(score.value, abs=1e-12)


def test_missing_redshifts_are_counted_not_lost(run):
    tidy, paper = read_tidy(run["tidy"]), load_paper("gasnet2")
    here = np.flatnonzero(tidy.table["label"] == "GALAXY_AGN")[:3]
    tidy.table.loc[here, ["z_pred", "z_chain"]] = np.nan
    scores = all_scores(tidy, paper)
    assert (scores["mc_mae", "GALAXY_AGN"].n, scores["mc_mae", "GALAXY_AGN"].left_out) == (9, 3)
    assert scores["chain_gf", "GALAXY_AGN"].n == 12  # in the chain a missing redshift is a wrong one


def test_refined_redshifts_are_scored_beside_the_networks(run, tmp_path):
    """Through merge and evaluation, from predictions whose refined redshift is the truth wherever there is one."""
    paths = samples.run_folder(tmp_path, shards=2, per_class=40)
    for file in sorted(paths["predictions"].glob("*.parquet")):
        table, spectra = files.read_table(file), files.read_table(paths["shards"] / file.name)
        z = spectra["z"].to_numpy(zero_copy_only=False)
        for field in FIELDS:
            values = pa.array(np.where(np.isfinite(z), z, 0) if field.name == "z_refined" else np.ones(len(z)))
            values = pc.if_else(pa.array(np.isfinite(z)), values, None).cast(field.type)
            table = table.append_column(field, values)
        files.write_table(table, file, {**files.read_meta(file), "templates": "abc"})
    paths |= {name: tmp_path / f"{name}.parquet" for name in ("catalogue", "rejected", "tidy")} | {
        "fits": tmp_path / "c.fits"
    }
    assert samples.merge_run(paths) == 0
    assert files.read_meta(paths["catalogue"])["templates"] == "abc"
    assert fits.getheader(paths["fits"])["TEMPLATE"] == "abc"
    assert {"z_refined", "chi2", "dchi2", "peak"} <= set(fits.getdata(paths["fits"]).names)
    assert cli.main(["evaluate", "--catalogue", str(paths["catalogue"]), "--out", str(paths["tidy"])]) == 0
    paper = load_paper("gasnet2")
    scores, plain = (all_scores(read_tidy(place["tidy"]), paper) for place in (paths, run))
    assert scores["refined_gf", "QSO_nan"].value == 1 and scores["refined_mean_dz", "GALAXY"].value < 1e-6
    assert scores["chain_gf", "QSO_nan"].value == plain["chain_gf", "QSO_nan"].value < 1
    assert set(scores) - set(plain) == {key for key in scores if key[0].startswith("refined_")}
    card = tmp_path / "card.csv"
    assert cli.main(["score", "--paper", "gasnet2", str(paths["tidy"]), "--out", str(card)]) == 0
    assert "refined_gf" in {row["quantity"] for row in csv.DictReader(card.open())}


def test_rows_say_that_it_is_a_mock_survey(run, tmp_path):
    out = tmp_path / "card.csv"
    assert (
        cli.main(
            [
                "score",
                "--paper",
                "gasnet2",
                str(run["tidy"]),
                "--models",
                str(run["models"] / "gasnet2_sdss"),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    rows = list(csv.DictReader(out.open()))
    assert all(row["survey"].startswith("MOCK SURVEY") and row["head"] == "huber" for row in rows)
    found = {(row["quantity"], row["class"]): row for row in rows}
    assert found["average_accuracy", "all"]["paper"] == "0.924"
    assert float(found["average_accuracy", "all"]["difference"]) == pytest.approx(
        float(found["average_accuracy", "all"]["ours"]) - 0.924
    )
    assert found["val_acc", "classifier"]["ours"] and found["coverage_1 z_err", "QSO_nan"]["n"] == "12"
    expected = set(load_paper("gasnet2").printed("gasnet2_sdss", {}))
    assert expected <= found.keys()


def test_json_prints_full_precision(run, capsys):
    assert cli.main(["score", "--paper", "gasnet2", str(run["tidy"]), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    value = next(row["ours"] for row in rows if (row["quantity"], row["class"]) == ("mc_mae", "QSO_nan"))
    table = read_tidy(run["tidy"]).table
    table = table[table["label"] == "QSO_nan"]
    assert value == float(np.mean(np.abs(table["z_pred"] - table["z_true"])))


def test_unknown_paper_names_the_nearest(run, capsys):
    assert cli.main(["score", "--paper", "gasnet", str(run["tidy"])]) == 2
    assert "did you mean gasnet2?" in capsys.readouterr().err


def test_baselines_know_a_linear_problem():
    rng = np.random.default_rng(3)
    label = np.repeat(["STAR_A0", "GALAXY_AGN"], 200)
    z = np.where(label == "STAR_A0", np.nan, rng.uniform(0, 0.5, 400))
    shape = rng.normal(size=(3, 50))
    flux = (
        shape[0]
        + np.where(label == "STAR_A0", 0.3, -0.3)[:, None] * shape[1]
        + 0.4 * np.nan_to_num(np.log1p(z))[:, None] * shape[2]
    )
    odd = np.arange(400) % 2 == 1
    result = baselines(flux[odd], label[odd], z[odd], flux[~odd], label[~odd], z[~odd], load_paper("gasnet2"))
    assert result["pca_linear"]["average_accuracy"]["all"] == 1
    assert result["trivial"]["average_accuracy"]["all"] == 0.5
    assert result["pca_linear"]["mae"]["GALAXY_AGN"] < 0.1 * result["trivial"]["mae"]["GALAXY_AGN"]
    median = np.median(z[odd & (label == "GALAXY_AGN")])
    assert result["trivial"]["mae"]["GALAXY_AGN"] == pytest.approx(
        np.abs(z[~odd & (label == "GALAXY_AGN")] - median).mean()
    )


def test_baselines_command(run, tmp_path):
    out = tmp_path / "base.json"
    settings = json.dumps({"paper": "gasnet2", "seed": 1})
    assert (
        cli.main(
            ["baselines", "--shards", str(run["shards"]), "--count", "2", "--settings", settings, "--out", str(out)]
        )
        == 0
    )
    result = json.loads(out.read_text())
    assert result["origin"] == "mock" and result["n_train"] == 2 * 13 * 28 and result["n_test"] == 2 * 13 * 6
    another = tmp_path / "another.json"  # those of another dataset's test spectra do not stand beside this one's
    another.write_text(json.dumps({**result, "dataset": "desi_edr", "trivial": {"average_accuracy": {"all": 0.9}}}))
    given = ["--baselines", str(another), str(out), "--out", str(tmp_path / "s.csv")]
    assert cli.main(["score", "--paper", "gasnet2", str(run["tidy"]), *given]) == 0
    row = next(r for r in csv.DictReader((tmp_path / "s.csv").open()) if r["quantity"] == "average_accuracy")
    assert float(row["majority_or_median"]) == pytest.approx(1 / 13)


def test_robust_fraction_of_the_bins_head_is_that_of_its_calibrated_error(run):
    tidy, paper = read_tidy(run["tidy"]), load_paper("gasnet2")
    limit = tidy.meta["val_mae"]["QSO_nan"]
    tidy.table["z_std"], tidy.table["z_err"] = 2 * limit, 0.5 * limit
    for head, expected in (("huber", 0), ("bins", 1)):
        tidy.meta["head"] = head
        assert all_scores(tidy, paper)["robust", "QSO_nan"].value == expected


def test_rows_of_unknown_classes_are_told(tmp_path, capsys):
    frame = pd.DataFrame({"CLASS": ["GALAXY"] * 3, "SUBCLASS": ["AGN", "BROADLINE", "BROADLINE"], "Z": [0.1, 0.2, 0.3],
                          "pred_bar": [0.1, 0.2, 0.3]})  # fmt: skip
    frame.to_csv(tmp_path / "p.csv", index=False)
    assert cli.main(["score", "--paper", "gasnet2", str(tmp_path / "p.csv"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (entry,) = printed["left_out"]
    assert entry["n"] == 2 and "GALAXY_BROADLINE" in entry["reason"]
    (mean,) = [row for row in printed["rows"] if row["quantity"] == "mc_mean_dz" and row["class"] == "GALAXY"]
    assert mean["ours"] == 0 and mean["difference"] is None and "not compared" in mean["note"]
