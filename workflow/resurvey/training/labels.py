"""The family of networks for continuous labels with errors, such as Teff and abundances. See families.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from resurvey.errors import ResurveyError
from resurvey.networks import bcnn
from resurvey.networks.build import derived_seed
from resurvey.training.label_samples import LabelSplit, read_label_sample
from resurvey.training.loop import Samples
from resurvey.training.plan import Plan, filled, network_of
from resurvey.training.samples import Sample
from resurvey.training.windows import read_windows


@dataclass(frozen=True)
class LabelHyper:
    """`training` of a label model's entry. `plateau`: factor, patience, min_delta, min_lr of Keras' ReduceLROnPlateau, whose value
    is the validation's loss; `keep`: the weights of the last or of the best epoch."""

    epochs: int
    batch: int
    optimizer: str
    lr: float
    schedule: str
    plateau: dict
    adam_eps: float
    precision: str
    keep: str

    weight_decay: ClassVar[float] = 0.0  # L2 is the architecture's, and of some kernels only
    whole_batches: ClassVar[bool] = True  # the last, partial batch of an epoch is left out: n // batch steps


def read(paths: Sequence[Path], settings: dict, network: str, quiet: bool = False) -> Sample:
    """The labelled spectra, the first `training_size` in their random order where the model has one. Raises ResurveyError."""
    seed = derived_seed(settings["seed"], settings["dataset"], "training_size")
    return read_label_sample(paths, settings["labels"], settings["entry"].get("training_size"), seed, quiet)


def plan(settings: dict, network: str, sample: Sample) -> Plan:
    """What the settings and the sample make of a network.

    `extras: {windows: FILE}` of the settings names the elements' windows, where the architecture has any. Raises ResurveyError.
    """
    entry, own = settings["entry"], network_of(settings, network)
    hyper = filled(LabelHyper, {**entry["training"], **own.get("training", {})})
    labels = list(settings["labels"])
    spec = {**entry["architecture"], "pixels": sample.grid["pixels"], "labels": labels, "head": {"kind": "censored"}}
    if "windows" in bcnn.NETWORKS[spec["kind"]][1]:
        file = (settings.get("extras") or {}).get("windows")
        if file is None:
            raise ResurveyError(
                f"model {settings['model']}: its elements need windows, and extras.windows names no file; the release "
                "makes it (`resurvey extras`)"
            )
        wanted = [label for label in labels if label not in spec["full_spectrum_labels"]]
        spec["windows"] = read_windows(file, wanted)
    bcnn.check_spec(spec)
    seed = derived_seed(settings["seed"], settings["model"], network)
    return Plan(
        settings["model"],
        network,
        settings.get("paper"),
        own["role"],
        None,
        labels,
        settings["dataset"],
        spec,
        hyper,
        seed,
    )


def prepare(network: bcnn.LabelNetwork, sample: Sample) -> None:
    """Give the network its standardisation: mean spectrum, and mean and spread of the known labels. Raises ResurveyError."""
    train = sample.train
    flux = np.zeros(train.flux.shape[1])
    for start in range(0, len(train.flux), 1024):  # in float64, without a copy of the whole
        flux += train.flux[start : start + 1024].sum(0, dtype=float)
    known = np.isfinite(train.label)
    for number, label in enumerate(network.labels):
        values = train.label[known[:, number], number]
        if len(values) < 2 or not values.std() > 0:
            raise ResurveyError(
                f"label {label}: {len(values)} of {len(train.flux)} training spectra have it, and no spread is seen in them; leave it "
                "out of the dataset's labels or take more stars"
            )
    mean, std = np.nanmean(train.label, 0, dtype=float), np.nanstd(train.label, 0, dtype=float)
    network.standardise(*(torch.from_numpy(value) for value in (flux / len(train.flux), mean, std)))


def samples(split: LabelSplit, plan: Plan, network: bcnn.LabelNetwork) -> Samples:
    """Flux, and standardised labels and errors as (spectra, labels, 2)."""
    mean, std = network.label_mean.double().numpy(), network.label_std.double().numpy()
    target = np.stack([(split.label - mean) / std, split.error / std], 2).astype(np.float32)
    return Samples(torch.from_numpy(split.flux), torch.from_numpy(target))


def widest(spec: dict) -> int:
    """Neurons of the widest layer after a dropout."""
    return max(spec["dense"])


def about(plan: Plan, sample: Sample, val_loss: float, scores: np.ndarray) -> dict:
    """What of model.json is this family's: labels, their standardisation, the ranges that were learned."""
    train = sample.train
    mean, std = np.nanmean(train.label, 0, dtype=float), np.nanstd(train.label, 0, dtype=float)
    return {
        "classes": None,
        "labels": plan.labels,
        "normalisation": {
            "flux": "less flux_mean, a tensor of the weights",
            "label_mean": mean.tolist(),
            "label_std": std.tolist(),
        },
        "metrics": {"val_loss": val_loss, "val_mae": float(scores.mean())},
        "trained_on": {
            label: {
                "n": int(np.isfinite(train.label[:, number]).sum()),
                "range": [float(v) for v in (np.nanmin(train.label[:, number]), np.nanmax(train.label[:, number]))],
            }
            for number, label in enumerate(plan.labels)
        }
        | {
            "sn_median": [float(v) for v in np.nanquantile(train.sn, (0, 0.5, 1))]
            if np.isfinite(train.sn).any()
            else None
        },
    }
