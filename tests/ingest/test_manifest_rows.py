import hashlib
import json
import os
import posixpath
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from stages.core.settings import SettingsError
from stages.images import images, letterbox
from stages.ingest import __main__ as ingest_stage
from stages.ingest import inspection, manifest_rows
from stages.ingest.inspection import FileInfo
from stages.ingest.manifest_rows import IngestError
from stages.ingest.settings import IngestSettings
from stages.scan import __main__ as scan_stage
from stages.scan.rows import LayoutError
from stages.schemas import class_list, manifest
from stages.sources.store import SourceError, open_store
from tests import archives

SETTINGS = IngestSettings(
    source="photos", seed=1, val_share=0.2, test_share=0.2, near_duplicate_bits=3, min_photos_per_class=3
)


def image(seed, width=40, height=30):
    """A smooth random image; those of different seeds are no near-duplicates."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return letterbox.resize(small, width, height)


@pytest.fixture
def source(tmp_path):
    """A function that writes a folder of photos, given the number of photos of each class."""

    def make(**counts):
        root = tmp_path / "photos"
        root.mkdir()
        for seed, (name, number) in enumerate((n, i) for n, count in counts.items() for i in range(count)):
            archives.write(root / name / f"{number:02d}.png", image(seed))
        return root

    return make


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs `scan` and `ingest` on a source and returns the manifest, the classes and the counts."""
    monkeypatch.chdir(tmp_path)  # Outside this repository no DVC stage is looked for that writes the source.

    def call(source, **changes):
        keys = {"seed": 1, "val_share": 0.2, "test_share": 0.2, "near_duplicate_bits": 3, "min_photos_per_class": 3}
        (tmp_path / "params.yaml").write_text(json.dumps({"ingest": {"source": str(source), **keys, **changes}}))
        out = tmp_path / "out"
        common = {"params": tmp_path / "params.yaml", "files": out / "files.csv"}
        run(scan_stage, **common, cache=out / "hashes", details=out / "scan.json")
        run(ingest_stage, **common, manifest=out / "manifest.csv", classes=out / "classes.txt",
            metrics=out / "ingest.json", details=out / "details.json", class_counts=out / "counts.csv",
            leaks=out / "leaks.csv", cache=out / "inspections", shards=out / "shards.json")  # fmt: skip
        metrics = json.loads((out / "details.json").read_text("utf-8"))
        return manifest.read(out / "manifest.csv"), (out / "classes.txt").read_text("utf-8").splitlines(), metrics

    return call


def test_every_file_has_one_row_with_status_and_reason(source, stage, capsys):
    root = source(nan=10, **{"None": 10, "a,b": 10, "Лада 'X' \"y\"": 10})
    (root / "nan" / "empty.jpg").write_bytes(b"")
    (root / "nan" / "text.jpg").write_text("no image")
    whole = images.encode(image(99), ".jpg")
    (root / "nan" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "stray.png").write_bytes(images.encode(image(98), ".png"))
    (root / ".DS_Store").write_bytes(b"hidden")
    (root / "nan" / "._01.png").write_bytes(b"hidden")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    rows, classes, metrics = stage(root)
    assert len(rows) == 44 and classes == sorted(["None", "nan", "a,b", "Лада 'X' \"y\""])
    reasons = rows.set_index("path")["reason"].loc[lambda reason: reason != ""].to_dict()
    broken = {"nan/empty.jpg": "empty_file", "nan/text.jpg": "not_an_image", "nan/cut.jpg": "truncated"}
    assert reasons == {**broken, "stray.png": "no_label"}
    assert rows.set_index("path")["status"].loc[list(reasons)].tolist() == [
        {"no_label": "rejected"}.get(reason, "failed") for reason in reasons.values()
    ]
    assert metrics["files"] == 44 and metrics["status"] == {"ok": 40, "failed": 3, "rejected": 1}
    assert metrics["split"] == {"train": 24, "val": 8, "test": 8}
    assert rows.equals(rows.sort_values(["image_id", "path"], ignore_index=True))
    good = rows[rows["status"] == "ok"]
    assert (good["width"] == 40).all() and (good["height"] == 30).all() and (good["phash"].str.len() == 16).all()
    assert good["image_id"].tolist() == [images.image_id(before[root / path]) for path in good["path"]]
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert "ingest: 44 files, 40 usable, 4 unusable" in capsys.readouterr().out


def test_the_class_list_can_be_read_back(source, stage, tmp_path):
    stage(source(nan=3, **{"None": 3, "a,b": 3, " x ": 3}))
    assert class_list.read_classes(tmp_path / "out" / "classes.txt") == [" x ", "None", "a,b", "nan"]


