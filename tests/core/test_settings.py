from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from stages.core import settings
from stages.core.settings import ByName, Count, NotNegative, Settings, SettingsError, Share


class Inner(Settings):
    size: Count
    mode: Literal["auto", "bf16"] = "auto"


class Outer(Settings):
    rate: Share
    name: str
    inner: Inner
    fill: tuple[Annotated[int, Field(ge=0, le=255)], int, int] = (1, 2, 3)
    classes: tuple[str, ...] = ()
    limit: Count | None = None
    flag: bool = False
    extras: tuple[float, ...] = ()
    weights: ByName[NotNegative] | None = None
    shrinkage: Literal["auto"] | Share = "auto"
    stretches: Literal["all"] | tuple[Inner, ...] = "all"
    by_name: ByName[tuple[Inner, ...]] | None = None


GOOD = "train: {rate: 1, name: '7', inner: {size: 2, mode: bf16}, fill: [0, 255, -1], classes: [a, 'no'], limit: null}"
REQUIRED = "rate: 0, name: a, inner: {size: 1}"


def read(tmp_path, text, section="train", model=Outer, **options):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return settings.read(path, section, model, **options)


def refused(tmp_path, text, *parts, section="train", model=Outer):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, section, model)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(tmp_path / "params.yaml"))
    for part in parts:
        assert part in message, message


def test_a_section_becomes_the_model_with_its_nested_ones(tmp_path):
    outer = read(tmp_path, GOOD)
    assert outer == Outer(
        rate=1.0, name="7", inner=Inner(size=2, mode="bf16"), fill=(0, 255, -1), classes=("a", "no"), limit=None
    )
    assert type(outer.rate) is float and type(outer.classes) is tuple
    assert outer.fill == (0, 255, -1) and outer.extras == ()


