"""Sections of params.yaml as pydantic models: every key, type and range is checked before any work begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.settings_errors import first_message, suggestion
from stages.core.yaml_file import SettingsError, at, check_plain, join, load, shown

__all__ = [
    "ByName",
    "Count",
    "NotNegative",
    "Positive",
    "Seed",
    "Settings",
    "SettingsError",
    "Share",
    "WholeNumber",
    "build",
    "load",
    "matching",
    "read",
]

Section = TypeVar("Section", bound="Settings")
Value = TypeVar("Value")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
WholeNumber = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
ByName = Annotated[dict[str, Value], Field(min_length=1)]


def matching(pattern: str) -> Any:
    """Return the rule for a text all of which matches `pattern`: `Annotated[str, matching("[0-9a-f]{64}")]`.

    The expression is one of Rust's crate regex: no look-around, no references back.
    """
    return Field(pattern=f"^(?:{pattern})$")


class Settings(BaseModel):
    """A section of a settings file, which never changes once it is read.

    Types are strict: a whole number may stand for a number, and nothing else for anything else. Lists are tuples.
    NaN and infinity are no numbers. Literals should hold text only, since to Python `True == 1 == 1.0`. A validator
    of a subclass raises ValueError with a text such as `min_area: expected ..., found ...; ...`, and the name of the
    section is put before it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
    )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, checked like the first. Raises SettingsError."""
        return _validate({**dict(self), **changes}, type(self), type(self).__name__)


def build(node: Any, model: type[Section], name: str, subset: bool = False) -> Section:
    """Turn a mapping into a `model`; `name` says in errors where it stands, and is empty at the top of a file.

    With `subset`, keys that the model does not name are passed over. Raises SettingsError, one line.
    """
    if not isinstance(node, Mapping):
        raise SettingsError(at(name, f"expected a section with keys, found {shown(node)}"))
    plain = check_plain(dict(node), name)
    if subset:
        plain = {key: value for key, value in plain.items() if key in model.model_fields}
    return _validate(_with_tuples(plain), model, name)


def read(path: Path, section: str, model: type[Section], subset: bool = False) -> Section:
    """Read one section ("train", "models.lite0" for a nested one, "" for the whole file) of `path` into a `model`.

    With `subset`, keys that the model does not name are passed over: for a stage that needs two keys of another's
    section. Raises SettingsError naming the file, the key, what is allowed and what was found.
    """
    node: Any = load(path)
    parent = ""
    for key in section.split(".") if section else ():
        if not isinstance(node, dict):
            raise SettingsError(f"{path}: expected a section `{section}`, found {shown(node)} as `{parent}`")
        if key not in node:
            raise SettingsError(f"{path}: expected a section `{section}`, found none{suggestion(key, node)}")
        node, parent = node[key], join(parent, key)
    try:
        return build(node, model, section, subset)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _validate(node: dict[str, Any], model: type[Section], name: str) -> Section:
    try:
        return model.model_validate(node)
    except ValidationError as error:
        raise SettingsError(first_message(error.errors(include_url=False), model, name)) from None


def _with_tuples(node: Any) -> Any:
    """Return `node` with tuples for lists: strict models take no list for a tuple."""
    if isinstance(node, list):
        return tuple(map(_with_tuples, node))
    if isinstance(node, dict):
        return {key: _with_tuples(value) for key, value in node.items()}
    return node
