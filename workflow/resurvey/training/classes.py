"""The family of classifiers and redshift networks: what of a training is theirs. See families.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from resurvey.networks.build import Network
from resurvey.training import relabel
from resurvey.training.loop import Samples
from resurvey.training.plan import Plan, make_plan, role_of
from resurvey.training.samples import Sample, Split, read_sample


def read(paths: Sequence[Path], settings: dict, network: str, quiet: bool = False) -> Sample:
    """The spectra of the network's class, or of all. Raises ResurveyError."""
    _, label, labels = role_of(settings, network)
    entry = settings["entry"]
    if not relabel.asked(entry):
        return read_sample(paths, labels, label, quiet)
    groups = relabel.groups_of(entry, labels)
    sample = read_sample(paths, labels, label, quiet, relabel.learned_classes(paths, groups, entry, settings["seed"]))
    sample.about |= {"groups": groups, "contamination": entry.get("contamination") or 0.0}
    return sample


def plan(settings: dict, network: str, sample: Sample) -> Plan:
    """What the settings and the sample make of a network. Raises ResurveyError."""
    label = role_of(settings, network)[1]
    return make_plan(settings, network, sample.grid["pixels"], None if label is None else float(sample.train.z.max()))


def samples(split: Split, plan: Plan, network: Network) -> Samples:
    """Flux, with class numbers or redshifts."""
    target = split.number if plan.role == "classifier" else split.z.astype(np.float32)
    return Samples(torch.from_numpy(split.flux), torch.from_numpy(target))


def prepare(network: Network, sample: Sample) -> None:
    """Nothing: spectra are normalised one by one."""


def widest(spec: dict) -> int:
    """Channels of the widest block."""
    return max(spec["widths"])


def about(plan: Plan, sample: Sample, val_loss: float, scores: np.ndarray) -> dict:
    """What of model.json is this family's: the classes, and how well they or the redshifts are found."""
    return {
        "class": plan.label,
        "classes": plan.labels,
        "normalisation": plan.spec["normalisation"],
        "metrics": _metrics(plan, sample, val_loss, scores),
        "trained_on": _trained_on(plan, sample.train),
    }


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
