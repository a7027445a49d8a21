import json
import os
import re
import shutil
import unicodedata
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.images import images, letterbox
from stages.ingest import __main__ as ingest_stage
from stages.ingest.manifest_rows import IngestError
from stages.scan import __main__ as scan_stage
from stages.scan import scanning
from stages.scan.rows import LayoutError
from stages.schemas import files
from stages.sources.settings import SourceSettings
from stages.sources.store import SourceError
from tests import archives


def image(seed):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return letterbox.resize(small, 40, 30)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def write(*paths, root="photos"):
    """Write a photo to each path; the same path has the same photo."""
    for path in paths:
        archives.write(Path(root, path), image(zlib.crc32(path.encode())))


def scan(source="photos", cache="hashes", **changes):
    return scanning.scan(SourceSettings(source=str(source), **changes), Path(cache))


def table(found, *columns):
    return found.rows[list(columns)].values.tolist()


def main(run, source="photos", **ingest):
    """Run the stage from the command line; return data/files.csv."""
    Path("params.yaml").write_text(json.dumps({"ingest": {"source": str(source), **ingest}}))
    run(scan_stage, params="params.yaml", files="files.csv", cache="logs/hashes", details="details.json")
    return files.read(Path("files.csv"))


def ingest(run, source="photos", **changes):
    """Run scan and ingest; return the manifest."""
    keys = {"seed": 1, "val_share": 0.2, "test_share": 0.2, "near_duplicate_bits": 3, "min_photos_per_class": 3}
    main(run, source, **keys, **changes)
    names = {name: f"{name}.out" for name in ("classes", "metrics", "details", "class_counts", "leaks")}
    names |= {"cache": "inspections", "shards": "shards.json"}
    run(ingest_stage, params="params.yaml", files="files.csv", manifest="manifest.csv", **names)
    return pd.read_csv("manifest.csv", keep_default_na=False)


def test_each_file_has_a_row_with_label_and_hash_sorted_by_path():
    write("b/2.png", "a/1.png", "a/x/3.png")
    Path("photos/.hidden").mkdir()
    write(".hidden/4.png", "a/._1.png")
    found = scan()
    assert list(found.rows.columns) == list(files.COLUMNS) and found.layout == "{label}/**" and found.remarks == []
    assert table(found, "path", "label", "split", "reason") == [
        ["a/1.png", "a", "", ""],
        ["a/x/3.png", "a", "", ""],
        ["b/2.png", "b", "", ""],
    ]
    for path, version in table(found, "path", "version"):
        assert re.fullmatch("sha256:[0-9a-f]{64}", version)
        assert version[7:23] == images.image_id(Path("photos", path).read_bytes())


def test_hidden_folders_do_not_change_the_reading():
    write("a/1.png", "b/2.png", "train/3.png", ".train/a/1.png", "a/.test/1.png", "__MACOSX/train/a/1.png")
    assert scan().layout == "{label}/**" and len(scan().rows) == 3


def test_links_to_class_folders_are_read_and_dangling_ones_have_a_row():
    write("a/1.png", root="photos")
    write("1.png", root="elsewhere")
    Path("photos/b").symlink_to(Path("elsewhere").absolute())
    Path("photos/a/gone.png").symlink_to("nowhere.png")
    Path("photos/a/loop").symlink_to(Path("photos").absolute())
    found = scan()
    assert table(found, "path", "label", "reason") == [
        ["a/1.png", "a", ""],
        ["a/gone.png", "a", "missing"],
        ["a/loop", "a", "link_loop"],
        ["b/1.png", "b", ""],
    ]
    assert found.rows["version"].ne("").tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("prefix", "layout"), [("", "{label}/**"), ("train/", "{split}/{label}/**"), ("cars/", "*/{label}/**")]
)
def test_what_cannot_be_read_has_the_label_and_split_that_the_pattern_gives(prefix, layout):
    write(f"{prefix}a/1.png", f"{prefix}b/1.png")
    Path("photos", prefix, "lost").mkdir()
    Path("photos", prefix, "a/gone.png").symlink_to("nowhere.png")
    Path("photos/gone.png").symlink_to("nowhere.png")
    found = scan()
    assert found.layout == layout
    split = "train" if prefix == "train/" else ""
    unreadable = found.rows[found.rows["reason"] != ""]
    assert unreadable[["path", "label", "split", "reason"]].values.tolist() == [
        ["gone.png", "", "", "missing"] if path == "gone.png" else [path, label, split, reason]
        for path, label, reason in sorted(
            [
                (f"{prefix}a/gone.png", "a", "missing"),
                (f"{prefix}lost/", "lost", "empty_folder"),
                ("gone.png", "", "missing"),
            ]
        )
    ]


