import unicodedata

import numpy as np
import pandas as pd
import pytest

from stages.scan import class_map
from stages.scan.rows import LayoutError, rows

NFC, NFD = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))


def table(*entries):
    return pd.DataFrame(entries, columns=["label", "class"], index=range(2, 2 + len(entries)), dtype=str)


def classes(labels, *entries):
    return class_map.map_labels(labels, table(*entries)).classes


def test_labels_are_renamed_merged_and_dropped_and_others_stay():
    found = class_map.map_labels(
        ["bus", "coach", "van", "tram", ""], table(("bus", "Bus"), ("coach", "Bus"), ("tram", ""))
    )
    assert found.classes == {"bus": "Bus", "coach": "Bus", "van": "van", "tram": ""} and found.unused == []


@pytest.mark.parametrize("label", ["VW Golf", "vw golf", "VWGOLF", " vw\tgolf ", "ＶＷ Golf"])
def test_one_entry_merges_spellings_that_differ_in_case_spaces_and_unicode_form(label):
    assert classes([label, "other"], ("vw golf", "Golf")) == {label: "Golf", "other": "other"}


def test_one_entry_merges_composed_and_decomposed_letters():
    assert NFC != NFD
    assert classes([NFC, NFD, "KÄFER"], (NFD, "Beetle")) == {NFC: "Beetle", NFD: "Beetle", "KÄFER": "Beetle"}
    assert classes(["STRASSE"], ("straße", "road")) == {"STRASSE": "road"}


def test_letters_with_and_without_accents_are_different_labels():
    assert classes(["Kafer", "Skoda"], (NFC, "Beetle"), ("Škoda", "x")) == {"Kafer": "Kafer", "Skoda": "Skoda"}


def test_exact_entries_win_and_spellings_between_two_entries_stay():
    entries = (("Golf", "A"), ("golf", "B"))
    assert classes(["Golf", "golf", "GOLF"], *entries) == {"Golf": "A", "golf": "B", "GOLF": "GOLF"}


def test_an_entry_that_matches_nothing_is_named_with_the_nearest_label():
    found = class_map.map_labels(["minibus", "van"], table(("minibuss", "x"), ("qqqq", "y"), ("VAN", "v")))
    assert found.unused == ["`minibuss` (nearest label: `minibus`)", "`qqqq`"]
    assert found.classes == {"minibus": "minibus", "van": "v"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["a"], "klass": ["b"]}, "map.csv: expected the columns label,class, found label, klass"),
        ({"label": ["a", "b", "a"], "class": ["x", "y", "x"]}, "found `a` again"),
        ({"label": ["a", ""], "class": ["x", "y"]}, "row 3: expected a label"),
        ({"label": ["a"], "class": ["two\nlines"]}, r"'two\\nlines'"),
        ({"label": ["a"], "class": ["x\x85"]}, "control characters"),
    ],
)
def test_maps_that_say_too_little_or_two_things_are_errors(columns, message):
    frame = pd.DataFrame(columns, dtype=str)
    with pytest.raises(LayoutError, match=message) as caught:
        class_map.check_map("map.csv", frame.set_index(np.arange(2, 2 + len(frame))))
    assert "\n" not in str(caught.value)


def test_a_map_that_is_right_is_no_error():
    class_map.check_map("map.csv", table(("a", "x"), ("A", "x"), ("b", "")))
    class_map.check_map("map.csv", table())


def test_mapping_twice_is_mapping_once_where_classes_are_no_labels():
    labels = ["Golf", "golf ", "Polo", NFD, "tram", "None", "nan"]
    entries = (("golf", "VW Golf"), (NFC, "Beetle"), ("tram", ""), ("nan", "NaN class"))
    once = classes(labels, *entries)
    twice = classes(once.values(), *entries)
    assert {label: twice.get(name, name) for label, name in once.items()} == once
    assert once["Golf"] == once["golf "] == "VW Golf" and once[NFD] == "Beetle" and once["None"] == "None"


def test_rows_of_dropped_labels_have_a_reason_and_others_keep_theirs():
    frame = rows(
        [
            {"path": "1", "label": "tram"},
            {"path": "2", "label": "tram", "reason": "missing"},
            {"path": "3", "label": ""},
            {"path": "4", "label": "bus"},
        ]
    )
    before = frame.copy()
    found = class_map.apply(frame, {"tram": "", "bus": "Bus"})
    assert found["label"].tolist() == ["", "", "", "Bus"]
    assert found["reason"].tolist() == ["dropped_class", "missing", "", ""]
    pd.testing.assert_frame_equal(frame, before)


def test_without_labels_or_entries_nothing_changes():
    assert class_map.map_labels([], table()) == ({}, [])
    assert class_map.map_labels(["a"], table()) == ({"a": "a"}, [])
    assert class_map.map_labels([], table(("a", "b"))) == ({}, ["`a`"])


def test_spaces_around_a_class_are_left_out_and_a_blank_one_drops():
    assert classes(["bus", "van"], ("bus", " Bus "), ("van", " ")) == {"bus": "Bus", "van": ""}
