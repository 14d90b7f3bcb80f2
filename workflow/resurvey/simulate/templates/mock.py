"""A mock spectrum = template × redshift × extinction × spectrograph × noise: recipe in, spectra with their truth out."""

from collections.abc import Iterator

import numpy as np

from resurvey.simulate.effects import Effects
from resurvey.simulate.exposure import Exposure, expose, joined
from resurvey.simulate.spectrographs import Spectrograph
from resurvey.simulate.templates import objects, render
from resurvey.simulate.templates.libraries import Libraries
from resurvey.simulate.templates.recipe import Recipe

BLOCK = 256  # spectra at once: they stay in the processor's cache


def simulate(
    recipe: Recipe,
    libraries: Libraries,
    device: Spectrograph,
    wave: np.ndarray,
    count: int,
    seed,
    effects: Effects | None = None,
) -> tuple[dict[str, np.ndarray], Exposure]:
    """`count` objects of a recipe and their spectra on pixels centred on `wave` [Å]; `seed`: anything SeedSequence takes.

    Equal arguments give equal spectra, to the bit.
    """
    tables, parts = zip(*blocks(recipe, libraries, device, wave, count, seed, effects), strict=True)
    table = {name: np.concatenate([part[name] for part in tables]) for name in tables[0]}
    return table, joined(list(parts))


def blocks(
    recipe, libraries, device, wave, count, seed, effects=None
) -> Iterator[tuple[dict[str, np.ndarray], Exposure]]:
    """The same in pieces of at most BLOCK objects, each with a seed of its own."""
    loglam = device.loglam()
    starts = range(0, count, BLOCK)
    for start, child in zip(starts, np.random.SeedSequence(seed).spawn(len(starts)), strict=True):
        draw, physics, noise = (np.random.default_rng(one) for one in child.spawn(3))
        table = objects.draw(recipe, libraries, min(BLOCK, count - start), draw)
        shape = render.noiseless(table, libraries, device, loglam, physics)
        yield table, expose(shape, loglam, table["sn"], device, wave, noise, effects)
