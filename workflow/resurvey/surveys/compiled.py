"""Numba's compiler with the project's choices: machine code is kept on disk, so that a job pays for it once per machine."""

import os
import tempfile
from collections.abc import Callable


def compiled(function: Callable) -> Callable:
    """`function` compiled on first call, without the GIL, without fast-math: NaN must stay NaN until it is masked.

    The cache lies beside the source, or where that cannot be written in the user's cache folder; numba replaces its files
    atomically, so parallel jobs do not disturb each other. Where neither can be written, a temporary folder is used.
    """
    import numba

    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # "no locator available": read-only installation without a home folder
        numba.config.CACHE_DIR = os.path.join(tempfile.gettempdir(), f"resurvey-numba-{os.getuid()}")
        return numba.njit(cache=True, nogil=True, boundscheck=False)(function)
