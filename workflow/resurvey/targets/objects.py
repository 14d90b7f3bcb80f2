"""Which spectra are of one object: friends of friends on the sky."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def object_ids(ra: np.ndarray, dec: np.ndarray, keys: np.ndarray, arcsec: float) -> np.ndarray:
    """(n,) int64 identity of the object of each spectrum.

    Spectra closer than `arcsec` are friends, and friends of friends are one object. Its identity is the smallest of
    its spectra's keys, so it does not depend on the order of rows. `ra`, `dec`: (n,) deg, finite; `keys`: (n,) int64.
    """
    if len(ra) == 0:
        return keys.astype(np.int64)
    lon, lat = np.radians(ra), np.radians(dec)
    place = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    chord = 2 * np.sin(np.radians(arcsec / 3600) / 2)
    pairs = cKDTree(place, compact_nodes=False, balanced_tree=False).query_pairs(chord, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(ra), len(ra)))
    count, group = connected_components(graph, directed=False)
    smallest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(smallest, group, keys)
    return smallest[group]


def joined(objects: np.ndarray, names: np.ndarray) -> np.ndarray:
    """(n,) int64 identities of objects (n,) of which those with a row of the same `names` (n,) int64 are one; the smallest one's."""
    if len(objects) == 0:
        return objects
    one, mine = np.unique(objects, return_inverse=True)
    _, name = np.unique(names, return_inverse=True)
    count = len(one) + name.max() + 1
    graph = coo_array((np.ones(len(objects), bool), (mine, len(one) + name)), shape=(count, count))
    number, group = connected_components(graph, directed=False)
    smallest = np.full(number, np.iinfo(np.int64).max)
    np.minimum.at(smallest, group[: len(one)], one)
    return smallest[group[mine]]
