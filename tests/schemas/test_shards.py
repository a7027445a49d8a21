import json

import pytest

from stages.schemas import shards
from stages.schemas.shards import Assignment, ShardsError


def test_a_photo_lies_between_two_starts_or_where_it_is_listed():
    assignment = Assignment(["", "40", "80"], {"41": 3, "90-2": 0})
    expected = {"00": 0, "3f": 0, "40": 1, "41": 3, "7f-2": 1, "80": 2, "ff": 2, "90": 2, "90-2": 0}
    assert {name: assignment.number(name) for name in expected} == expected


def test_photos_are_split_by_shard_in_order():
    def places(assignment, image_ids):
        return {name: found.tolist() for name, found in assignment.split(image_ids).items()}

    names = ["90", "00", "41", "91"]
    assert places(Assignment(["", "40"], {"41": 12}), names) == {"00000": [1], "00001": [0, 3], "00012": [2]}
    assert places(shards.ONE_SHARD, names) == {"00000": [0, 1, 2, 3]} and places(shards.ONE_SHARD, []) == {}


def test_it_is_read_as_it_was_written_one_line_for_each_added_photo(tmp_path):
    assignment = Assignment(["", "40"], {"41": 2, "07": 2})
    shards.write(tmp_path / "shards.json", assignment)
    assert shards.read(tmp_path / "shards.json") == assignment
    assert '\n    "07": 2,\n    "41": 2\n' in (tmp_path / "shards.json").read_text()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "<<<<<<< HEAD",
        {"starts": [], "later": {}},
        {"starts": ["40", ""], "later": {}},
        {"starts": [1], "later": {}},
        {"starts": [""], "later": {"41": -1}},
        {"starts": [""], "later": {"41": "2"}},
        {"starts": [""], "later": {"41": True}},
        {"starts": [""], "later": ["41"]},
    ],
)
def test_another_content_is_an_error_that_says_what_to_do(tmp_path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(ShardsError, match=r"shards\.json: expected the shards .* take the file from Git, or delete it"):
        shards.read(tmp_path / "shards.json")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ShardsError, match=r"shards\.json: expected .*No such file"):
        shards.read(tmp_path / "shards.json")