def test_the_same_source_gives_the_same_bytes_and_another_seed_another_split(source, stage, tmp_path):
    root = source(a=12, b=12)
    first, *_ = stage(root)
    content = (tmp_path / "out" / "manifest.csv").read_bytes()
    stage(root)
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == content
    other, *_ = stage(root, seed=2)
    assert not other["split"].equals(first["split"]) and other.drop(columns="split").equals(first.drop(columns="split"))


def test_near_duplicates_share_a_group_and_a_split_across_classes(source, stage):
    root = source(a=10, b=10)
    large = images.decode(images.load(root / "a" / "03.png"))
    archives.write(root / "b" / "smaller.png", letterbox.resize(large, 32, 24))
    rows, _, metrics = stage(root)
    pair = rows[rows["path"].isin(["a/03.png", "b/smaller.png"])]
    assert pair["group"].tolist() == [pair["image_id"].min()] * 2 and pair["split"].nunique() == 1
    assert metrics["near_duplicate_groups"] == metrics["near_duplicate_groups_across_classes"] == 1
    assert (rows.groupby("group")["split"].nunique() == 1).all()


def test_a_photo_and_its_enlarged_copy_share_a_group_and_keep_their_sizes(source, stage):
    root = source(a=3, b=3)
    archives.write(root / "a" / "large.jpg", image(50, 1400, 1050))
    archives.write(root / "b" / "twice.jpg", letterbox.resize(image(50, 1400, 1050), 2800, 2100))
    archives.write(root / "b" / "eight.jpg", letterbox.resize(image(50, 1400, 1050), 11200, 8400))
    rows, *_ = stage(root)
    photos = rows.set_index("path").loc[["a/large.jpg", "b/twice.jpg", "b/eight.jpg"]]
    assert photos["group"].nunique() == 1 and rows["group"].nunique() == 7
    assert photos[["width", "height"]].values.tolist() == [[1400, 1050], [2800, 2100], [11200, 8400]]


def inspected(*rows):
    return pd.DataFrame(rows, columns=["path", "label", "image_id", "reason"]).assign(split="")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("a/1", "a", "x", ""), ("a/2", "a", "x", "")], ["", "duplicate"]),
        ([("a/2", "a", "x", ""), ("a/1", "a", "x", "")], ["duplicate", ""]),
        ([("a/1", "a", "x", ""), ("b/1", "b", "x", ""), ("b/2", "b", "x", "")], ["conflicting_labels"] * 3),
        ([("1", "", "x", ""), ("a/1", "a", "x", "")], ["no_label", ""]),
        ([("1", "", "x", ""), ("a/1", "a", "x", ""), ("b/1", "b", "x", "")], ["no_label", *["conflicting_labels"] * 2]),
        ([("a/1", "a", "", "missing"), ("b/1", "b", "", "missing")], ["missing", "missing"]),
        ([("a/1", "a", "x", "truncated"), ("b/1", "b", "x", "truncated")], ["truncated", "truncated"]),
        ([("a/1", "a", "x", ""), ("b/1", "None", "y", "")], ["", ""]),
    ],
)
def test_status_and_reason_of_equal_bytes(files, expected):
    frame = inspected(*files)
    before = frame.copy()
    rows = manifest_rows.assign_status(frame).sort_index()
    assert rows["reason"].tolist() == expected
    status = ["ok" if not r else "failed" if r in ("missing", "truncated") else "rejected" for r in expected]
    assert rows["status"].tolist() == status
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # Of given splits test keeps a photo, then val, then train; the order of paths decides only within a split.
        ([("a/1", "a", "train"), ("a/2", "a", "test")], ["duplicate", ""]),
        ([("a/1", "a", "train"), ("a/2", "a", "val")], ["duplicate", ""]),
        ([("a/1", "a", ""), ("a/2", "a", "train"), ("a/3", "a", "val")], ["duplicate", "duplicate", ""]),
        ([("a/1", "a", "test"), ("b/1", "b", "train")], ["conflicting_labels"] * 2),
        # Photos to predict need no label, and never take the place of a labelled photo.
        ([("0", "", "unlabelled"), ("a/1", "a", "train")], ["duplicate", ""]),
        ([("0", "", "unlabelled"), ("1", "", "unlabelled")], ["", "duplicate"]),
        ([("0", "", "unlabelled"), ("a/1", "a", ""), ("b/1", "b", "")], ["", *["conflicting_labels"] * 2]),
        ([("0", "", "unlabelled"), ("1", "", "")], ["", "no_label"]),
    ],
)
def test_status_and_reason_of_equal_bytes_in_given_splits(files, expected):
    frame = pd.DataFrame(files, columns=["path", "label", "split"]).assign(image_id="x", reason="")
    rows = manifest_rows.assign_status(frame).sort_index()
    assert rows["reason"].tolist() == expected
    assert rows["status"].tolist() == ["rejected" if reason else "ok" for reason in expected]


