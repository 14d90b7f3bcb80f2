"""The paper on its DESI sample: classes, printed numbers, scores, baselines and figures are those of the sample that a table is of."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from resurvey import cli, files, settings
from resurvey.figures.make import make
from resurvey.metrics.baselines import of_shards
from resurvey.metrics.paper import load_paper
from resurvey.progress.plan import stages

LABELS = ["STAR", "QSO", "GALAXY"]
META = {
    "origin": "mock",
    "release": "desi_edr",
    "dataset": "desi_edr",
    "model": "gasnet2_desi",
    "head": "huber",
    "code_version": "0",
}


def tidy(folder, wrong=3):
    """40 test spectra of each class; `wrong` stars are taken for galaxies, redshifts are off by 2% of 1 + z."""
    label = np.repeat(LABELS, 40)
    z = np.where(label == "STAR", np.nan, np.linspace(0.1, 1.3, 120))
    predicted = label.copy()
    predicted[:wrong] = "GALAXY"
    table = pd.DataFrame({"spectrum_id": [f"sv3-dark-{i}" for i in range(120)], "label": label, "z_true": z, "z_pred": z + 0.02 * (1 + z),
                          "z_std": 0.01, "class_pred": predicted, "prob": 0.9, "sn_median": np.linspace(2, 30, 120)})  # fmt: skip
    files.write_table(
        pa.Table.from_pandas(table, preserve_index=False), folder / "tidy.parquet", {**META, "labels": LABELS}
    )
    return folder / "tidy.parquet"


def test_the_paper_on_each_of_its_samples():
    sdss, desi = load_paper("gasnet2"), load_paper("gasnet2", "desi_edr")
    assert len(sdss.labels) == 13 and desi.labels == LABELS and desi.redshift_labels == ["QSO", "GALAXY"]
    assert desi.networks == {"classifier": "ResNet_P", "QSO": "ResNet_QSO", "GALAXY": "ResNet_GALAXY"}
    numbers = {key: entry["printed"] for key, entry in desi.printed("gasnet2_desi", {}).items()}
    assert numbers == {("average_accuracy", "all"): "0.96", ("mc_dz", "GALAXY"): "0.028", ("mc_dz", "QSO"): "0.048"}
    assert sdss.printed("gasnet2_sdss", {})["average_accuracy", "all"]["printed"] == "0.924"
    assert ("mc_dz", "QSO") not in sdss.printed("gasnet2_sdss", {})
    assert sdss.of("desi_edr") == desi and sdss.of("sdss_dr16") is sdss and sdss.of(None) is sdss
    assert sdss.of("sdss_dr16_all").labels == sdss.labels, "a sample that no model is trained on"


def test_scores_of_a_desi_table(tmp_path):
    out = tmp_path / "scorecard.csv"
    assert cli.main(["score", "--paper", "gasnet2", str(tidy(tmp_path)), "--out", str(out)]) == 0
    rows = pd.read_csv(out).set_index(["quantity", "class"])
    accuracy = rows.loc[("average_accuracy", "all")]
    assert accuracy["ours"] == pytest.approx((37 / 40 + 2) / 3) and accuracy["paper"] == 0.96
    for label, printed in (("GALAXY", 0.028), ("QSO", 0.048)):
        dz = rows.loc[("mc_dz", label)]
        assert dz["ours"] == pytest.approx(0.02) and dz["difference"] == pytest.approx(0.02 - printed)
    assert rows["paper"].notna().sum() == 3, "no number of the SDSS sample stands beside it"


@pytest.mark.parametrize("name", ["fig12_confusion", "fig15_mc_redshifts"])
def test_figures_show_the_classes_of_the_table(name, tmp_path):
    make(name, [str(tidy(tmp_path))], [str(tmp_path / f"{name}.png"), str(tmp_path / f"{name}.csv")], "gasnet2")
    words = (tmp_path / f"{name}.csv").read_text()
    assert "QSO" in words and "GALAXY" in words and "STARFORMING" not in words
    if name == "fig15_mc_redshifts":
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == 80


def shard(folder, count=90):
    rng = np.random.default_rng(1)
    label = np.resize(LABELS, count)
    flux = rng.standard_normal((count, 200)).astype(np.float32) + np.resize([0, 3, 6], count)[:, None].astype(
        np.float32
    )
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), 200)
    arrays = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)
        for name, values in (("flux", flux), ("ivar", np.ones_like(flux)))
    }
    table = pa.table({
        "spectrum_id": [f"sv3-dark-{i}" for i in range(count)], "label": label, "split": np.where(np.arange(count) % 5 == 0, "test", "train"),
        "z": pa.array(np.where(label == "STAR", np.nan, 0.5), from_pandas=True), "sn_median": pa.array(np.linspace(3, 9, count), pa.float32()),
        "n_good": pa.array(np.full(count, 200), pa.int32()), **arrays,
    })  # fmt: skip
    grid = {"start": 4000.0, "step": 25.0, "pixels": 200, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}
    files.write_table(table, folder / "0000.parquet", {**META, "grid": grid, "expected": count})
    return folder / "0000.parquet"


def test_baselines_of_the_desi_sample(tmp_path):
    result = of_shards([shard(tmp_path)], load_paper("gasnet2", "desi_edr"), 1)
    assert result["trivial"]["average_accuracy"]["all"] == pytest.approx(1 / 3)
    assert set(result["trivial"]["accuracy"]) == set(LABELS) and result["pca_linear"]["average_accuracy"]["all"] > 0.5


def test_figure_8_from_spectra_whose_s_n_is_known_from_the_shards_alone(tmp_path):
    path = shard(tmp_path)
    table = files.read_table(path).select(["spectrum_id", "label", "z"])
    table = table.append_column("sn_median", pa.nulls(len(table), pa.float32())).append_column(
        "shard", pa.array(["0000"] * len(table))
    )
    files.write_table(table, tmp_path / "targets.parquet", META)
    examples = tmp_path / "examples.parquet"
    words = [
        "examples",
        "--shards",
        str(tmp_path),
        "--count",
        "1",
        "--targets",
        str(tmp_path / "targets.parquet"),
        "--out",
        str(examples),
    ]
    assert cli.main(words) == 0
    make("fig08_desi", [str(examples)], [str(tmp_path / "fig.png"), str(tmp_path / "fig.csv")], "gasnet2")
    numbers = pd.read_csv(tmp_path / "fig.csv")
    assert list(dict.fromkeys(numbers["label"])) == LABELS and (numbers["sn_median"] > 6).all()
    edges = numbers.groupby("arm")["wavelength"].agg(["min", "max"])
    assert (
        edges.loc["B", "max"] < 5780 <= edges.loc["R", "min"] and edges.loc["R", "max"] < 7570 <= edges.loc["Z", "min"]
    )


def test_table_3_stands_beside_the_sample(tmp_path):
    z = np.where(np.resize(LABELS, 30) == "STAR", np.nan, 1.0)
    table = pa.table({"spectrum_id": [str(i) for i in range(30)], "label": np.resize(LABELS, 30), "z": pa.array(z, from_pandas=True),
                      "sn_median": pa.array(np.full(30, 8.0), pa.float32()), "split": ["train"] * 30, "shard": ["0000"] * 30})  # fmt: skip
    files.write_table(table, tmp_path / "targets.parquet", META)
    make("table1_sample", [str(tmp_path / "targets.parquet")], [str(tmp_path / "t.csv")], "gasnet2")
    rows = pd.read_csv(tmp_path / "t.csv").set_index("class")
    assert rows["n"].to_dict() == dict.fromkeys(LABELS, 10)
    assert rows["paper_sn_mean"].to_dict() == {"STAR": 19.1, "QSO": 6.54, "GALAXY": 7.53}
    assert rows.loc["QSO", ["paper_z_mean", "paper_z_min", "paper_z_max"]].tolist() == [1.59, 0.06, 4.27]


def test_a_run_of_two_surveys_has_examples_and_baselines_of_each():
    models = {"gasnet2": ["gasnet2_sdss", "gasnet2_desi"]}
    resolved = settings.load(overrides={"preset": "smoke", "papers": ["gasnet2"], "only_models": models})
    jobs = [job for stage in stages(resolved) for job in stage.jobs]
    for rule, kind in (("examples", "parquet"), ("baselines", "json")):
        files_made = {path for job in jobs if job.rule == rule for path in job.outputs}
        assert files_made == {f"results/smoke/gasnet2/tables/{rule}_{name}.{kind}" for name in ("sdss_dr16", "desi_edr")}  # fmt: skip
