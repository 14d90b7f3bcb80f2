"""Threads are what Slurm granted."""

import os
import subprocess
import sys

import pytest
from resurvey import granted


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch):
    for name in ("SLURM_CPUS_PER_TASK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name in granted.LIBRARIES:
        monkeypatch.setenv(name, "3")  # restored afterwards


@pytest.mark.parametrize(
    ("slurm", "ranks", "asked", "number"),
    [
        (None, None, 2, 2),
        (None, None, 0, 1),
        ("16", None, 2, 16),
        ("1", None, 8, 1),
        ("16", "4", 2, 4),
        ("2", "4", 8, 1),
        (None, "2", 8, 4),
        ("", None, 5, 5),
    ],
)
def test_slurms_grant_goes_before_what_was_asked(monkeypatch, slurm, ranks, asked, number):
    for name, value in (("SLURM_CPUS_PER_TASK", slurm), ("LOCAL_WORLD_SIZE", ranks)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert granted.cpus(asked) == number
    assert granted.threads(asked) == number
    assert {os.environ[name] for name in granted.LIBRARIES} == {str(number)}


@pytest.mark.parametrize("command", ["train", "infer", "predict", "shard", "mock-archive"])
def test_commands_take_their_threads_from_slurm(command, tmp_path):
    """Each command is run up to the first thing it lacks; by then the libraries have been told, and none was loaded before."""
    probe = (
        "import sys, os, runpy; from resurvey import granted; real = granted.limit\n"
        "def limit(number):\n"
        "    print('limit', number, sorted({'torch', 'numba'} & set(sys.modules)))\n"
        "    real(number)\n"
        "granted.limit = limit\n"
        "from resurvey import cli; cli.main(sys.argv[1:])\n"
        "import torch; print('torch', torch.get_num_threads())"
    )
    out = str(tmp_path / "out.parquet")
    words = {
        "train": f"--shards x --count 1 --model m --network n --settings {{ --out {out}",
        "infer": f"--shard x --models x --model m --settings {{ --out {out}",
        "predict": f"x.fits --model m --out {out}",
        "shard": f"--targets x --shard 0000 --downloads x --raw x --settings {{ --rejected {out} --out {out}",
        "mock-archive": f"--out {out} --settings {{",
    }[command].split()
    environment = {**os.environ, "SLURM_CPUS_PER_TASK": "5"}
    run = [sys.executable, "-c", probe, command, *words, "--threads", "1"]
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    each = 1 if command == "mock-archive" else 5  # processes, of one thread each
    assert said[0] == f"limit {each} []"
    if command in ("infer", "predict"):  # the others end before torch is needed
        assert said[-1] == f"torch {each}"
