"""The stages from scan to resize, and the same for prediction, on file names and formats as users have them.

Functions replace the networks: the tests check that every file has its own row and its own image.
"""

import io
import json
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from stages.commands import inference_pipeline
from stages.crop import __main__ as crop_stage
from stages.detect import __main__ as detect_stage
from stages.images import images, letterbox
from stages.images.settings import InputSettings
from stages.ingest import __main__ as ingest_stage
from stages.mask import __main__ as mask_stage
from stages.networks import runtime
from stages.resize import __main__ as resize_stage
from stages.resize.composer import Composer
from stages.resize.settings import ResizeSettings
from stages.scan import __main__ as scan_stage
from stages.schemas import class_list, manifest, split_table
from stages.segment import __main__ as segment_stage
from tests import archives, hostile

ROOT = Path(__file__).parents[2]
COMPOSED = unicodedata.normalize("NFC", "Käfer.png")
NAMES = [
    "Van/a.jpg", "Van/A.JPG", "van/a.jpg", "van/it's \"quoted\".png", "van/ leading, trailing; .webp",
    "van/Лада 车 🚗.gif",
    "Van/100%20 #1?.tif", f"Van/{COMPOSED}", f"Van/{unicodedata.normalize('NFD', COMPOSED)}", "van/-rf.avif",
    "van/back\\slash.bmp", "van/two.dots..jp2", "Van/no suffix", "Van/nan",
]  # fmt: skip
KINDS = {"webp": "WEBP", "gif": "GIF", "tif": "TIFF", "png": "PNG", "avif": "AVIF", "bmp": "BMP", "jp2": "JPEG2000"}


def colour(number):
    """A different colour for each file."""
    return (40 + 15 * number, 250 - 15 * number, 40 + 90 * (number % 3))


