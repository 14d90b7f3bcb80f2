"""Which shard each spectrum belongs to: whole plates, in plate order, of about equal numbers."""

import numpy as np


def assign(plate: np.ndarray, mjd: np.ndarray, shards: int) -> np.ndarray:
    """(n,) int shard of each spectrum, 0 … shards − 1; a (plate, mjd) is never divided, so some shards may stay empty."""
    _, inverse, sizes = np.unique(
        plate.astype(np.int64) * 1_000_000 + mjd.astype(np.int64), return_inverse=True, return_counts=True
    )
    middle = np.cumsum(sizes) - sizes / 2
    return np.minimum((middle * shards / max(1, len(plate))).astype(int), shards - 1)[inverse]


def contiguous(count: int, shards: int) -> np.ndarray:
    """(count,) int shard of rows that are already in the order of reading: equal runs."""
    return np.arange(count) * shards // max(1, count)


def names(numbers: np.ndarray) -> np.ndarray:
    """Shard numbers → `0000`, `0001`, …"""
    return np.char.zfill(numbers.astype(str), 4)
