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

SETTINGS = SampleSettings(seed=3, photos_per_class=1, width=200, height=152, jpeg_quality=90)
BY_NAME = {f"{item.label}_{item.name}": item for item in CORRUPTED}


def special(name: str) -> Rendered:
    item = BY_NAME[name]
    return make(RenderTask(item.label, 0, item), SETTINGS)


def open_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def difference(first: Image.Image, second: Image.Image) -> float:
    pixels = [np.asarray(image.convert("L").resize((32, 24)), float) for image in (first, second)]
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
    assert sample.photo_seed(1, "a") == sample.photo_seed(1, "a")
    assert len({sample.photo_seed(1, "a"), sample.photo_seed(2, "a"), sample.photo_seed(1, "b")}) == 3


def test_a_photo_has_the_same_bytes_again_and_others_differ() -> None:
    task = RenderTask("suv", 1, None)
    first, second = make(task, SETTINGS), make(task, SETTINGS)
    assert first.photo == second.photo and first.mask == second.mask
    assert make(RenderTask("suv", 2, None), SETTINGS).photo != first.photo


def test_mask_box_and_photo_agree() -> None:
    rendered = make(RenderTask("van", 1, None), SETTINGS)
    assert rendered.mask is not None and rendered.box is not None
    mask = np.asarray(open_image(rendered.mask))
    assert mask.shape == (152, 200) == np.asarray(open_image(rendered.photo)).shape[:2]
    rows, columns = np.nonzero(mask == 255)
    assert rendered.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("name", ["sedan_truncated.jpg", "van_truncated.jpg"])
def test_a_truncated_file_opens_and_fails_when_loaded(name: str) -> None:
    rendered = special(name)
    assert rendered.box is None and rendered.mask is None
    image = open_image(rendered.photo)
    with pytest.raises(OSError, match="truncated"):
        image.load()


def test_an_empty_file_and_a_text_file_are_no_images() -> None:
    assert special("coupe_empty.jpg").photo == b""
    text = special("wagon_notes.jpg").photo
    assert text.decode().endswith("\n")
    with pytest.raises(OSError, match="cannot identify"):
        open_image(text)


@pytest.mark.parametrize("name", ["suv_no_car.jpg", "hatchback_no_car.jpg", "pickup_no_car.jpg"])
def test_a_photo_without_a_car_has_neither_box_nor_mask(name: str) -> None:
    rendered = special(name)
    assert open_image(rendered.photo).size == (200, 152)
    assert rendered.box is None and rendered.mask is None and rendered.visible is None


@pytest.mark.parametrize("name", ["compact_copy.jpg", "minivan_copy_of_van.jpg"])
def test_a_duplicate_has_the_bytes_of_its_source(name: str) -> None:
    source = BY_NAME[name].source
    assert source is not None
    original = make(RenderTask(*source, None), SETTINGS)
    copy = special(name)
    assert copy.photo == original.photo and copy.box == original.box


@pytest.mark.parametrize("name", [name for name, item in BY_NAME.items() if item.kind == "near_duplicate"])
def test_a_near_duplicate_is_similar_to_its_source_with_other_bytes(name: str) -> None:
    source = BY_NAME[name].source
    assert source is not None
    original, near = make(RenderTask(*source, None), SETTINGS), special(name)
    assert near.photo != original.photo
    assert difference(open_image(near.photo), open_image(original.photo)) < 4
    other = make(RenderTask(source[0], 2, None), SETTINGS)
    assert difference(open_image(near.photo), open_image(other.photo)) > 8
    assert near.mask is not None
    assert (
        open_image(near.mask).size == open_image(near.photo).size == ((186, 141) if "resized" in name else (200, 152))
    )


@pytest.mark.parametrize(
    ("name", "mode"), [("van_grey.jpg", "L"), ("limousine_cmyk.jpg", "CMYK"), ("suv_rgba.png", "RGBA")]
)
def test_rare_encodings_have_the_mode_of_their_name(name: str, mode: str) -> None:
    rendered = special(name)
    image = open_image(rendered.photo)
    assert image.mode == mode and image.size == (200, 152)
    assert rendered.box is not None


def test_the_16_bit_png_has_16_bits() -> None:
    content = np.frombuffer(special("coupe_16bit.png").photo, np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_the_rotated_photo_is_upright_after_its_orientation_is_applied() -> None:
    rendered = special("compact_rotated.jpg")
    stored = open_image(rendered.photo)
    assert stored.size == (152, 200)
    upright = ImageOps.exif_transpose(stored)
    assert rendered.mask is not None and upright.size == open_image(rendered.mask).size == (200, 152)
    rgb = np.asarray(upright.convert("L"), float)
    assert rgb[:20].mean() > rgb[-20:].mean(), "the sky is above the ground"


@pytest.mark.parametrize("name", ["hatchback_small.jpg", "minivan_small.jpg"])
def test_a_small_car_covers_less_than_half_a_percent(name: str) -> None:
    box = special(name).box
    assert box is not None
    assert (box[2] - box[0]) * (box[3] - box[1]) < 0.006 * 200 * 152


def test_the_ground_truth_has_one_row_per_file_and_empty_cells_without_a_car() -> None:
    regular = make(RenderTask("coupe", 1, None), SETTINGS)
    frame = sample.ground_truth([regular, special("coupe_empty.jpg")])
    assert frame.columns.tolist() == list(sample.COLUMNS)
    assert frame["path"].tolist() == ["coupe/coupe_001.jpg", "coupe/coupe_empty.jpg"]
    assert frame["kind"].tolist() == ["car", "empty"]
    assert tuple(frame.iloc[0, 3:7]) == regular.box
    assert frame.iloc[1, 3:].isna().all()
    assert frame.to_csv(index=False).splitlines()[2] == "coupe/coupe_empty.jpg,coupe,empty,,,,,"
