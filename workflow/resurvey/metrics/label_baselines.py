"""What a network of labels must beat: the training set's median label, and PCA with a linear model on the same spectra.

Both are scored as a network is (label_scores.py): a constant is perfectly consistent with itself, and its clusters have no spread.
"""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from resurvey import __version__, files, provenance
from resurvey.errors import ResurveyError
from resurvey.metrics import label_layouts as layouts
from resurvey.metrics.baselines import ROWS, coarser, fit_projection, ridge
from resurvey.metrics.label_scores import all_scores
from resurvey.metrics.label_tables import LabelTable
from resurvey.metrics.paper import LabelPaper
from resurvey.targets.ranks import keyed_hash

FEWEST = 10  # training values of a label, fewer make no model
KNOWN = ("apogee_id", "location_id", "visit", "split", "cluster", "sn_median", "starflag")


def guesses(train_flux: np.ndarray, train_label: np.ndarray, flux: np.ndarray) -> dict[str, np.ndarray]:
    """{"trivial", "pca_linear"}: guesses (m, labels) for spectra (m, pixels) from training spectra (n, pixels) and labels (n, labels).

    A star without a label is left out for that label only; of a label with fewer than FEWEST values all guesses are NaN.
    """
    projection = fit_projection(train_flux)
    train, scores = projection(train_flux), projection(flux)
    found = {name: np.full((len(flux), train_label.shape[1]), np.nan) for name in ("trivial", "pca_linear")}
    for k in range(train_label.shape[1]):
        known = np.isfinite(train_label[:, k])
        if known.sum() < FEWEST:
            continue
        middle = np.median(train_label[known, k])
        found["trivial"][:, k] = middle
        found["pca_linear"][:, k] = middle + scores @ ridge(train[known], train_label[known, k] - middle)
    return found


def baselines(flux: np.ndarray, rows: pd.DataFrame, paper: LabelPaper) -> dict:
    """{"trivial": {quantity: {label: value}}, "pca_linear": …, "n_train", "n_test"} of spectra (n, pixels) and what is known of them:
    KNOWN and {label}_true. Those of the split `train` are learned from; members of clusters are scored whatever their split, as a
    network's are. The survey's own means and spreads are no baseline's."""
    labels = paper.labels
    train = (rows["split"] == "train").to_numpy()
    truth = rows[[f"{label}_true" for label in labels]].to_numpy(float)
    rows = rows.reset_index(drop=True)
    result: dict = {}
    for name, values in guesses(flux[train], truth[train], flux).items():
        predicted = pd.DataFrame(values, columns=[f"{label}_pred" for label in labels])
        table = pd.concat([rows, predicted], axis=1).reindex(columns=layouts.columns(labels))
        result[name] = {}
        for (quantity, label), score in all_scores(LabelTable(table, labels), paper).items():
            if np.isfinite(score.value) and not quantity.startswith("survey_"):
                result[name].setdefault(quantity, {})[label] = score.value
    return {**result, "n_train": int(train.sum()), "n_test": int((rows["split"] == "test").sum())}


def of_shards(paths: Sequence[str | os.PathLike], paper: LabelPaper, seed: int) -> dict:
    """`baselines` of the spectra of some shards that have a split or belong to a cluster, at most about ROWS of all, whole stars, and all members;
    with `origin`, `dataset` and `share`. Raises ResurveyError when train or test is empty, or origins are mixed."""
    origin = provenance.common_origin((str(path), files.read_meta(path)) for path in paths)
    total = sum(files.open_parquet(path).metadata.num_rows for path in paths)
    share = min(1.0, ROWS / max(total, 1))
    fluxes, tables = [], []
    for path in paths:
        file = files.open_parquet(path)
        missing = [name for name in (*KNOWN, *paper.labels) if name not in file.schema_arrow.names]
        if missing:
            raise ResurveyError(f"{path}: lacks the columns {', '.join(missing)}; make the shards again")
        with files.reading(path):
            for batch in file.iter_batches(512, columns=[*KNOWN, "object_id", *paper.labels, "flux"]):
                keep = _drawn(batch, share, seed)
                if keep.any():
                    flux = batch["flux"].flatten().to_numpy().reshape(len(batch), -1)[keep]
                    fluxes.append(coarser(flux))
                    known = pa.Table.from_batches([batch]).select([*KNOWN, *paper.labels]).filter(pa.array(keep))
                    tables.append(known.to_pandas())
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"split": []})
    for name in ("train", "test"):
        if not (rows["split"] == name).any():
            raise ResurveyError(f"{paths[0]} …: no spectrum is in the {name} split; baselines need train and test")
    rows = rows.rename(columns={label: f"{label}_true" for label in paper.labels})
    dataset = files.read_meta(paths[0]).get("dataset")
    found = baselines(np.concatenate(fluxes), rows, paper)
    return {**found, "origin": origin, "dataset": dataset, "share": share, "code_version": __version__}


def _drawn(batch: pa.RecordBatch, share: float, seed: int) -> np.ndarray:
    """(n,) bool: spectra that are learned from or scored, all or none of a star; all members of clusters, which are few."""
    split, member = (batch[name].is_valid().to_numpy(zero_copy_only=False) for name in ("split", "cluster"))
    stars = keyed_hash(batch["object_id"].to_numpy(zero_copy_only=False), seed, "baselines")
    return member | split & (stars < np.uint64(min(int(share * 2**64), 2**64 - 1)))
