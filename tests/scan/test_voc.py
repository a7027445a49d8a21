import numpy as np
import pytest

from stages.images.images import ImageError
from stages.scan.rows import BOX, COLUMNS, LayoutError
from stages.scan.voc import annotation_files, read_voc


def an_object(name="car", box=(11, 21, 15, 26), more=""):
    corners = "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def xml(file_name="a.jpg", *objects, size="<size><width>640</width><height>480</height></size>"):
    name = f"<filename>{file_name}</filename><path>C:\\other.jpg</path>"
    return f"<annotation><folder>x</folder>{name}{size}{''.join(objects)}</annotation>"


def read(files, photos=()):
    contents = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
    return read_voc([*files, *photos], contents.__getitem__)


def values(frame, *columns):
    return frame[list(columns)].values.tolist()


def error(files, photos=()):
    with pytest.raises(LayoutError) as caught:
        read(files, photos)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_boxes_count_from_one_and_include_their_last_pixels():
    part = f"<part>{an_object('wheel', (1, 1, 2, 2))}</part>"
    objects = (
        an_object(),
        an_object("Škoda", (1.5, 1, 2, "1e1"), "<difficult>1</difficult><truncated>1</truncated>" + part),
    )
    found = read({"Annotations/a.xml": xml("a.jpg", *objects)}, ["JPEGImages/a.jpg", "JPEGImages/z.jpg"])
    assert list(found.columns) == list(COLUMNS)
    assert values(found, "path", "label", "annotated_width", "annotated_height", "reason") == [
        ["JPEGImages/a.jpg", "car", 640, 480, ""],
        ["JPEGImages/a.jpg", "Škoda", 640, 480, ""],
        ["JPEGImages/z.jpg", "", 0, 0, "not_listed"],
    ]
    assert values(found[:2], *BOX) == [[10, 20, 15, 26], [0.5, 0, 2, 10]]
    assert np.isnan(found.loc[2, BOX].to_numpy(float)).all()


def test_annotation_files_are_those_in_annotations_and_beside_photos():
    paths = [
        "Annotations/a.xml", "VOC2007/annotations/sub/b.XML", "photos/c.xml", "photos/c.png", "photos/lost.xml",
        "train/d.jpg.xml", "train/d.jpg", "pom.xml", "docs/e.xml", "docs/f.jpg", "Annotations/g.json",
    ]  # fmt: skip
    assert annotation_files(paths) == [
        "Annotations/a.xml", "VOC2007/annotations/sub/b.XML", "photos/c.xml", "photos/lost.xml", "train/d.jpg.xml",
    ]  # fmt: skip
    assert annotation_files([]) == []


def test_without_annotations_it_is_no_layout():
    assert "found none" in error({"pom.xml": xml()}, ["images/a.jpg"])


@pytest.mark.parametrize(
    ("file", "file_name", "photo"),
    [
        ("Annotations/a.xml", "a.jpg", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "a.jpg", "images/a.jpg"),
        ("Annotations/a.xml", "a.jpg", "Annotations/a.jpg"),
        ("Annotations/a.xml", "a", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "a.jpg", "JPEGImages/a.PNG"),
        ("Annotations/a.xml", "", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "b.jpg", "JPEGImages/b.jpg"),
        ("Annotations/a.xml", "b.png", "JPEGImages/b.jpg"),
        ("Annotations/a.xml", "untitled.jpg", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "../../b.jpg", "JPEGImages/a.jpg"),
        ("Annotations/a.xml", "/b.jpg", "JPEGImages/a.jpg"),
        ("Annotations/car.v2.xml", "car.v2", "JPEGImages/car.v2.jpg"),
        ("Annotations/sub/a.xml", "a.jpg", "JPEGImages/sub/a.jpg"),
        ("Annotations/a.xml", "sub\\b.jpg", "JPEGImages/sub/b.jpg"),
        ("VOC/VOC2007/Annotations/a.xml", "a.jpg", "VOC/VOC2007/JPEGImages/a.jpg"),
        ("photos/a.xml", "a.jpg", "photos/a.jpg"),
        ("photos/a.jpg.xml", "a.jpg", "photos/a.jpg"),
        ("a.xml", "a.jpg", "a.jpg"),
        ("Annotations/S\u030c.xml", "", "JPEGImages/\u0160.jpg"),
    ],
)
def test_the_photo_is_found_by_its_name_or_that_of_the_file(file, file_name, photo):
    assert values(read({file: xml(file_name, an_object())}, [photo]), "path", "reason") == [[photo, ""]]


