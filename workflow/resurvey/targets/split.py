"""Train, validation and test: exact counts per class, and no object on two sides."""

import numpy as np

from resurvey.targets import ranks

SPLITS = ("train", "valid", "test")


def quotas(count: int, fractions: dict[str, float]) -> np.ndarray:
    """(3,) whole numbers that sum to `count`, nearest to the fractions (largest remainders; ties go to the first)."""
    shares = np.array([fractions[name] for name in SPLITS]) * count
    whole = np.floor(shares + 1e-9).astype(int)
    for side in np.argsort(-(shares - whole), kind="stable")[: count - whole.sum()]:
        whole[side] += 1
    return whole


def split(objects: np.ndarray, classes: np.ndarray, fractions: dict[str, float], seed: int) -> np.ndarray:
    """(n,) int8: 0 train, 1 valid, 2 test for each spectrum, −1 where repeats leave no place.

    objects: (n,) int64 identity of each spectrum's object; classes: (n,) int in 0 … number of classes − 1.
    Objects with several spectra, maybe of several classes, are placed first, in random order, into the side that their
    own random number names or, where that would exceed a class's count, into the side with most room left. Objects with
    one spectrum then fill each class to its exact counts, in random order.
    """
    count = int(classes.max()) + 1 if len(classes) else 0
    room = np.array([quotas(int((classes == c).sum()), fractions) for c in range(count)]).reshape(count, len(SPLITS))
    side = np.full(len(objects), -1, np.int8)
    names, first, inverse, sizes = np.unique(objects, return_index=True, return_inverse=True, return_counts=True)
    several = sizes > 1

    members = np.argsort(inverse, kind="stable")
    starts = np.r_[0, np.cumsum(sizes)]
    edges = np.cumsum([fractions[name] for name in SPLITS])
    chance = ranks.keyed_hash(names, seed, "side") / 2.0**64
    preferred = np.minimum(np.searchsorted(edges, chance, side="right"), len(SPLITS) - 1)
    repeated = np.flatnonzero(several)
    for one in repeated[ranks.order(names[repeated], seed, "repeats")]:
        spectra = members[starts[one] : starts[one + 1]]
        need = np.bincount(classes[spectra], minlength=count)
        fits = (room >= need[:, None]).all(axis=0)
        if not fits.any():
            continue
        choice = preferred[one]
        if not fits[choice]:
            left = room[need > 0].sum(axis=0)
            choice = max(np.flatnonzero(fits), key=lambda s: left[s])
        side[spectra] = choice
        room[:, choice] -= need

    single = first[~several]
    for c in range(count):
        mine = single[classes[single] == c]
        mine = mine[ranks.order(objects[mine], seed, "singles")]
        while room[c].sum() > len(mine):  # spectra that found no place above leave a gap: where it weighs least
            room[c, np.argmax(room[c])] -= 1
        side[mine] = np.repeat(np.arange(len(SPLITS)), room[c])
    return side
