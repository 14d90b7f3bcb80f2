"""Networks that have learned something from simulated spectra, for benchmarks whose accuracy must mean something."""

import functools

import numpy as np
import torch
import yaml
from resurvey.errors import ResurveyError
from resurvey.networks.build import Network, build
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.simulate.observation import simulate
from resurvey.simulate.population import draw_class, take
from resurvey.surveys.spectrum import Spectrum
from resurvey.training.loop import Samples, Trainer
from resurvey.training.plan import make_plan

with open("workflow/datasets/sdss_dr16.yaml") as handle:
    CLASSES = yaml.safe_load(handle)["classes"]
LABELS = [entry["label"] for entry in CLASSES]
REDSHIFT = [label for label in LABELS if not label.startswith("STAR")]
TRAINING = {
    "batch": 64, "optimizer": "adamw", "lr": 0.002, "schedule": "cosine", "halve_every": 5, "adam_eps": 1e-7, "weight_decay": 0.01,
    "precision": "auto", "z_range": [0.0, 5.0], "z_scale": 10.0, "huber_delta": 0.1,
}  # fmt: skip


def architecture(pixels: int, width: int) -> dict:
    """The paper's, with initial weights and BatchNorm that learn within a few hundred steps."""
    return {
        "kind": "resnet", "widths": [width << i for i in range(6)], "kernel": 5, "stride": 3, "pool": 5,
        "padding": "valid" if pixels > 1800 else "same", "dropout": 0.2, "dense": 256, "init_std": 0.05, "bn_eps": 0.001,
        "bn_momentum": 0.1, "normalisation": "unit_rms",
    }  # fmt: skip


@functools.lru_cache
def sample(pixels: int, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flux (n, pixels) float32, class number, z) of simulated spectra of all classes in random order."""
    resampler = Resampler(Grid(4000.0, 5001 / pixels, pixels), "flux_conserving")
    flux, number, redshift = [], [], []
    for index, entry in enumerate(CLASSES):
        table = draw_class(np.random.default_rng([seed, index]), entry["class"], entry["subclass"], per_class)
        for instrument in np.unique(table["instrument"]):
            part = take(table, table["instrument"] == instrument)
            seen = simulate(part, instrument, [seed, index])
            step = seen.loglam[1] - seen.loglam[0]
            edges = 10 ** np.append(seen.loglam - step / 2, seen.loglam[-1] + step / 2)
            for row in range(len(part["z"])):
                spectrum = Spectrum(
                    "s", 10**seen.loglam, edges, seen.flux[row], seen.ivar[row], seen.and_mask[row], "mock"
                )
                try:
                    flux.append(resampler(spectrum)[0])
                except ResurveyError:  # an unplugged or wholly masked fibre
                    continue
                number.append(index)
                redshift.append(part["z"][row])
    order = np.random.default_rng(seed).permutation(len(flux))
    return np.stack(flux)[order], np.array(number)[order], np.array(redshift)[order]


def trained(shape: dict, label: str | None, members: int, head: str, steps: int, pixels: int) -> Network:
    """A network after about `steps` steps, on 64 spectra per class and step for the classifier, of its class else."""
    per_class = 200
    flux, number, z = sample(pixels, per_class, seed=1)
    here = np.ones(len(flux), bool) if label is None else number == LABELS.index(label)
    target = torch.from_numpy(number[here]) if label is None else torch.from_numpy(z[here].astype(np.float32))
    data = Samples(torch.from_numpy(flux[here]), target)
    epochs = max(1, round(steps * TRAINING["batch"] / len(data)))
    settings = {
        "model": "bench", "seed": 1, "classes": CLASSES, "dataset": "bench",
        "entry": {
            "members": members, "architecture": shape, "training": {**TRAINING, "epochs": epochs}, "head": head,
            "bins": {"GALAXY": 0.0015, "QSO": 0.006, "soft": 1.0, "readout": 3},
            "networks": {"N": {"role": "redshift", "class": label} if label else {"role": "classifier"}},
        },
    }  # fmt: skip
    plan = make_plan(settings, "N", pixels, None if label is None else float(target.max()))
    valid = Samples(data.flux[:64], data.target[:64])
    trainer = Trainer(build(plan.spec, plan.seed), plan.hyper, plan.seed, "float32", torch.device("cpu"), quiet=True)
    trainer.run(data, valid)
    return trainer.network.eval()
