"""The workflow on DESI, end to end in small: its mock archive, shards, networks, catalogue, figures, scorecard, and files by hand."""

import csv

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from resurvey import cli, settings
from resurvey.paths import Paths
from smoke_run import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

RUN = "results/demo_desi"
TINY = {"epochs": 2, "batch": 16}
SMALL = {
    "mock": {"desi_edr": {"per_class": 90, "extra": 12, "pixels": 6}},
    "datasets": {"desi_edr": {"per_class": 80, "spare": 0.4, "shards": 2, "grid": {"step": 8.0, "pixels": 626}}},
    "models": {
        "gasnet2_desi": {
            "members": 2,
            "architecture": {"widths": [2, 4, 8, 16, 16, 16], "dense": 32},
            "training": TINY,
            "networks": {"ResNet_P": {"training": TINY}},
        }
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desi")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    more = ("--configfile", ROOT / "config.yaml", folder / "small.yaml")
    result = snakemake(folder, *more, config="preset=demo_desi")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def test_every_figure_and_the_paper_s_numbers(run):
    paths = Paths(settings.load(ROOT / "config.yaml", {"preset": "demo_desi"}))
    names = paths.figure_names("gasnet2")
    assert {
        "desi_table3",
        "desi_fig08_spectra",
        "desi_fig09_redshifts",
        "desi_fig22_confusion",
        "desi_fig23_redshifts",
    } <= set(names)
    assert all(name.startswith("desi_") for name in names), "those of SDSS belong to its models"
    for name in names:
        for kind in ("pdf", "png", "csv"):
            assert (run / paths.figure_file("gasnet2", name, kind)).stat().st_size > 100, name
    with open(run / RUN / "gasnet2" / "scorecard.csv", newline="") as handle:
        printed = {(row["quantity"], row["class"]): row["paper"] for row in csv.DictReader(handle) if row["paper"]}
    assert printed == {("average_accuracy", "all"): "0.96", ("mc_dz", "GALAXY"): "0.028", ("mc_dz", "QSO"): "0.048"}


def test_a_listed_file_that_does_not_exist_is_a_reason(run):
    rejected = pq.read_table(run / RUN / "desi_edr/catalogues/gasnet2_desi.rejected.parquet")["reason"].to_pylist()
    assert any(reason.startswith("was not fetched: spectro/redux/fuji/healpix/") for reason in rejected)
    assert any("S/N is not above 2" in reason for reason in rejected)
    catalogue = pq.read_table(run / RUN / "desi_edr/catalogues/gasnet2_desi.parquet")
    targets = pq.read_metadata(run / RUN / "desi_edr/targets.parquet").num_rows
    assert len(catalogue) + len(rejected) == targets
    assert catalogue["sn_median"].null_count == 0 and catalogue["spectrum_id"].to_pylist() == sorted(
        catalogue["spectrum_id"].to_pylist()
    )


def test_its_networks_read_coadds(run, tmp_path):
    coadd = next((run / "resources/mock_demo_desi").rglob("coadd-sv3-*.fits"))
    words = [
        "predict",
        str(coadd),
        "--model",
        str(run / RUN / "models/gasnet2_desi"),
        "--out",
        str(tmp_path / "mine.parquet"),
    ]
    assert cli.main(words) == 0
    assert len(pq.read_table(tmp_path / "mine.parquet")) > 20
    reasons = pq.read_table(tmp_path / "mine.rejected.parquet")["reason"].to_pylist()
    assert (
        sum("sky fibre" in reason for reason in reasons) == 6
        and sum("negative TARGETID" in reason for reason in reasons) == 2
    )


def test_table_3_is_of_the_spectra_that_were_read(run):
    with open(run / RUN / "gasnet2/figures/desi_table3.csv", newline="") as handle:
        rows = {row["class"]: row for row in csv.DictReader(handle)}
    read = sum(pq.read_metadata(path).num_rows for path in (run / RUN / "desi_edr/shards").glob("000?.parquet"))
    assert sum(int(row["n"]) for row in rows.values()) == read
    assert all(float(row["sn_mean"]) > 2 for row in rows.values())
    assert rows["QSO"]["paper_sn_mean"] == "6.54"
