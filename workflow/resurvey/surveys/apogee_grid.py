"""APOGEE's common grid: 8575 pixels in log10 λ (vacuum, rest frame), of which the three detectors cover 7514 (or 7214).

log10 λ[Å] = 4.179 + 6e-6·i. The pixels between the detectors ("chips") hold no data; where the chips begin and end changed
between DR12 and DR13 (astroNN's conventions; pixel runs are half-open [start, stop)).
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from resurvey.errors import ResurveyError

START, STEP, FULL = 4.179, 6e-6, 8575
LIGHT_SPEED = 299792.458  # km/s


WAVELENGTH = 10.0 ** (START + STEP * np.arange(FULL))  # (8575,) centres of all pixels [Å, vacuum]
EDGES = 10.0 ** (START + STEP * (np.arange(FULL + 1) - 0.5))
WAVELENGTH.flags.writeable = EDGES.flags.writeable = False


@dataclass(frozen=True)
class Chips:
    """Which pixels of the 8575 the three detectors cover: `runs`, half-open, in the order of wavelength (blue, green, red)."""

    name: str
    runs: tuple[tuple[int, int], ...]
    index: np.ndarray = field(init=False, repr=False, compare=False)  # (pixels,) int64: where on the 8575 grid

    def __post_init__(self):
        index = np.concatenate([np.arange(*run) for run in self.runs])
        index.flags.writeable = False
        object.__setattr__(self, "index", index)

    @property
    def pixels(self) -> int:
        """Number of pixels of all chips together."""
        return self.index.size

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each chip lies among the pixels of all chips together."""
        borders = np.cumsum([0, *(stop - start for start, stop in self.runs)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(borders))

    def wavelength(self) -> np.ndarray:
        """(pixels,) float64 centres of the pixels [Å, vacuum], gaps left out."""
        return WAVELENGTH[self.index]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """(…, 8575) → (…, pixels): the gaps left out. Raises ValueError for another number of pixels."""
        if values.shape[-1] != FULL:
            raise ValueError(f"{values.shape[-1]} pixels, the grid has {FULL}")
        return np.concatenate([values[..., start:stop] for start, stop in self.runs], axis=-1)

    def meta(self) -> dict:
        """What stands under `grid` in a shard's metadata."""
        return {
            "start": START,
            "step": STEP,
            "pixels": self.pixels,
            "unit": "Angstrom",
            "frame": "vacuum",
            "scale": "log10",
            "chips": [list(run) for run in self.runs],
        }


DR13 = Chips("dr13", ((246, 3274), (3585, 6080), (6344, 8335)))  # DR13 to DR17: 7514 pixels
DR12 = Chips("dr12", ((322, 3242), (3648, 6048), (6412, 8306)))  # DR11 and DR12: 7214 pixels
CHIPS = {chips.name: chips for chips in (DR13, DR12)}


def chips(name: str) -> Chips:
    """The detectors by their name in a dataset (`grid: {chips: dr13}`). Raises ResurveyError for another name."""
    try:
        return CHIPS[name]
    except KeyError:
        raise ResurveyError(
            f"grid.chips: {name!r} is not known; give dr13 (DR13 to DR17) or dr12 (DR11, DR12)"
        ) from None


def wavelength(grid: dict | None = None) -> np.ndarray:
    """(pixels,) float64 wavelengths [Å, vacuum] of a shard's or model's `grid` (None: 7514 pixels of dr13).

    Raises ResurveyError for a grid that is not APOGEE's.
    """
    return (from_meta(grid) if grid is not None else DR13).wavelength()


def from_meta(grid: dict) -> Chips:
    """The chips of a shard's or model's `grid` metadata. Raises ResurveyError for a grid that is not APOGEE's."""
    for known in CHIPS.values():
        if grid == known.meta():
            return known
    raise ResurveyError(
        f"grid: {grid} is not a grid of APOGEE spectra; make the shards again with `grid: {{chips: dr13}}` in the dataset"
    )
