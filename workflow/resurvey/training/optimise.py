"""Optimiser and learning rate, with the constants of the paper's code."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.training.plan import Hyper


def make_optimizer(parameters: Iterable[Tensor], hyper: Hyper) -> torch.optim.Optimizer:
    """Adam, or AdamW with decoupled weight decay; β = (0.9, 0.999) as in Keras and torch."""
    options = {"lr": hyper.lr, "eps": hyper.adam_eps, "weight_decay": hyper.weight_decay, "fused": True}
    if hyper.optimizer == "adam":
        return torch.optim.Adam(parameters, **options)
    if hyper.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **options)
    raise ResurveyError(f"training: optimizer: {hyper.optimizer} does not exist; it may be adam or adamw")


def learning_rate(hyper: Hyper, epoch: float) -> float:
    """The rate at an epoch counted from 0, with its fraction.

    `halve`: lr · 0.5^(epoch // halve_every), the paper's; `cosine`: half a cosine to zero over all epochs, step by step;
    `constant`.
    """
    if hyper.schedule == "halve":
        return hyper.lr * 0.5 ** (int(epoch) // hyper.halve_every)
    if hyper.schedule == "cosine":
        return hyper.lr * 0.5 * (1 + math.cos(math.pi * epoch / hyper.epochs))
    if hyper.schedule == "constant":
        return hyper.lr
    raise ResurveyError(f"training: schedule: {hyper.schedule} does not exist; it may be halve, cosine or constant")
