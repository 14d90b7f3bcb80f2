"""Training: plans, schedules, batches, resuming to the same bits, memory that runs out, what a training leaves."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_spectra as toy
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.networks.build import build
from resurvey.training import device, loop
from resurvey.training.checkpoint import Checkpoint, digest, fingerprint
from resurvey.training.job import fit
from resurvey.training.loop import Samples, Stopped, Trainer, batches
from resurvey.training.optimise import learning_rate, make_optimizer
from resurvey.training.plan import Hyper, make_plan
from resurvey.training.samples import read_sample

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    return toy.write_shards(tmp_path_factory.mktemp("toy"), 100)


def trainer(settings: dict, network: str, z_max: float = 0.6) -> Trainer:
    plan = make_plan(settings, network, toy.GRID["pixels"], z_max)
    return Trainer(build(plan.spec, plan.seed), plan.hyper, plan.seed, "float32", CPU, quiet=True)


def galaxies(count: int, seed: int = 1) -> Samples:
    flux, z = toy.spectra("GALAXY_nan", count, seed)
    return Samples(torch.from_numpy(flux), torch.from_numpy(z.astype(np.float32)))


def weights(network: torch.nn.Module) -> str:
    return digest(*network.state_dict().values())


def test_plan_follows_role_and_head():
    settings = toy.settings()
    plan = make_plan(settings, "ResNet_P", 251, None)
    assert (plan.spec["outputs"], plan.spec["members"], plan.spec["head"]) == (3, 1, {"kind": "softmax"})
    plan = make_plan(settings, "ResNet_11", 251, 2.0)
    assert (
        plan.spec["members"] == 2 and plan.spec["head"]["width"] == 0.012 and plan.spec["head"]["z_range"] == [0.0, 2.0]
    )
    assert make_plan(settings, "ResNet_11", 251, 7.0).spec["head"]["z_range"] == [0.0, 5.0]
    assert make_plan(settings, "ResNet_7_point", 251, 0.6).spec["members"] == 1
    plan = make_plan(toy.settings("huber"), "ResNet_7", 251, 0.6)
    assert plan.spec["head"] == {"kind": "huber", "z_range": [0.0, 5.0], "z_scale": 10.0, "delta": 0.1}
    assert plan.spec["outputs"] == 1


def test_members_as_jobs_of_their_own_have_their_own_seeds():
    settings = toy.settings()
    own = {"role": "redshift", "class": "GALAXY_nan", "ensemble": "ResNet_7"}
    settings["entry"]["networks"] = {f"ResNet_7/member_{i:02d}": {**own, "member": i} for i in range(2)}
    plans = [make_plan(settings, name, 251, 0.6) for name in settings["entry"]["networks"]]
    assert [plan.spec["members"] for plan in plans] == [1, 1]
    assert plans[0].seed != plans[1].seed


def test_networks_may_have_training_of_their_own():
    settings = toy.settings()
    settings["entry"]["networks"] = {"ResNet_P": {"role": "classifier", "training": {"epochs": 9}}}
    hyper = make_plan(settings, "ResNet_P", 251, None).hyper
    assert (hyper.epochs, hyper.batch) == (9, 16)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epoch": 3}, "does not know epoch"),
        ({"network": "ResNet_99"}, "ResNet_99; it has ResNet_P"),
        ({"bins": {}}, "GALAXY"),
    ],
)
def test_wrong_settings_are_named(change, match):
    settings = toy.settings(**{k: v for k, v in change.items() if k == "epoch"})
    settings["entry"].update({k: v for k, v in change.items() if k == "bins"})
    with pytest.raises(ResurveyError, match=match):
        make_plan(settings, change.get("network", "ResNet_7"), 251, 0.6)


def test_learning_rates():
    halve = Hyper.of({**toy.TRAINING, "lr": 1e-3, "schedule": "halve", "epochs": 50})
    assert [learning_rate(halve, e) for e in (0, 4.9, 5, 49)] == pytest.approx([1e-3, 1e-3, 5e-4, 1e-3 * 0.5**9])
    cosine = Hyper.of({**toy.TRAINING, "lr": 2e-3, "epochs": 10})
    assert [learning_rate(cosine, e) for e in (0, 5, 10)] == pytest.approx([2e-3, 1e-3, 0])


def test_adam_has_keras_epsilon():
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(1))], Hyper.of({**toy.TRAINING, "optimizer": "adam"}))
    assert optimizer.defaults["eps"] == 1e-7 and optimizer.defaults["betas"] == (0.9, 0.999)


def test_batches_hold_every_row_once_and_none_of_one():
    for count in (32, 33, 17, 5, 2):
        rows = batches(torch.randperm(count), 16)
        assert sorted(torch.cat(rows).tolist()) == list(range(count))
        assert min(map(len, rows)) > 1


def test_overfits_a_few_spectra():
    one = trainer(toy.settings(epochs=120, batch=4, weight_decay=0.0, lr=0.004), "ResNet_7_point")
    few = galaxies(8)
    result = one.run(few, few)
    assert min(row["val_mae"] for row in result.history) < 0.004
    assert result.history[-1]["loss"] < 0.6 * result.history[0]["loss"]


@pytest.mark.parametrize(("head", "monitor"), [("huber", "val_mae"), ("bins", "val_loss")])
def test_best_epoch_is_kept_and_not_the_last(head, monitor):
    one = trainer(toy.settings(head, lr=0.02, schedule="constant", epochs=6), "ResNet_7")
    train, valid = galaxies(64), galaxies(32, seed=2)
    result = one.run(train, valid)
    values = [row[monitor] for row in result.history]
    assert result.best_epoch == int(np.argmin(values))
    loss, scores = one.evaluate(valid)
    found = {"val_loss": loss, "val_mae": float(scores.mean())}
    assert found[monitor] == pytest.approx(min(values), rel=1e-6)


def test_same_seed_same_bits_other_seed_other_bits():
    digests = []
    for seed in (7, 7, 8):
        one = trainer({**toy.settings(epochs=1), "seed": seed}, "ResNet_7")
        one.run(galaxies(48), galaxies(16, 2))
        digests.append(weights(one.network))
    assert digests[0] == digests[1] != digests[2]


def test_stopped_within_an_epoch_it_goes_on_to_the_same_bits(tmp_path):
    train, valid = galaxies(80), galaxies(16, 2)
    whole = trainer(toy.settings(), "ResNet_7")
    whole.run(train, valid)
    checkpoint, stops = Checkpoint(tmp_path / "checkpoint.pt", "f"), 0

    class After:
        """Set after some batches."""

        def __init__(self, count: int) -> None:
            self.left = count

        def is_set(self) -> bool:
            self.left -= 1
            return self.left < 0

    for count in (2, 5, 6, 100):
        part = trainer(toy.settings(), "ResNet_7")
        try:
            part.run(train, valid, checkpoint, stop=After(count))
        except Stopped:
            stops += 1
    assert stops == 3
    assert weights(part.network) == weights(whole.network)
    drop = [{k: v for k, v in row.items() if k != "seconds"} for row in part.now.history]
    assert drop == [{k: v for k, v in row.items() if k != "seconds"} for row in whole.now.history]


JOB = """
import sys, json, threading, pathlib, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import toy_spectra as toy
from resurvey.training.job import fit
from resurvey.training.samples import read_sample
from resurvey.training.job import stopping
paths = sorted(pathlib.Path(sys.argv[2]).glob("0*.parquet"))
with stopping() as stop:
    fit(read_sample(paths, toy.LABELS, "GALAXY_nan"), toy.settings(epochs=12), "ResNet_7", sys.argv[3], stop)
