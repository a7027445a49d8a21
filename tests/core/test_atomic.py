import json

import pytest

from stages.core import atomic


def test_the_new_file_comes_when_the_block_ends_and_the_folder_with_it(tmp_path):
    path = tmp_path / "a" / "b" / "table.csv"
    with atomic.replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent and temporary.suffix == ".csv" and not path.exists()
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_on_an_error_the_old_file_stays_and_nothing_else_is_left(tmp_path, error):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(error), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic.replacing(path):
        pass
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["it's.txt", 'a "b" c.txt', "наш файл.txt", ".hidden", "no_suffix", "a.tar.gz"])
def test_odd_names_and_odd_letters_come_back_byte_for_byte(tmp_path, name):
    atomic.write_text(tmp_path / name, "Å\nß\n")
    assert (tmp_path / name).read_bytes() == b"\xc3\x85\n\xc3\x9f\n"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_json_is_sorted_readable_and_the_same_for_equal_values(tmp_path):
    atomic.write_json(tmp_path / "a", {"b": [1], "a": "é"})
    atomic.write_json(tmp_path / "b", {"a": "é", "b": [1]})
    assert (tmp_path / "a").read_text("utf-8") == '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}\n'
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_it_does_not_know_and_keeps_the_old_file(tmp_path, value):
    path = tmp_path / "metrics.json"
    atomic.write_json(path, {"x": 1})
    with pytest.raises(ValueError):
        atomic.write_json(path, {"x": value})
    assert json.loads(path.read_text()) == {"x": 1}
