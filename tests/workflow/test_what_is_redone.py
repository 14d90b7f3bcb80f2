"""What a change makes anew, and what it leaves as it is: asked of Snakemake's dry run on a finished run."""

import re
import shutil

import pytest
from conftest import ROOT
from smoke_run import copy, finished, jobs, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]
DRAWN = {"all", "total", "report", "figures", "scorecards"}
GRID = '{"start":4000.0,"step":8.0,"pixels":626}'


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return finished(tmp_path_factory)


@pytest.fixture
def project(tmp_path):
    """A copy of the checkout whose code can be changed."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed(project, module: str) -> None:
    file = project / "workflow/resurvey" / module
    file.write_text(file.read_text() + "\n# changed\n")


def test_a_copy_of_the_code_redoes_nothing_but_the_report(smoke, project):
    assert set(jobs(snakemake(smoke, "-n", project=project))) <= {"report", "all", "total"}


def test_a_project_that_is_moved_redoes_nothing(smoke, tmp_path):
    said = snakemake(copy(smoke, tmp_path / "moved"), "figures", "catalogues")
    assert said.returncode == 0
    assert "Nothing to be done" in said.stdout + said.stderr


def test_a_figures_style_redraws_figures_and_trains_nothing(smoke, project):
    changed(project, "figures/style.py")
    found = jobs(snakemake(smoke, "-n", project=project))
    drawn = {rule for rule in found if re.search(r"_(fig[A-E]?|table)\d|_training$", rule)}
    assert len(drawn) > 10
    assert set(found) - drawn <= DRAWN


@pytest.mark.parametrize(
    ("module", "redone", "kept"),
    [
        ("figures/fig12_confusion.py", {"gasnet2_fig12_confusion": 1}, {"gasnet2_fig17_sigma_snr", "infer"}),
        ("networks/heads.py", {"train_network": 31, "infer": 15}, {"shard", "fetch", "baselines", "examples"}),
        ("surveys/sdss_spec.py", {"shard": 2, "train_network": 25}, {"fetch", "targets", "mock_archive"}),
        ("surveys/template_catalogue.py", {}, {"fetch_catalogue", "shard", "train_network"}),
        ("inference/engines.py", {"infer": 4}, {"train_network", "shard"}),
        ("inference/calibration.py", {"calibrate": 2}, {"train_network", "infer"}),
    ],
)
def test_changed_code_redoes_what_it_made(smoke, project, module, redone, kept):
    changed(project, module)
    found = jobs(snakemake(smoke, "-n", project=project))
    assert {rule: found.get(rule) for rule in redone} == redone
    assert not kept & set(found)


@pytest.mark.parametrize(
    ("config", "redone", "kept"),
    [
        (  # the width of one model's networks: not the other's
            'preset=smoke models={"gasnet2_sdss_zpdf":{"architecture":{"widths":[2,4,8,16,16,24]}}}',
            {"train_network": 12, "infer": 2, "calibrate": 1, "catalogue": 1},
            {"shard", "targets", "verify", "baselines", "gasnet2_fig12_confusion"},
        ),
        (  # a smaller sample: selected and read anew, the survey's catalogue kept
            'preset=smoke datasets={"sdss_dr16":{"per_class":50}}',
            {"targets": 1, "plan": 1, "fetch": 2, "shard": 2, "verify": 1, "train_network": 25},
            {"mock_archive", "fetch_catalogue"},
        ),
        (  # more spectra to apply a model to: nothing is trained, nothing that is there is made again
            'preset=smoke apply={"gasnet2_sdss":["sdss_dr16_all"]} datasets={"sdss_dr16_all":{"shards":3,"resample":'
            f'"flux_conserving","grid":{GRID}' + "}}",
            {"targets": 1, "plan": 1, "fetch": 3, "shard": 3, "verify": 1, "infer": 3, "catalogue": 1},
            {"train_network", "calibrate", "mock_archive", "fetch_catalogue", "gasnet2_fig12_confusion"},
        ),
        (  # more plates in the survey
            'preset=smoke mock={"sdss_dr16":{"extra":150}}',
            {"mock_archive": 1, "fetch_catalogue": 1, "targets": 1, "shard": 2},
            set(),
        ),
    ],
)
def test_a_changed_setting_or_input_list_redoes_what_depends_on_it(smoke, config, redone, kept):
    found = jobs(snakemake(smoke, "-n", config=config))
    assert {rule: found.get(rule) for rule in redone} == redone
    assert not kept & set(found)


def test_what_is_redone_is_said_with_its_reason(smoke):
    said = snakemake(smoke, "-n", "--quiet", "host", config='preset=smoke datasets={"sdss_dr16":{"per_class":50}}')
    text = said.stdout + said.stderr
    assert re.search(r"rule targets:.*?reason: Params have changed since last execution", text, re.DOTALL)
