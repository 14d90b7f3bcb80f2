"""Two nodes (`python tests/slurm/cluster.py start --nodes 2`): one training over both, and a node that is lost in the middle of one."""

import contextlib
import os
import re
import signal
import subprocess

import pytest
from cluster import NODES
from conftest import REQUIRED
from project import SLOW, WITH_SLOW, Project, target, training_processes, until
from resurvey.cluster import queue

NETWORK = SLOW[0]
COMMAND = ("--cores", "all", "--profile", "slurm", *WITH_SLOW, target(NETWORK))
# docs/training-on-gpus.md, "Several nodes", on a cluster whose GPUs are pretended.
BOTH = {"nodes": 2, "mpi": "'srun'", "tasks": 2, "gpu": 0, "tasks_per_gpu": 0, "mem_mb": 1000}


@pytest.fixture(scope="module")
def alone(slurm, tmp_path_factory):
    """(project, weights, epochs) with one network trained by one process on this machine; skipped where Slurm has one node."""
    if len(queue.nodes()) < 2:
        assert os.environ.get(REQUIRED) != "nodes", f"{REQUIRED}=nodes, but this Slurm has one node"
        pytest.skip("this Slurm has one node; `python tests/slurm/cluster.py start --nodes 2` starts one with two")
    project = Project(tmp_path_factory.mktemp("nodes"))
    project.start("--cores", "2", *WITH_SLOW, target(NETWORK)).succeeds()
    yield project, project.weights(NETWORK), losses(project)
    project.close()


def losses(project: Project) -> list[list[float]]:
    """[epoch, its mean loss] of every epoch; the validation's figures may turn with a single spectrum."""
    return [[float(value) for value in line.split(",")[:2]] for line in project.history(NETWORK)]


def test_one_training_over_two_nodes_learns_what_one_process_learns(alone):
    """torchrun on each node through srun, over Gloo: sums are taken in another order, which 20 epochs of Adam make larger."""
    project, _, expected = alone
    profile = project.folder / "slurm" / "config.yaml"
    before = profile.read_text()
    project.forget(NETWORK)
    project.site(train_network=BOTH)
    try:
        master = project.start(*COMMAND).wait()
    finally:
        profile.write_text(before)
    assert master.code == 0, master.said[-6000:]
    job = project.jobs("train_network", NETWORK)[-1]
    hosts = subprocess.run(["scontrol", "show", "hostnames", job.nodes], capture_output=True, text=True, check=True)
    assert sorted(hosts.stdout.split()) == sorted(NODES)
    found = losses(project)
    assert len(found) == len(expected)
    assert found[0] == pytest.approx(expected[0], rel=1e-3)
    assert found[-1] == pytest.approx(expected[-1], rel=0.05)


def test_a_training_whose_node_is_lost_goes_on_at_the_other(alone):
    """All that ran on the node dies at once, its slurmd too, as when the power fails; the weights are those of an undisturbed run."""
    project, weights, expected = alone
    project.forget(NETWORK)
    master = project.start(*COMMAND)
    lost = None
    try:
        master.until("the training", lambda: project.training(NETWORK, epochs=3))
        job = project.running(NETWORK)
        lost = job.nodes
        kill(rf"slurmd -N {lost}\b")
        kill(rf"^slurmstepd: \[{job.id}\.")
        for process in training_processes(project.folder, NETWORK):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        subprocess.run(["scontrol", "update", f"nodename={lost}", "state=down", "reason=test"], check=True)
        until("Slurm to take it back", lambda: project.look() or restarted(project, job.id))
        # Slurm lets a job that has lost its node wait for two minutes; it need not here.
        subprocess.run(["scontrol", "update", f"jobid={job.id}", "starttime=now+5"], stderr=subprocess.DEVNULL)
        master.succeeds()
    finally:
        master.end()
        if lost:
            subprocess.run(
                ["slurmd", "-N", lost], check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
            )
            subprocess.run(["scontrol", "update", f"nodename={lost}", "state=resume"], stderr=subprocess.DEVNULL)
    last = project.jobs("train_network", NETWORK)[-1]
    assert last.state == "COMPLETED"
    assert last.nodes == next(name for name in NODES if name != lost)
    said = (project.folder / f"logs/smoke/train/gasnet2_sdss/{NETWORK}.log").read_text(errors="replace")
    assert int(re.search(r"goes on at epoch (\d+), batch \d+", said)[1]) >= 2
    assert project.weights(NETWORK) == weights
    assert losses(project) == expected


def restarted(project: Project, job: str) -> bool:
    """Whether Slurm has put a job back into its queue."""
    return next(one.restarts for one in project.jobs() if one.id == job) > 0


def kill(pattern: str) -> None:
    """SIGKILL every process whose command line matches."""
    assert subprocess.run(["pkill", "-KILL", "-f", pattern]).returncode == 0, pattern
