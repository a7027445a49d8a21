"""Near-duplicate photos: those whose perceptual hashes differ in a few bits."""

from itertools import pairwise

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS = 64
# The longer side in pixels that is enough of a photo: the hash shrinks it to 32 x 32.
ENOUGH_SIDE = 1024


def perceptual_hash(image_rgb: np.ndarray) -> str:
    """The 64-bit DCT hash of an `(H, W, 3)` uint8 picture as 16 hex digits (imagehash.phash)."""
    return str(imagehash.phash(Image.fromarray(image_rgb)))


def groups(hashes: list[str], max_distance: int) -> np.ndarray:
    """Number the groups of photos that are linked by hashes at most `max_distance` bits apart.

    Returns `(N,)` int64; photos of one group share a number. Links chain: if a is near b, and b near c, all
    three are one group.
    """
    # Equal hashes are one point: thousands of blank pictures would make millions of pairs.
    different, places = np.unique(np.array(hashes, dtype=str), return_inverse=True)
    left, right = near_pairs(different.tolist(), max_distance)
    size = len(different)
    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    return connected_components(links, directed=False)[1][places].astype(np.int64)


def near_pairs(hashes: list[str], max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs `(i, j)`, i < j, of hashes at most `max_distance` bits apart, as two int64 arrays.

    Cut into `max_distance + 1` pieces, two such hashes must agree in at least one piece, so that only photos
    that share a piece are compared (pigeonhole; Norouzi, Punjani, Fleet: Multi-Index Hashing, arXiv 1307.2982).
    """
    codes = np.array([int(value, 16) for value in hashes], dtype=np.uint64)
    edges = np.linspace(0, HASH_BITS, max_distance + 2).round().astype(int)
    found: set[tuple[int, int]] = set()
    for low, high in pairwise(edges.tolist()):
        pieces = (codes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(pieces, kind="stable")
        starts = np.flatnonzero(np.diff(pieces[order], prepend=pieces[order[:1]] + np.uint64(1)))
        for bucket in np.split(order, starts[1:]):
            found.update(_near_in(bucket, codes, max_distance))
    pairs = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _near_in(bucket: np.ndarray, codes: np.ndarray, max_distance: int) -> list[tuple[int, int]]:
    pairs = []
    for place, first in enumerate(bucket[:-1]):
        others = bucket[place + 1 :]
        near = others[np.bitwise_count(codes[others] ^ codes[first]) <= max_distance]
        pairs += [(min(int(first), int(other)), max(int(first), int(other))) for other in near]
    return pairs
