import numpy as np
import pandas as pd

from stages.report import strip

ROW = {"image_id": "0a", "path": "a.jpg", "status": "ok", "is_cropped": True, "is_masked": True, "width": 40,
       "height": 20, "x_min": 10.0, "y_min": 4.0, "x_max": 30.0, "y_max": 16.0}  # fmt: skip


def test_only_a_photo_that_was_cropped_and_masked_is_an_example():
    rows = pd.DataFrame([ROW | {"is_masked": False}, ROW | {"image_id": "0b"}, ROW | {"status": "dropped"}])
    chosen = strip.example(rows, 1)
    assert chosen is not None and chosen["image_id"] == "0b"
    assert strip.example(rows[:1], 1) is None and strip.example(rows[:0], 1) is None


def test_boxes_are_scaled_to_the_thumbnail_and_the_photo_is_left_alone():
    image = np.zeros((40, 80, 3), np.uint8)
    drawn = strip.with_boxes(image, pd.Series(ROW), pd.DataFrame([ROW]))
    assert not image.any()
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert abs(columns.min() - 20) <= 3 and abs(columns.max() - 60) <= 3
    assert abs(rows.min() - 8) <= 3 and abs(rows.max() - 32) <= 3
    assert not drawn[20, 40].any()


def test_images_stand_side_by_side_at_one_height_above_their_captions():
    wide, high = np.full((10, 40, 3), 200, np.uint8), np.full((50, 20, 3), 90, np.uint8)
    drawn = strip.draw({"wide": wide, "high": high})
    width = 4 * strip.HEIGHT_PX + 8 + round(0.4 * strip.HEIGHT_PX)
    assert drawn.shape == (strip.HEIGHT_PX + 24, width, 3)
    assert (drawn[: strip.HEIGHT_PX, : 4 * strip.HEIGHT_PX] == 200).all()
    assert (drawn[: strip.HEIGHT_PX, -round(0.4 * strip.HEIGHT_PX) :] == 90).all()
    assert (drawn[strip.HEIGHT_PX :] < 200).any()


def test_more_than_four_images_stand_in_rows_of_one_width():
    image = np.full((10, 20, 3), 90, np.uint8)
    drawn = strip.draw({str(number): image for number in range(5)})
    row, width = strip.HEIGHT_PX + 24, 2 * strip.HEIGHT_PX
    assert drawn.shape == (2 * row, 4 * width + 3 * 8, 3)
    assert (drawn[row : row + strip.HEIGHT_PX, :width] == 90).all() and (drawn[row:, width:] == 255).all()
