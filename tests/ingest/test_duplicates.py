import time

import numpy as np
import pytest

from stages.images import letterbox
from stages.ingest import duplicates


def codes_with_neighbours(seed):
    """Random 64-bit codes, and for some of them others that differ in up to 18 bits."""
    rng = np.random.default_rng(seed)
    codes = [int(value) for value in rng.integers(0, 2**64, 60, dtype=np.uint64)]
    for origin in codes[:40]:
        flips = rng.choice(64, rng.integers(0, 19), replace=False)
        codes.append(origin ^ sum(1 << int(bit) for bit in flips))
    return [f"{code:016x}" for code in codes]


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 5, 8, 16])
def test_near_pairs_are_those_of_an_exhaustive_search(distance):
    hashes = codes_with_neighbours(distance)
    values = [int(text, 16) for text in hashes]
    expected = [
        (i, j) for i in range(len(values)) for j in range(i + 1, len(values))
        if (values[i] ^ values[j]).bit_count() <= distance
    ]  # fmt: skip
    left, right = duplicates.near_pairs(duplicates.codes_of(hashes), distance)
    assert list(zip(left.tolist(), right.tolist())) == expected and len(expected) > 0
    assert left.dtype == np.int64


@pytest.mark.parametrize("hashes", [[], ["0000000000000000"], ["ffffffffffffffff"]])
def test_fewer_than_two_hashes_have_no_pairs(hashes):
    left, right = duplicates.near_pairs(duplicates.codes_of(hashes), 3)
    assert left.shape == right.shape == (0,)
    assert duplicates.groups(hashes, 3).tolist() == [0] * len(hashes)


def test_the_extreme_hashes_are_compared():
    hashes = ["ffffffffffffffff", "7fffffffffffffff", "fffffffffffffffe", "0000000000000000", "8000000000000001"]
    assert list(zip(*(part.tolist() for part in duplicates.near_pairs(duplicates.codes_of(hashes), 2)))) == [
        (0, 1),
        (0, 2),
        (1, 2),
        (3, 4),
    ]
    assert len(duplicates.near_pairs(duplicates.codes_of(["0" * 16, "f" * 16]), 16)[0]) == 0


def test_groups_are_connected_components():
    hashes = ["0" * 16, "00000000000000f0", "0000000000000007", "000000000000003f", "0" * 16]
    numbers = duplicates.groups(hashes, 3)
    assert numbers[0] == numbers[4] == numbers[2] == numbers[3] and numbers[1] != numbers[0]
    assert duplicates.groups(hashes, 0).tolist()[0] == duplicates.groups(hashes, 0).tolist()[4]
    assert len(set(duplicates.groups(hashes, 0).tolist())) == 4


def test_many_equal_images_are_fast():
    begin = time.perf_counter()
    assert set(duplicates.groups(["8000000000000000"] * 5000, 3).tolist()) == {0}
    assert time.perf_counter() - begin < 2


def test_a_resized_image_is_near_and_a_mirrored_one_is_not(corners):
    rng = np.random.default_rng(0)
    image = letterbox.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), 320, 240)
    before = image.copy()
    name = duplicates.perceptual_hash(image)
    assert len(name) == 16 and int(name, 16) >= 0
    near, far = (
        duplicates.perceptual_hash(letterbox.resize(image, 160, 120)),
        duplicates.perceptual_hash(image[:, ::-1]),
    )
    assert (int(name, 16) ^ int(near, 16)).bit_count() <= 3 < 12 < (int(name, 16) ^ int(far, 16)).bit_count()
    np.testing.assert_array_equal(image, before)
    for width, height in [(1, 1), (1, 500), (500, 1)]:
        assert len(duplicates.perceptual_hash(corners(width, height))) == 16
