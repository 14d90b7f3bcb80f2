"""What happens to jobs on a cluster, one at a time: each ends in the same bytes as an undisturbed run.

The three trainings of one run are hurt in three ways at once, as on a cluster: one meets its time limit, one has its process
killed (as the kernel does when memory runs out), one is cancelled.
"""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from project import RUN, SLOW, WITH_SLOW, Project, target, training_processes, until
from resurvey.cluster import queue

LATE, KILLED, CANCELLED = SLOW
BASELINES = RUN / "gasnet2/tables/baselines_sdss_dr16.json"
# One minute at the first try, the shortest limit that Slurm has; then enough. Little memory, so that all fit on any node.
SHORT = {"runtime": "1 if attempt == 1 else 60", "mem_mb": "500 * attempt"}


def seen(project: Project, networks: set[str]) -> Iterator[tuple[str, int]]:
    """(network, process) of those that have trained for three epochs."""
    for network in networks:
        if process := project.training(network, epochs=3):
            yield network, process


@pytest.fixture(scope="module")
def hurt(literal, local):
    """(project, master, what the late training had done when it was stopped), when all three have been hurt and have ended."""
    project, first, _ = literal
    assert first.code == 0, first.said[-6000:]
    profile = project.folder / "slurm" / "config.yaml"
    before = profile.read_text()
    project.site(train_network=SHORT)
    project.forget(*SLOW)
    master = project.start("--cores", "all", "--profile", "slurm", *WITH_SLOW, *map(target, SLOW))
    try:
        # Whichever begins first is hurt first. A process that stands still stands for one that is much slower than was thought.
        done, left = [], {LATE, KILLED, CANCELLED}
        while left:
            network, process = master.until("a training", lambda: next(seen(project, left), None))
            if network == LATE:
                os.kill(process, signal.SIGSTOP)
                done = project.history(LATE)
            elif network == KILLED:
                os.kill(process, signal.SIGKILL)
            else:
                subprocess.run(["scancel", project.running(CANCELLED).id], check=True)
            left.remove(network)
        master.wait()
    finally:
        profile.write_text(before)
        master.end()
        project.cancel_all()
    return project, master, done


@pytest.mark.parametrize(
    ("network", "state"),
    [(LATE, "TIMEOUT"), (KILLED, "FAILED"), (CANCELLED, "CANCELLED")],
    ids=["late", "killed", "cancelled"],
)
def test_a_failed_job_is_tried_again_as_a_new_job_that_asks_for_more(hurt, network, state):
    project, master, _ = hurt
    assert master.code == 0, master.said[-6000:]
    first, second = project.jobs("train_network", network)
    assert (first.state, second.state) == (state, "COMPLETED")
    assert (first.memory, second.memory) == ("500M", "1000M")
    assert (first.minutes, second.minutes) == (1, 60)


@pytest.mark.parametrize("network", SLOW, ids=["late", "killed", "cancelled"])
def test_a_hurt_training_ends_in_the_same_weights(hurt, local, network):
    project, _, _ = hurt
    assert project.weights(network) == local.weights(network)


@pytest.mark.parametrize("network", SLOW, ids=["late", "killed", "cancelled"])
def test_no_epoch_is_trained_twice(hurt, local, network):
    """The second job says where it goes on; its epochs are those after the checkpoint, and together they are all of them."""
    project, _, done = hurt
    said = (project.folder / f"logs/smoke/train/gasnet2_sdss/{network}.log").read_text(errors="replace")
    goes_on = int(re.search(r"goes on at epoch (\d+), batch \d+", said)[1])
    trained = [int(epoch) for epoch in re.findall(r": epoch (\d+), loss", said)]
    assert goes_on >= 2, "three epochs were done; of the last one the checkpoint may not have been written"
    assert network != LATE or goes_on >= len(done) - 1
    assert trained == list(range(goes_on, len(local.history(network))))
    columns = [line.rsplit(",", 1)[0] for line in project.history(network)]  # all but the seconds
    assert columns == [line.rsplit(",", 1)[0] for line in local.history(network)]


def test_the_message_of_a_failed_job_names_its_logs(hurt):
    project, master, _ = hurt
    [killed, _] = project.jobs("train_network", KILLED)
    assert f"logs/smoke/train/gasnet2_sdss/{KILLED}.log" in master.said
    [log] = re.findall(rf"\S+/{killed.id}\.log", master.said)[:1]
    assert f"--network {KILLED}" in (project.folder / log).read_text(), "the log of a failed job is kept"


def test_a_job_that_ends_with_an_error_says_why_in_its_log_and_is_tried_again(cluster, local):
    """As on a file system that shows a file late: the shard is not there at the first try."""
    shard = cluster.folder / RUN / "sdss_dr16/shards/0000.parquet"
    away = shard.with_name("away")
    (cluster.folder / BASELINES).unlink()
    before = len(cluster.jobs("baselines"))
    shard.rename(away)
    master = cluster.start("--cores", "all", "--profile", "slurm", str(BASELINES))
    try:
        until("the failure", lambda: "FAILED" in {job.state for job in cluster.jobs("baselines")[before:]}, 300)
    finally:
        away.rename(shard)
    master.succeeds()
    failed, *_, last = cluster.jobs("baselines")[before:]
    assert (failed.state, last.state) == ("FAILED", "COMPLETED")
    assert (failed.memory, failed.minutes) == ("8000M", 60)
    assert last.memory in ("16000M", "24000M", "32000M")
    assert last.minutes in (120, 180, 240)
    [log] = re.findall(rf"\S+/{failed.id}\.log", master.said)[:1]
    assert "shards/0000.parquet: is missing" in (cluster.folder / log).read_text()
    assert (cluster.folder / BASELINES).read_bytes() == (local.folder / BASELINES).read_bytes()


def test_a_node_that_goes_down_and_comes_back(cluster, local):
    """Slurm puts the job back into its queue; the run waits and ends in the same weights."""
    network = SLOW[0]
    cluster.forget(network)
    node = socket.gethostname().split(".")[0]
    before = len(cluster.jobs("train_network", network))
    master = cluster.start("--cores", "all", "--profile", "slurm", *WITH_SLOW, target(network))
    try:
        first = master.until("the training", lambda: cluster.training(network))
        job = cluster.running(network)
        try:
            subprocess.run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True)
            until("the end of the training", lambda: first not in training_processes(cluster.folder, network))
        finally:  # refused where the node has come back by itself
            subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], stderr=subprocess.DEVNULL)
        until("the node", lambda: not any("DOWN" in node.state for node in queue.nodes()))
        # Slurm lets a job that has lost its node wait for two minutes, and takes a node out of service on which the job begins
        # before its remains are gone. One may look for them instead, and be generous.
        until("the end of its remains", lambda: not remains(job.id))
        subprocess.run(["scontrol", "update", f"jobid={job.id}", "starttime=now+20"], stderr=subprocess.DEVNULL)
        master.succeeds()
    finally:
        master.end()
    jobs = cluster.jobs("train_network", network)[before:]
    assert jobs[-1].state == "COMPLETED"
    assert jobs[0].id == job.id
    assert len(jobs) > 1 or jobs[0].restarts >= 1
    assert cluster.weights(network) == local.weights(network)


def remains(job: str) -> list[str]:
    """Slurm's own processes of a job on this machine."""
    text = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return re.findall(rf"^slurmstepd: \[{job}\..*", text, flags=re.M)
