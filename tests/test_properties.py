"""Properties that hold for every input, by hypothesis: geometry, tables, splits, decoders, readers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from stages.core import settings, tables
from stages.core.errors import TableError
from stages.images import boxes, images, letterbox
from stages.images.overlap import box_iou
from stages.ingest import duplicates, splits
from stages.ingest.settings import IngestSettings
from stages.schemas import manifest
from tests import hostile

SIDES = st.integers(1, 5000)
COORDINATES = st.floats(-1000, 6000, width=32)
BOXES = st.tuples(COORDINATES, COORDINATES, st.floats(0, 4000, width=32), st.floats(0, 4000, width=32)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], np.float64)
)
VALID = hostile.contents()
# Each example overwrites the same file in `tmp_path`: what the check warns about is intended.
FEW = run_with(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = run_with(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(SIDES, SIDES, SIDES, SIDES)
def test_a_placed_image_fills_one_side_is_centred_and_keeps_its_aspect_ratio(width, height, across, down):
    place = letterbox.place(width, height, (across, down))
    assert 1 <= place.width <= across and 1 <= place.height <= down
    assert place.width == across or place.height == down
    assert 0 <= across - place.width - 2 * place.left <= 1 and 0 <= down - place.height - 2 * place.top <= 1
    scale = min(across / width, down / height)
    assert abs(place.width - width * scale) <= 1 and abs(place.height - height * scale) <= 1


@MANY
@given(BOXES, BOXES)
def test_iou_is_a_share_and_symmetric(one, other):
    overlap = float(box_iou(one, other))
    assert 0 <= overlap <= 1 and overlap == float(box_iou(other, one))
    assert float(box_iou(one, one)) == (1 if boxes.area(one) > 0 else 0)


@MANY
@given(BOXES, SIDES, SIDES)
def test_a_clipped_box_is_inside_the_image_and_not_larger(box, width, height):
    clipped = boxes.clip(box, width, height)
    assert (clipped >= 0).all() and clipped[0] <= clipped[2] <= width and clipped[1] <= clipped[3] <= height
    assert boxes.area(clipped) <= boxes.area(box) and (boxes.clip(clipped, width, height) == clipped).all()
    left, top, right, bottom = boxes.to_pixels(clipped, width, height)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


@MANY
@given(BOXES, st.floats(0, 2))
def test_a_margin_is_equal_on_all_sides(box, margin):
    wide = boxes.expand(box, margin)
    gained = np.array([box[0] - wide[0], box[1] - wide[1], wide[2] - box[2], wide[3] - box[3]])
    np.testing.assert_allclose(gained, margin * max(box[2] - box[0], box[3] - box[1]), atol=1e-6)


HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12)


@FEW
@given(HASHES, st.integers(0, 16), st.lists(st.integers(0, 63), max_size=20))
def test_groups_are_the_connected_components_of_near_hashes(codes, bits, flipped):
    codes = codes + [codes[0] ^ (1 << bit) for bit in flipped]
    numbers = duplicates.groups([f"{code:016x}" for code in codes], bits)
    near = np.array([[(one ^ other).bit_count() <= bits for other in codes] for one in codes])
    same = numbers[:, None] == numbers[None, :]
    assert same[near].all()
    reachable = np.linalg.matrix_power(near.astype(object), len(codes)) > 0
    assert (same == reachable).all()


PHOTOS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 15)), min_size=1, max_size=60)


@MANY
@given(PHOTOS, st.floats(0, 0.45), st.floats(0, 0.45), st.integers(0, 2**31 - 1), st.randoms())
def test_a_group_is_in_one_split_and_the_order_of_rows_does_not_matter(photos, val, test, seed, random):
    frame = pd.DataFrame(photos, columns=["label", "group"]).astype(str)
    frame = frame.assign(split="", time=np.nan, origin="")
    rule = IngestSettings(
        source="x", seed=seed, val_share=val, test_share=test, near_duplicate_bits=0, min_photos_per_class=1
    )
    assigned = splits.assign(frame, rule)
    assert set(assigned) <= {"train", "val", "test"} and assigned.index.equals(frame.index)
    assert (assigned.groupby(frame["group"]).nunique() == 1).all()
    order = list(range(len(frame)))
    random.shuffle(order)
    assert splits.assign(frame.iloc[order], rule).sort_index().equals(assigned)
    if val == test == 0:
        assert (assigned == "train").all()


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@MANY
@given(st.lists(st.tuples(TEXT, st.floats(allow_nan=False, allow_infinity=False), st.booleans()), max_size=8))
def test_a_table_is_read_as_it_was_written(tmp_path, rows):
    frame = pd.DataFrame(rows, columns=["text", "number", "truth"]).astype({"text": "str", "truth": bool})
    tables.write(tmp_path / "t.csv", frame.astype({"number": float}))
    table = tables.read(tmp_path / "t.csv", {"text": "str", "number": "float", "truth": "bool"})
    assert table["text"].tolist() == [row[0] for row in rows]
    assert table["number"].tolist() == [row[1] for row in rows] and table["truth"].tolist() == [row[2] for row in rows]


@MANY
@given(st.binary(max_size=200), st.sampled_from(["", ",".join(manifest.COLUMNS) + "\n"]))
def test_any_bytes_are_a_table_or_an_error_that_names_the_file(tmp_path, content, head):
    path = tmp_path / "manifest.csv"
    path.write_bytes(head.encode() + content)
    try:
        table = manifest.read(path)
    except TableError as error:
        assert "manifest.csv" in str(error)
    else:
        assert list(table.columns) == list(manifest.COLUMNS)


@MANY
@given(st.one_of(st.binary(max_size=80), st.text(":-[]{}&*!|>'\"%@`#, \nab1", max_size=60).map(str.encode)))
def test_any_bytes_are_settings_or_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(settings.load(path), dict)
    except settings.SettingsError as error:
        assert "params.yaml" in str(error)


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("ending", sorted(VALID))
@FEW
@given(st.data())
def test_a_damaged_image_is_decoded_or_an_image_error(ending, data):
    content = bytearray(VALID[ending])
    for _ in range(data.draw(st.integers(1, 6))):
        # Half of the damage is in the header, which decides most.
        reach = data.draw(st.sampled_from([min(80, len(content)), len(content)]))
        content[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    share = data.draw(st.sampled_from([1.0, 0.3, 0.1]))
    try:
        photo = images.decode_photo(bytes(content[:cut]), lambda _: share)
    except images.ImageError as error:
        assert error.reason in {"truncated", "not_an_image", "too_large", "empty_file", "unsupported_depth"}
    else:
        assert photo.image.dtype == np.uint8 and photo.image.ndim == 3 and photo.image.shape[2] == 3
        assume(photo.image.size)
