"""Training and validation spectra with continuous labels, read from the shards into memory."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.targets.ranks import keyed_hash
from resurvey.training.samples import Sample

# What a network says of the spectra that it was trained on: its name for it, the shards' name
KEPT = {"origin": "origin", "release": "release", "continuum": "normalisation", "flux_unit": "flux_unit"}


@dataclass
class LabelSplit:
    """One split: flux (spectra, pixels) float32; labels and their errors (spectra, labels) float64 in the labels' units, NaN where
    there is none; S/N (spectra,)."""

    flux: np.ndarray
    label: np.ndarray
    error: np.ndarray
    sn: np.ndarray


def read_label_sample(
    paths: Sequence[Path], labels: Sequence[str], size: int | None, seed: int, quiet: bool = False
) -> Sample:
    """Spectra of the splits `train` and `valid`; of both together the first `size` in the random order of their objects, if given.

    The order is that of a hash of object_id, so a smaller sample is part of a larger one, and validation keeps its share.
    Memory: 4 bytes per pixel and spectrum of both splits, with `size` at most twice that while rows are chosen.
    Raises ResurveyError when shards disagree in grid or origin, lack a label's column, or hold fewer than `size` spectra.
    """
    from resurvey.shards.reading import load, metadata

    about = metadata(paths)
    columns = [column for label in labels for column in (label, f"{label}_err")]
    loaded = {
        name: load(paths, name, columns=[*columns, "object_id", "spectrum_id", "sn_median"])
        for name in ("train", "valid")
    }
    for name, (flux, table) in loaded.items():
        missing = sorted({*columns, "object_id", "spectrum_id", "sn_median"} - set(table.column_names))
        if missing:
            raise ResurveyError(
                f"the shards lack the columns {', '.join(missing)}; make them again with labels: in the dataset"
            )
        if not len(flux):
            raise ResurveyError(f"the shards hold no spectrum of split {name}")
    chosen = _chosen([table for _, table in loaded.values()], size, seed)
    splits = {}
    for (name, (flux, table)), rows in zip(loaded.items(), chosen, strict=True):
        flux, table = (flux, table) if rows is None else (flux[rows], table.take(rows))
        values = [np.column_stack([_float(table[label + end]) for label in labels]) for end in ("", "_err")]
        splits[name] = LabelSplit(flux, *values, _float(table["sn_median"]))
        if not quiet:
            print(f"{name}: {len(flux)} spectra, {flux.nbytes / 1e6:.0f} MB", file=sys.stderr)
    return Sample(splits["train"], splits["valid"], about["grid"], {key: about.get(name) for key, name in KEPT.items()})


def _float(column) -> np.ndarray:
    """A column as float64 with NaN for what is null or infinite."""
    values = np.asarray(column.to_numpy(), float)
    return np.where(np.isfinite(values), values, np.nan)


def _chosen(tables: list, size: int | None, seed: int) -> list[np.ndarray | None]:
    """Rows of each table, ascending, so that all together are the first `size` in the order of the hash; None: all."""
    if size is None:
        return [None] * len(tables)
    total = sum(len(table) for table in tables)
    if total < size:
        raise ResurveyError(
            f"training_size: {size} spectra are asked for, the splits train and valid hold {total}; give null or fewer"
        )
    hashes = np.concatenate([keyed_hash(table["object_id"].to_numpy(), seed, "training_size") for table in tables])
    names = np.concatenate([np.asarray(table["spectrum_id"].to_numpy(), str) for table in tables])
    first = np.sort(np.lexsort((names, hashes))[:size])
    borders = np.cumsum([0, *(len(table) for table in tables)])
    return [first[(first >= a) & (first < b)] - a for a, b in pairwise(borders)]
