"""A site that keeps accounts (slurmdbd): the account and the GPU partition of docs/cluster.md's first example."""

import os
import subprocess

import pytest
from conftest import REQUIRED
from project import RUN, Project
from resurvey.cluster import queue

ACCOUNT, PARTITION = "lab", "gpu"  # those of tests/slurm/cluster.py --accounting


@pytest.fixture(scope="module")
def site(slurm, tmp_path_factory):
    """A project whose profile names an account and a GPU partition; skipped where Slurm keeps no accounts."""
    if "slurmdbd" not in queue.config()["AccountingStorageType"]:
        assert os.environ.get(REQUIRED) != "accounting", f"{REQUIRED}=accounting, but this Slurm keeps no accounts"
        pytest.skip(
            "this Slurm keeps no accounts; `python tests/slurm/cluster.py start --accounting` starts one that does"
        )
    project = Project(tmp_path_factory.mktemp("site"))
    project.site(
        default_resources={"slurm_account": ACCOUNT},
        train_network={"slurm_partition": PARTITION},
        infer={"slurm_partition": PARTITION},
    )
    yield project
    project.close()


def test_an_account_of_others_is_told_before_anything_is_submitted(site):
    site.site(default_resources={"slurm_account": "labb"})
    try:
        master = site.slurm("data")
    finally:
        site.site(default_resources={"slurm_account": ACCOUNT})
    assert master.code != 0
    assert "labb" in master.said
    assert ACCOUNT in master.said
    assert not site.jobs()


def test_the_literal_command_charges_the_account_and_trains_on_the_gpu_partition(site):
    master = site.slurm().succeeds()
    assert (site.folder / RUN / "report.html").exists(), master.said[-6000:]
    ids = ",".join(job.id for job in site.jobs())
    command = ["sacct", "-X", "-n", "-P", "-j", ids, "--format=Account,Partition,State,Comment"]
    rows = [line.split("|") for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()]
    assert len(rows) == len(ids.split(","))
    assert {(account, state) for account, _, state, _ in rows} == {(ACCOUNT, "COMPLETED")}
    on_gpus = {comment.split("_wildcards_")[0] for _, partition, _, comment in rows if partition == PARTITION}
    assert on_gpus == {"rule_train_network", "rule_infer"}


def test_sacct_can_tell_the_states_of_jobs_too(site):
    (site.folder / RUN / "gasnet2/tables/baselines_sdss_dr16.json").unlink()
    site.slurm(str(RUN / "gasnet2/tables/baselines_sdss_dr16.json"), "--slurm-status-command", "sacct").succeeds()
