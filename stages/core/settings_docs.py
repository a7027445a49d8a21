"""Write down what the settings models allow: as JSON Schema for editors, as Markdown for people."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from stages.core.settings_words import bare_pattern, distinct, field_hint, is_model, is_optional, members, unwrap
from stages.core.yaml_file import as_yaml

Models = Mapping[str, type[BaseModel]]

_PLURAL = {"whole number": "whole numbers", "number": "numbers", "choice": "choices", "section": "sections"}
_TYPES = {int: "whole number", float: "number", str: "text", bool: "boolean"}
_HEAD = "| key | type | range | {} | meaning |\n| --- | --- | --- | --- | --- |"


class _SchemaWriter(GenerateJsonSchema):
    """JSON Schema without a title for every field, which would only be its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def json_schema(sections: Models, named: Models) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a settings file.

    `sections` are the models of the sections that must be there, `named` those of the entries of sections with one or
    more entries, each under a name of the user's choice. Rules between several keys are not part of it.
    """
    models = [*sections.values(), *named.values()]
    refs, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], schema_generator=_SchemaWriter
    )
    properties: dict[str, Any] = {name: dict(refs[model, "validation"]) for name, model in sections.items()}
    for name, model in named.items():
        properties[name] = {
            "type": "object",
            "description": intro(model),
            "minProperties": 1,
            "additionalProperties": dict(refs[model, "validation"]),
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": {name: _with_plain_intro(model) for name, model in definitions["$defs"].items()},
    }


def reference(sections: Models, named: Models, values: Mapping[str, Any] | None = None) -> str:
    """Return the Markdown reference of all settings: one heading, introduction and table for each section.

    `values` is the content of a settings file. The tables show it, and defaults where it has none, or without it.
    """
    parts = []
    for name, model in sections.items():
        parts.append(_section(name, model, (values or {}).get(name), "default" if values is None else "value"))
    for name, model in named.items():
        parts.append(_section(f"{name}.<name>", model, None, "default"))
    return "\n".join(parts)


def undescribed(sections: Models, named: Models) -> list[str]:
    """Return the settings, named with dots, whose field has no description."""
    models = {**sections, **{f"{name}.<name>": model for name, model in named.items()}}
    return [key for name, model in models.items() for key, info in walk(model, name) if not info.description]


def walk(model: type[BaseModel], name: str) -> Iterator[tuple[str, FieldInfo]]:
    """Go through all fields of a model, each with its name, nested ones after their parent: `train.augment.flip`.

    Those of a list of models are named `train.unfreeze[].epochs`.
    """
    for key, info in model.model_fields.items():
        place = f"{name}.{key}" if name else key
        yield place, info
        for suffix, inner in _nested(field_hint(info)):
            yield from walk(inner, place + suffix)


def intro(model: type[BaseModel]) -> str:
    """Return the docstring of a model, with one line for each paragraph."""
    return _one_line_each(inspect.cleandoc(model.__dict__.get("__doc__") or ""))


def _one_line_each(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _with_plain_intro(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: _one_line_each(value) if key == "description" else value for key, value in schema.items()}


def _nested(hint: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    for member in members(hint):
        inner = unwrap(member)[0]
        if is_model(inner):
            yield "", inner
        elif get_origin(inner) is tuple:
            entries = dict.fromkeys(
                found for item in get_args(inner) if item is not Ellipsis for found in _nested(item)
            )
            yield from ((f"[]{suffix}", found) for suffix, found in entries)
        elif get_origin(inner) is dict:
            yield from ((f".<name>{suffix}", found) for suffix, found in _nested(get_args(inner)[1]))


def _section(name: str, model: type[BaseModel], values: Any, column: str) -> str:
    lines = [f"## {name}", "", intro(model), "", _HEAD.format(column)]
    for place, info in walk(model, name):
        words = _words(field_hint(info))
        value = _value(place.removeprefix(f"{name}.").split("."), info, values, is_section=words.kind == "section")
        cells = [f"`{place}`", words.kind, words.limits, value, info.description or ""]
        lines.append(f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _value(path: list[str], info: FieldInfo, values: Any, is_section: bool) -> str:
    """Return what a settings file has at `path`, or the default; nothing for a section, which has rows of its own."""
    for key in path:
        values = values.get(key, _Missing) if isinstance(values, Mapping) else _Missing
    if is_section and (values is _Missing or isinstance(values, Mapping)):
        return ""
    if values is _Missing:
        if info.is_required():
            return "required"
        values = _plain(info.get_default(call_default_factory=True))
    return f"`{values if isinstance(values, str) and values else as_yaml(values)}`"


class _Missing:
    """Stands for a value that a file does not have; null is one that it may have."""


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


class Words(NamedTuple):
    """The type of a setting, and what narrows it, in words."""

    kind: str
    limits: str = ""


def _words(hint: Any) -> Words:
    options = members(hint)
    if len(options) > 1 or is_optional(hint):
        all_words = [_option(option) if len(options) > 1 else _words(option) for option in options]
        kinds = distinct([*(words.kind for words in all_words), *(["`null`"] if is_optional(hint) else [])])
        return Words(" or ".join(kinds), "; ".join(distinct(words.limits for words in all_words)))
    inner, limits = unwrap(hint)
    origin = get_origin(inner)
    if origin is Literal:
        return Words("choice", ", ".join(f"`{value}`" for value in get_args(inner)))
    if origin is tuple:
        items = [_words(item) for item in get_args(inner) if item is not Ellipsis]
        kinds = distinct(_PLURAL.get(item.kind, item.kind) for item in items)
        is_fixed = Ellipsis not in get_args(inner)
        ranges = distinct([limits.length(), *(item.limits for item in items)])
        return Words(
            f"list of {len(items) if is_fixed else ''} {', '.join(kinds)}".replace("  ", " "), "; ".join(ranges)
        )
    if origin is dict:
        value = _words(get_args(inner)[1])
        ranges = distinct([limits.length(), value.limits])
        return Words(f"{_PLURAL.get(value.kind, value.kind)} by name", "; ".join(ranges))
    if is_model(inner):
        return Words("section")
    pattern = f"`{bare_pattern(limits.pattern)}`" if limits.pattern else ""
    return Words(_TYPES.get(inner, getattr(inner, "__name__", str(inner))), pattern or limits.bounds())


def _option(hint: Any) -> Words:
    """Return the words for one type of a union: of a Literal, its values stand for its type."""
    inner = unwrap(hint)[0]
    if get_origin(inner) is Literal:
        return Words(" or ".join(f"`{value}`" for value in get_args(inner)))
    return _words(hint)