def test_photos_to_predict_have_rows_and_no_part_in_classes_counts_and_splits(source, stage, tmp_path):
    root, others = source(a=5, b=5), tmp_path / "others"
    archives.write(others / "c" / "new.png", image(90))
    archives.write(others / "copy.png", image(0))  # the bytes of a/00.png
    (others / "damaged.jpg").write_bytes(b"")
    alone = stage(root)[0].set_index("path")
    rows, classes, metrics = stage(root, unlabelled=str(others))
    found = rows.set_index("path").loc[["c/new.png", "copy.png", "damaged.jpg"]]
    assert found["split"].tolist() == ["unlabelled"] * 3 and found["label"].tolist() == ["", "", ""]
    assert found["reason"].tolist() == ["", "duplicate", "empty_file"]
    assert found["status"].tolist() == ["ok", "rejected", "failed"]
    assert classes == ["a", "b"] and metrics["split"] == {"train": 6, "val": 2, "test": 2, "unlabelled": 1}
    counts = pd.read_csv(tmp_path / "out" / "counts.csv")
    assert counts["photos"].sum() == 10 and json.loads((tmp_path / "out" / "ingest.json").read_text()) == {"photos": 10}
    # The labelled photos have the splits and groups that they have without the others.
    pd.testing.assert_frame_equal(rows.set_index("path").loc[alone.index], alone)


def test_with_too_few_photos_of_every_class_all_are_in_train(source, stage):
    rows, _, metrics = stage(source(a=2, b=1))
    assert rows["split"].tolist() == ["train"] * 3 and metrics["split"] == {"train": 3}


def test_too_few_photos_of_some_classes_are_an_error_that_names_them(source, stage):
    with pytest.raises(IngestError, match=r"at least 3 usable photos.*2 of `few`, 1 of `one`.*min_photos_per_class"):
        stage(source(many=3, few=2, one=1))


def test_a_class_without_usable_photos_is_an_error_that_names_it(source, stage):
    root = source(a=5, b=5)
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("hello")
    with pytest.raises(IngestError, match="0 of `notes`"):
        stage(root)


def test_fewer_than_two_classes_are_an_error(source, stage):
    with pytest.raises(IngestError, match="two classes or more, found 5 usable photos of 1 classes in 5 files"):
        stage(source(a=5))


def test_a_source_without_files_is_an_error(source, stage):
    with pytest.raises(LayoutError, match="photos: expected photos, found no file that can be read"):
        stage(source())


def test_a_missing_source_is_an_error(stage, tmp_path):
    for name in ("nowhere", "nowhere.csv"):
        with pytest.raises(SourceError, match=rf"{name}: expected a folder of photos.*found nothing"):
            stage(tmp_path / name)


def test_a_source_without_usable_photos_is_an_error(source, stage):
    root = source()
    for name in ("a", "b"):
        (root / name).mkdir()
        (root / name / "1.jpg").write_bytes(b"")
    with pytest.raises(IngestError, match="two classes or more"):
        stage(root)


def test_a_csv_lists_photos_beside_it_and_a_missing_one_has_a_row(source, stage):
    root = source(a=3, b=3)
    names = [f"{label}/{i:02d}.png" for label in "ab" for i in range(3)]
    lines = [f"{name},{'None' if name[0] == 'a' else 'x'}" for name in names]
    (root / "list.csv").write_text("\n".join(["path,label", *lines, "a/none.png,None", "b,x"]) + "\n")
    rows, classes, metrics = stage(root / "list.csv")
    assert len(rows) == 8 and classes == ["None", "x"] and metrics["reason"] == {"missing": 1, "not_a_file": 1}
    assert rows.loc[rows["reason"] != "", "image_id"].tolist() == ["", ""]


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "line\u2028separator", "not\udcff text"])
def test_names_with_control_characters_are_escaped_and_rejected(source, stage, name):
    root = source(a=3, b=3)
    content = images.encode(image(70), ".png")
    (root / name).mkdir()
    for path in (root / name / "1.png", root / "a" / f"{name}.png", root / "a" / "è.png"):
        path.write_bytes(content)
    rows, classes, metrics = stage(root)
    assert classes == ["a", "b"] and metrics["reason"] == {"bad_name": 2}
    shown = ascii(name)[1:-1]
    bad = rows[rows["reason"] == "bad_name"]
    assert sorted(zip(bad["path"], bad["label"])) == sorted([(f"{shown}/1.png", ""), (f"a/{shown}.png", "a")])
    assert rows.set_index("path").loc["a/è.png", "status"] == "ok"


