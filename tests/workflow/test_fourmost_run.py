"""The workflow on 4MOST, end to end in small: its mock archive, shards, networks of two heads, catalogue, figures, scorecard, own files."""

import csv

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from resurvey import cli, settings
from resurvey.paths import Paths
from smoke_run import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

RUN = "results/demo_4most"
TINY = {"epochs": 2, "batch": 16}
MODEL = {"members": 2, "architecture": {"widths": [2, 4, 8, 16, 16, 16], "dense": 32}, "training": TINY}
SMALL = {
    "mock": {"fourmost_mock": {"per_class": 60, "step": 8.0, "fields": 4}},
    "datasets": {"fourmost": {"per_class": 50, "shards": 2, "grid": {"start": 4004.0, "step": 8.0, "pixels": 625}}},
    "models": {
        "gasnet2_4most": {**MODEL, "networks": {"ResNet_P": {"training": TINY}}},
        "gasnet2_4most_zpdf": {
            **MODEL,
            "only": ["ResNet_P", "ResNet_WAVES"],
            "networks": {"ResNet_WAVES": {"training": TINY}},
        },
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fourmost")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    more = ("--configfile", ROOT / "config.yaml", folder / "small.yaml")
    result = snakemake(folder, *more, config="preset=demo_4most")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def test_every_figure_and_the_paper_s_numbers(run):
    paths = Paths(settings.load(ROOT / "config.yaml", {"preset": "demo_4most"}))
    names = paths.figure_names("gasnet2")
    assert {f"fourmost_{name}" for name in ("table2", "fig05_stars", "fig06_extragalactic", "fig07_redshifts", "fig19_confusion", "fig20_alike", "fig21_redshifts")} <= set(names)  # fmt: skip
    assert all(name.startswith("fourmost_") for name in names), "those of SDSS belong to its models"
    for name in names:
        for kind in ("pdf", "png", "csv"):
            assert (run / paths.figure_file("gasnet2", name, kind)).stat().st_size > 100, name
    with open(run / RUN / "gasnet2" / "scorecard.csv", newline="") as handle:
        printed = {(row["quantity"], row["class"]): row["paper"] for row in csv.DictReader(handle) if row["paper"]}
    assert printed["average_accuracy", "all"] == "0.934" and printed["accuracy", "GALAXY_RedGAL"] == "0.66"
    assert printed["mc_mean_dz", "GALAXY"] == "0.0055" and printed["mc_dz", "QSO_COSMO_AGN"] == "0.003"


def test_every_spectrum_is_catalogued(run):
    catalogue = pq.read_table(run / RUN / "fourmost/catalogues/gasnet2_4most.parquet")
    rejected = pq.read_table(run / RUN / "fourmost/catalogues/gasnet2_4most.rejected.parquet")
    assert len(catalogue) == 500 and len(rejected) == 0
    assert set(catalogue["survey_subclass"].to_pylist()) >= {"ClusB", "RedGAL", "Dyn"}


def test_its_networks_read_fields(run, tmp_path):
    field = sorted((run / "resources/mock_demo_4most").rglob("*_LJ1.fits"))[0]
    words = [
        "predict",
        str(field),
        "--model",
        str(run / RUN / "models/gasnet2_4most"),
        "--out",
        str(tmp_path / "mine.parquet"),
    ]
    assert cli.main(words) == 0
    assert len(pq.read_table(tmp_path / "mine.parquet")) > 100
    reasons = pq.read_table(tmp_path / "mine.rejected.parquet")["reason"].to_pylist()
    assert len(reasons) == 6 and all("sky fibre" in reason for reason in reasons)
