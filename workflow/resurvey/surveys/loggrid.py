"""The common grid of SDSS, BOSS and LAMOST: log10 λ = i · 1e-4 with integer i.

Files give log10 λ as float32 (off by up to 2.4e-7, a few thousandths of a pixel) or as COEFF0 + COEFF1·k. Both are snapped
to the integer i, so that a fibre has the same wavelengths whether it is read from its own file or from its plate's.
"""

import numpy as np

from resurvey.surveys.spectrum import pixel_edges

STEP = 1e-4
FIRST, LAST = 30000, 46000  # 1000 Å … 39811 Å
TOLERANCE = 0.02  # of a pixel; float32 rounding gives 0.0024

WAVELENGTH = 10.0 ** (np.arange(FIRST, LAST) * STEP)
EDGES = pixel_edges(WAVELENGTH)  # of the whole table: a trimmed spectrum has the same edges as its plate's row
WAVELENGTH.flags.writeable = EDGES.flags.writeable = False


def slices(index: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Wavelengths (size,) and edges (size+1,) of the pixels from grid index `index` on; None outside the table."""
    start = index - FIRST
    if start < 0 or start + size > WAVELENGTH.size or size < 2:
        return None
    return WAVELENGTH[start : start + size], EDGES[start : start + size + 1]


def index_of(loglam0: float, step: float) -> int | None:
    """Grid index of a pixel at log10 λ = `loglam0` when the step is 1e-4 and it lies on the grid, else None."""
    if abs(step / STEP - 1) > 1e-6:
        return None
    index = round(loglam0 / STEP)
    return index if abs(loglam0 / STEP - index) < TOLERANCE else None
