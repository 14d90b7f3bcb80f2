"""What a network of labels must beat: the training set's median label, and PCA with a linear model on the same spectra."""

import os
from collections.abc import Sequence

import numpy as np

from resurvey import __version__, files, provenance
from resurvey.errors import ResurveyError
from resurvey.metrics import residuals as rs
from resurvey.metrics.baselines import ROWS, coarser, fit_projection, ridge
from resurvey.metrics.paper import LabelPaper

FEWEST = 10  # training values of a label, fewer make no model


def baselines(
    train_flux: np.ndarray,
    train_label: np.ndarray,
    test_flux: np.ndarray,
    test_label: np.ndarray,
    labels: Sequence[str],
) -> dict:
    """{"trivial": {quantity: {label: value}}, "pca_linear": …, "n_train", "n_test", "components"}.

    Fluxes (n, pixels), labels (n, len(labels)) with NaN for what is missing: such a star is left out for that label only.
    The quantities are those of label_scores for the split `test`.
    """
    projection = fit_projection(train_flux)
    train, test = projection(train_flux), projection(test_flux)
    scores: dict[str, dict] = {"trivial": {}, "pca_linear": {}}
    for k, label in enumerate(labels):
        known = np.isfinite(train_label[:, k])
        if known.sum() < FEWEST or not np.isfinite(test_label[:, k]).any():
            continue
        middle = np.median(train_label[known, k])
        weights = ridge(train[known], train_label[known, k] - middle)
        guesses = {"trivial": np.full(len(test), middle), "pca_linear": middle + test @ weights}
        for name, guess in guesses.items():
            off = rs.residual(guess, test_label[:, k])
            for quantity, measure in (("test_median", rs.median), ("test_sigma_mad", rs.mad_std)):
                scores[name].setdefault(quantity, {})[label] = measure(off)
    return {
        **scores,
        "n_train": len(train_flux),
        "n_test": len(test_flux),
        "components": projection.components.shape[0],
    }


def of_shards(paths: Sequence[str | os.PathLike], paper: LabelPaper, seed: int) -> dict:
    """`baselines` of the combined spectra of the train and test splits of some shards, at most about ROWS of all; with `origin`,
    `dataset` and `share`. Raises ResurveyError when a split is empty or origins are mixed."""
    origin = provenance.common_origin((str(path), files.read_meta(path)) for path in paths)
    total = sum(files.open_parquet(path).metadata.num_rows for path in paths)
    share = min(1.0, ROWS / max(total, 1))
    splits: dict[str, list] = {"train": [], "test": []}
    for number, path in enumerate(paths):
        file = files.open_parquet(path)
        missing = [label for label in paper.labels if label not in file.schema_arrow.names]
        if missing:
            raise ResurveyError(f"{path}: lacks the labels {', '.join(missing)}; make the shards again")
        random = np.random.default_rng((seed, number)).random(file.metadata.num_rows)
        first = 0
        with files.reading(path):
            for batch in file.iter_batches(512, columns=["split", *paper.labels, "flux"]):
                drawn = random[first : first + len(batch)] < share
                first += len(batch)
                split = batch["split"].to_numpy(zero_copy_only=False)
                for name, rows in splits.items():
                    here = drawn & (split == name)
                    if here.any():
                        flux = batch["flux"].flatten().to_numpy().reshape(len(batch), -1)[here]
                        label = [
                            batch[label].to_numpy(zero_copy_only=False)[here].astype(float) for label in paper.labels
                        ]
                        rows.append((coarser(flux), np.column_stack(label)))
    for name, rows in splits.items():
        if not rows:
            raise ResurveyError(f"{paths[0]} …: no spectrum is in the {name} split; baselines need train and test")
    arrays = [np.concatenate(columns) for rows in splits.values() for columns in zip(*rows, strict=True)]
    dataset = files.read_meta(paths[0]).get("dataset")
    return {
        **baselines(*arrays, paper.labels),
        "origin": origin,
        "dataset": dataset,
        "share": share,
        "code_version": __version__,
    }
