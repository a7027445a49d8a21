import json
import re
from typing import Annotated, Literal

from pydantic import Field

from stages.core import settings_docs
from stages.core.settings import ByName, Count, NotNegative, Settings, Share, matching
from tests.core import sample_settings as sample


class Item(Settings):
    """One of
    several.
    """

    weight: NotNegative = Field(description="how much | it counts")
    only: Literal["all"] | Share | None = Field(None, description="narrower")


class Example(Settings):
    """What it is about.

    In more than
    one line.
    """

    n: Count = Field(3, description="how many")
    fill: tuple[Annotated[int, Field(ge=0, le=255)], int, int] = Field((1, 2, 3), description="colour")
    pair: tuple[Count, Count] = Field((1, 2), description="two")
    sha: Annotated[str, matching("[0-9a-f]{4}")] = Field("00ff", description="digest")
    kinds: Annotated[tuple[Literal["a", "b"], ...], Field(min_length=1)] = Field(("a",), description="kinds")
    item: Item = Field(description="nested")
    items: ByName[Item] = Field({"x": Item(weight=1)}, description="nested by name")
    empty: str = Field("", description="text")
    silent: bool = False


def table(text):
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in rows}


def test_every_field_has_a_row_with_its_type_range_default_and_meaning():
    text = settings_docs.reference({"example": Example}, {})
    assert text.startswith(
        "## example\n\nWhat it is about.\n\nIn more than one line.\n\n| key | type | range | default |"
    )
    assert table(text) == {
        "example.n": ["whole number", "1 or more", "`3`", "how many"],
        "example.fill": ["list of 3 whole numbers", "0..255", "`[1, 2, 3]`", "colour"],
        "example.pair": ["list of 2 whole numbers", "1 or more", "`[1, 2]`", "two"],
        "example.sha": ["text", "`[0-9a-f]{4}`", "`00ff`", "digest"],
        "example.kinds": ["list of choices", "one or more; `a`, `b`", "`['a']`", "kinds"],
        "example.item": ["section", "", "", "nested"],
        "example.item.weight": ["number", "0 or more", "required", r"how much \| it counts"],
        "example.item.only": ["`all` or number or `null`", "0..1", "`null`", "narrower"],
        "example.items": ["sections by name", "one or more", "`{x: {weight: 1.0, only: null}}`", "nested by name"],
        "example.items.<name>.weight": ["number", "0 or more", "required", r"how much \| it counts"],
        "example.items.<name>.only": ["`all` or number or `null`", "0..1", "`null`", "narrower"],
        "example.empty": ["text", "", "`''`", "text"],
        "example.silent": ["boolean", "", "`false`", ""],
    }


def test_values_of_a_file_stand_in_place_of_defaults():
    values = {"example": {"n": 7, "fill": [0, 0, 0], "item": {"weight": 2, "only": "all"}}, "items": {"a": {}}}
    text = settings_docs.reference({"example": Example}, {"items": Item}, values)
    rows = table(text)
    assert "| key | type | range | value | meaning |" in text and "## items.<name>" in text
    shown = [rows[f"example.{key}"][2] for key in ("n", "fill", "item.weight", "item.only", "pair")]
    assert shown == ["`7`", "`[0, 0, 0]`", "`2`", "`all`", "`[1, 2]`"]
    assert rows["items.<name>.weight"][2] == "required"


def test_the_reference_does_not_change_from_run_to_run():
    made = [settings_docs.reference(sample.SECTIONS, sample.NAMED) for _ in range(2)]
    assert made[0] == made[1]
    assert "| `train.unfreeze[].epochs` | whole number | 1 or more | required |" in made[0]
    assert "| `train.augment.flip` | number | 0..1 | `0.5` |" in made[0]


def test_fields_without_a_description_are_named():
    assert settings_docs.undescribed({"example": Example}, {"items": Item}) == ["example.silent"]
    assert settings_docs.undescribed(sample.SECTIONS, sample.NAMED) == []


def test_the_schema_has_ranges_choices_and_descriptions_and_allows_no_other_keys():
    schema = settings_docs.json_schema({"example": Example}, {"items": Item})
    assert schema["$schema"].endswith("2020-12/schema") and schema["title"] == "params.yaml"
    assert schema["required"] == ["example", "items"] and schema["additionalProperties"] is False
    assert schema["properties"]["items"] == {
        "type": "object",
        "description": "One of several.",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/$defs/Item"},
    }
    item, example = schema["$defs"]["Item"], schema["$defs"]["Example"]
    assert item["properties"]["weight"] == {"type": "number", "minimum": 0, "description": "how much | it counts"}
    assert item["additionalProperties"] is False and item["required"] == ["weight"]
    assert item["properties"]["only"]["anyOf"] == [
        {"const": "all", "type": "string"},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "null"},
    ]
    assert example["description"] == "What it is about.\n\nIn more than one line."
    assert example["properties"]["n"] == {"type": "integer", "minimum": 1, "default": 3, "description": "how many"}
    assert example["properties"]["kinds"]["items"] == {"enum": ["a", "b"], "type": "string"}
    assert example["properties"]["sha"]["pattern"] == "^(?:[0-9a-f]{4})$"


def test_the_schema_is_json_and_every_reference_in_it_leads_somewhere():
    schema = settings_docs.json_schema(sample.SECTIONS, sample.NAMED)
    text = json.dumps(schema)
    assert text == json.dumps(settings_docs.json_schema(sample.SECTIONS, sample.NAMED))
    references = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert references == set(schema["$defs"]) and "Phase" in references
