"""Training of label networks: standardisation, missing labels, schedule, last weights, resuming, subsets, what is left."""

import csv
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_labels as toy
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.networks.bcnn import without_dropout
from resurvey.networks.build import build
from resurvey.training import labels
from resurvey.training.checkpoint import Checkpoint, digest
from resurvey.training.job import fit
from resurvey.training.label_samples import read_label_sample
from resurvey.training.loop import Stopped, Trainer, batches
from resurvey.training.optimise import plateau
from resurvey.training.windows import read_windows, runs

CPU = torch.device("cpu")
RULE = {"factor": 0.5, "patience": 2, "min_delta": 5e-5, "min_lr": 1e-8}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """1000 stars, a fifth of the labels missing."""
    made = tmp_path_factory.mktemp("labels")
    toy.write_shards(made / "shards", 1000, missing=0.2)
    toy.write_windows(made)
    return made


def paths(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("0*.parquet"))


def sample(folder: Path, settings: dict):
    return labels.read(paths(folder), settings, "bcnn", quiet=True)


def trainer(folder: Path, **training) -> tuple[Trainer, list]:
    """A trainer and its two splits."""
    settings = toy.settings(folder / "windows.csv", **training)
    found = sample(folder, settings)
    plan = labels.plan(settings, "bcnn", found)
    network = build(plan.spec, plan.seed)
    labels.prepare(network, found)
    data = [labels.samples(split, plan, network) for split in (found.train, found.valid)]
    return Trainer(network, plan.hyper, plan.seed, "float32", CPU, quiet=True), data


def weights(network: torch.nn.Module) -> str:
    return digest(*network.state_dict().values())


def test_only_training_and_validation_rows_are_read(folder):
    found = sample(folder, toy.settings(folder / "windows.csv"))
    assert (len(found.train.flux), len(found.valid.flux)) == (600, 200)  # test_visits are not
    assert found.train.label.shape == found.train.error.shape == (600, 6)
    assert 0.15 < np.isnan(found.train.label[:, 1:]).mean() < 0.25 and not np.isnan(found.train.label[:, 0]).any()
    assert found.about == {"origin": "mock", "release": "toy", "continuum": {"method": "none"}, "flux_unit": None}


def test_standardisation_is_that_of_the_known_labels_of_the_training_set(folder):
    one, (train, valid) = trainer(folder)
    network = one.network
    found = sample(folder, toy.settings())
    torch.testing.assert_close(network.flux_mean, torch.from_numpy(found.train.flux.mean(0, dtype=float)).float())
    known = found.train.label[:, 3][np.isfinite(found.train.label[:, 3])]
    assert network.label_mean[3].item() == pytest.approx(known.mean(), rel=1e-5)
    assert network.label_std[3].item() == pytest.approx(known.std(), rel=1e-5)
    values, errors = train.target.unbind(2)
    assert torch.nanmean(values, 0).abs().max() < 1e-4
    assert errors[0, 0].item() == pytest.approx(0.02 * toy.SPREAD[0] / network.label_std[0].item(), rel=1e-4)
    assert torch.isnan(values).sum() == np.isnan(found.train.label).sum()
    assert torch.nanmean(valid.target[..., 0], 0).abs().max() > 1e-3  # by the training set's mean, not its own


def test_label_that_nobody_has_is_named(tmp_path):
    made = toy.write_shards(tmp_path, 100, missing=1.0)
    settings = toy.settings(toy.write_windows(tmp_path))
    found = labels.read(made, settings, "bcnn", quiet=True)
    with pytest.raises(ResurveyError, match="label logg: 0 of 60 training spectra have it"):
        labels.prepare(build(toy.spec()), found)


