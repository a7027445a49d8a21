import pytest

from stages.core import json_file
from stages.core.errors import UserError


def test_an_object_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1, "ä": [2]}', encoding="utf-8")
    assert json_file.read(tmp_path / "a.json", ["a"]) == {"a": 1, "ä": [2]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "expected a JSON file here, found none"),
        (b"", "expected JSON, found: Expecting value"),
        (b'{"a": ', "expected JSON, found: Expecting value"),
        (b"\xff", "expected JSON, found: 'utf-8' codec"),
        (b"[" * 100_000, "expected JSON, found: "),
        (b"[1]", "expected a JSON object, found a list"),
        (b"{}", "expected the key `a`, found none"),
        (b'{"b": 1}', "expected the key `a`, found b"),
    ],
)
def test_a_file_without_the_keys_is_one_line_with_advice(tmp_path, content, problem):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        json_file.read(path, ["a"], "delete it")
    text = str(caught.value)
    assert text.startswith(f"{path}: {problem}") and text.endswith("; delete it") and len(text.splitlines()) == 1
