from dataclasses import replace

import numpy as np
import pytest

from stages.core.settings import SettingsError
from stages.detect import detector
from stages.detect.centernet import Detections
from stages.detect.detector import DetectorInput
from stages.detect.settings import DetectSettings
from stages.images import boxes, images, letterbox
from stages.networks.catalogue import Detector
from stages.networks.settings import InferenceSettings

SPEC = Detector("x.onnx", size=16, outputs=("heat", "wh"), stride=4, classes=tuple("abcdefghij"), fit="letterbox")
WARPED = replace(SPEC, fit="warp")
SETTINGS = DetectSettings(
    network="centernet_mobilenetv3",
    min_score=0.1,
    max_boxes=5,
    inference=InferenceSettings(batch_size=2, engine="auto", precision="f32"),
)


def test_boxes_of_the_padded_input_come_back_in_the_photo():
    rng = np.random.default_rng(0)
    for width, height in [
        (640, 480),
        (480, 640),
        (333, 1000),
        (1, 500),
        (500, 1),
        (64, 64),
        *rng.integers(2, 4000, (50, 2)).tolist(),
    ]:
        corners = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1).reshape(20, 4) * ([width, height] * 2)
        place = letterbox.place(width, height, (512, 512))
        inside = corners * ([place.width / width, place.height / height] * 2) + [
            place.left,
            place.top,
            place.left,
            place.top,
        ]
        transformed = detector.to_photo(inside.astype(np.float32), (width, height), replace(SPEC, size=512))
        np.testing.assert_allclose(transformed, corners, atol=1e-3 * max(width, height) / 64)


def test_what_reaches_into_the_padding_is_cut_at_the_photo():
    transformed = detector.to_photo(np.float32([[-10, 0, 600, 512]]), (640, 480), replace(SPEC, size=512))
    assert transformed.tolist() == [[0, 0, 640, 480]]
    assert detector.to_photo(np.empty((0, 4), np.float32), (640, 480), SPEC).shape == (0, 4)


def photo(width, height):
    return DetectorInput(np.zeros((16, 16, 3), np.uint8), (width, height))


def test_a_batch_gives_objects_of_every_class_each_in_its_own_photo():
    heat, extents = np.zeros((2, 4, 4, 10), np.float32), np.full((2, 4, 4, 4), 2, np.float32)
    shown = []

    def network(images):
        shown.extend(images)
        heat[0, 1, 1, 3] = 0.9
        heat[0, 1, 2, 7] = 0.8  # beside it, but of another class
        heat[1, 2, 1, 2] = 0.7
        heat[1, 2, 3, 2] = 0.05  # below min_score
        yield from zip(heat, extents)

    photos = [("wide", photo(32, 16)), ("tall", photo(4, 16))]
    (one, first), (other, second) = detector.detect(photos, network, SPEC, SETTINGS)
    assert [one, other] == ["wide", "tall"]
    assert shown[0] is photos[0][1].image and shown[1] is photos[1][1].image
    # The first photo lies at rows 4..12, halved; the second at columns 6..10, at its own size.
    assert first.classes.tolist() == [3, 7] and first.boxes.tolist() == [[4, 0, 12, 4], [12, 0, 20, 4]]
    assert second.classes.tolist() == [2] and second.boxes.tolist() == [[0, 6, 0, 10]]
    np.testing.assert_array_equal(second.scores, np.float32([0.7]))


def test_at_most_max_boxes_the_best_ones():
    heat = np.zeros((1, 4, 4, 10), np.float32)
    heat[0, ::2, ::2, 2], heat[0, ::2, ::2, 7] = [[0.5, 0.6], [0.7, 0.8]], 0.9
    network = lambda images: ((heat[0], np.ones((4, 4, 4), np.float32)) for _ in images)  # noqa: E731
    ((_, objects),) = detector.detect([(0, photo(16, 16))], network, SPEC, SETTINGS)
    np.testing.assert_array_equal(objects.scores, np.float32([0.9] * 4 + [0.8]))


def test_a_photo_is_padded_with_grey(corners):
    prepared, size_wh = detector.prepare(images.encode(corners(40, 20), ".png"), replace(SPEC, size=20))
    assert prepared.shape == (20, 20, 3) and (prepared[:5] == 114).all() and (prepared[15:] == 114).all()
    np.testing.assert_array_equal(prepared[5:15], corners(20, 10))
    assert size_wh == (40, 20)


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        ((640, 480), (0, 32, 512, 480)),  # 64 rows of padding on each side: one cell of 32 stays
        ((480, 640), (32, 0, 480, 512)),
        ((1920, 1080), (0, 64, 512, 448)),  # 112 rows: three cells and a half, of which two go
        ((600, 500), (0, 0, 512, 512)),  # 42 rows: less than two cells
        ((500, 500), (0, 0, 512, 512)),
        ((1000, 10), (0, 192, 512, 320)),  # 253 rows above and 254 below 5 rows of photo
        ((1500, 1000), (0, 32, 512, 480)),  # 85 rows above and 86 below
        ((1, 500), (192, 0, 320, 512)),
    ],
)
def test_the_network_sees_a_whole_cell_of_padding_around_the_photo(size_wh, expected):
    spec = replace(SPEC, size=512, cell=32)
    assert detector.window(size_wh, spec) == expected
    assert detector.window(size_wh, replace(spec, cell=None)) == (0, 0, 512, 512)


