"""Every file of a source has its row of data/files.csv, with its label, or a reason why it is not to be decoded."""

import hashlib
import json
import os
import posixpath
import unicodedata

import pytest

from stages.core.settings import SettingsError
from stages.scan import __main__ as scan_stage
from stages.scan import scanning
from stages.scan.rows import LayoutError
from stages.schemas import files
from stages.sources.store import SourceError


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs the stage on a source and returns data/files.csv and the counts."""
    monkeypatch.chdir(tmp_path)  # Outside this repository no DVC stage is looked for that writes the source.

    def call(source, **changes):
        (tmp_path / "params.yaml").write_text(json.dumps({"ingest": {"source": str(source), **changes}}))
        out = tmp_path / "out"
        run(scan_stage, params=tmp_path / "params.yaml", files=out / "files.csv", cache=out / "hashes",
            details=out / "details.json")  # fmt: skip
        return files.read(out / "files.csv"), json.loads((out / "details.json").read_text("utf-8"))

    return call


def write(root, *names):
    """Write files whose content is their name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(name))
    return root


def labels(rows):
    return rows[["path", "label"]].values.tolist()


def test_the_label_is_the_first_folder_of_the_path(tmp_path, stage):
    root = write(tmp_path / "photos", "a/x/1.png", "a/2.png", "b c/é.png", "b c/.hidden/3.png", "stray.png")
    rows, counts = stage(root)
    assert labels(rows) == [["a/2.png", "a"], ["a/x/1.png", "a"], ["b c/é.png", "b c"], ["stray.png", ""]]
    digests = [hashlib.sha256(path.encode()).hexdigest() for path in rows["path"]]
    assert rows["version"].tolist() == [f"sha256:{digest}" for digest in digests]
    assert (rows["reason"] == "").all() and rows[["x_min", "y_max"]].isna().all(axis=None)
    assert counts == {
        "layout": "{label}/**", "files": 4, "labelled": 3, "unlabelled": 0, "given_split": {}, "annotated_boxes": 0,
        "reason": {},
    }  # fmt: skip


def test_the_same_source_gives_the_same_bytes_and_a_changed_file_another_version(tmp_path, stage):
    root = write(tmp_path / "photos", "a/1.png", "b/2.png")
    before = stage(root)[0]
    content = (tmp_path / "out" / "files.csv").read_bytes()
    stage(root)
    assert (tmp_path / "out" / "files.csv").read_bytes() == content
    (root / "b" / "2.png").write_bytes(b"b/3.png")
    after = stage(root)[0]
    assert (before["version"] == after["version"]).tolist() == [True, False]


def test_a_table_lists_photos_beside_it_and_a_missing_one_has_a_row(tmp_path, stage):
    root = write(tmp_path / "photos", "a/1.png", "b/1.png", "b/not listed.png")
    (root / "list.csv").write_text("path,label\na/1.png,None\nb/1.png,x\na/none.png,None\nb,x\n")
    rows, counts = stage(root / "list.csv")
    assert labels(rows) == [["a/1.png", "None"], ["a/none.png", "None"], ["b", "x"], ["b/1.png", "x"]]
    assert rows["reason"].tolist() == ["", "missing", "not_a_file", ""]
    assert counts["reason"] == {"missing": 1, "not_a_file": 1} and counts["layout"] == "table"


@pytest.mark.parametrize("text", ["path,label\n", "path,label\na.png,x\na.png,y\n", "file,label\na.png,x\n", ""])
def test_a_table_without_photos_with_duplicates_or_other_columns_is_an_error(tmp_path, stage, text):
    write(tmp_path, "a.png")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(LayoutError, match=r"list\.csv"):
        stage(tmp_path / "list.csv")


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "line\u2028separator", "not\udcff text"])
def test_names_with_control_characters_are_escaped_and_have_a_reason(tmp_path, stage, name):
    root = write(tmp_path / "photos", f"{name}/1.png", f"a/{name}.png", "a/è.png", "b/1.png")
    (root / "b" / f"gone {name}.png").symlink_to("nowhere.jpg")
    rows, counts = stage(root)
    shown = ascii(name)[1:-1]
    assert labels(rows[rows["reason"] == "missing"]) == [[f"b/gone {shown}.png", "b"]]
    bad = rows[rows["reason"] == "bad_name"]
    assert sorted(labels(bad)) == sorted([[f"{shown}/1.png", ""], [f"a/{shown}.png", "a"]])
    assert (bad["version"] == "").all() and counts["reason"] == {"bad_name": 2, "missing": 1}
    assert labels(rows[rows["reason"] == ""]) == [["a/è.png", "a"], ["b/1.png", "b"]]


