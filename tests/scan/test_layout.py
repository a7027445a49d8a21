import json

import pytest

from stages.images.images import ImageError
from stages.scan import layout
from stages.scan.rows import LayoutError
from stages.sources.settings import SourceSettings


def settings(source="photos", **changes):
    return SourceSettings(source=source, **changes)


def reader(**contents):
    """A function that reads files by name; a dot in a name is `__` in `contents`."""
    files = {name.replace("__", "."): content for name, content in contents.items()}

    def read(path):
        if path not in files:
            raise ImageError("missing", path)
        return files[path]

    return read


COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 3, "name": "bus"}],
    }
).encode()


def test_a_folder_without_annotations_is_read_by_the_pattern_that_its_folders_show():
    found = layout.read_labelled(["train/bus/1.jpg", "test/car/2.jpg"], reader(), settings())
    assert found.layout == "{split}/{label}/**" and found.remarks == []
    assert found.rows[["label", "split"]].values.tolist() == [["bus", "train"], ["car", "test"]]


def test_a_given_pattern_needs_no_guess():
    found = layout.read_labelled(["audi/a3/1.jpg", "audi/a4/1.jpg"], reader(), settings(layout="*/{label}/*"))
    assert found.layout == "*/{label}/*" and found.rows["label"].tolist() == ["a3", "a4"]


def test_metadata_decides_before_folders():
    read = reader(metadata__csv=b"file_name,label\nx/1.jpg,bus\n")
    found = layout.read_labelled(["metadata.csv", "x/1.jpg"], read, settings())
    assert found.layout == "imagefolder"
    assert found.rows[["path", "label"]].values.tolist() == [["x/1.jpg", "bus"]]


def test_two_kinds_of_annotations_are_refused_with_both_files():
    read = reader(metadata__csv=b"file_name,label\na.jpg,bus\n", boxes__json=COCO)
    with pytest.raises(
        LayoutError, match=r"metadata\.csv \(`imagefolder`\) and boxes\.json \(`coco`\): set ingest\.layout"
    ):
        layout.guess_layout(["a.jpg", "boxes.json", "metadata.csv"], read)


@pytest.mark.parametrize("source", ["list.csv", "x/list.csv", "s3://cars/x/list.csv?versionId=7", "what?/list.csv"])
@pytest.mark.parametrize("name", ["auto", "table"])
def test_a_table_is_read_by_its_name_and_columns_that_are_not_used_are_remarked(source, name):
    read = reader(list__csv=b"path,label,colour,set_by\na.jpg,bus,red,me\n")
    found = layout.read_labelled([], read, settings(source, layout=name))
    assert found.rows[["path", "label"]].values.tolist() == [["a.jpg", "bus"]] and found.layout == "table"
    assert found.remarks == ["columns that are not used: colour, set_by"]


def test_a_coco_file_is_read_by_its_name():
    found = layout.read_labelled(["a.jpg", "boxes.JSON"], reader(boxes__JSON=COCO), settings("x/boxes.JSON"))
    assert found.layout == "coco"
    assert found.rows[["path", "label", "x_min", "y_min", "x_max", "y_max"]].values.tolist() == [
        ["a.jpg", "bus", 1.0, 2.0, 4.0, 6.0]
    ]


@pytest.mark.parametrize(
    ("source", "name", "found"),
    [
        ("photos", "table", "found a folder or archive"),
        ("boxes.json", "table", "found boxes.json"),
        ("list.csv", "{label}/**", r"list\.csv: expected ingest\.layout `table` or `auto`, found `\{label\}/\*\*`"),
        ("list.tsv", "coco", "`table` or `auto`, found `coco`"),
        ("boxes.json", "voc", "`coco` or `auto`, found `voc`"),
        ("boxes.json", "{label}/**", "`coco` or `auto`"),
    ],
)
def test_a_layout_that_does_not_fit_the_source_is_an_error(source, name, found):
    with pytest.raises(LayoutError, match=found):
        layout.read_labelled(["a/b.jpg"], reader(boxes__json=COCO, list__csv=b""), settings(source, layout=name))


@pytest.mark.parametrize("labelled", [True, False])
def test_a_table_that_cannot_be_read_is_one_line(labelled):
    call = layout.read_labelled if labelled else layout.read_unlabelled
    with pytest.raises(LayoutError, match=r"^list\.csv: expected a readable file of annotations, found missing"):
        call([], reader(), settings("list.csv", unlabelled="list.csv"))


def test_photos_to_predict_have_no_label_whatever_their_folders_and_tables_say():
    found = layout.read_unlabelled(["bus/1.jpg", "2.jpg"], reader(), settings(unlabelled="new"))
    assert found.rows[["path", "label", "split", "group", "reason"]].values.tolist() == [
        ["bus/1.jpg", "", "", "", ""],
        ["2.jpg", "", "", "", ""],
    ]
    read = reader(list__csv=b"path,label,split\na.jpg,bus,train\nb.jpg,,train\n")
    found = layout.read_unlabelled([], read, settings(unlabelled="list.csv"))
    assert found.rows[["path", "label", "split", "reason"]].values.tolist() == [
        ["a.jpg", "", "", ""],
        ["b.jpg", "", "", ""],
    ]
