"""Sections of params.yaml as frozen dataclasses: every key, type and range checked before any work begins."""

import dataclasses
import difflib
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

Section = TypeVar("Section")


class ParamError(ValueError):
    """A parameter is missing, unknown, of the wrong type or out of its range."""


@dataclass(frozen=True)
class Range:
    """The numbers that a parameter may take, both ends included: `Annotated[float, Range(0, 1)]`."""

    minimum: float = float("-inf")
    maximum: float = float("inf")

    def check(self, name: str, value: float) -> None:
        """Raise ParamError unless `value` lies in the range."""
        if not self.minimum <= value <= self.maximum:
            raise ParamError(f"{name}: expected a number in {self.minimum:g}..{self.maximum:g}, found {value!r}")


@dataclass(frozen=True)
class Matching:
    """The texts that a parameter may take, as a regular expression for the whole of it."""

    pattern: str

    def check(self, name: str, value: str) -> None:
        """Raise ParamError unless all of `value` matches the pattern."""
        if not re.fullmatch(self.pattern, value):
            raise ParamError(f"{name}: expected text like {self.pattern}, found {value!r}")


Share = Annotated[float, Range(0, 1)]


Count = Annotated[int, Range(1)]


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping. Raises ParamError naming the file and the place."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamError(f"{path}: expected a parameter file here, found none") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamError(f"{path}: expected YAML in UTF-8, found: {error}") from None
    if not isinstance(content, dict):
        raise ParamError(f"{path}: expected `key: value` lines, found {type(content).__name__}")
    return content


def read(path: Path, section: str, cls: type[Section], subset: bool = False) -> Section:
    """Read one section ("train", or "models.lite0" for a nested one) of `path` into the dataclass `cls`.

    `subset`: the section has other keys too, which belong to another class. Raises ParamError naming the key, the value
    found and what is allowed.
    """
    node: Any = load(path)
    for key in section.split("."):
        if not isinstance(node, dict) or key not in node:
            found = ", ".join(map(str, node)) if isinstance(node, dict) else repr(node)
            raise ParamError(f"{path}: expected a section `{section}`, found only: {found}")
        node = node[key]
    if subset and isinstance(node, dict):
        names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        node = {key: value for key, value in node.items() if key in names}
    return build(node, cls, section)


def build(node: Any, cls: type[Section], name: str) -> Section:
    """Turn a mapping into the dataclass `cls`; a field without a default must be there."""
    if not isinstance(node, dict):
        raise ParamError(f"{name}: expected a section with keys, found {node!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in node:
        if key not in fields:
            raise ParamError(f"{name}.{key}: unknown parameter{_suggestion(str(key), fields)}")
    hints = typing.get_type_hints(cls, include_extras=True)
    missing = [key for key, field in fields.items() if key not in node and _is_required(field)]
    if missing:
        raise ParamError(f"{name}: expected `{missing[0]}` ({_describe(hints[missing[0]])}), found no such key")
    return cls(**{key: _convert(value, hints[key], f"{name}.{key}") for key, value in node.items()})


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _suggestion(key: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"


def _convert(value: Any, hint: Any, name: str) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *rules = get_args(hint)
        converted = _convert(value, inner, name)
        for rule in rules:
            if converted is not None:
                rule.check(name, converted)
        return converted
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(hint), name, hint)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in get_args(hint)):
            raise ParamError(f"{name}: expected {_describe(hint)}, found {value!r}")
        return value
    if origin is tuple:
        return _convert_tuple(value, get_args(hint), name)
    if origin is dict:
        return _convert_mapping(value, get_args(hint)[1], name)
    if dataclasses.is_dataclass(hint):
        return build(value, hint, name)  # type: ignore[arg-type]
    return _convert_scalar(value, hint, name)


def _convert_union(value: Any, choices: tuple[Any, ...], name: str, hint: Any) -> Any:
    if value is None and type(None) in choices:
        return None
    others = [choice for choice in choices if choice is not type(None)]
    for choice in others[:-1]:
        try:
            return _convert(value, choice, name)
        except ParamError:
            continue
    try:
        return _convert(value, others[-1], name)
    except ParamError as error:
        raise error if len(others) == 1 else _mismatch(name, hint, value) from None


def _convert_tuple(value: Any, items: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ParamError(f"{name}: expected a list, found {value!r}")
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ParamError(f"{name}: expected {len(items)} values, found {len(value)}: {value!r}")
    return tuple(_convert(item, hint, f"{name}[{i}]") for i, (item, hint) in enumerate(zip(value, items)))


def _convert_mapping(value: Any, hint: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ParamError(f"{name}: expected `name: value` lines, one or more, found {value!r}")
    return {str(key): _convert(item, hint, f"{name}.{key}") for key, item in value.items()}


def _convert_scalar(value: Any, hint: type, name: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if type(value) is hint:
        return value
    raise _mismatch(name, hint, value)


def _mismatch(name: str, hint: Any, value: Any) -> ParamError:
    advice = ""
    if isinstance(value, str):
        try:
            float(value)
            advice = "; YAML reads a power of ten without a dot as text: write 1.0e-5"
        except ValueError:
            pass
    return ParamError(f"{name}: expected {_describe(hint)}, found {value!r} ({type(value).__name__}){advice}")


def _describe(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _describe(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join("null" if arg is type(None) else _describe(arg) for arg in args)
    if origin is Literal:
        return "one of " + ", ".join(repr(arg) for arg in args)
    if origin is tuple:
        return "a list"
    if origin is dict:
        return "`name: value` lines"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, str(hint))


Positive = Annotated[float, Range(1e-12)]


NotNegative = Annotated[float, Range(0)]
