import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from stages.sample.renderer import sample
from stages.sample.renderer.bodies import BODIES
from stages.sample.renderer.corrupted import CORRUPTED
from stages.sample.renderer.sample import Rendered, RenderTask, make
from stages.sample.settings import SampleSettings

PARAMS = SampleSettings(seed=3, photos_per_class=1, width=200, height=152, jpeg_quality=90)
BY_NAME = {f"{spoilt.label}_{spoilt.name}": spoilt for spoilt in CORRUPTED}


def spoilt(name: str) -> Rendered:
    item = BY_NAME[name]
    return make(RenderTask(item.label, 0, item), PARAMS)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def difference(first: Image.Image, second: Image.Image) -> float:
    pixels = [np.asarray(picture.convert("L").resize((32, 24)), float) for picture in (first, second)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def test_tasks_are_sorted_and_complete() -> None:
    tasks = sample.tasks(2)
    paths = [task.path for task in tasks]
    assert paths == sorted(set(paths))
    assert len(tasks) == 2 * len(BODIES) + len(CORRUPTED)
    assert str(sample.tasks(2)[0].path) == "compact/compact_001.jpg"
    assert {task.kind for task in tasks} >= {"car", "truncated", "empty", "not_an_image", "no_car", "small"}


def test_sources_of_copies_exist_in_the_smallest_sample() -> None:
    regular = {(task.label, task.number) for task in sample.tasks(1) if task.kind == "car"}
    assert {item.source for item in CORRUPTED if item.source} <= regular


def test_a_seed_depends_on_the_seed_and_the_name() -> None:
    assert sample.seed_of(1, "a") == sample.seed_of(1, "a")
    assert len({sample.seed_of(1, "a"), sample.seed_of(2, "a"), sample.seed_of(1, "b")}) == 3


def test_a_photo_repeats_byte_for_byte_and_others_differ() -> None:
    task = RenderTask("suv", 1, None)
    first, second = make(task, PARAMS), make(task, PARAMS)
    assert first.photo == second.photo and first.mask == second.mask
    assert make(RenderTask("suv", 2, None), PARAMS).photo != first.photo


def test_mask_box_and_photo_agree() -> None:
    made = make(RenderTask("van", 1, None), PARAMS)
    assert made.mask is not None and made.box is not None
    mask = np.asarray(opened(made.mask))
    assert mask.shape == (152, 200) == np.asarray(opened(made.photo)).shape[:2]
    rows, columns = np.nonzero(mask == 255)
    assert made.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("name", ["sedan_truncated.jpg", "van_truncated.jpg"])
def test_a_truncated_file_opens_and_fails_when_loaded(name: str) -> None:
    made = spoilt(name)
    assert made.box is None and made.mask is None
    picture = opened(made.photo)
    with pytest.raises(OSError, match="truncated"):
        picture.load()


def test_an_empty_file_and_a_text_are_no_pictures() -> None:
    assert spoilt("coupe_empty.jpg").photo == b""
    text = spoilt("wagon_notes.jpg").photo
    assert text.decode().endswith("\n")
    with pytest.raises(OSError, match="cannot identify"):
        opened(text)


@pytest.mark.parametrize("name", ["suv_no_car.jpg", "hatchback_no_car.jpg", "pickup_no_car.jpg"])
def test_a_photo_without_a_car_has_neither_box_nor_mask(name: str) -> None:
    made = spoilt(name)
    assert opened(made.photo).size == (200, 152)
    assert made.box is None and made.mask is None and made.visible is None


@pytest.mark.parametrize("name", ["compact_copy.jpg", "minivan_copy_of_van.jpg"])
def test_a_duplicate_has_the_bytes_of_its_source(name: str) -> None:
    source = BY_NAME[name].source
    assert source is not None
    original = make(RenderTask(*source, None), PARAMS)
    copy = spoilt(name)
    assert copy.photo == original.photo and copy.box == original.box


@pytest.mark.parametrize("name", [name for name, item in BY_NAME.items() if item.kind == "near_duplicate"])
def test_a_near_duplicate_looks_like_its_source_in_other_bytes(name: str) -> None:
    source = BY_NAME[name].source
    assert source is not None
    original, near = make(RenderTask(*source, None), PARAMS), spoilt(name)
    assert near.photo != original.photo
    assert difference(opened(near.photo), opened(original.photo)) < 4
    stranger = make(RenderTask(source[0], 2, None), PARAMS)
    assert difference(opened(near.photo), opened(stranger.photo)) > 8
    assert near.mask is not None
    assert opened(near.mask).size == opened(near.photo).size == ((186, 141) if "resized" in name else (200, 152))


@pytest.mark.parametrize(
    ("name", "mode"), [("van_grey.jpg", "L"), ("limousine_cmyk.jpg", "CMYK"), ("suv_rgba.png", "RGBA")]
)
def test_an_odd_encoding_is_what_its_name_says(name: str, mode: str) -> None:
    made = spoilt(name)
    picture = opened(made.photo)
    assert picture.mode == mode and picture.size == (200, 152)
    assert made.box is not None


def test_the_16_bit_png_has_16_bits() -> None:
    content = np.frombuffer(spoilt("coupe_16bit.png").photo, np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_the_rotated_photo_stands_upright_after_its_orientation_is_applied() -> None:
    made = spoilt("compact_rotated.jpg")
    stored = opened(made.photo)
    assert stored.size == (152, 200)
    upright = ImageOps.exif_transpose(stored)
    assert made.mask is not None and upright.size == opened(made.mask).size == (200, 152)
    rgb = np.asarray(upright.convert("L"), float)
    assert rgb[:20].mean() > rgb[-20:].mean(), "the sky is above the ground"


@pytest.mark.parametrize("name", ["hatchback_small.jpg", "minivan_small.jpg"])
def test_a_small_car_covers_less_than_half_a_percent(name: str) -> None:
    box = spoilt(name).box
    assert box is not None
    assert (box[2] - box[0]) * (box[3] - box[1]) < 0.006 * 200 * 152


def test_truth_has_one_row_per_file_and_empty_cells_without_a_car() -> None:
    regular = make(RenderTask("coupe", 1, None), PARAMS)
    frame = sample.truth([regular, spoilt("coupe_empty.jpg")])
    assert frame.columns.tolist() == list(sample.COLUMNS)
    assert frame["path"].tolist() == ["coupe/coupe_001.jpg", "coupe/coupe_empty.jpg"]
    assert frame["kind"].tolist() == ["car", "empty"]
    assert tuple(frame.iloc[0, 3:7]) == regular.box
    assert frame.iloc[1, 3:].isna().all()
    assert frame.to_csv(index=False).splitlines()[2] == "coupe/coupe_empty.jpg,coupe,empty,,,,,"
