"""Disks that fill and disks that rot: one clear message, nothing half-written, nothing damaged that is used."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import spec_files
import torch
import toy_spectra as toy
from archive_server import fits_bytes, lite, publish, release, serving
from resurvey import files
from resurvey.archive import manifest
from resurvey.archive.checksums import digest
from resurvey.cli import main
from resurvey.errors import ResurveyError
from resurvey.inference.models import load_network
from resurvey.shards import reading
from resurvey.shards.verify import verify
from resurvey.training.checkpoint import Checkpoint

PLATE, MJD, INDEX = 3655, 55240, 35500


def resurvey(*words, room: int | None = None) -> subprocess.CompletedProcess:
    """The command in a process of its own, whose files cannot grow beyond `room` bytes: a disk that fills."""

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, "-m", "resurvey", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=full if room else None)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path, at: int) -> None:
    """One bit of a file, as a disk loses it."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << at % 8
    path.write_bytes(data)


@pytest.fixture
def raw(tmp_path):
    """A plate of 12 spectra as files of their own, its targets and its manifest."""
    folder, rows = tmp_path / "raw", []
    rng = np.random.default_rng(1)
    for fibre in range(1, 13):
        path = folder / f"spec-{fibre:04d}.fits"
        spec_files.write_lite(path, (PLATE, MJD, fibre), INDEX, spec_files.spectrum_arrays(rng, INDEX))
        found = digest(path, "sha1")
        rows.append(
            manifest.Row(path.name, "u", PLATE, MJD, fibre, "lite", False, 1, found, "sha1", "verified", 1, 0.0, None)
        )
    targets = pa.table({
        "spectrum_id": [f"{fibre}" for fibre in range(1, 13)],
        "plate": pa.array([PLATE] * 12, pa.int32()),
        "mjd": pa.array([MJD] * 12, pa.int32()),
        "fiberid": pa.array(range(1, 13), pa.int32()),
        "shard": ["0000"] * 12,
    })  # fmt: skip
    files.write_table(targets, tmp_path / "targets.parquet", {"origin": "mock"})
    files.write_table(manifest.table(rows), tmp_path / "downloads.parquet", {"origin": "mock"})
    return folder


def shard_command(folder: Path, out: str) -> list:
    grid = {"start": 4000.0, "step": 2.0, "pixels": 2501}
    settings = json.dumps({"dataset": {"release": "r", "name": "d", "grid": grid}})
    command = ["shard", "--targets", folder / "targets.parquet", "--shard", "0000", "--raw", folder / "raw"]
    command += ["--downloads", folder / "downloads.parquet", "--settings", settings]
    return [*command, "--out", folder / out / "0000.parquet", "--rejected", folder / out / "0000.rejected.parquet"]


def train_command(folder: Path, out: str) -> list:
    command = ["train", "--shards", folder / "shards", "--count", "2", "--model", "toy", "--network", "ResNet_P"]
    return [*command, "--settings", json.dumps(toy.settings(epochs=3)), "--out", folder / out]


def infer_command(folder: Path, out: str) -> list:
    settings = json.dumps({"networks": {"ResNet_P": "toy"}, "engine": "torch"})
    command = ["infer", "--shard", folder / "shards/0000.parquet", "--models", folder / "models", "--model", "toy"]
    return [*command, "--settings", settings, "--out", folder / out / "0000.parquet"]