def test_an_empty_folder_of_a_split_or_beside_the_splits_is_no_class(run):
    write(
        *(f"{split}/{label}/{n}{split}{label}.png" for split in ("train", "test") for label in "ab" for n in range(4))
    )
    for name in ("val", "docs/empty"):
        Path("photos", name).mkdir(parents=True)
    rows = ingest(run)
    assert rows.loc[rows["reason"] == "empty_folder", ["path", "label"]].values.tolist() == [
        ["docs/empty/", ""],
        ["val/", ""],
    ]
    assert set(rows.loc[rows["status"] == "ok", "label"]) == {"a", "b"}


def test_an_empty_class_folder_stops_ingest_with_its_name(run):
    write(*(f"{label}/{n}.png" for label in "ab" for n in range(4)))
    Path("photos/lost").mkdir()
    with pytest.raises(IngestError, match="0 of `lost`"):
        ingest(run)
    assert "lost/,lost,failed,empty_folder" in Path("manifest.csv").read_text()


def test_files_and_folders_without_permission_have_a_row(monkeypatch):
    write("a/1.png", "a/closed.png", "b/1.png", "c/1.png")
    scandir, access = os.scandir, os.access

    def refuse(path):
        if Path(path).name == "c":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path) and access(path, mode))
    assert table(scan(), "path", "label", "reason") == [
        ["a/1.png", "a", ""],
        ["a/closed.png", "a", "unreadable"],
        ["b/1.png", "b", ""],
        ["c/", "c", "unreadable"],
    ]


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "line\u2028end", "next\x85line", "not\udcff text"])
def test_names_that_tables_cannot_hold_are_escaped_and_have_a_reason(run, name):
    write("a/1.png", "b/1.png")
    content = Path("photos/a/1.png").read_bytes()
    Path("photos", name).mkdir()
    for path in (f"{name}/1.png", f"a/{name}.png", "a/è.png"):
        Path("photos", path).write_bytes(content)
    rows = main(run)
    shown = ascii(name)[1:-1]
    bad = rows[rows["reason"] == "bad_name"]
    assert bad[["path", "label", "version"]].values.tolist() == sorted(
        [[f"a/{shown}.png", "a", ""], [f"{shown}/1.png", "", ""]]
    )
    assert len(rows) == 5 and rows.set_index("path").loc["a/è.png", "reason"] == ""


@pytest.mark.parametrize(
    "spelling", ["{0}", "{0}/", "./{0}", "link", "link/", "{1}/{0}", "file://{1}/{0}", "FILE://{1}/{0}/"]
)
def test_every_spelling_of_a_source_gives_the_same_rows(folder, spelling):
    write("a/1.png", "b/1.png", "b/2.png")
    expected = scan().rows
    Path("link").symlink_to("photos")
    pd.testing.assert_frame_equal(scan(spelling.format("photos", folder)).rows, expected)


TABLE = ["a/1.png", "./a/2.png", "a//3.png", "b\\1.png", ".\\b\\2.png", "b/../b/3.png"]
PLAIN = ["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"]


def write_table(path, names, **columns):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"path": names, "label": "x"} | columns)
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "spelling", ["photos/list.csv", "./photos/list.csv", "link/list.csv", "file://{0}/photos/list.csv"]
)
def test_a_table_names_photos_in_any_spelling_and_files_beside_it_are_not_listed(folder, spelling):
    write(*PLAIN, "c/unnamed.png")
    Path("link").symlink_to("photos")
    write_table("photos/list.csv", TABLE)
    found = scan(spelling.format(folder))
    assert found.layout == "table" and table(found, "path", "reason") == [[path, ""] for path in PLAIN]
    pd.testing.assert_frame_equal(found.rows, scan("photos/list.csv").rows)


@pytest.mark.parametrize(
    "source", ["photos/list.csv", "{0}/photos/list.csv", "link/list.csv", "../work/photos/list.csv"]
)
def test_absolute_paths_are_read_inside_the_source_only(folder, source):
    write(*PLAIN)
    write("other.png", root="outside")
    Path("link").symlink_to("photos")
    inside = [str(folder / "photos" / path) for path in PLAIN[:5]] + [f"{folder}/outside/../photos/b/3.png"]
    outside = [
        f"{folder}/outside/other.png",
        "../outside/other.png",
        "a/../../outside/other.png",
        f"{folder}/photos_2/1.png",
    ]
    write_table("photos/list.csv", inside + outside)
    found = scan(source.format(folder))
    assert [row for row in table(found, "path", "reason") if not row[1]] == [[path, ""] for path in PLAIN]
    refused = found.rows[found.rows["reason"] != ""]
    assert set(refused["reason"]) == {"outside"} and len(refused) == 4 and (refused["version"] == "").all()


