import io
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.images import images
from stages.ingest import annotated_boxes, manifest_rows

WIDTH, HEIGHT = 48, 32  # of the upright photo
# The stored photo of each EXIF orientation, turned from the upright one by its definition: where the stored photo's
# first row and first column lie in the upright one.
STORED = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],  # right, top
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],  # left, bottom
}
NONE = (np.nan,) * 4


def row(box, orientation=1, declared=(0, 0), size=(WIDTH, HEIGHT)):
    corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), box))
    sizes = {"annotated_width": declared[0], "annotated_height": declared[1], "width": size[0], "height": size[1]}
    return {**corners, **sizes, "orientation": orientation}


def extent(image):
    """The corners of the white part of a picture, right and bottom exclusive."""
    y, x = np.nonzero(image.min(axis=2) > 127)
    return (x.min(), y.min(), x.max() + 1, y.max() + 1)


def file(stored, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(stream, "PNG", exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
@pytest.mark.parametrize("drawn_on", ["stored", "upright"])
def test_a_box_drawn_on_the_stored_or_the_upright_photo_lies_on_the_object_as_decoded(orientation, drawn_on):
    upright = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    upright[3:14, 7:12] = 255
    stored = STORED[orientation](upright)
    content = file(stored, orientation)
    decoded = images.decode(content)
    assert extent(decoded) == (7, 3, 12, 14) and images.read_exif(content).orientation == orientation
    drawn = stored if drawn_on == "stored" else upright
    declared = (drawn.shape[1], drawn.shape[0])
    found = annotated_boxes.upright_box(row(extent(drawn), orientation, declared))
    assert found == ((7.0, 3.0, 12.0, 14.0), "")


@pytest.mark.parametrize(
    ("orientation", "stored_box"),
    # By hand: the upright box (7, 3, 12, 14) in a photo of 48 x 32, which is stored as 32 x 48.
    [(5, (3, 7, 14, 12)), (6, (3, 36, 14, 41)), (7, (18, 36, 29, 41)), (8, (18, 7, 29, 12))],
)
def test_the_corners_of_turned_boxes_are_those_worked_out_by_hand(orientation, stored_box):
    found = annotated_boxes.upright_box(row(stored_box, orientation, (32, 48)))
    assert found == ((7.0, 3.0, 12.0, 14.0), "")


@pytest.mark.parametrize(
    ("orientation", "declared", "size", "reason"),
    [
        (1, (0, 0), (48, 32), ""),
        (1, (48, 32), (48, 32), ""),
        (1, (32, 48), (48, 32), "annotation_size"),
        (1, (96, 64), (48, 32), "annotation_size"),
        (1, (48, 0), (48, 32), "annotation_size"),
        (2, (48, 32), (48, 32), "ambiguous_box"),
        (3, (48, 32), (48, 32), "ambiguous_box"),
        (4, (0, 0), (48, 32), "ambiguous_box"),
        (3, (32, 48), (48, 32), "annotation_size"),
        (6, (0, 0), (48, 32), "ambiguous_box"),
        (6, (48, 32), (48, 32), ""),
        (6, (32, 48), (48, 32), ""),
        (6, (32, 47), (48, 32), "annotation_size"),
        (8, (40, 40), (40, 40), "ambiguous_box"),
    ],
)
def test_the_declared_size_says_how_a_box_was_drawn(orientation, declared, size, reason):
    box, found = annotated_boxes.upright_box(row((1, 2, 3, 5), orientation, declared, size))
    assert found == reason and np.isnan(box).all() == (reason != "")


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 48, 32), (0, 0, 48, 32)),
        ((-1, -1, 49, 33), (0, 0, 48, 32)),
        ((-2, 3, 20, 34), (0, 3, 20, 32)),
        ((-2.5, 3, 20, 30), None),
        ((5, 3, 50.1, 30), None),
        ((-10, 3, 20, 30), None),
        ((5, -10, 20, 30), None),
        ((5, 3, 58, 30), None),
        ((5, 3, 20, 42), None),
        ((48, 3, 50, 30), None),
        ((-2, 3, 0, 30), None),
        ((5, 3, 5, 30), None),
        ((20, 3, 5, 30), None),
        ((5, 30, 20, 3), None),
        ((5.25, 3.5, 5.5, 4.0), (5.25, 3.5, 5.5, 4.0)),
        ((np.nan, 3, 20, 30), None),
        ((5, 3, np.nan, 30), None),
        ((5, 3, 20, np.inf), None),
        ((-np.inf, 3, 20, 30), None),
        (NONE, None),
        ((1e308, 3, 1.7e308, 30), None),
    ],
)
def test_boxes_are_cut_to_the_photo_or_bad(box, expected):
    found, reason = annotated_boxes.upright_box(row(box))
    assert reason == ("" if expected else "bad_box")
    np.testing.assert_array_equal(found, expected or NONE)


