"""What a network must beat: (a) the majority class and the median redshift, (b) PCA and a linear model on the same spectra."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resurvey import __version__, files, provenance
from resurvey.errors import ResurveyError
from resurvey.metrics import classification as cl
from resurvey.metrics import redshift as rs
from resurvey.metrics.paper import RedshiftPaper

COMPONENTS = 100
ROWS = 20000  # spectra that are looked at, drawn at random from larger samples
PIXELS = 1251  # finer spectra are averaged down to about this: the covariance stays small
RIDGE = 1e-3


@dataclass(frozen=True)
class Projection:
    """Mean and principal components of unit-RMS spectra, and the scale that makes each score of unit variance."""

    mean: np.ndarray
    components: np.ndarray
    scale: np.ndarray

    def __call__(self, flux: np.ndarray) -> np.ndarray:
        """Scores (n, k + 1) of spectra (n, pixels), with a column of ones for the intercept."""
        scores = (unit_rms(flux) - self.mean) @ self.components.T / self.scale
        return np.column_stack([scores, np.ones(len(scores))])


def coarser(flux: np.ndarray) -> np.ndarray:
    """Spectra (n, pixels) averaged over neighbouring pixels so that at most PIXELS remain; a rest at the end is dropped."""
    step = -(-flux.shape[1] // PIXELS)
    whole = flux.shape[1] // step * step
    return flux[:, :whole].reshape(len(flux), -1, step).mean(2)


def unit_rms(flux: np.ndarray) -> np.ndarray:
    """Spectra (n, pixels) divided by the root of their mean square, as the networks see them; empty ones stay zero."""
    rms = np.sqrt(np.mean(np.square(flux, dtype=np.float64), axis=1, keepdims=True))
    return flux / np.where(rms > 0, rms, 1)


def fit_projection(flux: np.ndarray, components: int = COMPONENTS) -> Projection:
    """Principal components of spectra (n, pixels) by the eigenvectors of their covariance."""
    x = unit_rms(flux)
    mean = x.mean(0)
    x = x - mean
    k = min(components, len(x) - 1, x.shape[1])
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    order = np.argsort(values)[::-1][:k]
    return Projection(mean, vectors[:, order].T, np.sqrt(np.maximum(values[order], 1e-12)))


def ridge(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares weights (features, targets) with a small penalty on all but the intercept (the last feature)."""
    penalty = RIDGE * len(scores) * np.eye(scores.shape[1])
    penalty[-1, -1] = 0
    return np.linalg.solve(scores.T @ scores + penalty, scores.T @ target)


def baselines(
    train_flux: np.ndarray,
    train_label: np.ndarray,
    train_z: np.ndarray,
    test_flux: np.ndarray,
    test_label: np.ndarray,
    test_z: np.ndarray,
    paper: RedshiftPaper,
) -> dict:
    """{"trivial": {quantity: {class: value}}, "pca_linear": …, "n_train", "n_test", "components"}.

    Fluxes (n, pixels), labels (n,) text, redshifts (n,) with NaN for stars. Classes by one-hot regression on the scores;
    ln(1+z) by regression within each true class, as the networks are trained and scored.
    """
    labels = [label for label in paper.labels if (train_label == label).any()]
    projection = fit_projection(train_flux)
    train, test = projection(train_flux), projection(test_flux)
    onehot = (train_label[:, None] == np.array(labels)[None, :]).astype(float)
    predicted = np.array(labels)[np.argmax(test @ ridge(train, onehot), axis=1)]
    majority = labels[int(np.argmax(onehot.sum(0)))]
    trivial = _class_scores(test_label, np.full(len(test_label), majority), labels)
    linear = _class_scores(test_label, predicted, labels)
    for label in paper.redshift_labels:
        mine = (train_label == label) & np.isfinite(train_z)
        here = (test_label == label) & np.isfinite(test_z)
        if not mine.any() or not here.any():
            continue
        weights = ridge(train[mine], np.log1p(train_z[mine]))
        guesses = {
            "trivial": np.full(here.sum(), np.median(train_z[mine])),
            "pca_linear": np.expm1(test[here] @ weights),
        }
        for name, scores in (("trivial", trivial), ("pca_linear", linear)):
            for quantity, value in _redshift_scores(test_z[here], guesses[name], paper.threshold(label)).items():
                scores.setdefault(quantity, {})[label] = value
    for scores in (trivial, linear):
        for group in paper.good_fraction:
            values = [v for label, v in scores.get("dz", {}).items() if cl.superclass(label) == group]
            if values:
                scores.setdefault("mean_dz", {})[group] = float(np.mean(values))
    return {"trivial": trivial, "pca_linear": linear, "n_train": len(train_flux), "n_test": len(test_flux),
            "components": projection.components.shape[0], "majority": majority}  # fmt: skip


def _class_scores(true: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    known = np.isin(true, labels)
    matrix = cl.confusion(true[known], predicted[known], labels)
    coarse, groups = cl.collapsed(matrix, labels)
    result = {}
    for suffix, m, names in (("", matrix, labels), ("_3", coarse, groups)):
        result[f"average_accuracy{suffix}"] = {"all": cl.average_accuracy(m)}
        values = zip(names, cl.class_accuracies(m), strict=True)
        result[f"accuracy{suffix}"] = {name: float(value) for name, value in values if np.isfinite(value)}
    return result


def _redshift_scores(true: np.ndarray, predicted: np.ndarray, limit: float) -> dict[str, float]:
    return {
        "mae": rs.mean_absolute_error(true, predicted),
        "dz": rs.relative_error(true, predicted),
        "gf": rs.good_fraction(true, predicted, limit),
    }


def of_shards(paths: Sequence[str | os.PathLike], paper: RedshiftPaper, seed: int) -> dict:
    """`baselines` of the train and test splits of some shards, at most about ROWS spectra of all; with `origin`, `dataset`, `share`.

    Raises ResurveyError when a split is empty or origins are mixed.
    """
    origin = provenance.common_origin((str(path), files.read_meta(path)) for path in paths)
    total = sum(files.open_parquet(path).metadata.num_rows for path in paths)
    share = min(1.0, ROWS / max(total, 1))
    splits: dict[str, list] = {"train": [], "test": []}
    for number, path in enumerate(paths):
        file = files.open_parquet(path)
        random = np.random.default_rng((seed, number)).random(file.metadata.num_rows)
        first = 0
        with files.reading(path):
            for batch in file.iter_batches(1024, columns=["split", "label", "z", "flux"]):
                known = batch["label"].is_valid().to_numpy(zero_copy_only=False)
                chosen = known & (random[first : first + len(batch)] < share)
                first += len(batch)
                split = batch["split"].to_numpy(zero_copy_only=False)
                flux = batch["flux"].flatten().to_numpy().reshape(len(batch), -1)
                for name, rows in splits.items():
                    here = chosen & (split == name)
                    if here.any():
                        label = batch["label"].to_numpy(zero_copy_only=False)[here].astype(str)
                        rows.append(
                            (coarser(flux[here]), label, batch["z"].to_numpy(zero_copy_only=False)[here].astype(float))
                        )
    for name, rows in splits.items():
        if not rows:
            raise ResurveyError(
                f"{paths[0]} …: no labelled spectrum is in the {name} split; baselines need train and test"
            )
    arrays = [np.concatenate(columns) for rows in splits.values() for columns in zip(*rows, strict=True)]
    dataset = files.read_meta(paths[0]).get("dataset")
    return {
        **baselines(*arrays, paper),
        "origin": origin,
        "dataset": dataset,
        "share": share,
        "code_version": __version__,
    }