@pytest.mark.parametrize("name", ["C:\\photos\\1.png", "..\\outside\\other.png"])
def test_windows_paths_that_leave_the_source_are_outside(name):
    write(*PLAIN)
    write("other.png", root="outside")
    write_table("photos/list.csv", [*PLAIN, name])
    assert [row for row in table(scan("photos/list.csv"), "path", "reason") if row[1]] == [[name, "outside"]]


def test_a_relative_path_that_begins_like_the_root_is_below_it():
    write("photos/1.png", "1.png")
    write_table("photos/list.csv", ["photos/1.png"])
    found = scan("photos/list.csv")
    assert found.rows["path"].tolist() == ["photos/1.png"]
    assert found.rows["version"][0][7:23] == images.image_id(Path("photos/photos/1.png").read_bytes())


@pytest.mark.parametrize("root", ["photos", "photos/", "{0}/photos"])
def test_paths_are_relative_to_the_root_that_is_set(run, folder, root):
    write(*PLAIN)
    write_table("tables/list.csv", [*PLAIN[:5], str(folder / "photos/b/3.png")])
    rows = main(run, "tables/list.csv", root=root.format(folder))
    assert rows["path"].tolist() == PLAIN and (rows["reason"] == "").all()
    with pytest.raises(SourceError, match="nowhere"):
        main(run, "tables/list.csv", root="nowhere")


def test_a_table_inside_an_archive_names_photos_in_it():
    write(*PLAIN)
    write_table("photos/list.csv", PLAIN)
    with zipfile.ZipFile("cars.zip", "w") as file:
        for path in Path("photos").rglob("*.*"):
            file.write(path, path.as_posix())
    write_table("list.csv", PLAIN)
    found = scan("list.csv", root="cars.zip/photos")
    assert table(found, "path", "reason") == [[path, ""] for path in PLAIN]
    assert found.rows["version"].tolist() == scan("photos/list.csv").rows["version"].tolist()


def test_paths_that_exist_nowhere_have_rows_in_a_manifest_and_then_one_error(run):
    write_table("photos/list.csv", ["x/1.png", "x/2.png", "y"], label=["a", "b", "b"])
    Path("photos/y").mkdir()
    with pytest.raises(
        IngestError, match=r"photos of 0 classes in 3 files \(2 missing; 1 not_a_file\).*data/manifest.csv"
    ) as caught:
        ingest(run, "photos/list.csv")
    assert "\n" not in str(caught.value)
    rows = pd.read_csv("manifest.csv", keep_default_na=False)
    assert rows[["path", "status", "reason"]].values.tolist() == [
        ["x/1.png", "failed", "missing"],
        ["x/2.png", "failed", "missing"],
        ["y", "failed", "not_a_file"],
    ]


def test_two_boxes_of_one_photo_are_two_rows_and_two_objects(run):
    write(*PLAIN)
    corners = {"x_min": [0, 20, "", "", "", "", ""], "y_min": [1, 2, "", "", "", "", ""]}
    corners |= {"x_max": [10, 39, "", "", "", "", ""], "y_max": [12, 30, "", "", "", "", ""]}
    labels = ["a", "b", "a", "a", "b", "b", "b"]
    write_table("photos/list.csv", [PLAIN[0], *PLAIN], label=labels, **corners)
    rows = ingest(run, "photos/list.csv")
    boxed = rows[rows["path"] == PLAIN[0]]
    name = images.image_id(Path("photos", PLAIN[0]).read_bytes())
    assert boxed[["image_id", "label", "status", "x_min", "y_max"]].values.tolist() == [
        [name, "a", "ok", "0.0", "12.0"],
        [f"{name}-2", "b", "ok", "20.0", "30.0"],
    ]
    assert boxed["split"].nunique() == 1 and len(rows) == 7


def test_the_rows_do_not_depend_on_the_cache_nor_on_the_order_of_the_file_system(run, monkeypatch):
    write(*PLAIN)
    for path in PLAIN:
        os.utime(Path("photos", path), (1e9, 1e9))
    main(run)
    first = Path("files.csv").read_bytes()
    main(run)
    assert Path("files.csv").read_bytes() == first
    shutil.rmtree("logs")
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    main(run)
    assert Path("files.csv").read_bytes() == first