def full_then_free(command, folder: Path, room: int, named: str) -> None:
    """Without room: one line that names the file, and no trace. With room: what a run that never met a full disk makes."""
    assert resurvey(*command(folder, "reference")).returncode == 0
    done = resurvey(*command(folder, "out"), room=room)
    said = [line for line in done.stderr.splitlines() if line.startswith("resurvey ")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(said) == 1
    assert f"{folder / 'out' / named}: cannot be written" in said[0]
    assert set(contents(folder / "out")) <= {"history.csv"}, "of the epochs so far; whole"
    assert resurvey(*command(folder, "out")).returncode == 0
    made, reference = contents(folder / "out"), contents(folder / "reference")
    made.pop("history.csv", None), reference.pop("history.csv", None)  # it holds seconds
    assert made == reference


def test_a_disk_that_fills_under_a_shard(tmp_path, raw):
    full_then_free(shard_command, tmp_path, 60_000, "0000.parquet")


def test_a_disk_that_fills_under_a_checkpoint(tmp_path):
    toy.write_shards(tmp_path / "shards", 60)
    full_then_free(train_command, tmp_path, 20_000, "checkpoint.pt")


def test_a_disk_that_fills_under_predictions(tmp_path):
    toy.write_shards(tmp_path / "shards", 60)
    assert main([*map(str, train_command(tmp_path, "models/toy/ResNet_P"))]) == 0
    full_then_free(infer_command, tmp_path, 1_500, "0000.parquet")


def test_a_disk_that_fills_under_a_download(tmp_path):
    """What has arrived is kept in a partial file, and the same command goes on from there."""
    content = fits_bytes(1, 400_000)
    publish(tmp_path / "archive", {lite(1).path: content})
    script = """
import json, resource, signal, sys
from pathlib import Path
from resurvey.archive.manifest import Wanted
from resurvey.archive.release import Release
from resurvey.archive.transfer import Transfer
from resurvey.errors import ResurveyError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
settings, raw, path, room = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    with Transfer(Release.from_settings(settings), raw, first_pause_s=0.01) as transfer:
        print(transfer.fetch([Wanted(path, 1, 1, 1, "lite")])[0].state)
except ResurveyError as error:
    print(error)
"""
    with serving(tmp_path / "archive") as (_, root):
        found = release(root)
        settings = json.dumps({"release": found.settings, "root": found.root, "origin": found.origin})
        said = []
        for room in (100_000, 0):
            command = [sys.executable, "-c", script, settings, tmp_path / "raw", lite(1).path, str(room)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert "Traceback" not in done.stderr, done.stderr
            said.append(done.stdout)
            assert (tmp_path / "raw" / lite(1).path).exists() == (room == 0)
    assert ".part: cannot be written (File too large); what has arrived is kept" in said[0]
    assert said[1] == "verified\n"
    assert (tmp_path / "raw" / lite(1).path).read_bytes() == content
    assert not list((tmp_path / "raw").rglob("*.part*"))


def test_no_flipped_bit_of_a_shard_is_used(tmp_path):
    """Wherever the bit is: an error that names the file, or the very same data (metadata have no checksum)."""
    path = toy.write_shards(tmp_path / "shards", 100, shards=1)[0]
    whole, table = path.read_bytes(), files.read_table(path)
    found = 0
    for at in random.Random(1).sample(range(len(whole)), 60):
        path.write_bytes(whole)
        flip(path, at)
        try:
            assert files.read_table(path).equals(table), at
        except ResurveyError as error:
            assert str(path) in str(error)
            found += 1
    assert found > 30


def test_no_flipped_bit_of_a_checkpoint_is_used(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    state = {"weights": torch.rand(5000)}
    checkpoint.save(state)
    whole, found = checkpoint.path.read_bytes(), 0
    for at in random.Random(1).sample(range(len(whole)), 60):
        checkpoint.path.write_bytes(whole)
        flip(checkpoint.path, at)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            loaded = checkpoint.load()
        if loaded is None:
            found += 1
            assert "checkpoint.pt is damaged" in str(said[0].message)
        else:
            assert torch.equal(loaded["weights"], state["weights"]), at
    assert found > 50


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def middle(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def whole(paths) -> None:
    for path in paths:
        for _ in reading.iterate(path):
            pass


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setenv(files.IN_WORKFLOW, "2")


@pytest.mark.parametrize("damage", [cut, middle])
def test_a_job_sets_a_damaged_shard_aside_with_what_vouches_for_it(tmp_path, job, damage):
    """shards.csv too, or a training would wait for nobody to make the shard again."""
    first, second = toy.write_shards(tmp_path / "shards", 60)
    table = tmp_path / "shards.csv"
    table.write_text("")
    damage(second)
    with pytest.raises(ResurveyError, match=r"0001\.parquet: is damaged .* run again"):
        whole([first, second])
    assert first.exists()
    assert not second.exists()
    assert not table.exists()
    assert Path(f"{second}.damaged").exists()
    assert Path(f"{table}.damaged").exists()


def test_what_a_user_names_is_left_alone(tmp_path):
    path = toy.write_shards(tmp_path / "shards", 60)[0]
    middle(path)
    with pytest.raises(ResurveyError, match=r"0000\.parquet: is damaged .*delete"):
        whole([path])
    assert path.exists()


def test_a_disk_that_does_not_answer_says_nothing_of_the_file(tmp_path, job):
    path = tmp_path / "shard.parquet"
    path.write_text("")
    with pytest.raises(ResurveyError, match="cannot be read"), files.reading(path):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(ResurveyError, match="cannot be read"), files.reading(path):
        raise pa.ArrowMemoryError("malloc of size 1 failed")
    assert path.exists()


@pytest.mark.parametrize("name", ["0000.parquet", "0000.rejected.parquet"])
@pytest.mark.parametrize("damage", [middle, cut, Path.unlink])
def test_verify_reads_every_page_and_has_the_shard_made_again(tmp_path, raw, job, name, damage):
    assert main([str(word) for word in shard_command(tmp_path, "shards")]) == 0
    verify(tmp_path / "shards", 1, tmp_path / "shards.csv")
    (tmp_path / "shards.csv").unlink()
    damage(tmp_path / "shards" / name)
    with pytest.raises(ResurveyError, match=name if damage is Path.unlink else rf"{name}: is damaged"):
        verify(tmp_path / "shards", 1, tmp_path / "shards.csv")
    assert not (tmp_path / "shards.csv").exists()
    assert not (tmp_path / "shards/0000.parquet").exists(), "Snakemake looks for it"


@pytest.mark.parametrize(
    ("name", "damage"),
    [("model.safetensors", middle), ("model.safetensors", cut), ("model.json", cut), ("model.json", Path.unlink)],
)
def test_a_job_sets_a_damaged_network_aside_so_that_it_is_trained_again(tmp_path, job, name, damage):
    toy.write_shards(tmp_path / "shards", 60)
    folder = tmp_path / "models/toy/ResNet_P"
    assert main([*map(str, train_command(tmp_path, "models/toy/ResNet_P"))]) == 0
    load_network(folder, "ResNet_P")
    damage(folder / name)
    with pytest.raises(ResurveyError, match=name):
        load_network(folder, "ResNet_P")
    assert not (folder / "model.json").exists(), "Snakemake looks for it"


def lost(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(("damage", "why"), [(middle, "sha1 digest"), (cut, "sha1 digest"), (lost, "is gone")])
def test_a_raw_file_that_rotted_is_fetched_again_and_not_rejected(tmp_path, raw, job, damage, why, capsys):
    file = raw / "spec-0007.fits"
    before = file.read_bytes()
    damage(file)
    command = [str(word) for word in shard_command(tmp_path, "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"{file}: " in said
    assert why in said
    assert "run again" in said
    assert not file.exists(), "its transfer begins anew"
    assert not (tmp_path / "downloads.parquet").exists(), "Snakemake fetches where there is no manifest"
    assert not list(tmp_path.glob("out/*"))
    file.write_bytes(before)  # what the fetch does
    os.replace(tmp_path / "downloads.parquet.damaged", tmp_path / "downloads.parquet")
    assert main(command) == 0
    assert "12 of 12" in capsys.readouterr().out
