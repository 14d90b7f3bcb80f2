"""Training and validation spectra of one network, read from the shards into memory."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError


@dataclass
class Split:
    """One split: flux (spectra, pixels) float32, class numbers and redshifts (NaN for stars), S/N (spectra,)."""

    flux: np.ndarray
    number: np.ndarray
    z: np.ndarray
    sn: np.ndarray


@dataclass
class Sample:
    """Both splits (of labels: label_samples.LabelSplit), and what the shards say of themselves (origin, release, …)."""

    train: Split
    valid: Split
    grid: dict
    about: dict


def read_sample(
    paths: Sequence[Path],
    labels: list[str],
    label: str | None,
    quiet: bool = False,
    classes: pd.Series | None = None,
) -> Sample:
    """Spectra of one class, or of all (`label` None), of the splits `train` and `valid`.

    classes: by spectrum_id the class under which each is learned, where it is not the shards' (relabel.py); None: left out.

    Memory: 4 bytes per pixel and spectrum of both splits (3.6 GB for the paper's 182,000 spectra of 5001 pixels), no more.
    Raises ResurveyError when shards disagree in grid or origin, or a spectrum to learn a redshift from has none.
    """
    from resurvey.shards.reading import metadata

    about = metadata(paths)
    train, valid = (_split(paths, name, labels, label, classes) for name in ("train", "valid"))
    if not quiet:
        for name, split in (("train", train), ("valid", valid)):
            print(f"{name}: {len(split.flux)} spectra, {split.flux.nbytes / 1e6:.0f} MB", file=sys.stderr)
    kept = {key: about.get(key) for key in ("origin", "release", "resample", "masks")}
    return Sample(train, valid, about["grid"], kept)


def _split(paths: Sequence[Path], name: str, labels: list[str], label: str | None, classes: pd.Series | None) -> Split:
    from resurvey.shards.reading import load

    wanted = labels if label is None else [label]
    if classes is None:
        flux, table = load(paths, name, wanted)
        known = table["label"].to_numpy()
    else:
        flux, table = load(paths, name, ids=list(classes.index[classes.isin(wanted)]))
        known = classes.loc[table["spectrum_id"].to_numpy()].to_numpy()
    if not len(flux):
        raise ResurveyError(f"the shards hold no spectrum of split {name}" + (f" and class {label}" if label else ""))
    place = {known: number for number, known in enumerate(labels)}
    number = np.array([place[one] for one in known], np.int64)
    z = np.asarray(table["z"].to_numpy(), float)
    if label is not None and not np.isfinite(z).all():
        lost = np.flatnonzero(~np.isfinite(z))
        raise ResurveyError(
            f"{len(lost)} spectra of {label} have no redshift, the first is {table['spectrum_id'].to_numpy()[lost[0]]}"
        )
    return Split(flux, number, z, np.asarray(table["sn_median"].to_numpy(), float))