def test_a_changed_photo_of_the_same_size_and_time_has_another_version(run):
    write(*PLAIN)
    before = main(run)
    path = Path("photos/a/1.png")
    info, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    after = main(run)
    assert (before["version"] != after["version"]).tolist() == [True, False, False, False, False, False]


def test_photos_to_predict_are_rows_of_their_own_without_label(run):
    write(*PLAIN)
    write("bus/1.png", "2.png", root="new")
    Path("new/empty").mkdir()
    Path("new/bus/gone.png").symlink_to("nowhere")
    rows = main(run, unlabelled="new")
    assert rows.loc[rows["split"] == "unlabelled", ["path", "label", "reason"]].values.tolist() == [
        ["2.png", "", ""],
        ["bus/1.png", "", ""],
        ["bus/gone.png", "", "missing"],
        ["empty/", "", "empty_folder"],
    ]
    assert (rows["split"] == "unlabelled").tolist() == [False] * 6 + [True] * 4
    assert len(ingest(run, unlabelled="new")) == 10


def test_the_class_map_is_applied_and_what_it_does_not_match_is_remarked(run, capsys):
    write("VW Golf/1.png", "vw golf/2.png", "Polo/3.png", "tram/4.png")
    Path("photos/lost").mkdir()
    Path("map.csv").write_text("label,class\nvwgolf,Golf\ntram,\nlost,\nPoloo,Polo\n")
    rows = main(run, class_map="map.csv")
    assert sorted(zip(rows["path"], rows["label"], rows["reason"])) == [
        ("Polo/3.png", "Polo", ""),
        ("VW Golf/1.png", "Golf", ""),
        ("lost/", "", "empty_folder"),
        ("tram/4.png", "", "dropped_class"),
        ("vw golf/2.png", "Golf", ""),
    ]
    assert "scan: map.csv: no label matches `Poloo` (nearest label: `Polo`)" in capsys.readouterr().err
    details = json.loads(Path("details.json").read_text())
    assert details["reason"] == {"dropped_class": 1, "empty_folder": 1} and details["labelled"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"ingest\.class_map: .*found no file map\.csv"),
        ("label,class\na,x,y\n", r"map\.csv: row 2: expected 2 cells"),
        ("label,class\n\n,x\n", r"map\.csv: row 3: expected a label"),
        ("label;class\na;x\n", r"map\.csv: expected columns separated by commas"),
        ("a,b\nx,y\n", r"map\.csv: expected the columns label,class, found a, b"),
        ('label,class\na,"two\nlines"\n', r"map\.csv: .*control characters"),
    ],
)
def test_a_class_map_that_cannot_be_read_is_one_line(text, message):
    write(*PLAIN)
    if text is not None:
        Path("map.csv").write_text(text)
    with pytest.raises(LayoutError, match=message) as caught:
        scan(class_map="map.csv")
    assert "\n" not in str(caught.value)


def test_labels_that_differ_in_case_form_or_spaces_only_are_reported(run, capsys):
    write("VW Golf/1.png", "vwgolf/2.png", "Polo/3.png")
    main(run)
    assert "scan: ['VW Golf', 'vwgolf'] are separate classes" in capsys.readouterr().err
    assert scanning.similar_labels(["b", "B ", "", "", "a"]) == [["B ", "b"]]
    assert scanning.similar_labels([]) == []


@pytest.mark.parametrize(
    "make", [lambda _: None, lambda root: (root / "a").mkdir(), lambda root: (root / ".x").touch()]
)
def test_a_source_without_files_is_an_error_that_names_it(make):
    Path("photos").mkdir()
    make(Path("photos"))
    with pytest.raises(LayoutError, match=r"^photos: expected photos, found no file"):
        scan()
    write("a/1.png", root="cars")
    with pytest.raises(LayoutError, match=r"^photos: expected photos, found no file"):
        scan("cars", unlabelled="photos")


def test_a_missing_source_is_an_error_that_names_it():
    for source in ("nowhere", "nowhere/", "nowhere.csv", "nowhere.json", "nowhere.zip"):
        with pytest.raises(SourceError, match=r"^nowhere"):
            scan(source)


@pytest.mark.parametrize("name", ["what?", "50% off", "a#b", "x.csv.d", "Käfer", "new\nline"])
def test_a_source_whose_name_has_signs_of_urls_is_a_folder_or_a_table(name):
    write("a/1.png", "b/2.png", root=name)
    assert scan(name).rows["path"].tolist() == ["a/1.png", "b/2.png"]
    write_table(f"{name}/list.csv", ["b/2.png"])
    assert scan(f"{name}/list.csv").rows["path"].tolist() == ["b/2.png"]