def test_smaller_samples_are_parts_of_larger_ones(folder):
    def chosen(size: int | None) -> tuple[set, set]:
        found = read_label_sample(paths(folder), toy.LABELS, size, 5, quiet=True)
        return tuple({row.tobytes() for row in split.flux} for split in (found.train, found.valid))

    whole, half, few = chosen(None), chosen(400), chosen(40)
    assert [len(half[0]) + len(half[1]), len(few[0]) + len(few[1])] == [400, 40]
    assert all(a < b < c for a, b, c in zip(few, half, whole, strict=True))
    assert 70 < len(half[1]) < 130  # a quarter of all is validation, and so of a part
    assert chosen(400) == half
    assert read_label_sample(paths(folder), toy.LABELS, 40, 6, quiet=True).train.flux[0].tobytes() not in few[0]
    with pytest.raises(ResurveyError, match="900 spectra are asked for, the splits train and valid hold 800"):
        chosen(900)


def test_chosen_stars_do_not_depend_on_the_shards(folder, tmp_path):
    other = toy.write_shards(tmp_path / "shards", 1000, shards=5, missing=0.2)
    here, there = (
        {row.tobytes() for row in read_label_sample(each, toy.LABELS, 100, 5, quiet=True).train.flux}
        for each in (paths(folder), other)
    )
    assert here == there


def test_lacking_columns_are_named(folder):
    with pytest.raises(ResurveyError, match="lack the columns zn_h, zn_h_err"):
        read_label_sample(paths(folder), [*toy.LABELS, "zn_h"], None, 1, quiet=True)


def test_windows(tmp_path):
    path = toy.write_windows(tmp_path)
    assert read_windows(path, ["mg_h", "c_h"]) == {"mg_h": toy.WINDOWS["mg_h"], "c_h": toy.WINDOWS["c_h"]}
    assert runs([3, 4, 5, 9]) == [[3, 6], [9, 10]]
    with pytest.raises(ResurveyError, match="no window for zn_h"):
        read_windows(path, ["zn_h"])
    for damaged in ("a,b\n1,2\n", "", "\0\1", "element,pixel\nC,1.5\n", "element,pixel\nC\n"):
        (tmp_path / "other.csv").write_text(damaged)
        with pytest.raises(ResurveyError, match=r"other\.csv: is no table of windows"):
            read_windows(tmp_path / "other.csv", ["c_h"])


def test_a_network_that_needs_windows_says_where_they_come_from(folder):
    settings = toy.settings()
    with pytest.raises(ResurveyError, match=r"extras\.windows names no file"):
        labels.plan(settings, "bcnn", sample(folder, settings))


@pytest.mark.parametrize(("change", "match"), [({"weight": 3}, "does not know weight"), ({"lr": None}, None)])
def test_wrong_hyper_parameters_are_named(folder, change, match):
    settings = toy.settings(folder / "windows.csv", **change)
    if match is None:
        del settings["entry"]["training"]["lr"]
        match = "lacks lr"
    with pytest.raises(ResurveyError, match=match):
        labels.plan(settings, "bcnn", sample(folder, toy.settings()))


def test_plateau_by_hand():
    """Two epochs without 5e-5 of progress halve the rate, and the wait begins anew."""
    seen = [1.0, 0.9, 0.9, 0.89999, 0.5, 0.6, 0.6, 0.6, 0.6]
    rates = [plateau(1e-3, seen[:n], **RULE) for n in range(len(seen) + 1)]
    assert rates == [1e-3] * 4 + [5e-4] * 3 + [2.5e-4] * 2 + [1.25e-4]
    assert plateau(1e-3, [1.0] * 100, **RULE) == 1e-8


def test_plateau_on_the_published_history(shared):
    """The rates of the authors' 60 epochs follow from their validation losses."""
    for name in ("astroNN_0617_run001", "aspcapStar_BCNNCensored", "small_data_fixed_50"):
        with open(shared / f"published/astronn/training_history_{name}.csv") as handle:
            rows = list(csv.DictReader(handle))
        seen = [float(row["val_output_loss"]) for row in rows]
        found = [plateau(5e-4, seen[:n], **RULE) for n in range(len(rows))]
        assert found == pytest.approx([float(row["lr"]) for row in rows], rel=1e-5)


