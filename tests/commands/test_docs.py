"""What is generated from the code stands in the repository as it would be generated now."""

import json
from pathlib import Path

import pytest

from stages.check import NAMED, SECTIONS
from stages.commands import docs
from stages.core import settings_docs
from stages.report import reasons
from stages.schemas.crops import REJECTION_REASONS

ROOT = Path(__file__).resolve().parents[2]
TEXTS = docs.generate(ROOT / "params.yaml")


@pytest.mark.parametrize("path", list(TEXTS))
def test_generated_files_are_those_of_this_code(path):
    assert (ROOT / path).read_text(encoding="utf-8") == TEXTS[path], "run `python -m stages docs`"


def test_every_setting_has_a_description():
    assert settings_docs.undescribed(SECTIONS, NAMED) == []


def test_params_yaml_names_its_schema_for_editors():
    first = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=params.schema.json"
    schema = json.loads(TEXTS["params.schema.json"])
    assert set(schema["properties"]) == {*SECTIONS, *NAMED}


def test_every_reason_of_the_rule_for_the_main_car_is_explained():
    assert set(reasons.SENTENCES["crop"]) == set(REJECTION_REASONS)
    assert "| `low_score` |" in reasons.page()
