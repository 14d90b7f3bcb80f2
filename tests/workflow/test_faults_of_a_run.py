"""A run that is killed, meets a slow or full file system, or finds what it made damaged: it ends with the same products."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from resurvey import files
from smoke_run import RUN, command, copy, environment, finished, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]
DATA = RUN / "sdss_dr16"
MODEL = "gasnet2_sdss_zpdf"
CATALOGUE = DATA / f"catalogues/{MODEL}.parquet"
LATE = """
import atexit, os, subprocess, sys
made, rename = [], os.replace
def replace(source, to, **options):
    rename(source, to, **options)
    made.append(os.path.abspath(to))
os.replace = replace
def hide():
    if "snakemake" in sys.argv[0]:
        return
    for path in made:
        if "/results/" in path and os.path.exists(path):
            rename(path, path + ".late")
            subprocess.Popen(["sh", "-c", 'sleep 3; mv "$0.late" "$0"', path], start_new_session=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
atexit.register(hide)
"""


@pytest.fixture
def run(tmp_path, tmp_path_factory):
    """A finished run that can be spoilt."""
    return copy(finished(tmp_path_factory), tmp_path / "run")


def said(result) -> str:
    assert "Traceback" not in result.stdout + result.stderr
    return result.stdout + result.stderr


def flip(path: Path) -> None:
    """One bit of a file, which others may share by hard links: in its middle, of Parquet in the middle of a column."""
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    if path.suffix == ".parquet":
        group = pq.ParquetFile(path).metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        column = next((one for one in columns if one.path_in_schema.startswith("flux")), columns[1])
        at = column.data_page_offset + column.total_compressed_size // 2
    data[at] ^= 1
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=times)  # nobody wrote it: Snakemake sees nothing


def test_jobs_that_outlive_their_snakemake_are_waited_for(tmp_path):
    """Killed with SIGKILL it leaves its jobs; the next run submits them again."""
    target = str(DATA / "targets.parquet")
    with subprocess.Popen(
        command(tmp_path, target), env=environment(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        while not (
            claims := list(tmp_path.glob("resources/**/.*.claim"))
        ):  # the mock survey's job, which takes seconds
            assert first.poll() is None
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    assert claims[0].exists()
    assert snakemake(tmp_path, "--unlock").returncode == 0
    again = snakemake(tmp_path, target, "--rerun-incomplete")
    assert again.returncode == 0, said(again)
    assert said(again).count("waiting for it") == 1
    assert said(again).count("taken as it is") == 1
    assert not list(tmp_path.rglob(".*.claim"))
    assert "Nothing to be done" in said(snakemake(tmp_path, target))


def test_outputs_that_become_visible_late(run, tmp_path):
    """As on a network file system: a job's outputs vanish when it ends and are there 3 seconds later."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late/sitecustomize.py").write_text(LATE)
    before = (run / CATALOGUE).read_bytes()
    for path in (*(run / DATA / "predictions" / MODEL).iterdir(), run / CATALOGUE):
        path.unlink()
    late = {"PYTHONPATH": str(tmp_path / "late")}
    impatient = snakemake(run, CATALOGUE, "--latency-wait", "0", env=late)
    assert impatient.returncode != 0
    assert "latency" in said(impatient)
    time.sleep(3.5)
    patient = snakemake(run, CATALOGUE, "--latency-wait", "20", "--rerun-incomplete", env=late)
    assert patient.returncode == 0, said(patient)
    assert (run / CATALOGUE).read_bytes() == before


def test_a_disk_that_fills_under_the_catalogue(run):
    made = [run / CATALOGUE, (run / CATALOGUE).with_suffix(".fits")]
    before = [file.read_bytes() for file in made]
    for file in made:
        file.unlink()
    full = snakemake(run, CATALOGUE, room=60_000)
    assert full.returncode != 0
    assert said(full).count("cannot be written (File too large); nothing was left behind") == 1
    assert MODEL in said(full)
    assert not [path for path in made[0].parent.iterdir() if MODEL in path.name]
    free = snakemake(run, CATALOGUE)
    assert free.returncode == 0, said(free)
    assert [file.read_bytes() for file in made] == before


def damaged_then_again(run: Path, target: Path, name: str, rules: set[str]) -> None:
    """The first run names the damaged file, the same command typed again makes it anew."""
    first = snakemake(run, target)
    assert first.returncode != 0
    assert f"{name}: " in said(first)
    assert "run again: it is made anew" in said(first)
    again = snakemake(run, target, "--quiet", "host", "reason")
    assert again.returncode == 0, said(again)
    done = {
        line.split()[-1].rstrip(":") for line in said(again).splitlines() if line.startswith(("rule ", "localrule "))
    }
    assert done == rules


def test_a_rotten_shard_is_found_and_made_again(run):
    shard, target = DATA / "shards/0001.parquet", RUN / "gasnet2/tables/baselines_sdss_dr16.json"
    before = [(run / path).read_bytes() for path in (shard, target)]
    (run / target).unlink()
    flip(run / shard)
    damaged_then_again(run, target, str(shard), {"shard", "verify", "baselines"})
    assert [(run / path).read_bytes() for path in (shard, target)] == before


def test_a_rotten_raw_file_is_found_and_fetched_again(run):
    shard = DATA / "shards/0001.parquet"
    before = (run / shard).read_bytes()
    (run / shard).unlink()
    first = files.read_table(run / DATA / "downloads/0001.parquet", ["path"])["path"][0].as_py()
    raw = run / "resources/mock_smoke/sdss_dr16" / first
    flip(raw)
    damaged_then_again(run, shard, str(raw.relative_to(run)), {"fetch", "shard"})
    assert (run / shard).read_bytes() == before


def test_rotten_predictions_are_found_and_made_again(run):
    predictions = DATA / f"predictions/{MODEL}/0001.parquet"
    before = [(run / path).read_bytes() for path in (predictions, CATALOGUE)]
    (run / CATALOGUE).unlink()
    flip(run / predictions)
    damaged_then_again(run, CATALOGUE, str(predictions), {"infer", "calibrate", "catalogue"})
    assert [(run / path).read_bytes() for path in (predictions, CATALOGUE)] == before


def test_a_rotten_network_is_found_and_trained_again(run):
    weights = RUN / f"models/{MODEL}/ResNet_7/model.safetensors"
    predictions = DATA / f"predictions/{MODEL}/0001.parquet"
    before = [(run / path).read_bytes() for path in (weights, predictions)]
    (run / predictions).unlink()
    flip(run / weights)
    damaged_then_again(run, predictions, str(weights), {"train_network", "infer"})
    assert [(run / path).read_bytes() for path in (weights, predictions)] == before
