"""Find near-duplicate photos: those whose perceptual hashes differ in a few bits."""

from collections.abc import Iterable
from itertools import pairwise

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS = 64
# Pixels of the longer side at which a photo is decoded at least: the hash resizes it to 32 x 32.
MIN_SIDE = 1024


def perceptual_hash(image_rgb: np.ndarray) -> str:
    """The 64-bit DCT hash of an `(H, W, 3)` uint8 RGB image as 16 hex digits (imagehash.phash)."""
    return str(imagehash.phash(Image.fromarray(image_rgb)))


def groups(hashes: Iterable[str], max_distance: int, given: Iterable[str] | None = None) -> np.ndarray:
    """Number the groups of photos: the connected components of hashes at most `max_distance` bits apart.

    Photos with the same name in `given`, unless it is empty, are one group, too. Returns `(N,)` int64, the same number
    for photos of one group. If a is near b, and b near c, all three are one group.
    """
    # Each hash once: thousands of blank images would make millions of pairs.
    codes, inverse = np.unique(codes_of(hashes), return_inverse=True)
    left, right = near_pairs(codes, max_distance)
    # A given group is one more node, joined to the hashes of its photos.
    node, names = pd.factorize(pd.Series(given, dtype=str) if given is not None else np.full(len(inverse), ""))
    is_given = (names != "")[node] if len(names) else np.zeros(0, dtype=bool)
    left, right = np.append(left, inverse[is_given]), np.append(right, len(codes) + node[is_given])
    size = len(codes) + len(names)
    edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    return connected_components(edges, directed=False)[1][inverse].astype(np.int64)


def codes_of(hashes: Iterable[str]) -> np.ndarray:
    """The numbers `(N,)` uint64 that hashes of 16 hex digits stand for."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8").astype(np.uint64)


def near_pairs(codes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs `(i, j)`, i < j, of hashes `(N,)` uint64 at most `max_distance` bits apart, as two int64 arrays.

    Split into `max_distance + 1` substrings, two such hashes agree in at least one substring, so only hashes that
    share one are compared (pigeonhole principle; Norouzi, Punjani, Fleet: Multi-Index Hashing, arXiv 1307.2982).
    """
    bounds = np.linspace(0, HASH_BITS, max_distance + 2).round().astype(int)
    # A pair is one number, so that pairs found by several substrings are counted once.
    found = [np.zeros(0, dtype=np.int64)]
    for low, high in pairwise(bounds.tolist()):
        substrings = (codes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        first, second = _near_pairs_by(substrings, codes, max_distance)
        found.append(np.minimum(first, second) * len(codes) + np.maximum(first, second))
    left, right = np.divmod(np.unique(np.concatenate(found)), max(len(codes), 1))
    return left, right


def _near_pairs_by(substrings: np.ndarray, codes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """The near pairs among the `(N,)` uint64 codes that share a substring `(N,)`, as two int64 arrays."""
    order = np.argsort(substrings, kind="stable")
    keys, values = substrings[order], codes[order]
    pairs = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
    start, offset = np.flatnonzero(keys[1:] == keys[:-1]), 1
    # All pairs of neighbours in the order at once, then all of next but one, while they share the substring.
    while len(start):
        near = start[np.bitwise_count(values[start] ^ values[start + offset]) <= max_distance]
        pairs.append((order[near], order[near + offset]))
        offset += 1
        start = start[start + offset < len(keys)]
        start = start[keys[start] == keys[start + offset]]
    first, second = (np.concatenate(ends) for ends in zip(*pairs))
    return first, second