def test_paths_outside_the_folder_of_the_csv_are_not_read(source, stage, tmp_path):
    root = source(a=3, b=3)
    archives.write(tmp_path / "elsewhere.png", image(71))
    names = [f"{label}/{i:02d}.png" for label in "ab" for i in range(3)]
    outside = ["../elsewhere.png", "a/../../elsewhere.png", str(tmp_path / "elsewhere.png")]
    (root / "list.csv").write_text("path,label\n" + "".join(f"{name},{name[0]}\n" for name in names))
    with (root / "list.csv").open("a") as stream:
        stream.writelines(f"{name},a\n" for name in outside)
    rows, _, metrics = stage(root / "list.csv")
    assert metrics["reason"] == {"outside": 3}
    assert sorted(rows.loc[rows["reason"] == "outside", "path"]) == sorted(map(posixpath.normpath, outside))


def test_pipes_and_links_have_a_row_with_a_reason_and_do_not_block(source, stage):
    root = source(a=4, b=3)
    os.mkfifo(root / "a" / "pipe.jpg")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "itself.jpg").symlink_to(root / "a" / "itself.jpg")
    (root / "a" / "gone.jpg").symlink_to("nowhere.jpg")
    (root / "b" / "linked.png").symlink_to(root / "a" / "00.png")
    rows, *_ = stage(root)
    reasons = rows.set_index("path")["reason"].loc[lambda reason: reason != ""].to_dict()
    assert reasons == {
        "a/pipe.jpg": "not_a_file", "a/loop": "link_loop", "a/itself.jpg": "link_loop", "a/gone.jpg": "missing",
        "a/00.png": "conflicting_labels", "b/linked.png": "conflicting_labels",
    }  # fmt: skip


def test_a_file_without_permission_is_unreadable(source, stage, monkeypatch):
    root, read_bytes = source(a=3, b=3), Path.read_bytes

    def refuse(path):
        if path.name == "closed.png":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    (root / "a" / "closed.png").write_bytes(b"secret")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert stage(root)[2]["reason"] == {"unreadable": 1}


def inspect(folder, path, version=""):
    return inspection.inspect_file(open_store(str(folder)), path, version)


def test_a_file_whose_bytes_are_not_those_of_the_scan_has_a_reason(tmp_path):
    archives.write(tmp_path / "1.png", image(1))
    digest = hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    assert inspect(tmp_path, "1.png", f"sha256:{digest}").reason == ""
    assert inspect(tmp_path, "1.png", f"sha256:{digest[::-1]}") == FileInfo("", "changed")
    # The tag of a bucket says nothing about the bytes.
    assert inspect(tmp_path, "1.png", "etag:0").image_id == digest[:16]


def test_a_rotated_photo_has_its_upright_size(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image(1)).save(tmp_path / "1.jpg", exif=exif)
    info = inspect(tmp_path, "1.jpg")
    assert (info.width, info.height, info.orientation, info.reason) == (30, 40, 6, "")


def test_a_header_with_too_many_pixels_is_a_reason(tmp_path):
    content = bytearray(cv2.imencode(".jpg", image(1))[1].tobytes())
    offset = content.index(b"\xff\xc0") + 5
    content[offset : offset + 4] = b"\xff\x00\xff\x00"
    (tmp_path / "bomb.jpg").write_bytes(bytes(content))
    assert inspect(tmp_path, "bomb.jpg").reason == "too_large"


def test_a_video_has_a_reason(tmp_path, monkeypatch):
    (tmp_path / "video.mp4").write_bytes(bytes(1001))
    monkeypatch.setattr(images, "MAX_BYTES", 1001)
    assert inspect(tmp_path, "video.mp4").reason == "not_an_image"
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    assert inspect(tmp_path, "video.mp4") == FileInfo("", "too_large", "", 0, 0, "", 1)


def test_shares_that_leave_nothing_for_train_are_an_error():
    with pytest.raises(SettingsError, match="below 1"):
        SETTINGS.replace(val_share=0.6, test_share=0.4)