@pytest.mark.parametrize(
    ("file_name", "photos"),
    [
        ("a", ["JPEGImages/a.jpg", "JPEGImages/a.png"]),
        ("a.gif", ["JPEGImages/a.jpg", "JPEGImages/a.png"]),
        ("a.jpg", ["JPEGImages/a.jpg", "images/a.jpg"]),
        ("b.jpg", ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]),
    ],
)
def test_two_photos_of_one_file_are_refused_with_both(file_name, photos):
    message = error({"Annotations/a.xml": xml(file_name, an_object())}, photos)
    assert message.startswith("Annotations/a.xml: ") and all(repr(photo) in message for photo in photos)


def test_the_name_with_its_ending_decides_between_two_photos():
    found = read({"Annotations/a.xml": xml("a.png", an_object())}, ["JPEGImages/a.jpg", "JPEGImages/a.png"])
    assert values(found, "path", "reason") == [["JPEGImages/a.png", ""], ["JPEGImages/a.jpg", "not_listed"]]


def test_two_files_of_one_photo_are_refused_with_both():
    files = {"Annotations/a.xml": xml("a.jpg"), "Annotations/b.xml": xml("a.jpg")}
    message = error(files, ["JPEGImages/a.jpg"])
    assert message.startswith("Annotations/b.xml: ") and "Annotations/a.xml" in message


@pytest.mark.parametrize(
    ("file_name", "path"),
    [
        ("b.jpg", "JPEGImages/b.jpg"),
        ("", "JPEGImages/a"),
        ("../../b.jpg", "Annotations/a"),
        ("/b.jpg", "Annotations/a"),
    ],
)
def test_a_photo_that_is_missing_is_a_reason(file_name, path):
    found = read({"Annotations/a.xml": xml(file_name, an_object())}, ["JPEGImages/z.jpg"])
    assert values(found, "path", "label", "reason") == [
        [path, "car", "missing"],
        ["JPEGImages/z.jpg", "", "not_listed"],
    ]


BOMB = '<!DOCTYPE x [<!ENTITY a "0123456789">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij")
)
DEEP = "<annotation>" + "<x>" * 200_000 + "</x>" * 200_000 + "</annotation>"


@pytest.mark.parametrize(
    "content",
    [b"", b"<annotation>", b"<root/>", b"\0\xff", xml("&unknown;"), b"<annotation>\xe9</annotation>",
     '<?xml version="1.0" encoding="x-none"?><annotation/>', '<?xml version="1.0" encoding="utf-7"?><annotation/>',
     '<?xml version="1.0" encoding="big5"?><annotation/>',
     f"{BOMB}]><annotation><filename>&j;</filename></annotation>",
     '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotation><filename>&f;</filename></annotation>'],
)  # fmt: skip
def test_broken_and_hostile_xml_is_a_reason_of_its_photo(content):
    files = {"photos/a.xml": content, "photos/b.xml": xml("b.jpg", an_object())}
    found = read(files, ["photos/a.jpg", "photos/b.jpg"])
    assert values(found, "path", "reason") == [["photos/a.jpg", "bad_annotation"], ["photos/b.jpg", ""]]


def test_broken_xml_without_a_photo_and_deep_xml_are_counted():
    found = read({"Annotations/a.xml": "<", "Annotations/b.xml": DEEP})
    assert found["reason"].tolist() == ["bad_annotation", "missing"]


def test_a_file_that_cannot_be_read_is_a_reason():
    def read_bytes(_):
        raise ImageError("unreadable", "permission denied")

    assert read_voc(["a.xml", "a.jpg"], read_bytes)["reason"].tolist() == ["bad_annotation"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (an_object(), "duplicate_box"),
        (an_object("bus"), "conflicting_labels"),
        (an_object("bus", (1, 1, 1, 1)), ""),
        (an_object("bus", (5, 1, 4, 1)), "bad_box"),
        (an_object("bus", (5, 1, "x", 1)), "bad_box"),
        (an_object("bus", (5, 1, "", 1)), "bad_box"),
        (an_object("bus", (5, 1, "nan", 9)), "bad_box"),
        (an_object("bus", (5, 1, "inf", 9)), "bad_box"),
        ("<object><name>bus</name></object>", "bad_box"),
        (an_object(" ", (1, 1, 9, 9)), "no_label"),
        ("<object/>", "bad_box"),
    ],
)
def test_objects_that_cannot_be_used_are_counted(item, reason):
    found = read({"a.xml": xml("a.jpg", an_object(), item)}, ["a.jpg"])
    assert found["reason"].tolist() == ["conflicting_labels" if reason == "conflicting_labels" else "", reason]