def test_paths_outside_the_folder_of_the_table_are_not_read(tmp_path, stage):
    root = write(tmp_path / "photos", "a/1.png", "b/1.png")
    write(tmp_path, "elsewhere.png")
    outside = ["../elsewhere.png", "a/../../elsewhere.png", str(tmp_path / "elsewhere.png")]
    (root / "list.csv").write_text("path,label\na/1.png,a\nb/1.png,b\n" + "".join(f"{name},a\n" for name in outside))
    rows, counts = stage(root / "list.csv")
    refused = rows[rows["reason"] == "outside"]
    assert sorted(refused["path"]) == sorted(map(posixpath.normpath, outside)) and (refused["version"] == "").all()
    assert counts["reason"] == {"outside": 3}


def test_labels_that_differ_only_in_case_form_or_spaces_are_reported(tmp_path, stage, capsys):
    composed, decomposed = unicodedata.normalize("NFC", "Käfer"), unicodedata.normalize("NFD", "Käfer")
    names = ["VW Golf", "vw golf", "vwGolf ", composed, decomposed, "Van"]
    stage(write(tmp_path / "photos", *(f"{name}/1.png" for name in names)))
    error = capsys.readouterr().err
    assert f"{['VW Golf', 'vw golf', 'vwGolf ']} are separate classes" in error
    assert f"{sorted([composed, decomposed])} are separate classes" in error and "Van" not in error


def test_pipes_and_links_have_a_row_with_a_reason_and_do_not_block(tmp_path, stage):
    root = write(tmp_path / "photos", "a/00.png", "b/01.png")
    os.mkfifo(root / "a" / "pipe.jpg")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "itself.jpg").symlink_to(root / "a" / "itself.jpg")
    (root / "a" / "gone.jpg").symlink_to("nowhere.jpg")
    (root / "b" / "linked.png").symlink_to(root / "a" / "00.png")
    rows = stage(root)[0].set_index("path")
    reasons = {"a/pipe.jpg": "not_a_file", "a/loop": "link_loop", "a/itself.jpg": "link_loop", "a/gone.jpg": "missing"}
    assert rows["reason"].loc[lambda reason: reason != ""].to_dict() == reasons
    assert (rows["label"] == rows.index.str[0]).all()
    assert rows.loc["b/linked.png", "version"] == rows.loc["a/00.png", "version"]


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_without_files_to_read_is_one_line(tmp_path, stage, link):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    if link:
        (tmp_path / "photos" / "a" / "1.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(LayoutError, match="photos: expected photos, found no file that can be read"):
        stage(tmp_path / "photos")


def test_a_missing_source_is_one_line(tmp_path, stage):
    for name in ("nowhere", "nowhere.csv"):
        with pytest.raises(SourceError, match=f"{name}: expected a folder of photos.*found nothing"):
            stage(tmp_path / name)
    with pytest.raises(SettingsError, match="found an empty text"):
        stage("")


def test_photos_to_predict_follow_the_labelled_ones_without_labels(tmp_path, stage):
    root = write(tmp_path / "photos", "b/1.png", "c/1.png")
    others = write(tmp_path / "others", "a/1.png", "Thumbs.db")
    rows, counts = stage(root, unlabelled=str(others))
    assert rows[["split", "path", "label"]].values.tolist() == [
        ["", "b/1.png", "b"], ["", "c/1.png", "c"], ["unlabelled", "Thumbs.db", ""], ["unlabelled", "a/1.png", ""],
    ]  # fmt: skip
    assert counts["files"] == 4 and counts["unlabelled"] == 2 and counts["labelled"] == 2


def test_a_class_map_merges_and_drops_labels_and_names_unused_entries(tmp_path, stage, capsys):
    root = write(tmp_path / "photos", "vw golf/1.png", "VW Golf/2.png", "Van/3.png", "notes/4.png")
    (tmp_path / "map.csv").write_text("label,class\nvw golf,Golf\nVW Golf,Golf\nnotes,\nVam,Bus\n")
    rows, counts = stage(root, class_map=str(tmp_path / "map.csv"))
    assert dict(zip(rows["path"], rows["label"])) == {
        "vw golf/1.png": "Golf", "VW Golf/2.png": "Golf", "Van/3.png": "Van", "notes/4.png": "",
    }  # fmt: skip
    assert counts["reason"] == {"dropped_class": 1}
    assert "map.csv: no label matches `Vam` (nearest label: `Van`)" in capsys.readouterr().err


def test_without_labels_there_are_no_similar_ones():
    assert scanning.similar_labels([]) == scanning.similar_labels(["", "a", "a"]) == []
