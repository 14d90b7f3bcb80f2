"""Foreground dust of the Milky Way."""

import functools

import numpy as np

LN_PER_MAG = 0.4 * np.log(10)


@functools.lru_cache(maxsize=16)
def _curve(grid: tuple[float, ...]) -> np.ndarray:
    import astropy.units as u
    from dust_extinction.parameter_averages import F99

    return np.asarray(F99(Rv=3.1)(np.array(grid) * u.AA), float)


def milky_way(wave: np.ndarray) -> np.ndarray:
    """A(λ)/A(V) for R_V = 3.1 at `wave` [Å], 1,000-33,000 Å: Fitzpatrick (1999) in the parametrisation of Fitzpatrick & Massa.

    From `dust_extinction`; the mean curve of Fitzpatrick & Massa (2007), which it does not have, lies within 4 % of it between 3,600
    and 10,000 Å.
    """
    return _curve(tuple(np.asarray(wave, float).tolist()))


def redden(flux: np.ndarray, curve: np.ndarray, av: np.ndarray) -> None:
    """Dim spectra (n, N) float32 in place by A(V) [mag] (n,), with A(λ)/A(V) (N,) of their pixels."""
    np.multiply(
        flux, np.exp(-np.float32(LN_PER_MAG) * av[:, None].astype(np.float32) * curve.astype(np.float32)), out=flux
    )
