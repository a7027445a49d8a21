"""Say in words which values a setting may take, from its annotation: for errors and for the reference."""

import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


@dataclass(frozen=True)
class Limits:
    """What narrows a type: bounds of a number (`above` and `below` excluded), length, pattern of a text."""

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def bounds(self) -> str:
        """Return the range of a number in words: `0..1`, `1 or more`, `above 0, at most 1`, or nothing."""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:.15g}..{self.maximum:.15g}"
        words = [
            None if self.minimum is None else f"{self.minimum:.15g} or more",
            None if self.above is None else f"above {self.above:.15g}",
            None if self.maximum is None else f"at most {self.maximum:.15g}",
            None if self.below is None else f"below {self.below:.15g}",
        ]
        return ", ".join(word for word in words if word)

    def length(self) -> str:
        """Return the number of entries in words, or nothing."""
        if self.min_length and self.max_length:
            return f"{self.min_length} to {self.max_length}"
        if self.max_length:
            return f"at most {self.max_length}"
        return {None: "", 0: "", 1: "one or more"}.get(self.min_length, f"{self.min_length} or more")


def field_hint(info: FieldInfo) -> Any:
    """Return the whole annotation of a field, with the limits that pydantic has taken out of it."""
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def unwrap(hint: Any) -> tuple[Any, Limits]:
    """Part an annotation into its type and what narrows it; the narrowest of several limits holds."""
    rules: list[Any] = []
    while get_origin(hint) is Annotated:
        hint, *outer = get_args(hint)
        rules += outer
    flat = [rule for outer in rules for rule in (outer.metadata if isinstance(outer, FieldInfo) else [outer])]

    def values(key: str) -> list[Any]:
        return [value for rule in flat if (value := getattr(rule, key, None)) is not None]

    return hint, Limits(
        minimum=max(values("ge"), default=None),
        above=max(values("gt"), default=None),
        maximum=min(values("le"), default=None),
        below=min(values("lt"), default=None),
        min_length=max(values("min_length"), default=None),
        max_length=min(values("max_length"), default=None),
        pattern=next(iter(values("pattern")), None),
    )


def members(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, null apart from them; any other type by itself."""
    inner = unwrap(hint)[0]
    if get_origin(inner) not in (Union, types.UnionType):
        return (hint,)
    return tuple(member for member in get_args(inner) if member is not type(None))


def is_optional(hint: Any) -> bool:
    """Return whether null is allowed beside other types."""
    inner = unwrap(hint)[0]
    return get_origin(inner) in (Union, types.UnionType) and type(None) in get_args(inner)


def is_model(hint: Any) -> bool:
    """Return whether a type is a settings model."""
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def choices(hint: Any) -> tuple[Any, ...]:
    """Return the values of all Literals of a type."""
    inner = (unwrap(member)[0] for member in members(hint))
    return tuple(value for member in inner if get_origin(member) is Literal for value in get_args(member))


def bare_pattern(pattern: str) -> str:
    """Return a pattern without the anchors that make it hold for the whole of a text."""
    return pattern.removeprefix("^(?:").removesuffix(")$")


def describe(hint: Any) -> str:
    """Return what a setting expects: `a whole number, 1 or more`, `'auto' or a number in 0..1`."""
    if len(members(hint)) > 1 or is_optional(hint):
        options = [*map(describe, members(hint)), *(["null"] if is_optional(hint) else [])]
        return (", or " if any(", " in option for option in options) else " or ").join(options)
    inner, limits = unwrap(members(hint)[0])
    origin = get_origin(inner)
    if origin is Literal:
        values = [repr(value) for value in get_args(inner)]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if origin is tuple:
        return _describe_list(get_args(inner), limits)
    if origin is dict:
        amount = f", {limits.length()}" if limits.length() else ""
        return f"`name: value` lines{amount}, each {describe(get_args(inner)[1])}"
    if is_model(inner):
        return "a section with keys"
    if inner is str:
        like = f" like {bare_pattern(limits.pattern)}" if limits.pattern else ""
        return f"text{like or (' that is not empty' if limits.min_length else '')}"
    bounds = limits.bounds()
    joint = " in " if ".." in bounds else " " if bounds.startswith("above") else ", "
    return NAMES.get(inner, getattr(inner, "__name__", str(inner))) + (joint + bounds if bounds else "")


def _describe_list(items: tuple[Any, ...], limits: Limits) -> str:
    if len(items) == 2 and items[1] is Ellipsis:
        amount = f" of {limits.length()}" if limits.length() else ""
        return f"a list{amount}, each entry {describe(items[0])}"
    kinds = distinct(map(describe, items))
    return f"a list of {len(items)} values" + (f", each {kinds[0]}" if len(kinds) == 1 else f": {'; '.join(kinds)}")


def distinct(words: Iterable[str]) -> list[str]:
    """Return the words in order, each once, without empty ones."""
    return [word for word in dict.fromkeys(words) if word]
