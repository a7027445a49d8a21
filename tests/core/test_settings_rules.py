import pickle
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with
from hypothesis import strategies as st
from pydantic import AfterValidator, field_validator, model_validator

from stages.core import settings
from stages.core.settings import Positive, Settings, SettingsError, Share
from tests.core.sample_settings import AugmentSettings, MaskSettings, Phase, TrainSettings


def test_text_must_match_as_a_whole():
    class Digest(Settings):
        sha: Annotated[str, settings.matching("[0-9a-f]{4}|none")]

    for good in ("00ff", "none"):
        assert settings.build({"sha": good}, Digest, "a").sha == good
    for bad in ("00f", "00fff", "00fg", "00ff\n", "", "xnone", "00ffnone"):
        with pytest.raises(SettingsError, match=r"^a\.sha: expected text like \[0-9a-f\]\{4\}\|none, found ") as caught:
            settings.build({"sha": bad}, Digest, "a")
        assert "\n" not in str(caught.value)


def test_names_must_match_as_a_whole():
    class Arms(Settings):
        arms: dict[Annotated[str, settings.matching("[a-z]+")], Share]

    with pytest.raises(SettingsError, match=r"^arms\.a-B: expected a name, text like \[a-z\]\+, found 'a-B' \(text\)$"):
        settings.build({"arms": {"a-B": 1}}, Arms, "")


class Rule(Settings):
    low: Share = 0.0
    high: Share = 1.0
    word: str = "a"

    @field_validator("word")
    @classmethod
    def _is_short(cls, word):
        if len(word) > 3:
            raise ValueError(f"expected three letters,\nfound {word!r}")
        return word

    @model_validator(mode="after")
    def _can_be_met(self):
        if self.low > self.high:
            raise SettingsError(f"low: expected at most high = {self.high}, found {self.low}")
        if self.high == 0.5:
            raise ValueError("expected anything but halves")
        return self


class Rules(Settings):
    rules: tuple[Rule, ...]


def _even(value):
    if value % 2:
        raise ValueError(f"expected an even number, found {value}")
    return value


def test_the_text_of_a_validator_of_one_type_of_a_union_is_kept():
    class Sides(Settings):
        side: Literal["auto"] | Annotated[int, AfterValidator(_even)]

    assert settings.build({"side": 2}, Sides, "a").side == 2
    with pytest.raises(SettingsError, match=r"^a\.side: expected an even number, found 3$"):
        settings.build({"side": 3}, Sides, "a")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"low": 1, "high": 0}, "crop.low: expected at most high = 0.0, found 1.0"),
        ({"high": 0.5}, "crop: expected anything but halves"),
        ({"word": "abcd"}, "crop.word: expected three letters, found 'abcd'"),
    ],
)
def test_the_text_of_a_validator_follows_the_name_of_its_section(node, message):
    for name, inner, model in (("crop", node, Rule), ("", {"rules": [node]}, Rules)):
        with pytest.raises(SettingsError) as caught:
            settings.build(inner, model, name)
        assert str(caught.value) == (message if name else message.replace("crop", "rules[0]"))


def test_defaults_are_checked_like_values():
    class Wrong(Settings):
        rate: Positive = 0

    with pytest.raises(SettingsError, match=r"^a\.rate: expected a number above 0, found 0 "):
        settings.build({}, Wrong, "a")


NESTED_KEYS = st.sampled_from([*Phase.model_fields, *AugmentSettings.model_fields, "x", 7])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("none1e.-: \n", max_size=5)
    | st.dates()
    | st.just("all"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NESTED_KEYS, inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from([*TrainSettings.model_fields, *MaskSettings.model_fields, "epocs", 3, True, None])


@run_with(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(node=st.dictionaries(KEYS, VALUES, max_size=5), model=st.sampled_from([TrainSettings, MaskSettings]))
def test_whatever_a_section_holds_is_read_or_refused_in_one_line(node, model):
    try:
        section = settings.build(node, model, "train")
    except SettingsError as error:
        assert "\n" not in str(error) and str(error).startswith("train")
    else:
        assert settings.build(section.model_dump(), model, "train") == section
        assert pickle.loads(pickle.dumps(section)) == section


@pytest.mark.parametrize("key", TrainSettings.model_fields)
@run_with(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES)
def test_whatever_a_key_holds_is_read_or_refused_in_one_line(key, value):
    try:
        settings.build({key: value}, TrainSettings, "train")
    except SettingsError as error:
        assert "\n" not in str(error) and str(error).startswith(f"train.{key}")
