import re

import pandas as pd
import pytest

from stages.core import tables
from stages.core.errors import TableError
from stages.report import photo_map
from stages.report.photo_map import class_colours, neighbourhoods
from stages.schemas import feature_map
from tests.report.test_class_tables import ManyClasses
from tests.report.test_thumbnails import HOSTILE, Project


def test_what_lies_beside_a_class_is_counted_without_the_photo_itself(monkeypatch):
    monkeypatch.setattr(photo_map, "_NEIGHBOURS", 1)
    rows = pd.DataFrame({"label": ["a", "a", "b", "b"], "x": [0.0, 0.1, 0.15, 1.0], "y": 0.0})
    # Beside 0 lies 0.1, beside 0.1 lies 0.15, beside 0.15 lies 0.1, and beside 1 lies 0.15.
    found = [tuple(row) for row in neighbourhoods(rows)]
    assert found == [("a", 1, 2, "b", 1), ("b", 1, 2, "a", 1)]


def test_photos_at_one_place_are_not_their_own_neighbours():
    rows = pd.DataFrame({"label": ["a", "b", "b"], "x": 0.5, "y": 0.5})
    assert [tuple(row) for row in neighbourhoods(rows)] == [("a", 0, 2, "b", 2), ("b", 2, 4, "a", 2)]
    assert neighbourhoods(rows.head(1)) == neighbourhoods(rows.head(0)) == []


def test_colours_differ_and_go_once_around():
    assert class_colours(["a", "b"]) == {"a": "hsl(0 70% 38%)", "b": "hsl(180 70% 52%)"}
    assert len(set(class_colours([str(n) for n in range(196)]).values())) == 196 and class_colours([]) == {}


def circles(page):
    return page.of("circle")


def test_every_photo_is_a_point_and_label_issues_are_ringed(tmp_path, run):
    project = Project(tmp_path, ["train", "train", "test", "test"])
    row = project.rows[1]
    project.issues.append([row["image_id"], row["path"], "train", row["label"], "label_issue", HOSTILE, 0.5])
    project.reject(3, "truncated", "failed")
    project.write()
    page = project.render(run)
    points = [attributes for attributes in circles(page) if "data-class" in attributes]
    assert len(points) == 3 and page.says("3 photos by t-SNE of the features of one before training")
    (ringed,) = [attributes for attributes in points if attributes.get("class") == "issue"]
    assert ringed["data-issue"] == f"label issue, suggested label: {HOSTILE}" and ringed["data-path"] == row["path"]
    # Of one row: at the ends and in the middle of 1000 less two margins of 16.
    assert sorted(float(point["cx"]) for point in points) == [16, 500, 984] and points[0]["cy"] == "16.0"
    assert page.says("A ring marks a label issue (1).") and "<script>alert" not in page.source


def test_of_many_photos_the_map_says_how_many_it_shows(tmp_path, run):
    project = ManyClasses(tmp_path, ["test"] * 196, per_gallery=2)
    project.write()
    path = tmp_path / "probes" / "one_map.csv"
    tables.write(path, feature_map.read(path).head(30))
    page = project.render(run)
    assert len([a for a in circles(page) if "data-class" in a]) == 30
    assert page.says("30 of 196, drawn by lot, photos") and page.says("Hues follow the order of the classes.")


@pytest.mark.parametrize(
    ("text", "message"),
    [("image_id,x,y\na,0,0\na,0,0\n", "each id once"), ("image_id,x,y\na,0,1.5\n", "a number of 0..1")],
)
def test_a_damaged_map_is_refused(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(TableError, match=re.escape(message)):
        feature_map.read(tmp_path / "m.csv")
