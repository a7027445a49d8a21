"""List the stages and commands of the project, or run one of them: `python -m stages NAME ARGUMENTS`."""

import ast
import difflib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from stages.core import command

_FOLDER = Path(__file__).parent
# The order of dvc.yaml, in which they run.
STAGES = (
    *("check", "scan", "ingest", "detect", "crop", "segment", "mask", "resize", "train", "probe", "evaluate"),
    *("ensemble", "novelty", "submission", "audit", "report"),
)
_USAGE = "python -m stages NAME ARGUMENTS  runs one of these\npython -m stages NAME --help     explains its arguments"


def stage_file(name: str) -> Path:
    """The file that runs a stage: `__main__.py` of its package, or the module of its name."""
    package = _FOLDER / name / "__main__.py"
    return package if package.is_file() else _FOLDER / f"{name}.py"


def programs(folder: Path) -> list[Path]:
    """The modules of `folder` that have a function `main`, sorted by name; the others are their helpers."""
    return [path for path in sorted(folder.glob("*.py")) if _has_main(ast.parse(path.read_text(encoding="utf-8")))]


def _has_main(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def groups() -> dict[str, dict[str, Path]]:
    """The files that can be run, by heading and by name."""
    folders = {
        "students": "Stages of students, beside train and evaluate:",
        "sample": "Steps of data/sample/dvc.yaml:",
        "pretrained": "Steps of models/pretrained/**/dvc.yaml:",
    }
    steps = {
        heading: {f"{folder}.{path.stem}": path for path in programs(_FOLDER / folder)}
        for folder, heading in folders.items()
    }
    return {
        "Stages of dvc.yaml, in the order in which they run:": {name: stage_file(name) for name in STAGES},
        "Commands:": {path.stem: path for path in programs(_FOLDER / "commands")},
        **steps,
    }


def first_line(path: Path) -> str:
    """The first line of a module's docstring, read without importing the module."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def listing() -> str:
    """The text that names everything that can be run, one line each."""
    grouped = groups()
    width = max(len(name) for files in grouped.values() for name in files)
    parts = [
        "\n".join([heading, *(f"  {name:{width}}  {first_line(path)}" for name, path in files.items())])
        for heading, files in grouped.items()
    ]
    return "\n\n".join([_USAGE, *parts]) + "\n"


def unknown(name: str, names: Mapping[str, Path]) -> str:
    """The line that says that a name is unknown, with the nearest known one if there is one."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "run `python -m stages` for the list"
    return f"python -m stages: expected the name of a stage or command, found `{name}`; {hint}"


def main() -> None:
    """List, or run what the first argument names; exit with 2 if nothing has that name."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(listing(), end="", flush=True)
        return
    files = {name: path for group in groups().values() for name, path in group.items()}
    if name not in files:
        print(unknown(name, files), file=sys.stderr)
        sys.exit(2)
    module = ".".join(files[name].relative_to(_FOLDER.parent).with_suffix("").parts)
    sys.argv = [command.usage_name(name), *arguments]
    # An import, not `runpy`: processes started by a stage can then unpickle what its module defines.
    command.run(lambda: importlib.import_module(module).main())


if __name__ == "__main__":
    command.run(main)
