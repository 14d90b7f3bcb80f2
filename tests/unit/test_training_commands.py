"""`resurvey train`, `infer`, `calibrate` one after the other, as the rules call them."""

import json
import os
import signal
import threading
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


def terminate_after(path, change: float) -> threading.Thread:
    """Send SIGTERM to this process once `path` is newer than `change`: the training then runs, its handler is in place."""

    def wait() -> None:
        until = time.monotonic() + 60
        while not (path.exists() and path.stat().st_mtime > change):
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_sigterm_checkpoints_and_the_same_command_goes_on(folder, capsys):
    history = folder / "models/toy/ResNet_7/history.csv"
    thread = terminate_after(history, 0)
    assert train(folder, "ResNet_7", epochs=400) == 143
    thread.join()
    assert history.with_name("checkpoint.pt").exists()
    capsys.readouterr()
    thread = terminate_after(history, history.stat().st_mtime)
    assert train(folder, "ResNet_7", epochs=400) == 143
    thread.join()
    assert "goes on at epoch" in capsys.readouterr().err


def test_mistakes_are_one_line(folder, capsys):
    assert train(folder, "ResNet_99") == 2
    assert "has no network ResNet_99" in capsys.readouterr().err
    (folder / "shards/0001.parquet").unlink()
    assert train(folder, "ResNet_7") == 2
    assert "0001.parquet: is missing" in capsys.readouterr().err