def test_without_the_outer_padding_pixels_and_boxes_lie_as_in_the_square(corners):
    square, cut = replace(SPEC, size=64), replace(SPEC, size=64, cell=4)
    for size_wh in ((40, 20), (20, 40), (61, 7)):
        content = images.encode(corners(*size_wh), ".png")
        whole, part = detector.prepare(content, square)[0], detector.prepare(content, cut)[0]
        left, top, right, bottom = detector.window(size_wh, cut)
        np.testing.assert_array_equal(part, whole[top:bottom, left:right])
        assert whole.size > part.size
        box = np.float32([[left + 5, top + 6, right - 7, bottom - 6]])
        of_part = detector.to_photo(box - np.float32([left, top, left, top]), size_wh, cut)
        np.testing.assert_array_equal(of_part, detector.to_photo(box, size_wh, square))


def test_a_large_photo_is_padded_as_the_same_photo_decoded_in_full():
    image = letterbox.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), 1003, 743)
    content = images.encode(image, ".jpg")
    prepared, size_wh = detector.prepare(content, replace(SPEC, size=64))
    assert images.decode_photo(content, images.at_least(128)).image.shape == (186, 251, 3)
    expected = letterbox.letterbox(images.decode(content), (64, 64), 114)
    assert size_wh == (1003, 743) and np.abs(prepared.astype(int) - expected).max() <= 6


def test_tables_keep_hundredths_of_a_pixel_and_sides_in_order():
    given = Detections(
        np.float32([[1.2345, 0, 639.996, 480], [5, 5, 5.001, 5.004]]), np.float32([0.12345, 1]), np.array([2, 7])
    )
    corners, scores = detector.rounded(given)
    assert corners.tolist() == [[1.23, 0, 640, 480], [5, 5, 5, 5]] and scores.tolist() == [0.1235, 1]
    assert (boxes.area(corners) >= 0).all()


def test_a_warped_photo_lies_on_black_and_its_boxes_come_back():
    prepared, _ = detector.prepare(images.encode(np.full((10, 20, 3), 200, np.uint8), ".png"), WARPED)
    assert prepared.shape == (16, 16, 3) and (prepared[:3] == 0).all() and (prepared[4:11, :15] == 200).all()
    # At 0.8 the photo is 16 x 8, below 4 rows of black: (5, 5) of the input is 5/0.8, 1/0.8 of the photo.
    corners = detector.to_photo(np.float32([[5, 5, 9, 9], [-3, 0, 40, 16]]), (20, 10), WARPED)
    np.testing.assert_allclose(corners, [[6.25, 1.25, 11.25, 6.25], [0, 0, 20, 10]], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "yolo",
            ("network: expected one of", "centernet_mobilenetv3", "gluoncv/center_net_resnet50_v1b_voc", "'yolo'"),
        ),
        ("center_net_resnet50_v1b_voc", ("gluoncv/center_net_resnet50_v1b_voc", "found 'center_net_resnet50_v1b_voc'")),
        ("gluoncv/center_net_resnet18_v1b_dcnv2_coco", ("dcnv2", "cannot be exported")),
    ],
)
def test_a_network_that_is_not_there_is_an_error_with_the_known_ones(name, parts):
    with pytest.raises(SettingsError) as caught:
        SETTINGS.replace(network=name)
    for part in parts:
        assert part in str(caught.value)


def test_the_mirror_image_gives_the_same_boxes_and_half_the_weight():
    heat, extents = np.zeros((4, 4, 10), np.float32), np.zeros((4, 4, 4), np.float32)
    heat[0, 1, 3], extents[0, 1] = 0.5, (1, -1, 7, 7)
    shown = []

    def network(images):
        for image in images:
            shown.append(image)
            if len(shown) % 2:
                yield heat, extents
            else:
                yield heat[:, ::-1] * 1.6, np.broadcast_to(np.float32([3, -1, 5, 7]), extents.shape)  # 0.8 in cell 2

    image = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    photos = [(number, DetectorInput(image + number, (16, 16))) for number in range(2)]
    found = list(detector.detect(photos, network, SPEC, SETTINGS.replace(flip=True)))
    assert [number for number, _ in found] == [0, 1]
    for number, objects in found:
        np.testing.assert_array_equal(shown[2 * number], image + number)
        np.testing.assert_array_equal(shown[2 * number + 1], (image + number)[:, ::-1])
        np.testing.assert_allclose(objects.scores, [0.65])
        assert objects.classes.tolist() == [3]
        np.testing.assert_allclose(objects.boxes, [[3, 1, 11, 7]])
