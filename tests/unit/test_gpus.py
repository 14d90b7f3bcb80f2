"""GPUs are leased: made-up devices, real processes."""

import os
import subprocess
import sys
import time

import pytest
import torch
from resurvey import gpus
from resurvey.errors import ResurveyError

UUIDS = ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch):
    for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (None, UUIDS),
        ("", []),
        ("-1", []),
        ("1", UUIDS[1:2]),
        ("2, 0", [UUIDS[2], UUIDS[0]]),
        ("0,7,1", UUIDS[:1]),
        ("1,1", UUIDS[1:2]),
        ("GPU-cccc", UUIDS[2:]),
        ("GPU", []),
        ("MIG-x/1/0,0", ["MIG-x/1/0", UUIDS[0]]),
        ("NoDevFiles", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(names, found):
    assert gpus.chosen(names, UUIDS) == found


def test_no_gpu_is_installed_where_nvidia_smi_is_not_or_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.installed() == []
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho GPU-aaaa-1\necho GPU-bbbb-2\n")
    smi.chmod(0o755)
    assert gpus.installed() == UUIDS[:2]
    smi.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert gpus.installed() == []
    assert gpus.chosen("0", []) == []


def test_gpus_that_nvidia_smi_does_not_list_are_told_of(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.version, "cuda", "12.9")
    monkeypatch.setattr(gpus, "NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr(gpus, "installed", list)
    assert gpus.visible() == [] and "nvidia-smi does not list them" in capsys.readouterr().err
    monkeypatch.setattr(gpus, "installed", lambda: UUIDS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert gpus.visible() == UUIDS[2:] and capsys.readouterr().err == ""
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gpus.visible() == []


def test_on_a_cpu_nothing_happens(tmp_path, capsys):
    with gpus.lease(2, [], tmp_path / "leases") as found:
        assert found == [] and "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not (tmp_path / "leases").exists() and capsys.readouterr().err == ""


def test_each_takes_the_first_free_one_and_gives_it_back(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with gpus.lease(1, UUIDS, tmp_path) as first, gpus.lease(1, UUIDS, tmp_path) as second:
        assert (first, second) == (UUIDS[:1], UUIDS[1:2])
        assert os.environ["CUDA_VISIBLE_DEVICES"] == UUIDS[1]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    with gpus.lease(2, UUIDS, tmp_path) as both:
        assert both == UUIDS[:2] and os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(both)


def test_more_than_there_are_is_said(tmp_path, capsys):
    with gpus.lease(9, UUIDS, tmp_path) as found:
        assert found == UUIDS
    assert "9 GPUs were asked for, 3 can be seen" in capsys.readouterr().err


def test_in_slurm_the_grant_is_ones_own_but_parts_of_it_are_leased(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with gpus.lease(0, UUIDS, tmp_path) as found, gpus.lease(3, UUIDS, tmp_path) as again:
        assert found == again == UUIDS and os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2"
    assert not list(tmp_path.iterdir())
    with gpus.lease(1, UUIDS, tmp_path) as first, gpus.lease(1, UUIDS, tmp_path) as second:
        assert first + second == UUIDS[:2]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResurveyError, match="file/leases: the leases"), gpus.lease(1, UUIDS, tmp_path / "file/leases"):
        pass


JOB = """
import os, sys, time
from pathlib import Path
from resurvey import gpus
with gpus.lease({wanted}, {uuids!r}, Path({folder!r})) as found:
    print(time.monotonic(), *found, flush=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(found)
    time.sleep({seconds})
    print(time.monotonic(), flush=True)
"""


def start(folder, uuids, seconds: float, wanted: int = 1) -> subprocess.Popen:
    code = JOB.format(folder=str(folder), uuids=uuids, seconds=seconds, wanted=wanted)
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True)


def test_six_jobs_on_two_gpus_never_share_one(tmp_path):
    jobs = [start(tmp_path, UUIDS[:2], 0.3) for _ in range(6)]
    spans: dict[str, list] = {}
    waited = 0
    for job in jobs:
        out, err = job.communicate(timeout=60)
        assert job.returncode == 0, err
        (began, gpu), (ended,) = (line.split() for line in out.splitlines())
        spans.setdefault(gpu, []).append((float(began), float(ended)))
        waited += "1 of 2 GPUs wanted, 0 free: waits" in err
    assert set(spans) == set(UUIDS[:2]) and waited >= 1
    for times in spans.values():
        for (_, ended), (began, _) in zip(sorted(times), sorted(times)[1:], strict=False):
            assert began >= ended


def test_a_killed_job_lets_go_and_two_that_want_all_do_not_block_each_other(tmp_path):
    holder = start(tmp_path, UUIDS[:2], 600)
    assert holder.stdout.readline().split()[1] == UUIDS[0]
    greedy = [start(tmp_path, UUIDS[:2], 0.1, wanted=2) for _ in range(2)]
    time.sleep(1)
    assert all(job.poll() is None for job in greedy)
    holder.kill()
    holder.communicate()
    for job in greedy:
        out, err = job.communicate(timeout=60)
        assert job.returncode == 0 and out.split()[1:3] == UUIDS[:2], err
        assert "2 of 2 GPUs wanted, 1 free: waits" in err and "has GPU-aaaa-1, GPU-bbbb-2 after" in err
