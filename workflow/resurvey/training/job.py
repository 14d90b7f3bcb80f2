"""One training job: a network of a model learns from a sample and is left in its folder."""

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from resurvey import __version__
from resurvey.networks.build import build
from resurvey.networks.resnet import count_parameters
from resurvey.training.checkpoint import Checkpoint, digest, fingerprint
from resurvey.training.device import pick_device, pick_precision
from resurvey.training.loop import Samples, Trainer
from resurvey.training.plan import Plan, make_plan, role_of
from resurvey.training.ranks import Ranks
from resurvey.training.samples import Sample, Split
from resurvey.training.weights import write_history, write_model


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM sets (a scheduler's time limit): the training then checkpoints and ends."""
    event = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def fit(
    sample: Sample,
    settings: dict,
    network: str,
    folder: str | os.PathLike,
    stop: threading.Event,
    quiet: bool = False,
    ranks: Ranks | None = None,
) -> None:
    """Train `network` of `settings` (as the train command gets them) and write its folder, the first of several ranks alone.

    Raises loop.Stopped after writing checkpoint.pt when `stop` is set, ResurveyError for settings or data that are wrong.
    """
    folder = Path(folder)
    label = role_of(settings, network)[1]
    plan = make_plan(settings, network, sample.grid["pixels"], None if label is None else float(sample.train.z.max()))
    ranks = ranks or Ranks(0, 1, pick_device())
    device = ranks.device
    precision = pick_precision(plan.hyper.precision, device, max(plan.spec["widths"]))
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    train, valid = _samples(sample.train, plan), _samples(sample.valid, plan)
    data_digest = digest(train.flux, train.target, valid.flux, valid.target)
    checkpoint = Checkpoint(
        folder / "checkpoint.pt", fingerprint([plan.settings(), precision, device.type], data_digest)
    )
    trainer = Trainer(
        build(plan.spec, plan.seed), plan.hyper, plan.seed, precision, device, f"{plan.model}/{network}", quiet, ranks
    )
    result = trainer.run(train, valid, checkpoint, lambda history: write_history(history, folder / "history.csv"), stop)
    val_loss, scores = trainer.evaluate(valid.to(device))
    if not ranks.first:
        return
    write_history(result.history, folder / "history.csv")
    write_model(
        trainer.network,
        {
            "model": plan.model,
            "paper": plan.paper,
            "network": network,
            "role": plan.role,
            "class": plan.label,
            "classes": plan.labels,
            "architecture": plan.spec,
            "head": plan.spec["head"]["kind"],
            "normalisation": plan.spec["normalisation"],
            "parameters": count_parameters(trainer.network),
            "grid": sample.grid,
            "dataset": plan.dataset,
            "data_digest": data_digest,
            **sample.about,
            "n_train": len(train),
            "n_valid": len(valid),
            "hyper": {**dataclasses.asdict(plan.hyper), "precision": precision, "seed": plan.seed},
            "best_epoch": result.best_epoch,
            "metrics": _metrics(plan, sample, val_loss, scores.numpy()),
            "trained_on": _trained_on(plan, sample.train),
            "code_version": __version__,
        },
        folder,
    )
    checkpoint.remove()


def _samples(split: Split, plan: Plan) -> Samples:
    target = split.number if plan.role == "classifier" else split.z.astype(np.float32)
    return Samples(torch.from_numpy(split.flux), torch.from_numpy(target))


def _metrics(plan: Plan, sample: Sample, val_loss: float, scores: np.ndarray) -> dict:
    """Validation numbers of the best epoch; for redshifts the range that was learned, for classes the accuracy of each."""
    if plan.role == "classifier":
        number = sample.valid.number
        each = {label: float(scores[number == i].mean()) for i, label in enumerate(plan.labels) if (number == i).any()}
        return {"val_loss": val_loss, "val_acc": float(scores.mean()), "val_acc_per_class": each}
    z = np.clip(sample.train.z, *plan.hyper.z_range)
    return {"val_loss": val_loss, "val_mae": float(scores.mean()), "z_min": float(z.min()), "z_max": float(z.max())}


def _trained_on(plan: Plan, train: Split) -> dict:
    """Per class: how many spectra, and the ranges of redshift and S/N that they span."""
    described = {}
    for index, label in enumerate(plan.labels):
        here = train.number == index
        if here.any():
            sn, z = train.sn[here], train.z[here]
            described[label] = {
                "n": int(here.sum()),
                "sn_median": [float(v) for v in np.nanquantile(sn, (0, 0.5, 1))] if np.isfinite(sn).any() else None,
                "z": [float(np.nanmin(z)), float(np.nanmax(z))] if np.isfinite(z).any() else None,
            }
    return described
