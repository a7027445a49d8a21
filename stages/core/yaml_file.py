"""Read YAML files by the rules that DVC reads params.yaml with, and refuse what other readers take for another value.

DVC reads with ruamel.yaml's safe loader: YAML 1.2, but for underscores in numbers, `0b11` and dates, which it keeps
from YAML 1.1. `1e-5` is a number there, `yes` and `1:30` are text. `dvc exp run -S` writes small numbers as `1e-05` and
text such as `yes` without quotes, so a reader of YAML 1.1 (PyYAML) takes both for something else.
"""

import re
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError

from stages.core.errors import UserError

_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
# Underscores that part anything but thousands are taken for a slip: `1_5`, which YAML reads as 15.
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(_[0-9]{3})+([.eE].*)?")
_OLD_RULES = re.compile(r"^%YAML\s+1\.[01]\b", re.MULTILINE)
_PLAIN = (bool, int, float, str, date, type(None))
_TAGGED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a date that exists",
}
_MAX_DEPTH = 64
_MAX_SHOWN = 120


# pydantic puts the name of the section before a ValueError of a validator.
class SettingsError(UserError, ValueError):
    """A settings file cannot be read, or a setting is missing, unknown, of the wrong type or out of its range."""


class _RefusedError(MarkedYAMLError):
    """A value that YAML reads but a person may mean otherwise, or that does not fit its tag."""


class _Constructor(SafeConstructor):
    """The safe loader's values; numbers that a person may mean otherwise, and impossible dates, are refused."""

    def construct_checked(self, node: ScalarNode) -> Any:
        """Return the number, date or boolean of `node`. Raises _RefusedError."""
        tag = str(node.tag)
        kind = tag.rpartition(":")[2]
        try:
            if kind == "int" and _LEADING_ZERO.fullmatch(node.value):
                _refuse_leading_zero(node)
            if kind in ("int", "float"):
                _require_grouped(node)
            return SafeConstructor.yaml_constructors[tag](self, node)
        except (ValueError, LookupError) as error:
            text = shown(node.value).removesuffix(" (text)").strip("'")
            problem = f"expected {_TAGGED[kind]}, found {text} ({error}); if text is meant, put it in quotes"
            raise _RefusedError(problem=problem, problem_mark=node.start_mark) from None


for _tag in _TAGGED:
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_tag}", _Constructor.construct_checked)


def _refuse_leading_zero(node: ScalarNode) -> None:
    digits = node.value.replace("_", "")
    decimal = int(digits)
    octal = str(int(digits, 8)) if not set(digits) & set("89") else "text"
    problem = (
        f"expected a number without leading zeros, found {node.value} (YAML 1.2 and DVC read {decimal}, "
        f"YAML 1.1 {octal}); write {decimal}, or '{node.value}' if text is meant"
    )
    raise _RefusedError(problem=problem, problem_mark=node.start_mark)


