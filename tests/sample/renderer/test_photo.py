from dataclasses import replace

import numpy as np
import pytest

from stages.sample.renderer import scene as scenes
from stages.sample.renderer.car import Layer
from stages.sample.renderer.photo import RenderedPhoto, blend, render
from stages.sample.renderer.scene import Conditions, Scene, sample_scene

SIZE = (161, 120)
PLAIN = Conditions("sunny", 0.6, 0.0, False, 0)


def scene(conditions: Conditions = PLAIN, name: str = "sedan", seed: int = 1) -> Scene:
    return sample_scene(name, SIZE, np.random.default_rng(seed), conditions)


def test_a_photo_has_the_size_and_its_box_fits_the_mask_tightly() -> None:
    photo = render(scene(), SIZE)
    assert photo.rgb.shape == (120, 161, 3) and photo.rgb.dtype == np.uint8
    assert set(np.unique(photo.mask)) == {0, 255}
    assert photo.box is not None
    x_min, y_min, x_max, y_max = photo.box
    inside = photo.mask[y_min:y_max, x_min:x_max] > 0
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    outside = photo.mask.copy()
    outside[y_min:y_max, x_min:x_max] = 0
    assert not outside.any()


def test_a_plain_car_is_fully_visible_and_has_its_share_of_the_frame() -> None:
    photo = render(scene(), SIZE)
    assert photo.visible > 0.97
    assert photo.box is not None
    assert photo.box[2] - photo.box[0] <= round(0.6 * SIZE[0]) + 1
    assert photo.box[2] - photo.box[0] == pytest.approx(0.6 * SIZE[0], abs=2) or photo.box[3] - photo.box[1] > 80


def test_the_box_of_a_mask_computed_by_hand() -> None:
    mask = np.zeros((5, 7), np.uint8)
    mask[1, 2] = mask[3, 5] = 255
    assert RenderedPhoto(np.zeros((5, 7, 3), np.uint8), mask, 1.0).box == (2, 1, 6, 4)


def test_without_a_car_there_is_no_box() -> None:
    photo = render(replace(scene(), car=None), SIZE)
    assert photo.box is None and photo.visible == 0.0 and not photo.mask.any()


def test_the_same_scene_gives_the_same_photo_and_is_unchanged() -> None:
    drawn = scene(replace(PLAIN, n_others=1))
    assert drawn.car is not None
    before = drawn.car.mesh.vertices.copy()
    first, second = render(drawn, SIZE), render(drawn, SIZE)
    assert (first.rgb == second.rgb).all() and (first.mask == second.mask).all()
    assert (drawn.car.mesh.vertices == before).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_car_extends_beyond_the_frame(seed: int) -> None:
    photo = render(scene(replace(PLAIN, cut=0.2), seed=seed), SIZE)
    assert photo.visible < 0.99
    assert photo.box is not None
    assert photo.box[0] == 0 or photo.box[2] == SIZE[0] or photo.box[3] == SIZE[1]


def test_an_occluder_hides_part_of_the_car() -> None:
    plain, occluded = (render(scene(replace(PLAIN, is_occluded=hidden)), SIZE) for hidden in (False, True))
    assert occluded.visible < plain.visible - 0.005
    assert (occluded.mask > 0).sum() < (plain.mask > 0).sum()


def test_dusk_is_darker_than_day() -> None:
    day, dusk = (render(scene(replace(PLAIN, weather=weather)), SIZE).rgb.mean() for weather in ("sunny", "dusk"))
    assert dusk < day


def test_a_layer_over_the_edge_is_clipped_and_blended_with_its_alpha() -> None:
    canvas = np.full((3, 4, 3), 0.5, np.float32)
    layer = Layer(np.full((2, 2, 3), 0.2, np.float32), np.full((2, 2), 0.4, np.float32), -1, 2, 4.0)
    alpha = blend(canvas, layer)
    expected = np.zeros((3, 4), np.float32)
    expected[2, 0] = 0.4
    np.testing.assert_allclose(alpha, expected)
    np.testing.assert_allclose(canvas[2, 0], 0.5 * 0.6 + 0.2, rtol=1e-6)
    assert (canvas[:2] == 0.5).all() and (canvas[2, 1:] == 0.5).all()


def test_a_layer_outside_the_frame_changes_nothing() -> None:
    canvas = np.full((3, 4, 3), 0.5, np.float32)
    layer = Layer(np.ones((2, 2, 3), np.float32), np.ones((2, 2), np.float32), 9, 9, 4.0)
    assert not blend(canvas, layer).any()
    assert (canvas == 0.5).all()


def test_luma_weighs_green_most() -> None:
    assert scenes.luma((255, 255, 255)) == pytest.approx(255)
    assert scenes.luma((0, 100, 0)) > scenes.luma((100, 0, 0)) > scenes.luma((0, 0, 100))


def test_conditions_cover_every_kind_of_difficulty() -> None:
    rng = np.random.default_rng(0)
    drawn = [scenes.sample_conditions(rng) for _ in range(400)]
    assert {conditions.weather for conditions in drawn} == {"sunny", "overcast", "dusk"}
    for share in (
        np.mean([conditions.cut > 0 for conditions in drawn]),
        np.mean([conditions.is_occluded for conditions in drawn]),
        np.mean([conditions.share < 0.4 for conditions in drawn]),
    ):
        assert 0.03 < share < 0.25
