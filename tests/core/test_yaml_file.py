from datetime import date
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from stages.core.yaml_file import SettingsError, load


def written(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(tmp_path, content, *parts):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, content))
    message = str(caught.value)
    assert "\n" not in message
    for part in ("params.yaml", *parts):
        assert part in message, message


# What YAML 1.1 (PyYAML) reads beside it, where that differs.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),  # 1.1: true, as the other five
        ("No", "No"),
        ("on", "on"),
        ("OFF", "OFF"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("1_000", 1000),
        ("-12_345_678", -12345678),
        ("1_000.5", 1000.5),
        ("1_000e3", 1e6),  # 1.1: text
        ("0", 0),
        ("-0", 0),
        ("+1", 1),
        ("0x1F", 31),
        ("0b11", 3),
        ("0o14", 12),  # 1.1: text
        ("1:30", "1:30"),  # 1.1: 90
        ("1:30:15.5", "1:30:15.5"),  # 1.1: 5415.5
        (".5", 0.5),
        ("-.5", -0.5),  # 1.1: text
        ("5.", 5.0),
        ("01.5", 1.5),
        (".5e3", ".5e3"),  # both want a sign after a mantissa that begins with its dot
        (".5e-3", 0.0005),
        ("1e3", 1000.0),  # 1.1: text, as the next four
        ("1e-5", 1e-5),
        ("1e-05", 1e-5),
        ("1E+22", 1e22),
        ("1.0e5", 1e5),
        ("1.0e-5", 1e-5),
        ("1e", "1e"),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("inf", "inf"),
        ("nan", "nan"),
        ("2024-01-01", date(2024, 1, 1)),
        ("2024-1-1", "2024-1-1"),
        ("'012'", "012"),
        ("'1e-5'", "1e-5"),
        ("!!str 3", "3"),
        ("!!bool yes", True),
        ("[1e-5, no]", [1e-5, "no"]),
    ],
)
def test_values_are_those_that_dvc_reads(tmp_path, text, value):
    path = written(tmp_path, f"key: {text}\n")
    read = load(path)["key"]
    assert read == value and type(read) is type(value)
    assert load_yaml(path) == {"key": value}


def test_nan_is_read_as_dvc_reads_it(tmp_path):
    value = load(written(tmp_path, "key: .NaN"))["key"]
    assert isinstance(value, float) and value != value


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("012", ("found 012", "DVC read 12", "YAML 1.1 10", "write 12", "'012'")),
        ("-0_12", ("found -0_12", "DVC read -12", "YAML 1.1 -10")),
        ("08", ("found 08", "DVC read 8", "YAML 1.1 text")),
        ("00", ("found 00", "write 0")),
        ("1_5", ("found 1_5", "write 15")),
        ("1__000", ("write 1000",)),
        ("1_", ("write 1,",)),
        ("1_0.5", ("write 10.5",)),
        ("._5", ("write .5",)),
        ("=", ("found =", "'='")),
        ("<<", ("found <<", "'<<'")),
        ("2024-13-45", ("a date that exists", "2024-13-45", "in quotes")),
        ("1" * 5000, ("a whole number", "1111...", "in quotes")),
        ("0" + "1" * 5000, ("a whole number", "0111")),
        ("!!int", ("a whole number",)),
        ("!!float x", ("a number", "found x")),
        ("!!bool x", ("true or false", "found x")),
        ("!foo x", ("unknown tag !foo",)),
        ("!!python/none x", ("unknown tag python/none",)),
        ("*nothing", ("undefined alias",)),
        ("@x", ("cannot start any token",)),
        ("a: b", ("mapping values are not allowed",)),
    ],
)
def test_what_a_person_may_mean_otherwise_is_refused_with_its_line(tmp_path, text, parts):
    refused(tmp_path, f"first: 1\ntrain:\n  key: {text}\n", "params.yaml, line 3: expected", *parts)


@pytest.mark.parametrize("text", ["!!set {x}", "!!binary aGk="])
def test_values_that_are_not_plain_are_refused_by_name(tmp_path, text):
    refused(tmp_path, f"a: [{{key: {text}}}]", "a[0].key: expected a plain value, found a YAML ")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a: 1\nb: 2\na: 3\n", ("line 3", "every key once", "`a` twice")),
        ("train:\n  b: 1\n  b: 1\n", ("line 3", "`b` twice")),
        ("train: {1: a, 1.0: b}", ("line 1", "`1.0` twice")),
        ("train: {7: a, '7': b}", ("train.7", "every key once")),
        ("true: 1", ("found the key true (boolean)", "in quotes")),
        ("train: {2024-01-01: 1}", ("train: ", "the key 2024-01-01 (date)")),
        ("train: {~: 1}", ("train: ", "the key null")),
        ("train: {1e3: 1}", ("train: ", "the key 1000.0")),
        ("train: {? [a] : 1}", ("train: ", "the key ['a']")),
        ("train: {? {a: b} : 1}", ("line 1", "unhashable key")),
        ("train: {007: 1}", ("line 1", "'007'")),
        ("a: 1\n---\nb: 2\n", ("line 2", "another document")),
        ("%YAML 1.1\n---\na: on\n", ("line 1", "found %YAML 1.1")),
        ("a: &a [*a]\n", ("levels",)),
        ("a: 1\nb: x\x07\n", ("line 2", "printable characters", "#x0007")),
        ("train: [", ("line 1", "while parsing a flow node")),
        ("train: {a: 1\n", ("line 1", "while parsing a flow mapping")),
        ("a: 1\n\tb: 1\n", ("line 2",)),
        ("", ("`key: value` lines", "found null")),
        ("- a\n- b\n", ("`key: value` lines", "found ['a', 'b'] (list of 2)")),
        ("just text", ("`key: value` lines", "'just text'")),
        ("a: 1\nname: Škoda\n".encode("latin2"), ("line 2", "UTF-8", "0xa9")),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_line(tmp_path, content, parts):
    refused(tmp_path, content, *parts)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(SettingsError, match=r"nothing\.yaml: .*found none"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(SettingsError, match="found a folder"):
        load(tmp_path)


def test_keys_become_text_and_may_be_words_that_older_yaml_takes_for_booleans(tmp_path):
    path = written(tmp_path, "models: {7: a, yes: b, lite0: {8: [{9: c}]}}\n")
    assert load(path) == {"models": {"7": "a", "yes": "b", "lite0": {"8": [{"9": "c"}]}}}


def test_anchors_and_merge_keys_work_as_in_dvc(tmp_path):
    text = "x: &x {a: 1, b: 1}\ny: &y {a: 2}\nz: {<<: *x, b: 3}\nw: {<<: [*y, *x]}\nv: *x\n"
    path = written(tmp_path, text)
    expected = {
        "x": {"a": 1, "b": 1},
        "y": {"a": 2},
        "z": {"a": 1, "b": 3},
        "w": {"a": 2, "b": 1},
        "v": {"a": 1, "b": 1},
    }
    assert load(path) == load_yaml(path) == expected


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    assert load(written(tmp_path, "\ufefftrain: 1\n")) == {"train": 1}


def test_the_settings_of_the_project_are_those_that_dvc_reads():
    path = Path(__file__).parents[2] / "params.yaml"
    assert load(path) == load_yaml(path)
