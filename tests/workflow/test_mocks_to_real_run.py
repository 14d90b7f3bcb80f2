"""From template mocks to real spectra, the whole way in small: archive, shards, two models, their assessment, the report."""

import json

import pandas as pd
import pytest
from conftest import ROOT
from resurvey import settings
from resurvey.progress.plan import stages
from smoke_run import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.real, pytest.mark.xdist_group("workflow")]
RUN = "results/smoke_mocks_to_real"


@pytest.fixture(scope="module")
def config(shared, tmp_path_factory):
    """A few real files with the labels that they hold themselves."""
    folder = tmp_path_factory.mktemp("real")
    manifest = pd.read_csv(shared / "real/MANIFEST.csv", keep_default_na=False)
    rows = manifest[
        (manifest["survey"] == "sdss") & (manifest["kind"] == "spectrum-lite") & (manifest["zwarning"] == "0")
    ]
    chosen = rows.groupby("class").head(6)
    for number, path in enumerate(chosen["path"]):
        (folder / f"{number:02d}.fits").symlink_to(shared / "real" / path)
    labels = folder.parent / "labels.csv"
    chosen.rename(columns={"object_id": "spectrum_id"})[["spectrum_id", "class", "z"]].to_csv(labels, index=False)
    asked = {"spectra": str(folder), "labels": str(labels), "templates": str(shared / "reference")}
    mock = {"sdss_template_mock": {"templates": str(shared / "reference")}}
    given = {"mock": mock, "assess": {"real": asked}}
    return " ".join(
        [
            "preset=smoke_mocks_to_real",
            *(f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in given.items()),
        ]
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mocks_to_real")
    result = snakemake(folder, config=config)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def test_real_spectra_are_assessed_by_both_heads(run):
    folder = run / RUN / "mocks_to_real/assessment_real"
    classes = pd.read_csv(folder / "classes.csv")
    whole = classes[classes["true"] == "all"].set_index("model")["n"]
    assert (
        whole.index.tolist() == ["mocks_to_real", "mocks_to_real_huber"]
        and whole.nunique() == 1
        and whole.iloc[0] >= 12
    )
    redshifts = pd.read_csv(folder / "redshifts.csv")
    ways = redshifts.groupby("model")["redshift"].agg(set)
    assert "refined, whole chain" in ways["mocks_to_real"] and "refined, whole chain" not in ways["mocks_to_real_huber"]
    assert pd.read_csv(folder / "mocks.csv")["sample"].nunique() == 3
    for name in ("overview", "worst", "labels", "mocks"):
        assert (folder / f"{name}.png").stat().st_size > 5000


def test_progress_knows_every_job(run, config):
    given = settings.from_command_line(config.split(" "))
    jobs = [job for stage in stages(settings.load(ROOT / "config.yaml", given)) for job in stage.jobs]
    assert any(job.rule == "mocks_to_real_assess_real" for job in jobs)
    for job in jobs:
        assert all((run / output).exists() for output in job.outputs) and (run / job.log).exists(), job.rule


def test_the_report_shows_them(run):
    text = (run / RUN / "report.html").read_text()
    assert "assessment_real/mocks.png" in text and "Labels that look wrong" in text


def test_nothing_is_left_to_do_and_other_labels_redo_the_assessment_alone(run, config):
    def asked(given):
        said = snakemake(run, "-n", config=given)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout + said.stderr

    assert "Nothing to be done" in asked(config)
    folder = config.split('"spectra":"')[1].split('"')[0]
    fewer = json.dumps({"real": {"spectra": folder}}, separators=(",", ":"))
    said = asked(" ".join([*(word for word in config.split(" ") if not word.startswith("assess=")), f"assess={fewer}"]))
    assert "mocks_to_real_assess_real" in said and "train_network" not in said and "shard" not in said


def test_a_folder_without_templates_is_told(tmp_path):
    said = snakemake(tmp_path, config="preset=smoke_mocks_to_real")
    assert said.returncode != 0 and "make it with `resurvey templates --out" in said.stdout + said.stderr
