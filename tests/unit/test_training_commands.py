"""`resurvey train`, `infer`, `calibrate` one after the other, as the rules call them."""

import json
import signal
import subprocess
import sys
import time

import pytest
import toy_spectra as toy
from resurvey import files
from resurvey.cli import main


@pytest.fixture
def folder(tmp_path):
    toy.write_shards(tmp_path / "shards", 150)
    return tmp_path


def train(folder, network: str, **training) -> int:
    settings = json.dumps(toy.settings(epochs=training.pop("epochs", 2), **training))
    out = folder / "models/toy" / network
    shards = ["--shards", str(folder / "shards"), "--count", "2"]
    return main(["train", *shards, "--model", "toy", "--network", network, "--settings", settings, "--out", str(out)])


def test_from_shards_to_calibration(folder):
    for network in ("ResNet_P", "ResNet_7", "ResNet_11", "ResNet_7_point"):
        assert train(folder, network) == 0
    homes = dict.fromkeys(("ResNet_P", "ResNet_7", "ResNet_11", "ResNet_7_point"), "toy")
    settings = json.dumps({"networks": homes, "engine": "torch", "skip_below": 0.0, "classes": toy.CLASSES})
    for shard in ("0000", "0001"):
        paths = [
            "--shard",
            str(folder / f"shards/{shard}.parquet"),
            "--out",
            str(folder / f"predictions/{shard}.parquet"),
        ]
        assert (
            main(["infer", *paths, "--models", str(folder / "models"), "--model", "toy", "--settings", settings]) == 0
        )
    inputs = [
        "--predictions",
        str(folder / "predictions"),
        "--targets",
        str(folder / "shards/targets.parquet"),
        "--count",
        "2",
    ]
    out = folder / "models/toy/calibration.json"
    assert main(["calibrate", *inputs, "--models", str(folder / "models"), "--model", "toy", "--out", str(out)]) == 0
    assert set(files.read_json(out)["classes"]) == {"GALAXY_nan", "QSO_nan"}
    assert main(["calibrate", *inputs, "--model", "other", "--out", str(folder / "c.json")]) == 2
    assert not (folder / "c.json").exists()


def stop_in_the_middle(folder, how: int) -> tuple[int, str]:
    """Train in a process of its own and send it a signal once it has a new checkpoint; returns its exit code and stderr."""
    checkpoint = folder / "models/toy/ResNet_7/checkpoint.pt"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    settings = json.dumps(toy.settings(epochs=4000))
    command = [
        sys.executable,
        "-m",
        "resurvey",
        "train",
        "--shards",
        str(folder / "shards"),
        "--count",
        "2",
        "--model",
        "toy",
    ]
    command += ["--network", "ResNet_7", "--settings", settings, "--out", str(checkpoint.parent)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
            assert process.poll() is None and time.monotonic() < until, process.communicate()[1][-500:]
            time.sleep(0.01)
        process.send_signal(how)
        said = process.communicate(timeout=120)[1]
    return process.returncode, said


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stopped_training_goes_on_where_it_was(folder, how, code):
    assert stop_in_the_middle(folder, how)[0] == code
    assert (folder / "models/toy/ResNet_7/checkpoint.pt").exists()
    assert not (folder / "models/toy/ResNet_7/model.safetensors").exists()
    again, said = stop_in_the_middle(folder, how)
    assert again == code
    assert "goes on at epoch" in said


def test_mistakes_are_one_line(folder, capsys):
    assert train(folder, "ResNet_99") == 2
    assert "has no network ResNet_99" in capsys.readouterr().err
    (folder / "shards/0001.parquet").unlink()
    assert train(folder, "ResNet_7") == 2
    assert "0001.parquet: is missing" in capsys.readouterr().err