def test_partial_batches_are_left_out(folder):
    assert [len(part) for part in batches(torch.arange(100), 32, whole=True)] == [32, 32, 32]
    one, (train, valid) = trainer(folder, epochs=1, batch=256)
    steps = []
    step = one.step
    one.step = lambda *args: steps.append(1) or step(*args)
    one.run(train, valid)
    assert len(steps) == 600 // 256
    one, (train, valid) = trainer(folder, epochs=1, batch=601)
    with pytest.raises(ResurveyError, match=r"600 training spectra do not fill a batch; lower training\.batch"):
        one.run(train, valid)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_which_weights_are_kept(folder, keep):
    one, (train, valid) = trainer(folder, epochs=5, lr=0.05, schedule="constant", keep=keep)
    result = one.run(train, valid)
    values = [row["val_loss"] for row in result.history]
    assert int(np.argmin(values)) != 4, "the last epoch is the best: the test shows nothing"
    assert result.best_epoch == (4 if keep == "last" else int(np.argmin(values)))
    # the loss of the weights that were kept, with the draws of its epoch, is that of the history
    assert one.evaluate(valid)[0] == pytest.approx(values[result.best_epoch], rel=1e-6)


def test_the_constraint_holds_after_every_step(folder):
    one, (train, valid) = trainer(folder, epochs=1, lr=0.1)
    norms = []
    step = one.step

    def watched(*args):
        found = step(*args)
        norms.append(one.network.connection.weight.detach().norm(dim=1).max().item())
        return found

    one.step = watched
    one.run(train, valid)
    assert max(norms) <= 0.5 and max(norms) > 0.49


class After:
    """Set after some batches."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_stopped_within_an_epoch_it_goes_on_to_the_same_bits(folder, tmp_path):
    """Weights, dropout and the plateau's rate; the rate must have fallen for the test to show anything."""
    choice = {"epochs": 6, "lr": 0.01, "plateau": {**RULE, "patience": 1, "min_delta": 0.5}}
    whole, (train, valid) = trainer(folder, **choice)
    whole.run(train, valid)
    assert len({row["lr"] for row in whole.now.history}) > 2
    checkpoint, stops = Checkpoint(tmp_path / "checkpoint.pt", "f"), 0
    for count in (7, 25, 40, 1000):
        part, (train, valid) = trainer(folder, **choice)
        try:
            part.run(train, valid, checkpoint, stop=After(count))
        except Stopped:
            stops += 1
    assert stops == 3 and weights(part.network) == weights(whole.network)
    drop = [{k: v for k, v in row.items() if k != "seconds"} for row in part.now.history]
    assert drop == [{k: v for k, v in row.items() if k != "seconds"} for row in whole.now.history]


def test_validation_does_not_disturb_the_training(folder):
    """Its dropout draws are its own: a smaller validation set leaves the same weights, but for the schedule."""
    digests = []
    for count in (200, 50):
        one, (train, valid) = trainer(folder, epochs=2, schedule="constant")
        valid.flux, valid.target = valid.flux[:count], valid.target[:count]
        one.run(train, valid)
        digests.append(weights(one.network))
    assert digests[0] == digests[1]


def test_bf16_keeps_values_and_loss_in_float32(folder):
    one, (train, valid) = trainer(folder, epochs=1)
    one.precision = "bf16"
    result = one.run(train, valid)
    other, (train, valid) = trainer(folder, epochs=1)
    exact = other.run(train, valid)
    assert weights(one.network) != weights(other.network)
    assert result.history[0]["val_loss"] == pytest.approx(exact.history[0]["val_loss"], abs=0.02)
    assert all(weight.dtype == torch.float32 for weight in one.network.parameters())


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> dict[float, Path]:
    """Models trained with none and with 30% of the labels missing, all labels with errors of a tenth of their spread."""
    torch.set_num_threads(1)
    made = {}
    for missing in (0.0, 0.3):
        home = tmp_path_factory.mktemp("learned")
        toy.write_shards(home / "shards", 2000, missing=missing, error=0.1)
        settings = toy.settings(toy.write_windows(home), epochs=20, schedule="cosine", lr=0.005)
        found = labels.read(paths(home), settings, "bcnn", quiet=True)
        fit(found, settings, "bcnn", home / "model", threading.Event(), quiet=True)
        made[missing] = home
    return made


