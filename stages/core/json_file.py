"""Read JSON files: one that is missing or damaged is one line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.core.errors import UserError


def read(path: Path, keys: Iterable[str] = (), advice: str = "run `dvc repro`") -> dict[str, Any]:
    """Read a JSON object that has `keys`. Raises UserError naming the file, what was found, and `advice`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: expected a JSON file here, found none; {advice}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON, found: {error}; {advice}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found a {type(content).__name__}; {advice}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise UserError(f"{path}: expected the key `{missing[0]}`, found {', '.join(content) or 'none'}; {advice}")
    return content
