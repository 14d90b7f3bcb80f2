"""The workflow end to end on the smoke preset, and what it redoes when something is missing or changed."""

import re

import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from conftest import ROOT
from resurvey import settings
from resurvey.paths import Paths
from smoke_run import RUN, finished, jobs, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return finished(tmp_path_factory)


def test_every_figure_catalogue_and_score_is_made(smoke):
    for name in Paths(settings.load(ROOT / "config.yaml", {"preset": "smoke"})).figure_names("gasnet2"):
        for kind in ("pdf", "png", "csv"):
            assert (smoke / RUN / "gasnet2" / "figures" / f"{name}.{kind}").stat().st_size > 100, name
    scorecard = (smoke / RUN / "gasnet2" / "scorecard.csv").read_text()
    assert "MOCK SURVEY" in scorecard
    assert "0.924" in scorecard


def test_catalogue_and_rejected_rows_add_up_to_the_targets(smoke):
    targets = pq.read_metadata(smoke / RUN / "sdss_dr16/targets.parquet").num_rows
    for model in ("gasnet2_sdss", "gasnet2_sdss_zpdf"):
        base = smoke / RUN / "sdss_dr16/catalogues" / model
        rows = pq.read_metadata(base.with_suffix(".parquet")).num_rows
        rejected = pq.read_table(base.with_suffix(".rejected.parquet"))
        assert rows + len(set(rejected["spectrum_id"].to_pylist())) == targets
        with fits.open(base.with_suffix(".fits"), checksum=True) as file:
            assert len(file[1].data) == rows
            assert file[0].header["ORIGIN"].strip().lower() == "mock"


def test_report_is_one_file_with_captions(smoke):
    html = (smoke / RUN / "report.html").read_text()
    assert len(html) > 1_000_000
    assert "confusion" in html.lower()
    assert not re.search(r'<(script|link)[^>]+(src|href)="https?://', html), "the report must not load anything"


def test_nothing_is_done_twice(smoke):
    result = snakemake(smoke)
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr


def test_one_figure_is_one_job_without_torch(smoke):
    figure = RUN / "gasnet2/figures/fig12_confusion.pdf"
    (smoke / figure).unlink()
    assert jobs(snakemake(smoke, "-n", str(figure))) == {"gasnet2_fig12_confusion": 1, "total": 1}
    result = snakemake(smoke, str(figure), env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.returncode == 0, result.stderr
    imported = (smoke / "logs/smoke/figures/gasnet2/fig12_confusion.log").read_text()
    assert "matplotlib" in imported
    assert not re.search(r"\|\s+torch$", imported, flags=re.M)
    assert (smoke / figure).exists()


@pytest.mark.parametrize(
    ("config", "redone", "kept"),
    [
        (
            'preset=smoke models={"gasnet2_sdss_zpdf":{"networks":{"ResNet_7":{"training":{"epochs":3}}}}}',
            {"train_network": 1, "infer": 2},
            {"shard", "mock_archive", "targets", "gasnet2_fig12_confusion", "baselines"},
        ),
        (
            'preset=smoke datasets={"sdss_dr16":{"grid":{"step":7.9}}}',
            {"shard": 2, "train_network": 25},
            {"mock_archive", "targets", "fetch"},
        ),
        ("preset=smoke engine=torch", {"infer": 15}, {"train_network", "shard"}),
    ],
)
def test_a_changed_setting_redoes_what_depends_on_it(smoke, config, redone, kept):
    found = jobs(snakemake(smoke, "-n", config=config))
    assert {rule: found.get(rule) for rule in redone} == redone
    assert not kept & set(found)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("preset=smoke pressets=demo", "did you mean preset"),
        ("preset=demmo", "did you mean demo"),
        ('preset=smoke datasets={"sdss_dr16":{"grid":{"pixel":100}}}', "did you mean pixels"),
    ],
)
def test_a_misspelt_key_stops_before_any_job(tmp_path, config, words):
    result = snakemake(tmp_path, config=config)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "results").exists()


def test_a_missing_archive_is_named_on_the_console(tmp_path):
    result = snakemake(tmp_path, "data", config="preset=smoke archive=file:///no/such/mirror")
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "/no/such/mirror" in said
    assert "archive" in said
    assert "Traceback" not in said
