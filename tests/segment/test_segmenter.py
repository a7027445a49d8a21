from dataclasses import replace

import numpy as np
import pytest

from stages.core.settings import SettingsError
from stages.networks import catalogue
from stages.networks.catalogue import Segmenter
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings

SPEC = Segmenter(file="x.onnx", size=4, output="map", mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0), is_relative=True)


@pytest.fixture(autouse=True)
def table(monkeypatch):
    monkeypatch.setitem(catalogue.SEGMENTERS, "relative", SPEC)
    monkeypatch.setitem(catalogue.SEGMENTERS, "absolute", replace(SPEC, is_relative=False))


def test_a_crop_is_squeezed_and_normalised_channel_by_channel(corners):
    crop = corners(8, 4)  # red, green, blue, yellow; the brightest value is 255
    before = crop.copy()
    prepared = segmenter.prepare(crop, SegmenterSettings(network="relative"))
    assert prepared.shape == (3, 4, 4) and prepared.dtype == np.float32
    assert prepared[:, 0, 0].tolist() == [1, -1, 0]  # red: (1 - 0.5) / 0.5, (0 - 0.25) / 0.25, 0
    assert prepared[:, 0, 3].tolist() == [-1, 3, 0] and prepared[:, 3, 0].tolist() == [-1, -1, 1]
    np.testing.assert_array_equal(crop, before)


def test_a_flipped_view_shows_the_crop_mirrored(corners):
    plain, flipped = (
        segmenter.prepare(corners(8, 4), SegmenterSettings(network="relative", flip=f)) for f in (False, True)
    )
    np.testing.assert_array_equal(flipped, plain[:, :, ::-1])
    assert flipped.flags.c_contiguous and not np.array_equal(flipped, plain)


def test_the_brightest_value_counts_as_one_only_where_the_network_wants_it_so():
    dark = np.zeros((4, 4, 3), np.uint8)
    dark[0, 0, 0] = 51
    assert segmenter.prepare(dark, SegmenterSettings(network="relative"))[:, 0, 0].tolist() == [1, -1, 0]
    np.testing.assert_allclose(segmenter.prepare(dark, SegmenterSettings(network="absolute"))[:, 0, 0], [-0.6, -1, 0])
    black = segmenter.prepare(np.zeros((4, 4, 3), np.uint8), SegmenterSettings(network="relative"))
    assert black[:, 0, 0].tolist() == [-1, -1, 0]


def test_another_side_gives_another_input(corners):
    assert segmenter.prepare(corners(8, 4), SegmenterSettings(network="relative", input_px=6)).shape == (3, 6, 6)


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1)])
def test_thin_crops_can_be_prepared(corners, size):
    assert np.isfinite(segmenter.prepare(corners(*size), SegmenterSettings(network="u2netp"))).all()


def maps():
    outputs = np.zeros((2, 1, 2, 4), np.float32)
    outputs[0, 0, :, :2], outputs[0, 0, :, 2:] = 0.2, 0.6  # left low, right high
    outputs[1, 0] = [[9, 9, 9, 9], [-1, -1, -1, 4]]
    return outputs


def segment(outputs, **view):
    """The maps of crops for which the network has these outputs."""
    crops = [(f"crop {number}", np.zeros((3, 4, 4))) for number in range(len(outputs))]
    played = lambda shown: ([output] for output, _ in zip(outputs, shown, strict=True))  # noqa: E731
    found = list(segmenter.segment(crops, played, SegmenterSettings(**view)))
    assert [name for name, _ in found] == [name for name, _ in crops]
    return [saliency for _, saliency in found]


def test_relative_maps_are_stretched_each_by_itself():
    given = maps()
    first, second = segment(given, network="relative")
    assert first.dtype == np.uint8 and first.tolist() == [[0, 0, 255, 255]] * 2
    assert second.tolist() == [[255] * 4, [0, 0, 0, 128]]
    np.testing.assert_array_equal(given, maps())


def test_absolute_maps_stay_and_are_cut_at_their_ends():
    first, second = segment(maps(), network="absolute")
    assert first.tolist() == [[51, 51, 153, 153]] * 2
    assert second.tolist() == [[255] * 4, [0, 0, 0, 255]]


def test_a_flipped_view_gives_its_map_as_the_crop_lies():
    first, second = segment(maps(), network="relative", flip=True)
    assert first.tolist() == [[255, 255, 0, 0]] * 2 and second.tolist() == [[255] * 4, [128, 0, 0, 0]]


def test_a_map_without_any_difference_is_an_empty_one():
    flat = np.full((1, 1, 4, 4), 0.7, np.float32)
    (saliency_map,) = segment(flat, network="relative")
    assert saliency_map.shape == (4, 4) and not saliency_map.any()


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"network: expected one of u2netp.*, found 'u2net'"):
        SegmenterSettings(network="u2netp").replace(network="u2net")