@pytest.mark.parametrize(("box", "expected"), [((-1, 5, 10, 20), (5, 38, 20, 48)), ((-9, 5, 10, 20), None)])
def test_a_box_is_cut_after_it_is_turned(box, expected):
    # Orientation 8, the stored photo 32 wide and 48 high turned left: x becomes 48 - ... of the stored width 32.
    found, reason = annotated_boxes.upright_box(row(box, 8, (48, 32), (32, 48)))
    assert reason == ("" if expected else "bad_box")
    np.testing.assert_array_equal(found, expected or NONE)


def inspected(*rows):
    frame = pd.DataFrame(rows)
    return frame.assign(reason=frame.get("reason", "")).fillna({"reason": ""})


def test_only_usable_rows_with_boxes_change_and_each_gets_its_own_corners():
    frame = inspected(
        row((-1, 2, 30, 32)),
        row(NONE, orientation=6),
        {**row((-50, 2, 30, 32)), "reason": "missing"},
        row((3, 36, 14, 41), 6, (32, 48)),
        row((5, 5, 5, 5)),
        row((np.nan, 2, 30, 32)),
    )
    before = frame.copy()
    found = manifest_rows.with_upright_boxes(frame)
    assert found["reason"].tolist() == ["", "", "missing", "", "bad_box", "bad_box"]
    np.testing.assert_array_equal(
        found[["x_min", "y_min", "x_max", "y_max"]].to_numpy(),
        [(0, 2, 30, 32), NONE, (-50, 2, 30, 32), (7, 3, 12, 14), NONE, NONE],
    )
    pd.testing.assert_frame_equal(frame, before)


def test_without_boxes_nothing_changes():
    frame = inspected(row(NONE), row(NONE))
    pd.testing.assert_frame_equal(manifest_rows.with_upright_boxes(frame), frame)


def objects(*entries):
    """Rows of (image id, box)."""
    corners = {"x_min": 0, "y_min": 1, "x_max": 2, "y_max": 3}
    return pd.DataFrame([{"image_id": name} | {key: box[i] for key, i in corners.items()} for name, box in entries])


def test_the_objects_of_a_photo_are_numbered_in_the_order_of_their_corners():
    a, b, c = (1.0, 9, 9, 9), (2.0, 0, 9, 9), (2.0, 1, 3, 3)
    frame = objects(("x", c), ("y", b), ("x", a), ("z", NONE), ("x", b), ("x", a), ("", a), ("", b))
    frame.index = [7, 3, 5, 1, 0, 2, 9, 8]
    before = frame.copy()
    found = manifest_rows.with_object_ids(frame)
    # The second `x` with box a is a copy of the photo with the same object.
    assert found["image_id"].tolist() == ["x-3", "y", "x", "z", "x-2", "x", "", ""]
    assert found.index.tolist() == frame.index.tolist()
    pd.testing.assert_frame_equal(frame, before)


def test_photos_without_boxes_keep_their_ids():
    frame = objects(("x", NONE), ("y", NONE), ("x", NONE))
    pd.testing.assert_frame_equal(manifest_rows.with_object_ids(frame), frame)


def test_fifty_thousand_boxes_take_seconds():
    n = 50_000
    frame = pd.DataFrame([row((i % 20, 1, 30, 9), 6, (32, 48), (48, 32)) for i in range(n)])
    frame = frame.assign(image_id=[f"{i // 4:016x}" for i in range(n)], reason="")
    begin = time.perf_counter()
    found = manifest_rows.with_object_ids(manifest_rows.with_upright_boxes(frame))
    assert time.perf_counter() - begin < 20 and found["image_id"].is_unique
    assert found["image_id"].str.endswith("-4").sum() == n // 4
