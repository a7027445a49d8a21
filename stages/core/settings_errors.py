"""Turn pydantic's errors into one line: which key, what was expected, what was found, what to do."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from stages.core.settings_words import choices, describe, field_hint, is_model, is_optional, members, unwrap
from stages.core.yaml_file import at, join, shown

# Errors of these types come first: a misspelt key explains why the right one is missing.
_FIRST = ("extra_forbidden", "missing")
# What a model's own validators raise.
_OWN = ("value_error", "assertion_error")
_TRUTH = dict.fromkeys(("yes", "on", "y", "true"), "true") | dict.fromkeys(("no", "off", "n", "false"), "false")
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?")
_SEXAGESIMAL = re.compile(r"[-+]?\d+(:[0-5]?\d)+")
Location = tuple[int | str, ...]


def first_message(errors: Sequence[ErrorDetails], model: type[BaseModel], name: str) -> str:
    """Return the line for the first of `errors`, those of validating the section `name` with `model`."""
    return _message(list(errors), model, name)


def _message(errors: list[ErrorDetails], hint: Any, name: str) -> str:
    error = min(errors, key=lambda e: _FIRST.index(e["type"]) if e["type"] in _FIRST else len(_FIRST))
    for depth, key in enumerate(error["loc"]):
        if len(members(hint)) > 1:
            return _union_message([e for e in errors if e["loc"][:depth] == error["loc"][:depth]], depth, hint, name)
        inner = unwrap(members(hint)[0])[0]
        if error["loc"][depth + 1 :] == ("[key]",):
            return f"{join(name, str(key))}: expected a name, {describe(get_args(inner)[0])}, found {shown(key)}"
        is_last = depth == len(error["loc"]) - 1
        if is_last and error["type"] == "extra_forbidden":
            return f"{join(name, str(key))}: unknown parameter{suggestion(str(key), inner.model_fields)}"
        if is_last and error["type"] == "missing":
            return _missing(error, hint, name, key)
        hint, name = _child(hint, key, name)
    if error["type"] in _OWN:
        return _own_message(error["ctx"]["error"], hint, name)
    return f"{name}: expected {describe(hint)}, found {shown(error['input'])}{advice(hint, error['input'])}"


def _child(hint: Any, key: int | str, name: str) -> tuple[Any, str]:
    """Return the annotation and the name of what `key` stands for inside a value annotated with `hint`."""
    inner = unwrap(members(hint)[0])[0]
    if is_model(inner):
        return field_hint(inner.model_fields[str(key)]), join(name, str(key))
    if get_origin(inner) is tuple:
        items = get_args(inner)
        position = 0 if len(items) == 2 and items[1] is Ellipsis else int(key)
        return items[position], f"{name}[{key}]"
    return get_args(inner)[1], join(name, str(key))


def _missing(error: ErrorDetails, hint: Any, name: str, key: int | str) -> str:
    inner = unwrap(members(hint)[0])[0]
    if is_model(inner):
        return at(name, f"expected `{key}` ({describe(field_hint(inner.model_fields[str(key)]))}), found no such key")
    return at(name, f"expected {describe(hint)}, found {shown(error['input'])}")


def _union_message(errors: list[ErrorDetails], depth: int, hint: Any, name: str) -> str:
    """Return the line for a value of which no type of a union holds.

    Where its shape is that of one type (a list, a section), that type's own error says more.
    """
    deeper = [error for error in errors if len(error["loc"]) > depth + 1]
    own = [error["ctx"]["error"] for error in errors if error["type"] in _OWN]
    if not deeper and own:
        return at(name, " ".join(str(own[0]).split()))
    if not deeper:
        return f"{name}: expected {describe(hint)}, found {shown(errors[0]['input'])}{advice(hint, errors[0]['input'])}"
    label = deeper[0]["loc"][depth]
    inside = [error for error in deeper if error["loc"][depth] == label]
    inside = [{**error, "loc": error["loc"][depth + 1 :]} for error in inside]
    fitting = [member for member in members(hint) if _has(member, inside[0]["loc"])]
    return _message(inside, fitting[0], name)


def _has(hint: Any, place: Location) -> bool:
    inner = unwrap(hint)[0]
    if is_model(inner):
        return place[0] in inner.model_fields or len(place) == 1
    return get_origin(inner) is (tuple if isinstance(place[0], int) else dict)


def _own_message(error: Exception, hint: Any, name: str) -> str:
    """Return a validator's text after the name of its section, or of the key that the text begins with."""
    text = " ".join(str(error).split())
    inner = unwrap(members(hint)[0])[0]
    key = re.match(r"(\w+)[^\s:]*: ", text)
    if is_model(inner) and key and key[1] in inner.model_fields:
        return join(name, text)
    return at(name, text)


def suggestion(key: str, known: Iterable[str]) -> str:
    """Return which of the `known` keys may be meant by an unknown one."""
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(names)}"


def advice(hint: Any, value: Any) -> str:
    """Return what to write instead of `value`, or nothing where that is anybody's guess."""
    kinds = [get_origin(inner) or inner for inner in (unwrap(member)[0] for member in members(hint))]
    words = [word for word in choices(hint) if isinstance(word, str)]
    if isinstance(value, str):
        return _advice_for_text(kinds, words, value, is_optional(hint))
    if value is None or isinstance(value, bool):
        alike = {None: ("none", "null"), True: ("on", "yes", "true"), False: ("off", "no", "false")}[value]
        return next((f"; write '{word}' in quotes" for word in words if word in alike), "")
    if isinstance(value, float) and int in kinds and float not in kinds and value.is_integer():
        return f"; write {int(value)}"
    return "; put it in quotes if text is meant" if isinstance(value, int | float | date) and str in kinds else ""


def _advice_for_text(kinds: list[Any], words: list[str], value: str, may_be_null: bool) -> str:
    if may_be_null and value.lower() in ("", "none", "nil", "null"):
        return "; write null"
    if bool in kinds and (truth := _TRUTH.get(value.lower())):
        return f"; write {truth}"
    if int in kinds or float in kinds:
        if _SEXAGESIMAL.fullmatch(value):
            seconds = _sexagesimal(value)
            return f"; YAML 1.1 reads {seconds} here, YAML 1.2 and DVC text: write {seconds} if that is meant"
        if number := _number(value, may_be_broken=float in kinds):
            return f"; write {number} without quotes"
    close = difflib.get_close_matches(value, words, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; write [{value}]" if kinds == [tuple] else ""


def _sexagesimal(text: str) -> int:
    total = 0
    for part in text.lstrip("+-").split(":"):
        total = 60 * total + int(part)
    return -total if text.startswith("-") else total


def _number(text: str, may_be_broken: bool) -> str:
    """Return the number that a text shows, as YAML has it, or nothing."""
    if not _NUMBER.fullmatch(text):
        return ""
    try:
        value = float(text)
    except ValueError:
        return ""
    if may_be_broken:
        return repr(value) if math.isfinite(value) else ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else ""
