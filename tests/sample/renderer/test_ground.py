import numpy as np
import pytest

from stages.sample.renderer import ground, props
from stages.sample.renderer.atlas import CarAppearance
from stages.sample.renderer.bodies import BODIES
from stages.sample.renderer.camera import Camera, look_at
from stages.sample.renderer.car import build_car, place
from stages.sample.renderer.light import sample_light

SIZE = (160, 120)
EYE = np.array([-10.0, 0.0, 2.0])
CAMERA = Camera(EYE, look_at(EYE, np.array([0.0, 0.0, 0.7]), 0.0), 160.0, (80.0, 60.0))
APPEARANCE = CarAppearance((150, 20, 20), 1, 0.14, 0.36, True, False, False, 5, (170, 170, 174))


def test_noise_has_mean_0_and_deviation_1_and_continues_across_its_edges() -> None:
    tile = ground.noise_tile(np.random.default_rng(1), (32, 64))
    assert tile.shape == (256, 256)
    assert tile.mean() == pytest.approx(0, abs=1e-3)
    assert tile.std() == pytest.approx(1, abs=1e-3)
    seam = np.abs(tile[:, 0] - tile[:, -1]).max()
    assert seam < 1.5 * np.abs(np.diff(tile, axis=1)).max()


def test_ground_ends_at_the_horizon() -> None:
    scene = ground.sample_ground("concrete", np.random.default_rng(2))
    albedo, slope = ground.draw_ground(scene, CAMERA, SIZE)
    assert albedo.shape == (120, 160, 3)
    horizon = CAMERA.project(np.array([1e7, 0.0, 2.0]))[1]
    assert (slope[: int(horizon) - 1] > 0).all()
    assert (slope[int(horizon) + 2 :] < 0).all()
    assert 0 <= albedo.min() <= albedo.max() <= 1.5


def test_markings_are_brighter_than_asphalt() -> None:
    plain = ground.sample_ground("asphalt", np.random.default_rng(0))
    square = np.array([[-2.0, -1.0], [2.0, -1.0], [2.0, 1.0], [-2.0, 1.0]])
    marked = ground.Ground("asphalt", plain.grain, plain.patches, (square,), 0.0)
    x, y, _ = CAMERA.project(np.zeros(3)).astype(int).tolist()
    assert ground.draw_ground(marked, CAMERA, SIZE)[0][y, x].min() > 0.4


def test_a_car_darkens_the_ground_below_and_casts_a_shadow_away_from_the_sun() -> None:
    light = sample_light("sunny", np.random.default_rng(4))
    car = place(build_car(BODIES["suv"], APPEARANCE, 40.0, 30), (0.0, 0.0), 0.7)
    sun, sky = ground.draw_shadows([car], light, CAMERA, SIZE)
    below = CAMERA.project(np.zeros(3)).astype(int)
    assert sky[below[1], below[0]] > 0.8
    assert sky[-1, 0] == sun[-1, 0] == 0
    fallen = np.array([0.0, 0.0, 1.2]) - 1.2 * light.sun_direction / light.sun_direction[2]
    column, row = CAMERA.project(fallen)[:2].astype(int)
    assert sun[row, column] > 0.9


def test_without_cars_there_is_no_shadow() -> None:
    sun, sky = ground.draw_shadows([], sample_light("dusk", np.random.default_rng(0)), CAMERA, SIZE)
    assert not sun.any() and not sky.any()


def test_props_have_their_position_and_size() -> None:
    stand = props.stand_at(CAMERA, 8.0, 1.0)
    np.testing.assert_allclose(stand.position, [-2.0, -1.0, 0.0], atol=1e-9)
    foot, head = stand.points([0.0, 0.0], [0.0, 1.0])
    assert foot[1] - head[1] == pytest.approx(stand.scale, rel=0.05)
    assert foot[0] > CAMERA.centre[0]


@pytest.mark.parametrize("draw", [props.draw_person, props.draw_pole, props.draw_tree, props.draw_building])
def test_every_prop_covers_a_part_of_the_image(draw) -> None:  # type: ignore[no-untyped-def]
    sheet = props.blank_sheet(SIZE)
    draw(sheet, props.stand_at(CAMERA, 25.0, 0.0), np.random.default_rng(6))
    assert 0 < (sheet.alpha > 0).mean() < 0.9
    assert not sheet.rgb[sheet.alpha == 0].any()
