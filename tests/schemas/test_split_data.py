import numpy as np
import pytest

from stages.classifiers.image_source import image_size_hw
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.schemas import class_list, split_data
from tests import archives

HEADER = "image_id,path,label,group,split,status,reason\n"
CLASSES = ["NA", "pickup"]


def table(tmp_path, *rows):
    path = tmp_path / "splits.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_photos_come_by_split_sorted_by_id(tmp_path):
    path = table(
        tmp_path,
        "b2,x/2.jpg,pickup,g1,train,ok,",
        "a1,x/1.jpg,NA,,train,ok,",
        "c3,x/3.jpg,pickup,g3,test,ok,",
        "d4,x/4.jpg,pickup,g4,val,dropped,no car",
        "e5,x/5.jpg,lorry,g5,,failed,truncated",
    )
    found = split_data.read(path, CLASSES)
    train = found["train"]
    assert (train.image_ids, train.sources, train.groups) == (["a1", "b2"], ["x/1.jpg", "x/2.jpg"], ["a1", "g1"])
    assert train.labels.tolist() == [0, 1] and train.labels.dtype == np.int64
    assert found["val"].image_ids == [] and found["val"].labels.shape == (0,)
    assert found["test"].image_ids == ["c3"]


def test_photos_outside_test_are_those_of_train_and_val_sorted_by_id(tmp_path):
    rows = ("b,2.jpg,pickup,g,train,ok,", "c,3.jpg,NA,g,val,ok,", "a,1.jpg,NA,,val,ok,", "d,4.jpg,NA,,test,ok,")
    found = split_data.outside_test(split_data.read(table(tmp_path, *rows), CLASSES))
    assert (found.image_ids, found.sources) == (["a", "b", "c"], ["1.jpg", "2.jpg", "3.jpg"])
    assert (found.labels.tolist(), found.groups) == ([0, 1, 0], ["a", "g", "g"])
    chosen = found.select(np.array([True, False, True]))
    assert (chosen.image_ids, chosen.sources, chosen.labels.tolist()) == (["a", "c"], ["1.jpg", "3.jpg"], [0, 0])


def test_val_is_every_photo_outside_test_where_models_have_answered_train(tmp_path):
    splits = split_data.read(
        table(tmp_path, *(f"{name},x,NA,,{name},ok," for name in ("train", "val", "test"))), CLASSES
    )
    by_val, by_fold = (split_data.held_out(splits, ids) for ids in (["val", "test"], ["train", "val", "test"]))
    assert {name: split.image_ids for name, split in by_val.items()} == {"val": ["val"], "test": ["test"]}
    assert {name: split.image_ids for name, split in by_fold.items()} == {"val": ["train", "val"], "test": ["test"]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,x,lorry,,train,ok,", "label.*expected one of 2 classes, found 'lorry'"),
        ("a,x,NA,,dev,ok,", "split.*train, val, test or unlabelled, found 'dev'"),
        ("a,x,NA,,,ok,", "split.*train, val, test or unlabelled, found ''"),
        ("z,x,NA,,val,ok,", "image_id.*once, found 'z'"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    path = table(tmp_path, "z,x,NA,,train,ok,", row)
    with pytest.raises(TableError, match=message):
        split_data.read(path, CLASSES)


def test_an_empty_table_has_three_empty_splits(tmp_path):
    assert [len(split.image_ids) for split in split_data.read(table(tmp_path), CLASSES).values()] == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "one\n", "a\na\n", "a\n\nb\n"])
def test_bad_class_lists_are_refused(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    with pytest.raises(TableError, match=r"classes\.txt: expected two or more"):
        class_list.read_classes(path)
    path.write_text("None\nб\n", encoding="utf-8")
    assert class_list.read_classes(path) == ["None", "б"]


def test_the_size_of_the_first_photo_height_first(tmp_path):
    found = split_data.read(table(tmp_path, "b,x,NA,,val,ok,", "a,x,NA,,train,ok,"), CLASSES)
    archives.put(tmp_path / "p.zip", {"b.jpg": np.zeros((7, 9, 3), np.uint8), "a.jpg": np.zeros((5, 5, 3), np.uint8)})
    assert image_size_hw(Archive(tmp_path / "p.zip"), found["val"]) == (7, 9)