def draw(path, number):
    """Write a photo with its own colour in the middle, where the car is detected, and its own background."""
    pattern = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = letterbox.resize(pattern, 160, 120)
    image[30:90, 40:120] = colour(number)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, KINDS.get(path.name.rsplit(".")[-1], "JPEG"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


def fake_network(_, outputs, *__, **___):
    """The function for a network with these outputs: a detector has two, a segmenter one."""
    return detector if len(outputs) == 2 else segmenter


def detector(images):
    """Detect a car in the middle half of every photo: one of 4:3 is 512 x 384, between rows of padding."""
    return map(heads, images)


def heads(image):
    """The heads of one image, for `detector`."""
    rows, columns = (side // 4 for side in image.shape[:2])
    heat, extents = np.zeros((rows, columns, 80), np.float32), np.zeros((rows, columns, 4), np.float32)
    heat[rows // 2, columns // 2, 2] = 0.9
    extents[rows // 2, columns // 2] = (128, 96, 128, 96) if rows < columns else (96, 128, 96, 128)
    return heat, extents


def segmenter(crops):
    """Segment all of each crop but its left quarter."""
    for _ in crops:
        saliency = np.ones((1, 320, 320), np.float32)
        saliency[..., :80] = 0
        yield [saliency]


@pytest.fixture
def preprocess(tmp_path, run, monkeypatch):
    """A function that runs the stages from scan to resize on the photos below `tmp_path`/"my photos"."""
    monkeypatch.chdir(tmp_path)  # Outside this repository no DVC stage is looked for that writes the photos.

    def call(background="keep", item=(), **changes):
        content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        content["ingest"] |= {"source": str(tmp_path / "my photos"), "near_duplicate_bits": 0}
        content["inputs"] = {"one": {"background": background, "width": 256, "height": 160} | dict(item)}
        content["models"] = {"m": {"backbone": "x", "weights": "none", "input": "one"}}
        content["segmenters"], content["mask"]["weights"] = {"one": {"network": "u2netp"}}, {"one": 1.0}
        for section, keys in changes.items():
            content[section] |= keys
        settings, out = tmp_path / "params.yaml", tmp_path / "out"
        settings.write_text(json.dumps(content))
        common = {"params": settings, "details": out / "d.json"}
        compared = {"metrics": out / "m.json"}

        def archive(*names):
            return {names[0]: out.joinpath(*names), "memory": out.joinpath("memory", *names)}

        run(scan_stage, **common, files=out / "files.csv", cache=out / "hashes")
        run(
            ingest_stage,
            **common,
            **compared,
            files=out / "files.csv",
            cache=out / "inspections",
            shards=out / "shards.json",
            leaks=out / "leaks.csv",
            manifest=out / "manifest.csv",
            classes=out / "classes.txt",
            class_counts=out / "c.csv",
        )
        monkeypatch.setattr(runtime, "load", fake_network)
        for name in ("centernet_mobilenetv3.onnx", "u2netp.onnx"):
            (out / name).write_bytes(b"network")
        run(detect_stage, **common, manifest=out / "manifest.csv", networks=out, cache=out / "cache" / "d",
            detections=out / "d.csv", failures=out / "failures.csv")  # fmt: skip
        common["shards"] = out / "shards.json"
        run(crop_stage, **common, **compared, manifest=out / "manifest.csv", detections=out / "d.csv",
            failures=out / "failures.csv", boxes=out / "boxes.csv", splits=out / "splits.csv", **archive("crops"),
            thresholds=out / "thresholds")  # fmt: skip
        run(segment_stage, **common, segmenter="one", boxes=out / "boxes.csv", crops=out / "crops", networks=out,
            cache=out / "cache" / "s", **archive("maps", "one"))  # fmt: skip
        run(mask_stage, **common, **compared, boxes=out / "boxes.csv", crops=out / "crops", maps=out / "maps",
            **archive("masks"), table=out / "masks.csv")  # fmt: skip
        run(resize_stage, **common, input="one", splits=out / "splits.csv", crops=out / "crops", masks=out / "masks",
            mask_table=out / "masks.csv", out=out / "model_inputs",
            memory=out / "memory" / "model_inputs")  # fmt: skip
        return out

    return call


def test_every_name_and_format_is_processed_as_itself(tmp_path, preprocess):
    for number, name in enumerate(NAMES):
        draw(tmp_path / "my photos" / name, number)
    if sum(path.is_file() for path in (tmp_path / "my photos").rglob("*")) != len(NAMES):
        pytest.skip("this file system does not distinguish names by case or Unicode form")
    out = preprocess()
    rows = split_table.read(out / "splits.csv").set_index("path")
    assert sorted(rows.index) == sorted(NAMES) and (rows["status"] == "ok").all() and rows["image_id"].is_unique
    assert rows["label"].to_dict() == {name: name.split("/")[0] for name in NAMES}
    assert class_list.read_classes(out / "classes.txt") == ["Van", "van"]
    assert (pd.read_csv(out / "boxes.csv")["is_cropped"]).all()
    for number, name in enumerate(NAMES):
        middle = archives.picture(out / "model_inputs", f"{rows.loc[name, 'image_id']}.png")[112, 112].astype(int)
        assert np.abs(middle - colour(number)).max() <= 12, name


def test_where_no_mask_is_used_prediction_needs_no_segmenter(tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    files = {}
    for background in ("remove", "blur", "keep"):
        content["inputs"] = {"a": {"background": background, "width": 32, "height": 32}}
        content["inputs"]["b"] = content["inputs"]["a"] | {"background": "remove"}
        content["models"] = {"m": {"input": "a"}, "without_weight": {"input": "b"}}
        (tmp_path / "params.yaml").write_text(json.dumps(content))
        files[background] = inference_pipeline.PreprocessingSettings.read(
            tmp_path / "params.yaml", ["m"]
        ).network_files()
    assert files["remove"] == files["blur"] == ["centernet_mobilenetv3.onnx", "u2netp_int8.onnx"]
    assert files["keep"] == ["centernet_mobilenetv3.onnx"]
    content["inputs"]["a"]["mask_margin"] = 0.05
    (tmp_path / "params.yaml").write_text(json.dumps(content))
    cut = inference_pipeline.PreprocessingSettings.read(tmp_path / "params.yaml", ["m"])
    assert cut.network_files() == files["remove"]


@pytest.mark.parametrize("background", ["remove", "keep"])
def test_a_crop_cut_to_its_mask_is_the_same_in_prediction_and_says_which_part_it_shows(
    tmp_path, preprocess, corners, background
):
    """The mask leaves out the left quarter of the crop of 80 x 60; the rest is stretched to the frame."""
    for label in ("a", "b"):
        folder = tmp_path / "my photos" / label
        folder.mkdir(parents=True)
        image = corners(160, 120)
        (folder / "photo.png").write_bytes(images.encode(image if label == "a" else image[::-1], ".png"))
    item = {"width": 96, "height": 96, "fit": "squash", "mask_margin": 0.0}
    out = preprocess(background, item, crop={"margin": 0.0}, mask={"max_coverage": 1.0})
    rows = split_table.read(out / "splits.csv").set_index("path")
    settings = inference_pipeline.PreprocessingSettings.read(tmp_path / "params.yaml", ["m"])
    paths = [tmp_path / "my photos" / name for name in ("a/photo.png", "b/photo.png")]
    for path, made in inference_pipeline.Preprocessor(settings, out).run(paths):
        name = rows.loc[f"{path.parent.name}/photo.png", "image_id"]
        written = archives.picture(out / "model_inputs", f"{name}.png")
        np.testing.assert_array_equal(made.images["one"], written)
        crop = archives.picture(out / "crops", f"{name}.jpg")
        assert made.parts["one"] == pytest.approx((0.25, 0, 1, 1), abs=0.02)
        expected = crop[[2, 2, -3, -3], [24, -3, 24, -3]].astype(int)
        np.testing.assert_allclose(written[[3, 3, -4, -4], [8, -4, 8, -4]].astype(int), expected, atol=12)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_large_rotated_photo_has_the_crop_of_its_small_upright_copy(tmp_path, preprocess, corners, orientation):
    """3201 x 2399 pixels are decoded at a half or a quarter; a box must be the same pixels for every stage."""
    upright = corners(3201, 2399)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.rot90(upright, {1: 0, 6: 1, 8: -1}[orientation])
    folder = tmp_path / "my photos"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        image = Image.fromarray(np.ascontiguousarray(stored if label == "a" else stored[::-1]))
        image.save(folder / label / "large.jpg", exif=exif, quality=92)
    out = preprocess("remove", {"width": 224, "height": 224}, crop={"max_side": 400, "margin": 0.0})
    rows = manifest.read(out / "manifest.csv").set_index("path")
    assert rows.loc["a/large.jpg", ["width", "height"]].tolist() == [3201, 2399]
    box = pd.read_csv(out / "boxes.csv").set_index("path").loc["a/large.jpg", ["x_min", "y_min", "x_max", "y_max"]]
    np.testing.assert_allclose(box.astype(float), [800.25, 599.75, 2400.75, 1799.25], atol=2)
    name = rows.loc["a/large.jpg", "image_id"]
    crop = archives.picture(out / "crops", f"{name}.jpg").astype(int)
    alpha = archives.mask(out / "masks", f"{name}.png")
    assert crop.shape == (300, 400, 3) and alpha.shape == (300, 400)
    assert (alpha[:, :98] == 0).all() and (alpha[:, 102:] == 255).all()
    expected = corners(400, 300)
    for part in (np.s_[:147, :197], np.s_[:147, 203:], np.s_[153:, :197], np.s_[153:, 203:]):
        np.testing.assert_allclose(crop[part], expected[part], atol=12)
    padded = archives.picture(out / "model_inputs", f"{name}.png").astype(int)
    assert padded[112, 40].tolist() == [127, 127, 127]  # the quarter that is not the car, at 224 / 400
    np.testing.assert_allclose(
        padded[[40, 40, 180, 180], [90, 218, 90, 218]], expected[[0, 0, -1, -1], [0, -1, 0, -1]], atol=8
    )
    # Prediction has the same model input, to the last pixel.
    settings = inference_pipeline.PreprocessingSettings.read(tmp_path / "params.yaml", ["m"])
    ((_, made),) = inference_pipeline.Preprocessor(settings, out).run([folder / "a" / "large.jpg"])
    np.testing.assert_array_equal(made.images["one"], padded)
    assert made.note == "" and made.size_wh == (3201, 2399) and made.box.score == 0.9
    np.testing.assert_allclose(made.box.corners, box.astype(float), atol=0.005)


def test_a_whole_photo_that_cannot_be_decoded_is_one_note_and_the_others_are_composed(corners):
    item = InputSettings(region="full_image", background="keep", width=32, height=32)
    rule = ResizeSettings(fill=(0, 0, 0), blur=0.02, format="png")
    preprocessor = object.__new__(inference_pipeline.Preprocessor)
    preprocessor.composers = {"whole": Composer(item, rule)}
    preprocessor.settings = SimpleNamespace(inputs={"whole": item})
    good, crop = images.encode(corners(40, 40), ".png"), corners(20, 20)
    found = [preprocessor._compose((content, crop, None, "")) for content in (b"no photo", good)]
    assert found[0].images is None and found[0].note.startswith("not_an_image: ")
    assert found[1].images is not None and found[1].images["whole"].shape == (32, 32, 3) and found[1].note == ""


@pytest.mark.filterwarnings("ignore:::PIL")
def test_hostile_files_do_not_change_the_results_of_others(tmp_path, preprocess):
    folder = tmp_path / "my photos"
    for number in range(8):
        draw(folder / "ab"[number % 2] / f"good_{number}.jpg", number)
    alone = split_table.read(preprocess() / "splits.csv").set_index("path")
    before = archives.take(tmp_path / "out" / "model_inputs")
    allowed = hostile.make(folder / "a", tmp_path / "outside")
    out = preprocess()
    rows = split_table.read(out / "splits.csv").set_index("path")
    assert len(rows) == len(allowed) + 8 and alone.index.isin(rows.index).all()
    columns = ["image_id", "label", "status", "reason"]
    pd.testing.assert_frame_equal(rows.loc[alone.index, columns], alone[columns])
    written = archives.take(out / "model_inputs")
    assert sorted(before) == sorted(alone["image_id"] + ".png") and {name: written[name] for name in before} == before
    usable = rows[rows["status"] == "ok"]
    assert len(usable) > 50 and sorted(written) == sorted(usable["image_id"] + ".png")
    assert (rows.loc[rows["status"] == "failed", "reason"] != "").all()
