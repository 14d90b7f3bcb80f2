"""Random choices that depend on the seed and on what is chosen, never on the order or number of rows or files."""

import hashlib

import numpy as np


def spectrum_keys(plate: np.ndarray, mjd: np.ndarray, fiberid: np.ndarray) -> np.ndarray:
    """(n,) int64 identity of a spectrum: the digits of plate, MJD (5) and fibre (4) one after the other."""
    return (plate.astype(np.int64) * 100_000 + mjd.astype(np.int64)) * 10_000 + fiberid.astype(np.int64)


def keyed_hash(keys: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """(n,) uint64 hashes of int64 keys: uniform, the same on every machine, independent between purposes.

    Two rounds of the splitmix64 finaliser (Steele, Lea & Flood 2014), salted by a digest of seed and purpose.
    """
    salt = int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest(), "big")
    values = keys.astype(np.int64).view(np.uint64) ^ np.uint64(salt)
    for _ in range(2):
        values = values + np.uint64(0x9E3779B97F4A7C15)  # wraps: arithmetic is modulo 2^64
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        values = values ^ (values >> np.uint64(31))
    return values


def order(keys: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """Indices that sort `keys` (distinct) into their random order."""
    return np.lexsort((keys, keyed_hash(keys, seed, purpose)))
