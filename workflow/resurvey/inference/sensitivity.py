"""How much each pixel moves each label: ∂label/∂flux of a label network (Leung & Bovy 2019, §4.4, Figs. 14, 15)."""

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from resurvey import __version__, files
from resurvey.errors import ResurveyError
from resurvey.inference.labels import LabelModel
from resurvey.networks.bcnn import LabelNetwork, without_dropout
from resurvey.shards.reading import iterate
from resurvey.targets.ranks import keyed_hash

BATCH = 64
COLUMNS = ("group", "label", "pixel", "mean", "mean_abs", "stars")


def gradients(network: LabelNetwork, flux: Tensor) -> tuple[Tensor, Tensor]:
    """Flux (batch, pixels) -> (∂label/∂flux (labels, batch, pixels), labels (batch, labels)), in the labels' units, without dropout.

    What stops gradients in training lets them pass here: an element's label depends on the stellar parameters too.
    """
    network.eval()
    flux = flux.detach().clone().requires_grad_()
    with without_dropout(network), torch.enable_grad():
        value = network(flux)[..., 0] * network.label_std + network.label_mean
        found = [torch.autograd.grad(value[:, n].sum(), flux, retain_graph=True)[0] for n in range(value.shape[1])]
    return torch.stack(found), value.detach()


def sample(shards: Sequence[str | os.PathLike], count: int, seed: int) -> np.ndarray:
    """Flux (n, pixels) of the `count` spectra that come first in a random order of their objects, or of all if there are fewer.

    Raises ResurveyError when there are none.
    """
    kept = np.empty(0, np.uint64), None
    for shard in shards:
        for batch in iterate(shard, columns=["object_id", "flux"]):
            rank = keyed_hash(batch.table["object_id"].to_numpy(), seed, "sensitivity")
            rank = np.concatenate([kept[0], rank])
            flux = batch.flux if kept[1] is None else np.concatenate([kept[1], batch.flux])
            first = np.argsort(rank, kind="stable")[:count]
            kept = rank[first], flux[first]
    if kept[1] is None:
        raise ResurveyError(f"{', '.join(map(str, shards))}: hold no spectrum")
    return kept[1]


def sensitivity(model: LabelModel, flux: np.ndarray, poor: float, rich: float) -> pa.Table:
    """Per group of stars, label and pixel: mean ∂label/∂flux, mean of its absolute value, number of stars.

    Groups: `all`, `metal_poor` and `metal_rich` by the network's own [Fe/H] below `poor` and above `rich`; one without stars is left out.
    """
    network, labels = model.trained.network, model.labels
    pixels = flux.shape[1]
    groups = {"all": lambda metals: slice(None)}
    if "fe_h" in labels:
        groups |= {"metal_poor": lambda metals: metals < poor, "metal_rich": lambda metals: metals > rich}
    sums = {name: np.zeros((2, len(labels), pixels)) for name in groups}
    stars = dict.fromkeys(groups, 0)
    for part in torch.from_numpy(np.require(flux, np.float32, ["C", "W"])).split(BATCH):
        slope, value = gradients(network, part)
        metals = value[:, labels.index("fe_h")] if "fe_h" in labels else None
        for name, chosen in groups.items():
            own = slope[:, chosen(metals)].double()
            sums[name] += torch.stack([own.sum(1), own.abs().sum(1)]).numpy()
            stars[name] += own.shape[1]
    tables = []
    for name in (name for name in groups if stars[name]):
        mean, absolute = sums[name] / stars[name]
        columns = (
            np.full(len(labels) * pixels, name),
            np.repeat(labels, pixels),
            np.tile(np.arange(pixels, dtype=np.int32), len(labels)),
            mean.ravel().astype(np.float32),
            absolute.ravel().astype(np.float32),
            np.full(len(labels) * pixels, stars[name], np.int32),
        )
        tables.append(pa.table(dict(zip(COLUMNS, columns, strict=True))))
    return pa.concat_tables(tables)


def write(
    model: LabelModel, shards: Sequence[str | os.PathLike], count: int, seed: int, poor: float, rich: float, out
) -> int:
    """Write the table for a sample of the shards' stars; returns how many. Raises ResurveyError for a grid that is not the network's."""
    for shard in shards:
        meta = files.read_meta(shard)
        if meta.get("grid") != model.grid:
            raise ResurveyError(
                f"{shard}: its grid is not that of {model.name}; give shards of the dataset it was trained on"
            )
    flux = sample(shards, count, seed)
    about = {key: meta.get(key) for key in ("origin", "release", "dataset")}
    about |= {"model": model.name, "weights": model.weights(), "grid": model.grid, "poor": poor, "rich": rich}
    files.write_table(sensitivity(model, flux, poor, rich), out, {**about, "code_version": __version__})
    return len(flux)
