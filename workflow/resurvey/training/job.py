"""One training job: a network of a model learns from a sample and is left in its folder."""

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from resurvey import __version__
from resurvey.networks.build import build
from resurvey.networks.resnet import count_parameters
from resurvey.training.checkpoint import Checkpoint, digest, fingerprint
from resurvey.training.device import pick_device, pick_precision
from resurvey.training.families import family_of
from resurvey.training.loop import Trainer
from resurvey.training.ranks import Ranks
from resurvey.training.samples import Sample
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
    folder, family = Path(folder), family_of(settings, network)
    plan = family.plan(settings, network, sample)
    ranks = ranks or Ranks(0, 1, pick_device())
    device = ranks.device
    precision = pick_precision(plan.hyper.precision, device, family.widest(plan.spec))
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    module = build(plan.spec, plan.seed)
    family.prepare(module, sample)
    train, valid = (family.samples(split, plan, module) for split in (sample.train, sample.valid))
    data_digest = digest(train.flux, train.target, valid.flux, valid.target)
    checkpoint = Checkpoint(
        folder / "checkpoint.pt", fingerprint([plan.settings(), precision, device.type], data_digest)
    )
    trainer = Trainer(module, plan.hyper, plan.seed, precision, device, f"{plan.model}/{network}", quiet, ranks)
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
            "architecture": plan.spec,
            "head": plan.spec["head"]["kind"],
            "parameters": count_parameters(trainer.network),
            "grid": sample.grid,
            "dataset": plan.dataset,
            "data_digest": data_digest,
            **sample.about,
            "n_train": len(train),
            "n_valid": len(valid),
            "hyper": {**dataclasses.asdict(plan.hyper), "precision": precision, "seed": plan.seed},
            "best_epoch": result.best_epoch,
            **family.about(plan, sample, val_loss, scores.numpy()),
            "code_version": __version__,
        },
        folder,
    )
    checkpoint.remove()
