"""Whether any stage of DVC could write a path, from the text of its files: importing DVC takes as long as a listing."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# Where DVC looks for no stages.
_SKIPPED = (".git", ".dvc")
# A value of params.yaml stands for any text without `..`.
_TEMPLATE = re.compile(r"\$\{.*?\}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def could_write(path: Path) -> bool:
    """Whether a stage of the project around the working directory may have the absolute `path` as its output.

    Its output may also be a folder above. True where only DVC can tell: without a project, or with a file of stages
    that has another form. A stage without a command, as of `dvc add`, writes nothing.
    """
    root = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / ".dvc").is_dir()), None)
    if root is None:
        return True
    wanted = [str(folder) for folder in (path, *path.parents)]
    try:
        outputs = [_expression(output) for file in _files(root, path) for output in _outputs(file)]
    except (OSError, AttributeError, TypeError, ValueError, yaml.YAMLError):
        return True
    return any(output.fullmatch(name) for output in outputs for name in wanted)


def _files(root: Path, source: Path) -> Iterator[Path]:
    """Yield all files of stages, also those that DVC ignores, but for environments of Python; none is in `source`."""
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        yield from (Path(folder, name) for name in names if name == "dvc.yaml" or name.endswith(".dvc"))
        folders[:] = [name for name in folders if name not in _SKIPPED and Path(folder, name) != source]


def _outputs(file: Path) -> Iterator[str]:
    """Yield the absolute paths of the outputs of a file of stages, with templates as they are written."""
    content = yaml.load(file.read_bytes(), Loader=_LOADER)
    stages = (content.get("stages") or {}).values() if file.name == "dvc.yaml" else [content]
    for stage in stages:
        body: dict[str, Any] = stage.get("do", stage)
        items = [item for key in ("outs", "metrics", "plots") for item in body.get(key) or ()]
        if "cmd" not in body:
            continue
        for item in items:
            for name in [item] if isinstance(item, str) else [item.get("path"), *item]:
                if isinstance(name, str):
                    yield os.path.normpath(file.parent / body.get("wdir", "") / name)


def _expression(output: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _TEMPLATE.split(output))), re.DOTALL)
