"""Outcomes of the test photos of the workspace, in a repository of two tables."""

import math
import subprocess
from pathlib import Path

import pytest

from stages.commands import compare
from stages.core.errors import UserError

PHOTOS = """image_id,label,split,status,group
a,van,test,ok,
b,car,test,ok,g
c,car,val,ok,
d,car,test,rejected,
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes the predictions; the working directory has the photos."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "splits.csv").write_text(PHOTOS)
    return (tmp_path / "p.csv").write_text


def test_the_test_photos_that_are_used_are_scored(write):
    write("image_id,car,van\na,0.25,0.75\nb,0.25,0.75\nc,1,0\n")
    table = compare.test_outcomes("workspace", "p.csv")
    assert table.index.tolist() == ["a", "b"] and table["group"].tolist() == ["a", "g"]
    assert table["right"].tolist() == [True, False] and table["log_loss"].tolist() == pytest.approx(
        [0.2876821, 1.3862944]
    )


def test_photos_of_val_are_scored_after_a_temperature(write):
    write("image_id,car,van\na,0.25,0.75\nb,0.25,0.75\nc,0.6,0.4\n")
    table = compare.split_outcomes("workspace", "p.csv", "val", 0.5)
    # 0.6 and 0.4 squared, scaled to sum to one
    assert table.index.tolist() == ["c"] and table["log_loss"].tolist() == pytest.approx([-math.log(0.36 / 0.52)])


def test_with_answers_out_of_fold_val_is_all_photos_outside_test(write):
    Path("data/splits.csv").write_text(PHOTOS + "e,van,train,ok,\nf,van,train,rejected,\n")
    text = "image_id,car,van\na,0.25,0.75\nb,0.25,0.75\nc,0.6,0.4\n"
    write(text)
    assert compare.split_outcomes("workspace", "p.csv", "val").index.tolist() == ["c"]
    write(text + "e,0.5,0.5\n")
    assert compare.split_outcomes("workspace", "p.csv", "val").index.tolist() == ["c", "e"]
    assert compare.split_outcomes("workspace", "p.csv", "test").index.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image_id,car,van\nb,0.25,0.75\n", "p.csv of `workspace`: expected the 2 test photos .*, found none for a"),
        ("", "p.csv: expected a table with `image_id`, found: No columns"),
        ("id,car\n", "p.csv: expected a table with `image_id`"),
    ],
)
def test_predictions_of_other_photos_are_one_line(write, text, problem):
    write(text)
    with pytest.raises(UserError, match=problem):
        compare.test_outcomes("workspace", "p.csv")
