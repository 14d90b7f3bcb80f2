"""Confusion matrices and accuracies of a classifier (paper Fig. 12, §4.2.1, appendix B)."""

import numpy as np


def superclass(label: str) -> str:
    """STAR, GALAXY or QSO of a label such as `GALAXY_AGN`."""
    return label.split("_")[0]


def confusion(true: list[str], predicted: list[str], labels: list[str]) -> np.ndarray:
    """Counts, shape (len(labels), len(labels)): row = predicted class, column = true class.

    Raises ValueError for a class that is not in `labels`.
    """
    place = {label: i for i, label in enumerate(labels)}
    unknown = sorted({*map(str, true), *map(str, predicted)} - place.keys())
    if unknown:
        raise ValueError(f"classes outside the labels: {', '.join(unknown)}")
    matrix = np.zeros((len(labels), len(labels)), int)
    np.add.at(matrix, ([place[str(p)] for p in predicted], [place[str(t)] for t in true]), 1)
    return matrix


def along_columns(matrix: np.ndarray) -> np.ndarray:
    """Fractions of each true class: columns sum to 1; a column without objects is NaN."""
    total = matrix.sum(0, keepdims=True)
    return np.divide(matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)


def class_accuracies(matrix: np.ndarray) -> np.ndarray:
    """Fraction of each true class that was recognised, shape (n,); NaN for a class without objects."""
    return np.diag(along_columns(matrix))


def average_accuracy(matrix: np.ndarray) -> float:
    """Mean over the true classes that have objects: the paper's 92.4%."""
    values = class_accuracies(matrix)
    return float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")


def collapsed(matrix: np.ndarray, labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """The matrix of star, galaxy and quasar (appendix B), and its labels in the order of first appearance."""
    groups = list(dict.fromkeys(map(superclass, labels)))
    sums = np.array([[superclass(label) == group for label in labels] for group in groups], int)
    return sums @ matrix @ sums.T, groups
