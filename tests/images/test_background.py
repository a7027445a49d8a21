import numpy as np

from stages.images import background


def test_full_mask_keeps_and_empty_mask_takes_every_value_exactly():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    other = values[::-1].copy()
    np.testing.assert_array_equal(background.compose(values, np.full((16, 16), 255, np.uint8), other), values)
    np.testing.assert_array_equal(background.compose(values, np.zeros((16, 16), np.uint8), other), other)


def test_a_soft_mask_mixes_in_its_share():
    image, behind = np.full((1, 5, 3), 200, np.uint8), np.full((1, 5, 3), 100, np.uint8)
    mask = np.array([[0, 51, 102, 204, 255]], np.uint8)
    assert background.compose(image, mask, behind)[0, :, 0].tolist() == [100, 120, 140, 180, 200]


def test_a_removed_background_has_the_fill_in_the_order_red_green_blue(corners):
    image, mask = corners(5, 3), np.zeros((3, 5), np.uint8)
    mask[0, 0] = mask[2, 4] = 255
    before = image.copy(), mask.copy()
    composed = background.remove(image, mask, (10, 20, 30))
    expected = np.full((3, 5, 3), (10, 20, 30), np.uint8)
    expected[0, 0], expected[2, 4] = (255, 0, 0), (255, 255, 0)
    np.testing.assert_array_equal(composed, expected)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_a_blurred_background_leaves_the_object_sharp(corners):
    image, mask = corners(60, 40), np.zeros((40, 60), np.uint8)
    mask[:, :32] = 255
    before = image.copy()
    composed = background.blur(image, mask, 0.1)
    np.testing.assert_array_equal(composed[:, :32], image[:, :32])
    assert composed[0, 35].tolist() != image[0, 35].tolist() and composed[0, 35, 0] > 20  # red has run into the green
    np.testing.assert_array_equal(image, before)


def test_no_strength_changes_next_to_nothing_and_thin_images_can_be_blurred(corners):
    image = corners(30, 20)
    np.testing.assert_allclose(background.blur(image, np.zeros((20, 30), np.uint8), 0.0), image, atol=1)
    for width, height in [(1, 500), (500, 1), (1, 1)]:
        image = corners(width, height)
        assert background.blur(image, np.zeros((height, width), np.uint8), 0.02).shape == image.shape