def test_settings_never_change(tmp_path):
    outer = read(tmp_path, GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        outer.rate = 0.5
    assert outer.replace(rate=0.5).rate == 0.5 and outer.rate == 1.0
    assert outer.replace(rate=0.5).inner == outer.inner
    with pytest.raises(SettingsError, match=r"^Outer\.rate: expected a number in 0\.\.1, found 2 \(whole number\)$"):
        outer.replace(rate=2)


def test_a_nested_section_is_named_with_dots(tmp_path):
    text = "models:\n  lite0: {size: 3}\n"
    assert read(tmp_path, text, "models.lite0", Inner) == Inner(size=3)
    refused(tmp_path, text, "`models.lite1`", "`lite0`", section="models.lite1", model=Inner)
    refused(tmp_path, text, "`models.lite0.size.x`", "found 3", section="models.lite0.size.x", model=Inner)
    refused(tmp_path, text, "`trian`", "known here: models", section="trian", model=Inner)


def test_an_empty_section_name_is_the_whole_file(tmp_path):
    assert read(tmp_path, "size: 3\n", "", Inner) == Inner(size=3)
    refused(tmp_path, "size: 0\n", "params.yaml: size: expected", section="", model=Inner)
    refused(tmp_path, "mode: auto\n", "params.yaml: expected `size` (a whole number", section="", model=Inner)
    refused(tmp_path, "seize: 0\n", "params.yaml: seize: unknown", section="", model=Inner)


def test_a_subset_passes_over_the_keys_of_others(tmp_path):
    assert read(tmp_path, "train: {size: 3, epochs: x}", model=Inner, subset=True) == Inner(size=3)
    with pytest.raises(SettingsError, match=r"train\.size: expected a whole number, 1 or more, found 0"):
        read(tmp_path, "train: {size: 0, epochs: x}", model=Inner, subset=True)
    with pytest.raises(SettingsError, match="expected `size`"):
        read(tmp_path, "train: {epochs: 0}", model=Inner, subset=True)
    with pytest.raises(SettingsError, match=r"train\.inner\.epochs: unknown"):
        read(tmp_path, f"train: {{{REQUIRED[:-1]}, epochs: 2}}}}", subset=True)


@pytest.mark.parametrize("rate", ["'0.5'", "0.5.0", "true", "null", "[0.5]", "{a: 1}", "yes", "'1:30'", "2024-01-01"])
def test_what_is_no_number_is_refused_by_name(tmp_path, rate):
    refused(tmp_path, f"train: {{rate: {rate}, name: a, inner: {{size: 1}}}}", "train.rate", "a number in 0..1")


@pytest.mark.parametrize(
    ("rate", "value"), [("1e-5", 1e-5), ("1.0e-5", 1e-5), ("1e-05", 1e-5), (".5", 0.5), ("0x1", 1)]
)
def test_a_power_of_ten_needs_no_dot(tmp_path, rate, value):
    outer = read(tmp_path, f"train: {{rate: {rate}, name: a, inner: {{size: 1}}}}")
    assert outer.rate == value and type(outer.rate) is float


@pytest.mark.parametrize("rate", ["-0.001", "1.001", ".nan", ".inf", "-.inf", "1e400"])
def test_numbers_out_of_range_and_no_numbers_are_refused(tmp_path, rate):
    refused(tmp_path, f"train: {{rate: {rate}, name: a, inner: {{size: 1}}}}", "train.rate", "0..1")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_no_number_is_infinite(tmp_path, value):
    refused(
        tmp_path, f"train: {{{REQUIRED}, extras: [1, {value}]}}", "train.extras[1]: expected a number, found", value
    )


@pytest.mark.parametrize("size", ["0", "-1", "1.0", "1.5", "1e3", "true", "'1'", "null"])
def test_a_count_is_a_whole_number_from_one(tmp_path, size):
    refused(tmp_path, f"train: {{rate: 0, name: a, inner: {{size: {size}}}}}", "train.inner.size", "1 or more")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("fill: [0, 255, -1]", "fill: [0, 255]"), ("train.fill:", "3 values", "[0, 255] (list of 2)")),
        (("fill: [0, 255, -1]", "fill: [0, 1, 2, 3]"), ("train.fill:", "3 values", "(list of 4)")),
        (("fill: [0, 255, -1]", "fill: [256, 0, 0]"), ("train.fill[0]:", "0..255", "256")),
        (("fill: [0, 255, -1]", "fill: [0, 0.0, 0]"), ("train.fill[1]:", "a whole number", "0.0")),
        (("fill: [0, 255, -1]", "fill: 127"), ("train.fill:", "a list", "127")),
        (("classes: [a, 'no']", "classes: [a, false]"), ("train.classes[1]:", "text", "false")),
        (("classes: [a, 'no']", "classes: car"), ("train.classes:", "a list", "'car' (text)", "write [car]")),
        (("name: '7'", "name: 7"), ("train.name:", "text", "7", "in quotes")),
        (("name: '7'", "name: 2024-01-01"), ("train.name:", "text", "2024-01-01 (date)", "in quotes")),
        (("mode: bf16", "mode: bf61"), ("train.inner.mode:", "'auto', 'bf16'", "'bf61'", "did you mean 'bf16'?")),
        (("mode: bf16", "mode: null"), ("train.inner.mode:", "null")),
        (("limit: null", "limit: 0"), ("train.limit:", "1 or more, or null", "0")),
        (("limit: null", "limit: many"), ("train.limit:", "'many'")),
        (("limit: null", "limit: none"), ("train.limit:", "'none' (text)", "write null")),
        (("limit: null", "limit: 3.0"), ("train.limit:", "3.0 (number)", "write 3")),
        (("limit: null", "flag: yes"), ("train.flag:", "true or false", "'yes' (text)", "write true")),
        (("limit: null", "flag: OFF"), ("train.flag:", "'OFF' (text)", "write false")),
        (("limit: null", "flag: 1"), ("train.flag:", "true or false", "1 (whole number)")),
        (("inner: {size: 2, mode: bf16}", "inner: 2"), ("train.inner:", "a section", "2")),
        (("rate: 1", "rtae: 1"), ("train.rtae:", "unknown", "`rate`")),
        (("rate: 1, ", ""), ("train:", "`rate`", "a number in 0..1", "no such key")),
        (("{size: 2, mode: bf16}", "{mode: bf16}"), ("train.inner:", "`size` (a whole number, 1 or more)")),
        (("{size: 2", "{sise: 2"), ("train.inner.sise:", "unknown parameter; did you mean `size`?")),
        (("limit: null", "limit: null, zzz: 1"), ("train.zzz:", "known here", "rate, name, inner")),
        (("limit: null", "limit: null, 5: 1"), ("train.5:", "unknown")),
        (("rate: 1", "rate: '1e-5'"), ("train.rate:", "'1e-5' (text)", "write 1e-05 without quotes")),
        (("rate: 1", "rate: .5e0"), ("train.rate:", "'.5e0' (text)", "write 0.5 without quotes")),
        (("rate: 1", "rate: '0:30'"), ("train.rate:", "YAML 1.1 reads 30", "YAML 1.2 and DVC text", "write 30")),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_what_is_allowed(tmp_path, change, parts):
    assert change[0] in GOOD
    refused(tmp_path, GOOD.replace(*change), *parts)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("shrinkage: 2", ("train.shrinkage: expected 'auto' or a number in 0..1, found 2 (whole number)",)),
        ("shrinkage: true", ("'auto' or a number in 0..1", "true (boolean)")),
        ("shrinkage: atuo", ("'auto' or a number in 0..1", "did you mean 'auto'?")),
        ("shrinkage: '0.5'", ("'auto' or a number in 0..1", "write 0.5 without quotes")),
        ("stretches: some", ("train.stretches: expected 'all', or a list, each entry a section", "'some' (text)")),
        ("stretches: [{size: 0}]", ("train.stretches[0].size: expected a whole number, 1 or more, found 0",)),
        ("stretches: [{size: 1}, {siez: 1}]", ("train.stretches[1].siez: unknown", "`size`")),
        ("stretches: [{size: 1}, {}]", ("train.stretches[1]: expected `size`",)),
        ("stretches: [all]", ("train.stretches[0]: expected a section with keys, found 'all'",)),
        ("by_name: {a: [{size: 1}, {size: x}]}", ("train.by_name.a[1].size: expected a whole number",)),
        ("by_name: {a: {size: 1}}", ("train.by_name.a: expected a list, each entry a section",)),
    ],
)
def test_a_value_of_no_type_of_a_union_gets_one_line(tmp_path, key, parts):
    refused(tmp_path, f"train: {{{REQUIRED}, {key}}}", *parts)


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("shrinkage: 1", "shrinkage", 1.0),
        ("shrinkage: auto", "shrinkage", "auto"),
        ("stretches: [{size: 2}]", "stretches", (Inner(size=2),)),
        ("stretches: []", "stretches", ()),
        ("by_name: {7: [{size: 1}], on: []}", "by_name", {"7": (Inner(size=1),), "on": ()}),
        ("limit: 1_000", "limit", 1000),
        ("limit: 0o14", "limit", 12),
        ("classes: [no, on, y, 0o8]", "classes", ("no", "on", "y", "0o8")),
    ],
)
def test_every_type_of_a_union_is_read(tmp_path, key, name, value):
    assert getattr(read(tmp_path, f"train: {{{REQUIRED}, {key}}}"), name) == value


