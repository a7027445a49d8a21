import copy
import json

import numpy as np
import pytest

from stages.scan.coco import annotation_files, read_coco
from stages.scan.rows import BOX, COLUMNS, LayoutError

FILE = {
    "info": {"year": 2017},
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480},
        {"id": 2, "file_name": "b.jpg", "width": 30, "height": 40},
    ],
    "annotations": [
        {"id": 10, "image_id": 2, "category_id": 7, "bbox": [10, 20, 5, 6.5], "iscrowd": 0, "area": 32.5},
        {"id": 11, "image_id": 2, "category_id": 9, "bbox": [0.5, 0, 1, 2]},
    ],
    "categories": [{"id": 7, "name": "car", "supercategory": "vehicle"}, {"id": 9, "name": "Škoda"}],
}
PHOTOS = ["a.jpg", "b.jpg"]


def changed(**parts):
    return {**copy.deepcopy(FILE), **parts}


def images(*names, **more):
    return [{"id": number, "file_name": name, **more} for number, name in enumerate(names, 1)]


def only_images(*names):
    return {"images": images(*names), "annotations": [], "categories": [{"id": 1, "name": "car"}]}


def contents(files):
    return {
        path: json.dumps(content).encode() if isinstance(content, dict) else content for path, content in files.items()
    }


def read(files, photos=()):
    return read_coco([*files, *photos], contents(files).__getitem__)


def found_files(files, photos=()):
    return annotation_files([*files, *photos], contents(files).__getitem__)


def values(frame, *columns):
    return frame[list(columns)].values.tolist()


def error(files, photos=PHOTOS):
    with pytest.raises(LayoutError) as caught:
        read(files, photos)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_row_for_each_annotation_and_for_each_image_without_one():
    found = read({"labels.json": FILE}, [*PHOTOS, "z.jpg"])
    assert list(found.columns) == list(COLUMNS)
    assert values(found, "path", "label", "annotated_width", "annotated_height", "reason") == [
        ["a.jpg", "", 640, 480, "no_label"],
        ["b.jpg", "car", 30, 40, ""],
        ["b.jpg", "Škoda", 30, 40, ""],
        ["z.jpg", "", 0, 0, "not_listed"],
    ]
    assert values(found[1:3], *BOX) == [[10, 20, 15, 26.5], [0.5, 0, 1.5, 2]]
    assert np.isnan(found.loc[[0, 3], BOX].to_numpy()).all() and set(found["split"]) == {""}


def test_annotation_files_are_those_of_labelled_objects_at_the_known_places():
    keypoints = changed(categories=[{"id": 7, "name": "person", "keypoints": ["nose"], "skeleton": []}], annotations=[])
    captions = {"images": [], "annotations": [{"caption": "a car"}]}
    places = {
        "a.json": FILE, "annotations/b.JSON": FILE, "Valid/_annotations.coco.json": FILE,
        "car/c.json": FILE, "annotations/deep/d.json": FILE, "train/e.json": FILE, "car/_annotations.coco.json": FILE,
        "annotations/keypoints.json": keypoints, "annotations/captions.json": captions, "other.json": b"[1, 2",
        "e.txt": FILE,
    }  # fmt: skip
    assert found_files(places, ["a.jpg"]) == ["Valid/_annotations.coco.json", "a.json", "annotations/b.JSON"]
    assert found_files({}) == [] and found_files({"empty.json": b""}) == []


def test_keypoints_beside_other_categories_are_labelled_objects():
    mixed = changed(
        categories=[{"id": 7, "name": "person", "keypoints": ["nose"]}, {"id": 9, "name": "car", "keypoints": []}]
    )
    assert found_files({"a.json": mixed}) == ["a.json"]


def test_without_an_annotation_file_it_is_no_layout():
    assert "found none" in error({"x.json": b"{}"})


@pytest.mark.parametrize(
    ("file", "folder", "split"),
    [
        ("annotations/instances_train2017.json", "train2017", "train"),
        ("annotations/instances_val2017.json", "images/val2017", "val"),
        ("annotations/instances_test.json", "images", "test"),
        ("annotations/labels.json", "annotations", ""),
        ("annotations/instances_trainval.json", "images", ""),
        ("train_val.json", "data", ""),
        ("labels.json", "valid", "val"),
        ("Testing/_annotations.coco.json", "Testing", "test"),
        ("Testing/_annotations.coco.json", "Testing/images", "test"),
    ],
)
def test_photos_are_found_and_splits_are_those_of_the_names(file, folder, split):
    found = read({file: only_images("a.jpg", "sub/b.jpg")}, [f"{folder}/a.jpg", f"{folder}/sub/b.jpg"])
    assert values(found, "path", "split", "reason") == [
        [f"{folder}/a.jpg", split, "no_label"],
        [f"{folder}/sub/b.jpg", split, "no_label"],
    ]


def test_a_name_with_its_folder_and_names_of_other_systems_are_found():
    names = ["images/a.jpg", "images\\b.jpg", "images/S\u030c.jpg", "../images/c.jpg", "./images//d.jpg"]
    photos = ["images/a.jpg", "images/b.jpg", "images/\u0160.jpg", "images/c.jpg", "images/d.jpg"]
    found = read({"annotations/x.json": only_images(*names)}, photos)
    assert found["path"].tolist() == photos and set(found["reason"]) == {"no_label"}


def test_a_split_of_coco_does_not_find_the_photos_of_another():
    files = {f"annotations/instances_{split}2017.json": only_images("a.jpg") for split in ("train", "val")}
    found = read(files, ["train2017/a.jpg", "val2017/a.jpg"])
    assert values(found, "path", "split") == [["train2017/a.jpg", "train"], ["val2017/a.jpg", "val"]]