def _require_grouped(node: ScalarNode) -> None:
    is_decimal = node.value.lstrip("+-")[:2] not in ("0x", "0o", "0b")
    if is_decimal and "_" in node.value and not _GROUPED.fullmatch(node.value):
        number = node.value.replace("_", "")
        problem = (
            f"expected underscores between thousands only, found {node.value} (DVC reads {number}); "
            f"write {number}, or '{node.value}' if text is meant"
        )
        raise _RefusedError(problem=problem, problem_mark=node.start_mark)


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping. Keys come as text, `7:` as "7"; values as YAML has them.

    Raises SettingsError, one line that names the file, the line or the key, what was expected and what was found.
    """
    text = _read_text(path)
    if directive := _OLD_RULES.search(text):
        line = text.count("\n", 0, directive.start()) + 1
        raise SettingsError(f"{path}, line {line}: expected YAML 1.2, found {directive[0]}; delete that line")
    try:
        content = _parse(text)
    except YAMLError as error:
        raise SettingsError(f"{path}{_line(error, text)}: {_explain(error)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: expected at most {_MAX_DEPTH} levels, found more") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected `key: value` lines, found {shown(content)}")
    try:
        plain: dict[str, Any] = check_plain(content, "")
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return plain


# A command reads each section of params.yaml by itself: parsing the same text thirty times took a quarter of a second.
@lru_cache(maxsize=8)
def _parse(text: str) -> Any:
    """The content of a YAML file, never to be changed: `load` returns copies."""
    yaml = YAML(typ="safe")
    yaml.Constructor = _Constructor
    return yaml.load(text)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: expected a settings file here, found none") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: expected a settings file here, found a folder") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SettingsError(f"{path}, line {line}: expected UTF-8, found byte 0x{byte:02x}; save it as UTF-8") from None


def _line(error: YAMLError, text: str) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        # The C parser places what is missing at the end of the file one line behind the last.
        return f", line {min(error.problem_mark.line + 1, max(len(text.splitlines()), 1))}"
    if isinstance(error, ReaderError):
        wrong = text.find(chr(error.character)) if isinstance(error.character, int) else -1
        return f", line {text.count(chr(10), 0, wrong) + 1}" if wrong >= 0 else ""
    return ""


def _explain(error: YAMLError) -> str:
    if isinstance(error, ReaderError):
        return f"expected printable characters, found #x{error.character:04x}; delete it"
    if not isinstance(error, MarkedYAMLError):
        return f"expected YAML, found: {' '.join(str(error).split())}"
    problem = " ".join(str(error.problem).split())
    if isinstance(error, _RefusedError):
        return problem
    if isinstance(error, DuplicateKeyError):
        key = re.search(r'found duplicate key "(.*?)" with value', problem)
        return f"expected every key once, found `{key[1] if key else '?'}` twice; delete one"
    if tag := re.search(r"constructor for the tag '(?:tag:yaml\.org,2002:)?(.*)'", problem):
        sign = {"value": "=", "merge": "<<"}.get(tag[1])
        return (
            f"expected a value, found {sign}, which YAML reserves; put it in quotes: '{sign}'"
            if sign
            else f"expected a plain value, found the unknown tag {tag[1]}; delete the tag"
        )
    context = f"{' '.join(error.context.split())}: " if error.context else ""
    return f"expected YAML, found an error {context}{problem}"


def check_plain(node: Any, name: str, depth: int = 0) -> Any:
    """Return a copy of `node` in which every key is text; numbers as keys become text.

    `name` says in errors where the node stands. Raises SettingsError for other keys, keys that are then alike, and
    values that are no mapping, list, text, number, date, true, false or null.
    """
    if depth > _MAX_DEPTH:
        raise SettingsError(f"{name[:_MAX_SHOWN]}: expected at most {_MAX_DEPTH} levels, found more")
    if isinstance(node, list | tuple):
        return [check_plain(item, f"{name}[{i}]", depth + 1) for i, item in enumerate(node)]
    if isinstance(node, dict):
        plain: dict[str, Any] = {}
        for key, value in node.items():
            word = _key(key, name)
            place = join(name, word)
            if word in plain:
                raise SettingsError(f"{place}: expected every key once, found it twice; delete one")
            plain[word] = check_plain(value, place, depth + 1)
        return plain
    if not isinstance(node, _PLAIN):
        raise SettingsError(f"{name}: expected a plain value, found a YAML {type(node).__name__}; delete the tag")
    return node


def _key(key: Any, name: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise SettingsError(at(name, f"expected text for every key, found the key {shown(key)}; put it in quotes"))


def join(name: str, key: str) -> str:
    """Return the name of `key` inside `name`, which is empty at the top of a file."""
    return f"{name}.{key}" if name else key


def at(name: str, text: str) -> str:
    """Return `text` after the name that it is about, or alone where that is empty."""
    return f"{name}: {text}" if name else text


def shown(value: Any) -> str:
    """Return `value` as YAML would have it, with its type, on one line: `'1e-5' (text)`."""
    text = as_yaml(value)
    text = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    return f"{text} ({_kind_of(value)})"


def _kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "whole number", float: "number", str: "text", date: "date", type(None): "no value"}
    if isinstance(value, list | tuple):
        return f"list of {len(value)}"
    if isinstance(value, dict):
        return "section"
    return kinds.get(type(value), type(value).__name__)


def as_yaml(value: Any) -> str:
    """Return a plain value as YAML has it within a line; text in quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    return value.isoformat() if isinstance(value, date) else repr(value)