def test_the_counts_are_those_of_the_rows():
    write("train/a/1.png", "test/a/2.png", "train/b/3.png", "train/4.png")
    Path("photos/train/a/gone.png").symlink_to("nowhere")
    assert scanning.count(scan().rows) == {
        "files": 5,
        "labelled": 4,
        "unlabelled": 0,
        "given_split": {"test": 1, "train": 3},
        "annotated_boxes": 0,
        "reason": {"missing": 1},
    }


def test_an_annotated_photo_that_cannot_be_read_is_one_row_and_its_folder_is_no_class(run):
    write(*(f"images/{label}{n}.png" for label in "ab" for n in range(4)), root="photos")
    names = [f"{label}{n}.png" for label in "ab" for n in range(4)] + ["gone.png"]
    entries = [{"id": i, "file_name": f"images/{name}", "width": 40, "height": 30} for i, name in enumerate(names)]
    boxes = [
        {"id": i, "image_id": i, "category_id": "ab".find(n[0]) % 2, "bbox": [1, 2, 20, 9]} for i, n in enumerate(names)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate("ab")]
    Path("photos/all.json").write_text(json.dumps({"images": entries, "annotations": boxes, "categories": categories}))
    Path("photos/images/gone.png").symlink_to("nowhere")
    Path("photos/images/other.png").symlink_to("nowhere")
    Path("photos/empty").mkdir()
    rows = ingest(run, "photos", layout="coco")
    unreadable = rows[rows["status"] == "failed"].sort_values("path")
    assert unreadable[["path", "label", "reason"]].values.tolist() == [
        ["empty/", "", "empty_folder"],
        ["images/gone.png", "b", "missing"],
        ["images/other.png", "", "missing"],
    ]
    assert (rows["status"] == "ok").sum() == 8
    expected = scan("photos", layout="coco").rows
    pd.testing.assert_frame_equal(scan("photos/all.json").rows, expected)
    Path("photos/all.json").rename("photos/all.JSON")
    assert len(scan("photos/all.JSON").rows) == len(expected)


def test_photos_without_label_or_split_and_an_unused_root_are_remarked():
    write("train/a/1.png", "train/b/2.png", "val/a/3.png", "test/4.png", "test/5.png")
    found = scan(root="elsewhere")
    assert table(found, "path", "label", "split")[:2] == [["test/4.png", "", ""], ["test/5.png", "", ""]]
    assert found.remarks == [
        "2 photos have no label and are not used, such as test/4.png; photos to predict belong to ingest.unlabelled",
        "ingest.root is not used: no source is a table or an annotation file",
    ]
    Path("list.csv").write_text("path,label,split\ntrain/a/1.png,a,train\ntrain/b/2.png,b,train\n")
    assert scan("list.csv", root="photos").remarks == []


def test_labelled_photos_without_a_split_beside_given_ones_are_remarked():
    write("train/a/1.png", "train/b/2.png", "a/3.png")
    remarks = scan(layout="**/{label}/*").remarks
    assert remarks == []
    rows = scanning.records_to_rows([{"path": "1", "label": "a", "split": "test"}, {"path": "2", "label": "a"}])
    found = scanning._remarks(rows, SourceSettings(source="photos"))
    assert found == ["1 labelled photos have no given split, others have, such as 2; they are treated as train"]


def test_boxes_that_could_be_shares_of_the_photo_are_refused():
    write(*PLAIN)
    shares = {"x_min": 0.05, "y_min": 0.1, "x_max": 0.95, "y_max": 1.0}
    write_table("photos/list.csv", PLAIN, **shares)
    with pytest.raises(LayoutError, match=r"boxes in pixels, found shares .* in each of 6, such as 0.05, 0.1, 0.95, 1"):
        scan("photos/list.csv")
    write_table("photos/list.csv", PLAIN, **{key: [value * 30] + [value] * 5 for key, value in shares.items()})
    assert scan("photos/list.csv").rows["x_max"].tolist() == [28.5] + [0.95] * 5


@pytest.mark.parametrize(("own", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_table_may_write_accents_in_another_form_than_the_files(own, other):
    name = unicodedata.normalize(own, "Käfer/1.png")
    write(name)
    write_table("photos/list.csv", [unicodedata.normalize(other, name)])
    assert table(scan("photos/list.csv"), "path", "reason") == [[name, ""]]