def scatter(home: Path) -> np.ndarray:
    """rms of prediction less truth of new stars, in spreads of the labels (6,)."""
    from resurvey.inference.models import load_network

    network = load_network(home / "model", "bcnn").network
    flux, true = toy.spectra(1000, 99)
    with torch.inference_mode(), without_dropout(network):
        value = network(torch.from_numpy(flux))[..., 0]
    found = (value * network.label_std + network.label_mean).numpy()
    return np.sqrt(np.mean((found - true) ** 2, 0)) / toy.SPREAD


def test_labels_are_recovered_and_missing_ones_do_not_hurt(learned):
    whole, holes = scatter(learned[0.0]), scatter(learned[0.3])
    assert (whole < 0.3).all(), whole
    assert (holes < whole * 1.35 + 0.02).all(), (whole, holes)


def test_a_training_leaves_all_that_is_needed_to_use_it(learned):
    about = files.read_json(learned[0.3] / "model/model.json")
    assert (about["role"], about["labels"], about["classes"]) == ("labels", toy.LABELS, None)
    assert about["architecture"]["windows"] == toy.WINDOWS and about["grid"] == toy.GRID
    assert about["n_train"] == 1200 and about["best_epoch"] == 19 and about["continuum"] == {"method": "none"}
    assert about["metrics"]["val_mae"] < 0.4 and set(about["metrics"]) == {"val_loss", "val_mae"}
    assert about["trained_on"]["teff"]["n"] == 1200 and about["trained_on"]["al_h"]["n"] == pytest.approx(840, abs=60)
    low, high = about["trained_on"]["teff"]["range"]
    assert 3900 < low < 4200 and 5200 < high < 5500
    assert about["normalisation"]["label_mean"][0] == pytest.approx(4700, abs=40)
    rows = list(csv.DictReader((learned[0.3] / "model/history.csv").open()))
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae", "lr", "seconds"] and len(rows) == 20


def test_the_command_trains_and_the_other_network_too(folder, tmp_path):
    from resurvey.cli import main

    for number, architecture in enumerate((toy.ARCHITECTURE, toy.UNCENSORED)):
        settings = json.dumps(toy.settings(folder / "windows.csv", architecture, size=200, epochs=1))
        out = tmp_path / str(number)
        shards = ["--shards", str(folder / "shards"), "--count", "2"]
        assert (
            main(["train", *shards, "--model", "toy", "--network", "bcnn", "--settings", settings, "--out", str(out)])
            == 0
        )
        about = files.read_json(out / "model.json")
        assert about["n_train"] + about["n_valid"] == 200 and not (out / "checkpoint.pt").exists()


JOB = """
import sys, json, threading, pathlib, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import toy_labels as toy
from resurvey.training import labels
from resurvey.training.job import fit
from resurvey.training.ranks import joined
home = pathlib.Path(sys.argv[2])
settings = toy.settings(home / "windows.csv", epochs=2)
with joined() as ranks:
    sample = labels.read(sorted((home / "shards").glob("0*.parquet")), settings, "bcnn", quiet=True)
    fit(sample, settings, "bcnn", sys.argv[3], threading.Event(), quiet=True, ranks=ranks)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(folder, tmp_path):
    """Dropout that is on in validation too must draw the same masks however many processes there are."""
    (tmp_path / "job.py").write_text(JOB)
    arguments = [str(tmp_path / "job.py"), str(Path(__file__).parent), str(folder)]
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, how in (("one", []), ("two", several)):
        run = [sys.executable, *how, *arguments, str(tmp_path / name)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (list(csv.DictReader((tmp_path / name / "history.csv").open())) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "mae", "val_loss", "val_mae"):
            assert float(a[key]) == pytest.approx(float(b[key]), rel=1e-4, abs=1e-5)
