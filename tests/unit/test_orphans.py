"""Whose waiting jobs are cancelled at the start of a run, and whose are not."""

import os
import subprocess
import sys

import pytest
from resurvey import files
from resurvey.claims import process_start, this_machine
from resurvey.cluster import orphans, queue


def job(number: str, run: str, state: str) -> queue.Job:
    return queue.Job(number, run, state, "", "me", "cpu", "/w", "rule_shard", "", None, None, 0)


@pytest.fixture
def slurm(monkeypatch):
    """A queue to fill, and what Slurm was asked to do."""
    jobs, asked = [], []
    monkeypatch.setattr(queue, "jobs", lambda: jobs)
    monkeypatch.setattr(queue, "call", lambda *command: asked.append(command))
    return jobs, asked


def record(folder, run, **changes) -> None:
    master = {"machine": this_machine(), "host": "here", "pid": os.getpid(), "started": process_start(os.getpid())}
    files.write_json(master | changes, folder / orphans.RECORDS / f"{run}.json")


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_waiting_jobs_of_a_dead_master_are_cancelled(tmp_path, slurm):
    jobs, asked = slurm
    record(tmp_path, "dead", pid=dead_process())
    record(tmp_path, "another of the same pid", started="1")
    record(tmp_path, "alive")
    jobs += [job("1", "dead", "RUNNING"), job("2", "dead", "PENDING"), job("3_[1-4]", "dead", "PENDING")]
    jobs += [job("4", "another of the same pid", "PENDING"), job("5", "alive", "PENDING"), job("6", "mine", "PENDING")]
    said = []
    orphans.take_over(tmp_path, "new", said.append)
    assert sorted(asked) == [
        ("scancel", "--state=PENDING", "2", "3_[1-4]"),
        ("scancel", "--state=PENDING", "4"),
    ]
    assert any("(1)" in line and "waited for" in line for line in said)


def test_a_master_on_another_machine_may_live(tmp_path, slurm):
    jobs, asked = slurm
    record(tmp_path, "elsewhere", machine="login2 boot", host="login2", pid=dead_process())
    jobs.append(job("7", "elsewhere", "PENDING"))
    said = []
    orphans.take_over(tmp_path, "new", said.append)
    assert not asked
    assert "login2" in said[0]
    assert "scancel --state=PENDING --name=elsewhere" in said[0]


def test_the_next_run_knows_this_one_by_its_record(tmp_path, slurm):
    _, asked = slurm
    orphans.take_over(tmp_path, "first", print)
    orphans.take_over(tmp_path, "second", print)
    assert not asked, "this process lives"
    record(tmp_path, "first", pid=dead_process())
    orphans.take_over(tmp_path, "third", print)
    assert {path.stem for path in (tmp_path / orphans.RECORDS).glob("*.json")} == {"second", "third"}, "nothing is kept"