@pytest.mark.parametrize(
    "photos", [["a.jpg", "images/a.jpg"], ["train/a.jpg", "val/a.jpg"], ["data/a.jpg", "images/a.jpg"]]
)
def test_a_name_that_two_files_may_be_is_refused_with_both(photos):
    message = error({"x.json": only_images("a.jpg")}, photos)
    assert message.startswith("x.json: image 1: ") and all(repr(photo) in message for photo in photos)


def test_photos_that_are_missing_or_out_of_the_source():
    names = ["gone.jpg", "/abs.jpg", "../../up.jpg", "../images/gone.jpg"]
    found = read({"annotations/x.json": only_images(*names)}, ["images/z.jpg"])
    assert values(found, "path", "reason")[:4] == [
        ["gone.jpg", "missing"],
        ["/abs.jpg", "no_label"],
        ["../../up.jpg", "no_label"],
        ["images/gone.jpg", "missing"],
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iscrowd": 1}, "crowd"),
        ({"iscrowd": 1, "bbox": [0, 0, 0, 0]}, "crowd"),
        ({"bbox": [1, 2, 0, 4]}, "bad_box"),
        ({"bbox": [1, 2, 3, -4]}, "bad_box"),
        ({"bbox": []}, "bad_box"),
        ({"bbox": None}, "bad_box"),
        ({"bbox": "none"}, "bad_box"),
        ({"bbox": [1e308, 2, 1e308, 4]}, "bad_box"),
        ({"bbox": [1, 2, 10**400, 4]}, "bad_box"),
        ({"bbox": [10, 20, 5, 6.5], "category_id": 9}, "conflicting_labels"),
        ({"bbox": [10, 20, 5, 6.5]}, "duplicate_box"),
    ],
)
def test_objects_that_cannot_be_used_are_counted(change, reason):
    extra = {"id": 99, "image_id": 2, "category_id": 7, "bbox": [1, 2, 3, 4], **change}
    found = read({"x.json": changed(annotations=[*FILE["annotations"], extra])}, PHOTOS)
    assert found["reason"].tolist()[3] == reason and found["path"].tolist()[3] == "b.jpg"
    assert found["reason"].tolist()[1:3] == ["conflicting_labels" if reason == "conflicting_labels" else "", ""]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"annotations": [{"id": 77, "image_id": 3, "category_id": 7}]},
            ["annotations[0] (id 77)", "`image_id`", "found 3"],
        ),
        ({"annotations": [{"image_id": 1, "category_id": "7"}]}, ["annotations[0]:", "`category_id`", "found '7'"]),
        ({"images": images("a.jpg") * 2, "annotations": []}, ["once in `images`", "found 1 twice"]),
        ({"categories": FILE["categories"] * 2}, ["once in `categories`", "found 7 twice"]),
        ({"images": images("a.jpg", "a.jpg")}, ["image 2", "'a.jpg'", "image 1 of x.json"]),
        ({"images": [{"id": 1}], "annotations": []}, ["images[0].file_name", "required"]),
        ({"images": {}}, ["images", "valid array"]),
        ({"annotations": [5]}, ["annotations[0]", "not 5"]),
        ({"categories": None}, ["categories", "not None"]),
    ],
)
def test_annotations_that_contradict_themselves_are_refused_with_the_id(parts, words):
    message = error({"x.json": changed(**parts)})
    assert message.startswith("x.json: ") and all(word in message for word in words), message


KEYS = b'"images" "annotations" "categories"'


@pytest.mark.parametrize("content", [KEYS, b"[" * 100_000 + KEYS, json.dumps(FILE).encode()[:-5], b"\xff" + KEYS])
def test_broken_json_is_refused_by_name(content):
    with pytest.raises(LayoutError, match=r"^x\.json: expected COCO annotations"):
        found_files({"x.json": content})


def test_a_photo_in_two_annotation_files_is_refused_with_both():
    message = error({"annotations/instances.json": FILE, "annotations/stuff.json": FILE})
    assert (
        message.startswith("annotations/stuff.json: image 1: ") and "image 1 of annotations/instances.json" in message
    )


@pytest.mark.parametrize(
    ("width", "expected"), [(None, 0), (-5, 0), ("640", 640), ("x", 0), (10**30, 0), (640.0, 640), ([], 0)]
)
def test_sizes_that_are_none_are_zero(width, expected):
    found = read({"x.json": changed(images=images("a.jpg", width=width), annotations=[])}, ["a.jpg"])
    assert found["annotated_width"].tolist() == [expected]


def test_ids_may_be_texts_and_a_byte_order_mark_is_no_error():
    file = {
        "images": [{"id": "x", "file_name": "a.jpg"}],
        "annotations": [{"image_id": "x", "category_id": "c", "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": "c", "name": 5}],
    }
    found = read({"x.json": b"\xef\xbb\xbf" + json.dumps(file).encode()}, ["a.jpg"])
    assert values(found, "path", "label", "reason") == [["a.jpg", "5", ""]]


def test_an_annotation_file_without_images_lists_no_photo():
    found = read({"x.json": {"images": [], "annotations": [], "categories": []}}, ["a.jpg"])
    assert values(found, "path", "reason") == [["a.jpg", "not_listed"]]


@pytest.mark.parametrize("box", [{}, {"bbox": None}, {"bbox": []}])
def test_a_file_without_any_box_labels_whole_photos(box):
    annotations = [{"id": n, "image_id": image, "category_id": 7, **box} for n, image in enumerate((1, 2))]
    found = read({"x.json": changed(annotations=annotations)}, PHOTOS)
    label = next(item["name"] for item in FILE["categories"] if item["id"] == 7)
    assert values(found, "path", "label", "reason") == [["a.jpg", label, ""], ["b.jpg", label, ""]]
    assert np.isnan(found[BOX].to_numpy()).all()
