"""Continuum pixels and element windows of the mock APOGEE spectra, from how their own line list reacts to each label.

Sizes are those of the real tables: 241 + 108 + 180 continuum pixels, and ASPCAP's l31c windows (C 3806 … S 8 pixels).
"""

import numpy as np

from resurvey.simulate import apogee_spectra
from resurvey.surveys.apogee_grid import DR13
from resurvey.surveys.apogee_labels import ELEMENTS, NAMES

CONTINUUM = (241, 108, 180)  # pixels per detector, blue to red
SIZES = {
    "C": 3806, "CI": 557, "N": 3776, "O": 505, "Na": 13, "Mg": 106, "Al": 51, "Si": 102, "P": 24, "S": 8, "K": 16, "Ca": 19, "Ti": 31,
    "TiII": 28, "V": 29, "Cr": 46, "Mn": 70, "Fe": 2403, "Co": 24, "Ni": 206,
}  # fmt: skip
BANDS = ("C", "N", "O", "CI", "Fe")  # whose lines are everywhere: windows allow blends with other elements
SEGMENTS = 15  # of a detector, each with its share of the continuum pixels, so that a polynomial is held at both ends


def probes() -> np.ndarray:
    """(5, 22) labels of giants over the training range, at which lines are looked for."""
    stars = np.full((5, len(NAMES)), -0.1)
    stars[:, 0], stars[:, 1] = [4650, 4200, 5000, 4450, 4800], [2.3, 1.4, 2.8, 1.9, 2.5]
    stars[3, 2:], stars[4, 2:] = 0.3, -0.5
    return stars


def continuum_pixels() -> np.ndarray:
    """(529,) sorted indices on the 8575 pixels with the least absorption in the deepest of the probes."""
    return least_absorbed((1 - apogee_spectra.normalised(probes())).max(axis=0))


def least_absorbed(absorbed: np.ndarray) -> np.ndarray:
    """(529,) sorted indices on the 8575 pixels: per detector the least `absorbed` (8575,) of each of its segments."""
    chosen = []
    for (start, stop), count in zip(DR13.runs, CONTINUUM, strict=True):
        edges = np.linspace(start + 4, stop - 4, SEGMENTS + 1).astype(int)
        shares = np.diff(np.round(np.linspace(0, count, SEGMENTS + 1)).astype(int))
        for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
            chosen.append(low + np.argsort(absorbed[low:high], kind="stable")[:share])
    return np.sort(np.concatenate(chosen))


def windows() -> list[tuple[str, int, float]]:
    """(element, pixel on the 7514 grid, weight in (0, 1]) of each window, in the order of elements and pixels.

    Weight: the flux's reaction to the element where it is the one that matters, the largest 1. Except for C, N, O, CI and Fe, whose
    lines are everywhere, a pixel belongs to an element only if it reacts to that element most.
    """
    reaction = DR13.cut(np.mean([apogee_spectra.sensitivity(star) for star in probes()], axis=0))
    share = reaction / (reaction.sum(axis=0) + 1e-4)
    rows = []
    for k, element in enumerate(ELEMENTS):
        score = reaction[k] * share[k]
        if element not in BANDS:
            score = np.where(reaction.argmax(axis=0) == k, score, 0.0)
        best = np.argsort(-score, kind="stable")[: SIZES[element]]
        best = np.sort(best[score[best] > 0])
        rows += [(element, int(pixel), float(score[pixel] / score.max())) for pixel in best]
    return rows
