"""data/corrections.csv: what is read, joined and refused."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.core.errors import TableError
from stages.schemas import corrections

HEADER = "image_id,kind,value,who,when,shown"
A, B = "a" * 16, "b" * 16
WHEN = "2026-01-02T03:04:05Z"
PROJECT = Path(__file__).parents[2]


def read(tmp_path: Path, *lines: str) -> pd.DataFrame:
    path = tmp_path / "corrections.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return corrections.read(path)


def test_decisions_are_sorted_and_equal_ones_stand_once(tmp_path):
    lines = (f"{B},drop,,kim,{WHEN},outlier", f"{A},label,Coupé,ann,{WHEN},x", f"{A},label,Coupé,bob,{WHEN},x")
    frame = read(tmp_path, *lines)
    assert frame[["image_id", "kind", "value", "who"]].values.tolist() == [
        [A, "label", "Coupé", "ann"],
        [B, "drop", "", "kim"],
    ]


def test_no_decision_is_a_table_without_rows(tmp_path):
    assert read(tmp_path).empty
    assert corrections.read(PROJECT / "data/corrections.csv").columns.tolist() == list(corrections.COLUMNS)


def test_what_is_written_is_read_back(tmp_path):
    frame = read(tmp_path, f'{A},label,"a, ""b""",,{WHEN},', f"{A}-2,box,1 2 30 40,,{WHEN},", f"{B},no_mask,,,{WHEN},")
    corrections.write(tmp_path / "again.csv", frame.iloc[::-1])
    pd.testing.assert_frame_equal(corrections.read(tmp_path / "again.csv"), frame)


def test_one_photo_may_have_a_class_a_box_and_no_mask(tmp_path):
    assert len(read(tmp_path, *(f"{A},{text},,{WHEN}," for text in ("label,X", "box,1 2 3 4", "no_mask,")))) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [f"{A},label,X,ann,,", f"{A},label,Y,bob,,"],
            rf"photo {A}: expected one decision, found `label X` by ann and",
        ),
        ([f"{A},label,X,,,", f"{A},not_a_car,,,,"], "found `label X` and `not_a_car`; delete one of the lines"),
        ([f"{A},box,1 2 3 4,,,", f"{A},box,1 2 3 5,,,"], "expected one decision"),
        (["<<<<<<< HEAD,,,,,"], "without markers"),
        (["photo.jpg,drop,,,,"], "an image id, found 'photo.jpg'"),
        ([f"{A},remove,,,,"], "expected one of label, drop, not_a_car, box, no_mask, found 'remove'"),
        ([f"{A},label,,,,"], "expected the class of a `label`"),
        ([f"{A},drop,X,,,"], "expected nothing"),
        ([f"{A},box,5 2 3 4,,,"], "expected a box such as"),
        ([f"{A},box,1 2 3,,,"], "expected a box such as"),
        ([f"{A},box,nan 2 3 4,,,"], "expected a box such as"),
        ([f"{A},box,-1 2 3 4,,,"], "expected a box such as"),
    ],
)
def test_what_decides_nothing_is_refused(tmp_path, lines, message):
    with pytest.raises(TableError, match=message):
        read(tmp_path, *lines)


def test_a_box_is_written_in_whole_pixels():
    assert corrections.format_box(np.array([0.4, 1.6, 20.0, 30.2])) == "0 2 20 30"


def test_two_people_merge_line_by_line(tmp_path):
    """Git joins decisions on neighbouring lines; what both decided otherwise is an error that names the photo."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@y", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def commit(branch: str, *lines: str) -> None:
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        git("commit", "-qam", branch)

    path = tmp_path / "data/corrections.csv"
    path.parent.mkdir()
    (tmp_path / ".gitattributes").write_text((PROJECT / ".gitattributes").read_text())
    path.write_text(HEADER + "\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "start")
    git("checkout", "-qb", "ann")
    commit("ann", f"{A},label,X,ann,{WHEN},")
    git("checkout", "-q", "main")
    commit("main", f"{B},drop,,bob,{WHEN},")
    git("merge", "-q", "ann", "-m", "both")
    assert corrections.read(path)["image_id"].tolist() == [A, B]
    commit("main", f"{A},label,X,ann,{WHEN},", f"{B},drop,,bob,{WHEN},")
    git("checkout", "-qb", "eve", "ann")
    commit("eve", f"{A},label,X,ann,{WHEN},", f"{B},label,Y,eve,{WHEN},")
    git("checkout", "-q", "main")
    git("merge", "-q", "eve", "-m", "conflict")
    with pytest.raises(TableError, match=f"photo {B}: expected one decision, found `drop` by bob and `label Y` by eve"):
        corrections.read(path)