def test_unknown_keys_come_before_missing_ones_and_those_before_bad_values(tmp_path):
    refused(tmp_path, "train: {name: 3, inner: {size: 0}, raet: 1}", "train.raet: unknown")
    refused(tmp_path, "train: {name: 3, inner: {size: 0}}", "train: expected `rate`")
    refused(tmp_path, "train: {rate: 1, name: 3, inner: {size: 0}}", "train.name: expected text")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "train: [", "train: {a: 1", "\ttrain: 1", "train: \0"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    refused(tmp_path, text, "params.yaml")


@pytest.mark.parametrize("text", ["train:\n", "train: 5", "train: [1]", "train: text"])
def test_a_section_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    refused(tmp_path, text, "train: expected a section with keys")


def test_named_values_are_read_and_checked_one_by_one(tmp_path):
    text = "train: {rate: 1, name: a, inner: {size: 2}, weights: {b: 2, 7: 0.5}}"
    assert read(tmp_path, text).weights == {"b": 2.0, "7": 0.5}
    refused(tmp_path, text.replace("0.5", "-1"), "train.weights.7", "-1")
    refused(tmp_path, text.replace("0.5", "x"), "train.weights.7", "a number")
    refused(tmp_path, text.replace("{b: 2, 7: 0.5}", "[1]"), "train.weights", "`name: value`")
    refused(tmp_path, text.replace("{b: 2, 7: 0.5}", "{}"), "train.weights", "one or more")


def test_a_long_value_is_cut():
    with pytest.raises(SettingsError) as caught:
        settings.build({"size": "x" * 5000}, Inner, "a")
    assert len(str(caught.value)) < 300


def test_no_parameter_has_a_name_that_the_run_cache_overlooks():
    # DVC 3.67 leaves keys called `size` and `nfiles` out of the hash by which it finds a stage's former runs, those of
    # parameters too: with such a name, another value would bring back the outputs of the first.
    def names(node):
        for key, value in node.items() if isinstance(node, dict) else ():
            yield str(key)
            yield from names(value)

    all_names = set(names(settings.load(Path(__file__).parents[2] / "params.yaml")))
    assert len(all_names) > 50 and not all_names & {"size", "nfiles"}