def test_a_file_without_objects_has_no_label():
    assert values(read({"a.xml": xml()}, ["a.jpg"]), "path", "annotated_width", "reason") == [
        ["a.jpg", 640, "no_label"]
    ]


@pytest.mark.parametrize("width", ["", "x", "-5", "0", "1" + "0" * 30, "nan"])
def test_a_size_that_is_none_is_zero(width):
    size = f"<size><width>{width}</width><height>48</height></size>"
    found = read({"a.xml": xml("a.jpg", an_object(), size=size)}, ["a.jpg"])
    assert values(found, "annotated_width", "annotated_height") == [[0, 48]]


def voc(**lists):
    """A source of the photos a to d, with lists of splits."""
    files = {f"V/Annotations/{name}.xml": xml(f"{name}.jpg", an_object()) for name in "abcd"}
    return files | {f"V/ImageSets/Main/{name}.txt": text for name, text in lists.items()}


PHOTOS = [f"V/JPEGImages/{name}.jpg" for name in "abcd"]


def test_lists_give_the_splits_and_are_no_rows():
    found = read(voc(train="a\n\n b \n", val="c.jpg\r\n", test="d", trainval="a\nb\nc\n"), PHOTOS)
    assert found["split"].tolist() == ["train", "train", "val", "test"] and found["path"].tolist() == PHOTOS


def test_names_in_trainval_alone_have_no_split():
    assert read(voc(trainval="a\nb\nc\n", test="d\n"), PHOTOS)["split"].tolist() == ["", "", "", "test"]
    assert read(voc(trainval="a\nb\nc\n", train="b\n"), PHOTOS)["split"].tolist() == ["", "train", "", ""]


@pytest.mark.parametrize(("one", "other"), [("train", "val"), ("test", "train"), ("test", "val"), ("test", "trainval")])
def test_a_name_in_two_splits_is_refused_with_both(one, other):
    message = error(voc(**{one: "b\na\n", other: "c\n\na\n"}), PHOTOS)
    assert message.startswith(f"V/ImageSets/Main/{other}.txt: row 3: ") and f"V/ImageSets/Main/{one}.txt" in message


def test_a_name_twice_in_one_list_and_lists_of_classes_are_no_error():
    found = read({**voc(train="a\na\n"), "V/ImageSets/Main/car_train.txt": "a -1\n"}, PHOTOS)
    assert found["split"].tolist() == ["train", "", "", "", ""]
    assert found["reason"].tolist() == [""] * 4 + ["not_listed"]


def test_a_listed_name_without_file_and_photo_is_missing():
    found = read(voc(train="a\ngone\nphoto\n"), [*PHOTOS, "V/JPEGImages/photo.jpg"])
    assert values(found[4:], "path", "split", "reason") == [
        ["V/JPEGImages/gone", "train", "missing"],
        ["V/JPEGImages/photo.jpg", "", "not_listed"],
    ]


def test_a_list_that_is_no_utf_8_is_refused():
    assert "UTF-8" in error(voc(train=b"a\n\xff\n"), PHOTOS)


def test_folders_give_the_splits_of_files_beside_photos():
    found = read({"valid/a.xml": xml("a.jpg", an_object()), "train/a.xml": "<"}, ["valid/a.jpg", "train/a.jpg"])
    assert values(found, "path", "split") == [["train/a.jpg", "train"], ["valid/a.jpg", "val"]]


def test_a_file_without_any_box_labels_the_whole_photo():
    found = read({"a.xml": xml("a.jpg", "<object><name>car</name></object>")}, ["a.jpg"])
    assert values(found, "path", "label", "reason") == [["a.jpg", "car", ""]]
    assert np.isnan(found[BOX].to_numpy(float)).all()
