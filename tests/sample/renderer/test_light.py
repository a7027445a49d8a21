import numpy as np
import pytest

from stages.sample.renderer import light
from stages.sample.renderer.light import Light, Material

UP = np.array([[0.0, 0.0, 1.0]], np.float32)
DOWNWARD_VIEW = np.array([[0.0, 0.0, -1.0]], np.float32)


def overhead(lamps: float = 0.0) -> Light:
    black = np.zeros((64, 128, 3), np.float32)
    return Light("sunny", np.array([0.0, 0.0, 1.0]), np.full(3, 0.6), np.full(3, 0.3), np.zeros(3), black, lamps)


def shade(scene: Light, material: Material, normal: np.ndarray = UP) -> np.ndarray:
    albedo, materials = np.full((1, 3), 0.5, np.float32), np.array([int(material)], np.uint8)
    return light.shade(scene, light.Surface(albedo, materials, normal, DOWNWARD_VIEW, np.array([2.0], np.float32)))


def test_a_matte_surface_under_the_zenith_gives_albedo_times_light() -> None:
    np.testing.assert_allclose(shade(overhead(), Material.MATTE), [[0.45] * 3], rtol=1e-5)


def test_a_surface_turned_away_from_sun_and_sky_is_black() -> None:
    np.testing.assert_allclose(shade(overhead(), Material.MATTE, -UP), [[0.0] * 3], atol=1e-6)


def test_paint_reflects_the_sun_as_a_highlight() -> None:
    # At normal incidence: 0.45 less the reflected share, plus 2.5 times the sun.
    np.testing.assert_allclose(shade(overhead(), Material.PAINT), [[0.45 * 0.955 + 2.5 * 0.6] * 3], rtol=1e-4)


def test_lamps_emit_light_when_switched_on() -> None:
    dark, lit = (shade(overhead(lamps), Material.LAMP) for lamps in (0.0, 1.0))
    np.testing.assert_allclose(lit - dark, [[0.7] * 3], rtol=1e-4)


def test_shading_does_not_change_its_inputs() -> None:
    normals, albedo = UP.copy(), np.full((1, 3), 0.5, np.float32)
    lamp, heights = np.array([4], np.uint8), np.ones(1, np.float32)
    light.shade(overhead(1.0), light.Surface(albedo, lamp, normals, DOWNWARD_VIEW, heights))
    assert (normals == UP).all() and (albedo == 0.5).all()


def test_to_display_inverts_to_linear() -> None:
    values = np.arange(0, 230, dtype=np.uint8).reshape(-1, 1)
    np.testing.assert_allclose(light.to_display(light.to_linear(values)), values, atol=0.01)


def test_very_bright_light_is_within_the_display_range() -> None:
    assert light.to_display(np.array([[1.0, 50.0]], np.float32)).max() <= 255


@pytest.mark.parametrize("weather", ["sunny", "overcast", "dusk"])
def test_sampled_light_depends_on_the_seed_only_and_comes_from_above(weather: light.Weather) -> None:
    first, second = (light.sample_light(weather, np.random.default_rng(3)) for _ in range(2))
    assert first.sun_direction[2] > 0
    assert np.linalg.norm(first.sun_direction) == pytest.approx(1.0)
    assert (first.environment == second.environment).all()
    assert (first.lamps > 0) == (weather == "dusk")
