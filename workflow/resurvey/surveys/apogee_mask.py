"""APOGEE_PIXMASK: what the bits of a pixel's mask mean, and which of them make a pixel bad."""

from collections.abc import Sequence

import numpy as np

from resurvey.errors import ResurveyError

BITS = {
    0: "BADPIX",
    1: "CRPIX",
    2: "SATPIX",
    3: "UNFIXABLE",
    4: "BADDARK",
    5: "BADFLAT",
    6: "BADERR",
    7: "NOSKY",
    8: "LITTROW_GHOST",
    9: "PERSIST_HIGH",
    10: "PERSIST_MED",
    11: "PERSIST_LOW",
    12: "SIG_SKYLINE",
    13: "SIG_TELLURIC",
    14: "NOT_ENOUGH_PSF",
}
BAD_BITS = (0, 1, 2, 3, 4, 5, 6, 7, 12)  # Leung & Bovy 2019 §3.1: no measurement, or a strong sky line
NOT_MEASURED = 1e9  # errors from here on: the reduction writes 1e10 where it has no measurement


def value(bits: Sequence[int]) -> int:
    """The mask value with these bits set. Raises ResurveyError for a bit that APOGEE_PIXMASK does not have."""
    for bit in bits:
        if bit not in BITS:
            raise ResurveyError(f"mask_bits: {bit!r} is no bit of APOGEE_PIXMASK; its bits are 0 to {max(BITS)}")
    return sum(1 << bit for bit in set(bits))


def bad(mask: np.ndarray, bits: Sequence[int] = BAD_BITS) -> np.ndarray:
    """Boolean array of the mask's shape: pixels with any of the bits set."""
    return (np.asarray(mask) & value(bits)) != 0


def names(mask: int) -> list[str]:
    """Names of the bits set in one mask value, lowest bit first; bits without a name are left out."""
    return [name for bit, name in BITS.items() if mask >> bit & 1]


def measured(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Boolean array: pixels with a finite flux and a finite, positive error below NOT_MEASURED."""
    return np.isfinite(flux) & (error > 0) & (error < NOT_MEASURED)
