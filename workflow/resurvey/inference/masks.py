"""Dropout masks that depend on the spectrum, the pass, the layer and the neuron, on nothing else: not on the batch, the machine or
the engine. Random numbers are counted, not drawn one after the other: number n of a stream is splitmix64's finaliser of its key
and n (Steele, Lea & Flood 2014), in numpy (the reference), in compiled loops and in torch.

A layer's neurons stand in `rows` and `columns`; four rows share a number of 64 bits, 16 for each. A neuron is kept if its 16 bits
are at least `threshold`, so with probability p = threshold / 65536 it is dropped: 0.300003 for 0.3.
"""

import numpy as np
import torch
from torch import Tensor

from resurvey.networks.build import derived_seed
from resurvey.surveys.compiled import compiled

GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
LAYERS = ("spectrum", "pooled", "dense", "mini1", "mini2")
LANES, BITS = 4, 16

_GAMMA, _FIRST, _SECOND = np.uint64(GAMMA), np.uint64(FIRST), np.uint64(SECOND)
_S30, _S27, _S31, _ONE = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(1)
_LOW = np.uint64(0xFFFF)


def threshold(p: float) -> int:
    """16-bit numbers below it are dropped."""
    return round(p * (1 << BITS))


def seeds(seed: int, spectrum_ids: list[str]) -> np.ndarray:
    """(spectra,) uint64: where the streams of each spectrum begin."""
    return np.array([derived_seed(seed, "dropout", name) for name in spectrum_ids], np.uint64)


def mix(z: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser of uint64 numbers, arithmetic modulo 2^64."""
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


def keys(seed: np.ndarray, first: int, passes: int) -> np.ndarray:
    """(spectra, passes, layers) uint64: the streams of passes `first`, `first` + 1, … of spectra whose seeds are (spectra,)."""
    number = (np.arange(first, first + passes)[:, None] * len(LAYERS) + np.arange(len(LAYERS))).astype(np.uint64)
    with np.errstate(over="ignore"):
        return mix(seed[:, None, None] + (number + _ONE) * _GAMMA)


def keep(key: np.ndarray, rows: int, columns: int, least: int) -> np.ndarray:
    """Keys (…) uint64 -> boolean (…, rows, columns): the reference."""
    groups = -(-rows // LANES)
    number = np.arange(groups * columns, dtype=np.uint64).reshape(groups, columns)
    with np.errstate(over="ignore"):
        z = mix(key[..., None, None] + (number + _ONE) * _GAMMA)
    lanes = np.arange(LANES, dtype=np.uint64) * np.uint64(BITS)
    bits = (z[..., :, None, :] >> lanes[:, None]) & _LOW
    return (bits >= np.uint64(least)).reshape(*key.shape, groups * LANES, columns)[..., :rows, :]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _shift(z: Tensor, by: int) -> Tensor:
    """A logical shift to the right of int64."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def keep_torch(key: Tensor, rows: int, columns: int, least: int) -> Tensor:
    """The same in torch, on the keys' device; keys are int64 with the bits of the uint64 ones."""
    groups = -(-rows // LANES)
    number = torch.arange(1, groups * columns + 1, device=key.device).view(groups, columns) * _signed(GAMMA)
    z = key[..., None, None] + number
    z = (z ^ _shift(z, 30)) * _signed(FIRST)
    z = (z ^ _shift(z, 27)) * _signed(SECOND)
    z = z ^ _shift(z, 31)
    kept = torch.stack([(z >> (BITS * lane)) & 0xFFFF for lane in range(LANES)], -2) >= least
    return kept.flatten(-3, -2)[..., :rows, :]


@compiled
def numbers(key, first, out):  # pragma: no cover - compiled
    """out[j] = number first + j of the stream, uint64."""
    z0 = key + (np.uint64(first) + _ONE) * _GAMMA
    for j in range(out.size):
        z = z0 + np.uint64(j) * _GAMMA
        z = (z ^ (z >> _S30)) * _FIRST
        z = (z ^ (z >> _S27)) * _SECOND
        out[j] = z ^ (z >> _S31)


@compiled
def fill(key, least, out):  # pragma: no cover - compiled
    """keys (passes,), out (passes, neurons) float32: 1 where kept, 0 where dropped, for layers of one column."""
    count = out.shape[1]
    groups = (count + 3) // 4
    z = np.empty(groups, np.uint64)
    limit = np.uint64(least)
    for t in range(out.shape[0]):
        numbers(key[t], 0, z)
        for g in range(count // 4):
            for lane in range(4):
                bits = (z[g] >> np.uint64(16 * lane)) & _LOW
                out[t, 4 * g + lane] = np.float32(bits >= limit)
        for row in range(count // 4 * 4, count):
            out[t, row] = np.float32(((z[row // 4] >> np.uint64(16 * (row % 4))) & _LOW) >= limit)
