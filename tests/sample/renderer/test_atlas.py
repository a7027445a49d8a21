import cv2
import numpy as np
import pytest

from stages.sample.renderer import mesh, profile
from stages.sample.renderer.atlas import CarAppearance, Painter, blank, paint_wheel
from stages.sample.renderer.bodies import BODIES
from stages.sample.renderer.light import Material
from stages.sample.renderer.side import paint_side
from stages.sample.renderer.top import paint_top

PAINT = (30, 60, 200)
APPEARANCE = CarAppearance(PAINT, 0, 0.14, 0.36, False, False, False, 6, (170, 170, 174))


def painted(name: str) -> Painter:
    body = BODIES[name]
    curve = profile.trace(body)
    atlas = mesh.layout(body, curve, 120.0)
    painter = Painter(body, curve, atlas, APPEARANCE, blank(atlas, PAINT))
    for paint in (paint_side, paint_top, paint_wheel):
        paint(painter)
    return painter


def texel(painter: Painter, x: float, z: float) -> tuple[int, int]:
    column, row = np.round(painter.atlas.side(np.array(x), np.array(z))).astype(int).tolist()
    return row, column


@pytest.mark.parametrize(
    ("name", "count"), [("compact", 2), ("hatchback", 3), ("limousine", 5), ("suv", 3), ("van", 1)]
)
def test_side_glass_has_as_many_panes_as_the_body_has_windows(name: str, count: int) -> None:
    painter = painted(name)
    glass = painter.texture.material[: painter.atlas.side_height] == Material.GLASS
    n_components, _, stats, _ = cv2.connectedComponentsWithStats(glass.astype(np.uint8))
    assert sum(stats[1:n_components, cv2.CC_STAT_AREA] > 30) == count


def test_the_door_is_painted_and_the_arch_is_dark() -> None:
    painter = painted("sedan")
    row, column = texel(painter, 2.0, 0.55)
    assert tuple(painter.texture.rgb[row, column].tolist()) == PAINT
    row, column = texel(painter, painter.body.front_axle, painter.body.wheel_radius)
    assert painter.texture.rgb[row, column].max() < 10


def test_head_lamps_are_at_the_front_and_tail_lamps_at_the_rear() -> None:
    painter = painted("hatchback")
    side = np.s_[: painter.atlas.side_height]
    lamps = painter.texture.material[side] == Material.LAMP
    columns = np.flatnonzero(lamps.any(axis=0)) / painter.atlas.scale
    length = painter.body.length
    assert (columns < 0.5).any() and (columns > length - 0.4).any()
    assert not ((columns > 0.5) & (columns < length - 0.4)).any()
    red = painter.texture.rgb[side][lamps & (np.arange(lamps.shape[1]) > 0.5 * length * painter.atlas.scale)]
    assert red[:, 0].mean() > 3 * red[:, 2].mean()


def test_the_unrolled_top_is_symmetrical() -> None:
    painter = painted("coupe")
    atlas = painter.atlas
    top = painter.texture.material[atlas.side_height : atlas.side_height + atlas.top_height]
    assert (top[1:] != top[1:][::-1]).mean() < 0.005


def test_the_rim_is_brighter_than_the_tyre() -> None:
    painter = painted("wagon")
    centre, tyre = (painter.atlas.disc(np.array(u), np.array(0.0)).astype(int) for u in (0.12, 0.9))
    assert painter.texture.rgb[centre[1], centre[0]].min() > 120
    assert painter.texture.rgb[tyre[1], tyre[0]].max() < 40
