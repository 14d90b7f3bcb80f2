"""The process on the login node is interrupted, terminated, killed; run again, the same weights come out."""

import os
import re
import signal
import subprocess

from project import SLOW, WITH_SLOW, Project, Submitted, target, until

COMMAND = ("--cores", "all", "--profile", "slurm", *WITH_SLOW)


def test_interrupted_it_cancels_its_jobs_and_the_next_run_goes_on_at_the_checkpoint(cluster, local):
    network = SLOW[0]
    cluster.forget(network)
    master = cluster.start(*COMMAND, target(network))
    master.until("the training", lambda: cluster.training(network))
    master.send(signal.SIGINT)
    assert master.wait(120).code != 0
    until("the end of all jobs", lambda: not cluster.unfinished(), 60)
    assert cluster.slurm(*COMMAND, target(network)).succeeds()
    said = (cluster.folder / f"logs/smoke/train/gasnet2_sdss/{network}.log").read_text()
    assert int(re.search(r"goes on at epoch (\d+)", said)[1]) >= 1
    assert cluster.weights(network) == local.weights(network)


def test_terminated_it_waits_for_what_runs_and_nothing_is_lost(cluster, local):
    network = SLOW[1]
    cluster.forget(network)
    master = cluster.start(*COMMAND, target(network))
    master.until("the training", lambda: cluster.training(network))
    master.send(signal.SIGTERM)
    assert master.wait(300).code != 0
    assert not cluster.unfinished()
    assert cluster.weights(network) == local.weights(network)
    assert "Nothing to be done" in cluster.slurm(*COMMAND, target(network)).succeeds().said


def test_killed_its_running_job_is_waited_for_and_its_waiting_job_never_begins(cluster, local):
    networks = (SLOW[0], SLOW[2])
    cluster.site(train_network={"mem_mb": "500 * attempt"})
    cluster.forget(*networks)
    master = cluster.start(*COMMAND, *map(target, networks))
    running = master.until("a training", lambda: next(filter(cluster.training, networks), None))
    [waiting] = set(networks) - {running}
    old, going = cluster.training(running), cluster.running(running)
    os.kill(old, signal.SIGSTOP)  # until the next run's job is there: both must be alive at once
    [held] = master.until("the other job", lambda: alive(cluster, waiting))
    # A job that has not begun, whatever room the node has.
    subprocess.run(["scontrol", "requeuehold" if held.state == "RUNNING" else "hold", held.id], check=True)
    master.end()  # SIGKILL

    locked = cluster.slurm(*COMMAND, *map(target, networks))
    assert locked.code != 0
    assert "--unlock" in locked.said
    cluster.start("--unlock", *COMMAND, *map(target, networks)).succeeds()

    again = cluster.start(*COMMAND, *map(target, networks))
    log = cluster.folder / f"logs/smoke/train/gasnet2_sdss/{running}.log"
    try:
        again.until("who waits", lambda: "waiting for it" in log.read_text(errors="replace"))
        os.kill(old, signal.SIGCONT)
        again.succeeds()
    finally:
        again.end()
    assert re.search(
        rf"is being made by process {old} on \S+ \(Slurm job {going.id}\)", log.read_text(errors="replace")
    )
    assert "cancelled 1 jobs that a dead run left waiting" in again.said
    states = {job.id: job.state for job in cluster.jobs("train_network")}
    assert states[held.id] == "CANCELLED"
    assert states[going.id] == "COMPLETED"
    for network in networks:
        assert cluster.weights(network) == local.weights(network)


def alive(project: Project, network: str) -> list[Submitted]:
    return [job for job in project.jobs("train_network", network) if job.state in ("PENDING", "RUNNING")]
