"""Optimiser and learning rate, with the constants of the paper's code."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.training.plan import Hyper


def make_optimizer(parameters: Iterable[Tensor] | Iterable[dict], hyper: Hyper) -> torch.optim.Optimizer:
    """Adam, or AdamW with decoupled weight decay; β = (0.9, 0.999) as in Keras and torch. Groups may have a weight decay of their own."""
    options = {"lr": hyper.lr, "eps": hyper.adam_eps, "weight_decay": hyper.weight_decay, "fused": True}
    if hyper.optimizer == "adam":
        return torch.optim.Adam(parameters, **options)
    if hyper.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **options)
    raise ResurveyError(f"training: optimizer: {hyper.optimizer} does not exist; it may be adam or adamw")


def learning_rate(hyper: Hyper, epoch: float, seen: Sequence[float] = ()) -> float:
    """The rate at an epoch counted from 0, with its fraction; `seen`: the validation's loss of each epoch before.

    `halve`: lr · 0.5^(epoch // halve_every), the first paper's; `cosine`: half a cosine to zero over all epochs, step by step;
    `constant`; `plateau`: see `plateau`. Raises ResurveyError for another.
    """
    if hyper.schedule not in SCHEDULES:
        raise ResurveyError(f"training: schedule: {hyper.schedule} does not exist; it may be {', '.join(SCHEDULES)}")
    return SCHEDULES[hyper.schedule](hyper, epoch, seen)


def plateau(lr: float, seen: Sequence[float], factor: float, patience: int, min_delta: float, min_lr: float) -> float:
    """Keras' ReduceLROnPlateau after the epochs whose losses were seen: times `factor` after `patience` epochs without a loss
    lower than the lowest by more than min_delta, never below min_lr.

    All of it follows from the history, so a training that goes on needs no state of the schedule.
    """
    best, wait = math.inf, 0
    for value in seen:
        if value < best - min_delta:
            best, wait = value, 0
            continue
        wait += 1
        if wait >= patience and lr > min_lr:
            lr, wait = max(lr * factor, min_lr), 0
    return lr


SCHEDULES = {
    "halve": lambda hyper, epoch, seen: hyper.lr * 0.5 ** (int(epoch) // hyper.halve_every),
    "cosine": lambda hyper, epoch, seen: hyper.lr * 0.5 * (1 + math.cos(math.pi * epoch / hyper.epochs)),
    "constant": lambda hyper, epoch, seen: hyper.lr,
    "plateau": lambda hyper, epoch, seen: plateau(hyper.lr, seen, **hyper.plateau),
}