"""


@pytest.mark.slow
def test_killed_job_ends_with_the_same_weights(shards, tmp_path):
    def start(folder: Path) -> subprocess.Popen:
        arguments = [sys.executable, "-c", JOB, str(Path(__file__).parent), str(shards[0].parent), str(folder)]
        return subprocess.Popen(arguments, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})

    killed = start(tmp_path / "killed")
    until = time.monotonic() + 60
    while not (tmp_path / "killed/checkpoint.pt").exists() and killed.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed/model.json").exists(), "the job ended before it could be killed"
    whole, again = start(tmp_path / "whole"), start(tmp_path / "killed")
    assert [whole.communicate() and whole.returncode, again.communicate() and again.returncode] == [0, 0]
    abouts = [json.loads((tmp_path / name / "model.json").read_text()) for name in ("whole", "killed")]
    assert abouts[0]["weights_sha256"] == abouts[1]["weights_sha256"]
    assert not (tmp_path / "killed/checkpoint.pt").exists()


def test_checkpoint_of_other_settings_is_named_and_not_used(tmp_path):
    Checkpoint(tmp_path / "checkpoint.pt", fingerprint({"epochs": 3}, "data")).save({"x": 1})
    other = Checkpoint(tmp_path / "checkpoint.pt", fingerprint({"epochs": 4}, "data"))
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is of other settings or data"):
        assert other.load() is None


def test_damaged_checkpoint_is_named_and_the_training_starts_again(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    checkpoint.save({"x": torch.arange(1000)})
    assert checkpoint.load()["x"][-1] == 999
    data = checkpoint.path.read_bytes()
    for damaged in (data[: len(data) // 2], b"", b"not a checkpoint"):
        checkpoint.path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="damaged"):
            assert checkpoint.load() is None
    one = trainer(toy.settings(epochs=1), "ResNet_7_point")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert one.run(galaxies(32), galaxies(8, 2), checkpoint).epoch == 1


def test_batch_halves_when_memory_runs_out_and_the_step_stays(monkeypatch):
    settings = toy.settings("huber", epochs=2)
    settings["entry"]["architecture"] = {**toy.ARCHITECTURE, "dropout": 0.0}
    train, valid = galaxies(64), galaxies(16, 2)
    one = trainer(settings, "ResNet_7")
    room, real = 5, one.call
    sizes = []

    def small_memory(flux):
        if len(flux) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(flux))
        return real(flux)

    one.call = small_memory
    one.run(train, valid)
    assert max(sizes) == 4 and one.now.micro == 4
    # gradients add up to those of the whole batch: without BatchNorm's batch statistics the weights agree
    two, three = trainer(settings, "ResNet_7"), trainer(settings, "ResNet_7")
    for each in (two, three):
        each.network.eval()
    three.now.micro = 4
    rows = torch.arange(16)
    assert two.step(train, rows)[0] == pytest.approx(three.step(train, rows)[0], rel=1e-5)
    for a, b in zip(two.network.parameters(), three.network.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-7)


def test_other_errors_are_not_taken_for_memory():
    assert device.out_of_memory(torch.OutOfMemoryError("x"))
    assert device.out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not device.out_of_memory(RuntimeError("shapes cannot be multiplied"))
    one = trainer(toy.settings(epochs=1), "ResNet_7")
    one.call = lambda flux: (_ for _ in ()).throw(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        one.run(galaxies(32), galaxies(8))


def test_loss_that_is_no_number_says_what_to_do():
    train = galaxies(32)
    train.flux[3, 5] = float("nan")
    with pytest.raises(ResurveyError, match=r"no number after epoch 0; lower training\.lr"):
        trainer(toy.settings(epochs=1), "ResNet_7").run(train, galaxies(8))


def test_too_few_spectra_say_so():
    with pytest.raises(ResurveyError, match="1 training and 8 validation"):
        trainer(toy.settings(epochs=1), "ResNet_7").run(galaxies(1), galaxies(8))


@pytest.mark.parametrize(
    ("wish", "capable", "widest", "chosen"),
    [
        ("auto", True, 512, "bf16"),
        ("auto", True, 128, "float32"),
        ("auto", False, 512, "float32"),
        ("bf16", False, 4, "bf16"),
    ],
)
def test_precision_on_a_cpu(monkeypatch, wish, capable, widest, chosen):
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: capable)
    assert device.pick_precision(wish, CPU, widest) == chosen


def test_bf16_training_keeps_dense_layers_and_loss_in_float32():
    one = trainer(toy.settings(epochs=1), "ResNet_7")
    one.precision = "bf16"
    with device.autocast(CPU, "bf16"):
        assert one.network(galaxies(2).flux).dtype == torch.float32
        assert one.network.members[0].blocks(one.network.inputs(galaxies(2).flux)).dtype == torch.bfloat16
    assert np.isfinite(one.run(galaxies(32), galaxies(8)).history[0]["loss"])


def test_a_training_leaves_all_that_is_needed_to_use_it(shards, tmp_path):
    sample = read_sample(shards, toy.LABELS, None)
    assert len(sample.train.flux) == 180 and len(sample.valid.flux) == 60
    fit(sample, toy.settings(epochs=2), "ResNet_P", tmp_path, threading.Event(), quiet=True)
    about = files.read_json(tmp_path / "model.json")
    assert about["origin"] == "mock" and about["grid"] == toy.GRID and about["resample"] == "flux_conserving"
    assert about["n_train"] == 180 and about["hyper"]["epochs"] == 2
    assert about["weights_sha256"] == hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert set(about["metrics"]["val_acc_per_class"]) == set(toy.LABELS)
    assert about["trained_on"]["QSO_nan"]["n"] == 60 and about["trained_on"]["STAR_A0"]["z"] is None
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert list(rows[0]) == ["epoch", "loss", "acc", "val_loss", "val_acc", "lr", "seconds"]
    assert max(float(row["val_acc"]) for row in rows) == pytest.approx(about["metrics"]["val_acc"])
    assert not list(tmp_path.glob("*.pt")) and not list(tmp_path.glob(".*"))


def test_redshifts_know_the_range_they_were_learned_on(shards, tmp_path):
    sample = read_sample(shards, toy.LABELS, "QSO_nan")
    fit(sample, toy.settings("huber", epochs=1), "ResNet_11", tmp_path, threading.Event(), quiet=True)
    metrics = files.read_json(tmp_path / "model.json")["metrics"]
    assert metrics["z_min"] == pytest.approx(sample.train.z.min()) and metrics["z_max"] == pytest.approx(
        sample.train.z.max()
    )
    assert metrics["val_mae"] > 0


def test_shards_without_the_class_say_so(shards):
    with pytest.raises(ResurveyError, match="no spectrum of split train and class GALAXY_AGN"):
        read_sample(shards, [*toy.LABELS, "GALAXY_AGN"], "GALAXY_AGN")


def test_device_copies_only_what_fits():
    samples = galaxies(4)
    assert samples.to(CPU) is samples
    flux, target = samples.batch(torch.tensor([2, 0]), CPU)
    assert torch.equal(flux, samples.flux[[2, 0]]) and torch.equal(target, samples.target[[2, 0]])
    assert loop.CHECKPOINT_SECONDS >= 60
