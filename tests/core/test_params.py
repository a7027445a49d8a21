from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from stages.core import params
from stages.core.params import ParamError


@dataclass(frozen=True)
class Inner:
    size: params.Count
    mode: Literal["auto", "bf16"] = "auto"


@dataclass(frozen=True)
class Outer:
    rate: Annotated[float, params.Range(0, 1)]
    name: str
    inner: Inner
    fill: tuple[Annotated[int, params.Range(0, 255)], int, int] = (1, 2, 3)
    classes: tuple[str, ...] = ()
    limit: params.Count | None = None
    flag: bool = False
    extras: tuple[float, ...] = field(default_factory=tuple)
    weights: dict[str, Annotated[float, params.Range(0)]] = field(default_factory=dict)


GOOD = "train: {rate: 1, name: '7', inner: {size: 2, mode: bf16}, fill: [0, 255, -1], classes: [a, 'no'], limit: null}"


def read(tmp_path, text, section="train", cls=Outer):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return params.read(path, section, cls)


def refused(tmp_path, text, *parts, section="train", cls=Outer):
    with pytest.raises(ParamError) as caught:
        read(tmp_path, text, section, cls)
    for part in parts:
        assert part in str(caught.value)


def test_a_section_becomes_the_dataclass_with_its_nested_ones(tmp_path):
    found = read(tmp_path, GOOD)
    assert found == Outer(1.0, "7", Inner(2, "bf16"), (0, 255, -1), ("a", "no"))
    assert type(found.rate) is float


def test_a_nested_section_is_named_with_dots(tmp_path):
    text = "models:\n  lite0: {size: 3}\n"
    assert read(tmp_path, text, "models.lite0", Inner) == Inner(3)
    refused(tmp_path, text, "`models.lite1`", "lite0", section="models.lite1", cls=Inner)
    refused(tmp_path, text, "`models.lite0.size.x`", section="models.lite0.size.x", cls=Inner)


@pytest.mark.parametrize("rate", ["1e-5", "'0.5'", "0.5.0", "true", "null", "[0.5]", "{a: 1}"])
def test_what_yaml_takes_for_no_number_is_refused_by_name(tmp_path, rate):
    refused(tmp_path, f"train: {{rate: {rate}, name: a, inner: {{size: 1}}}}", "train.rate", "a number")


def test_a_power_of_ten_without_a_dot_gets_advice(tmp_path):
    refused(tmp_path, "train: {rate: 1e-5, name: a, inner: {size: 1}}", "'1e-5'", "1.0e-5")
    assert read(tmp_path, "train: {rate: 1.0e-5, name: a, inner: {size: 1}}").rate == 1e-5


@pytest.mark.parametrize("rate", ["-0.001", "1.001", ".nan", ".inf", "-.inf"])
def test_numbers_out_of_range_and_no_numbers_are_refused(tmp_path, rate):
    refused(tmp_path, f"train: {{rate: {rate}, name: a, inner: {{size: 1}}}}", "train.rate", "0..1")


@pytest.mark.parametrize("size", ["0", "-1", "1.0", "1.5", "true", "'1'", "null"])
def test_a_count_is_a_whole_number_from_one(tmp_path, size):
    refused(tmp_path, f"train: {{rate: 0, name: a, inner: {{size: {size}}}}}", "train.inner.size")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("fill: [0, 255, -1]", "fill: [0, 255]"), ("train.fill", "3 values", "[0, 255]")),
        (("fill: [0, 255, -1]", "fill: [256, 0, 0]"), ("train.fill[0]", "0..255", "256")),
        (("fill: [0, 255, -1]", "fill: 127"), ("train.fill", "a list", "127")),
        (("classes: [a, 'no']", "classes: [a, no]"), ("train.classes[1]", "text", "False")),
        (("classes: [a, 'no']", "classes: car"), ("train.classes", "a list", "'car'")),
        (("name: '7'", "name: 7"), ("train.name", "text", "7")),
        (("mode: bf16", "mode: f16"), ("train.inner.mode", "'auto', 'bf16'", "'f16'")),
        (("mode: bf16", "mode: null"), ("train.inner.mode", "None")),
        (("limit: null", "limit: 0"), ("train.limit", "0")),
        (("limit: null", "limit: many"), ("train.limit", "'many'")),
        (("inner: {size: 2, mode: bf16}", "inner: 2"), ("train.inner", "2")),
        (("rate: 1", "rtae: 1"), ("train.rtae", "unknown", "`rate`")),
        (("rate: 1, ", ""), ("train", "`rate`", "a number")),
        (("{size: 2, mode: bf16}", "{mode: bf16}"), ("train.inner", "`size`")),
        (("limit: null", "limit: null, zzz: 1"), ("train.zzz", "known here", "rate, name, inner")),
        (("limit: null", "limit: null, 5: 1"), ("train.5", "unknown")),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_what_is_allowed(tmp_path, change, parts):
    assert change[0] in GOOD
    refused(tmp_path, GOOD.replace(*change), *parts)


def test_text_must_match_as_a_whole():
    rule = params.Matching("[0-9a-f]{4}")
    rule.check("sha", "00ff")
    for bad in ("00f", "00fff", "00fg", "00ff\n", ""):
        with pytest.raises(ParamError, match="sha"):
            rule.check("sha", bad)


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "just text", "train: [", "train: {a: 1", "\ttrain: 1", "train: \x00"]
)
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    refused(tmp_path, text, "params.yaml")


@pytest.mark.parametrize("text", ["train:\n", "train: 5", "train: [1]", "train: text"])
def test_a_section_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    refused(tmp_path, text, "train")


def test_a_missing_file_and_one_that_is_not_utf8_are_refused_by_name(tmp_path):
    with pytest.raises(ParamError, match=r"nothing\.yaml"):
        params.load(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes("train: {name: Škoda}".encode("latin2"))
    with pytest.raises(ParamError, match=r"latin\.yaml"):
        params.load(tmp_path / "latin.yaml")


def test_named_values_are_read_and_checked_one_by_one(tmp_path):
    text = "train: {rate: 1, name: a, inner: {size: 2}, weights: {b: 2, 7: 0.5}}"
    assert read(tmp_path, text).weights == {"b": 2.0, "7": 0.5}
    refused(tmp_path, text.replace("0.5", "-1"), "train.weights.7", "-1")
    refused(tmp_path, text.replace("0.5", "x"), "train.weights.7", "a number")
    refused(tmp_path, text.replace("{b: 2, 7: 0.5}", "[1]"), "train.weights", "`name: value`")
    refused(tmp_path, text.replace("{b: 2, 7: 0.5}", "{}"), "train.weights", "one or more")


def test_no_parameter_has_a_name_that_the_run_cache_overlooks():
    # DVC 3.67 leaves keys called `size` and `nfiles` out of the hash by which it finds a stage's former runs, those of
    # parameters too: with such a name, another value would bring back the outputs of the first.
    def names(node):
        for key, value in node.items() if isinstance(node, dict) else ():
            yield str(key)
            yield from names(value)

    found = set(names(params.load(Path(__file__).parents[2] / "params.yaml")))
    assert len(found) > 50 and not found & {"size", "nfiles"}
