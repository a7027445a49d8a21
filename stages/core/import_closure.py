"""The modules of this project that a module imports, directly or through others, found by reading the source."""

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import stages

# The folder that the package `stages` lies in.
ROOT = Path(stages.__file__).resolve().parents[1]


def imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, anywhere in it; `from a import b` may name a module a.b.

    Raises ValueError on a relative import.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{path}, line {node.lineno}: expected an absolute import, found a relative one")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_files(name: str, root: Path = ROOT) -> list[Path]:
    """The files below `root` that `import name` runs: the module, and each `__init__.py` on the way that is not empty.

    Empty for a module that does not lie below `root`.
    """
    parts = name.split(".")
    packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    module = root.joinpath(*parts).with_suffix(".py")
    return [path for path in packages if path.is_file() and path.stat().st_size] + [module] * module.is_file()


def direct_imports(path: Path, root: Path = ROOT) -> set[Path]:
    """The files below `root` that the file at `path` imports itself."""
    return {file for name in imported_names(path) for file in module_files(name, root)}


def import_closure(modules: Iterable[str], root: Path = ROOT, skip: Collection[str] = ()) -> list[Path]:
    """The files below `root` of `modules` and of all that these import, directly or not, sorted by path.

    Files whose name is in `skip`, such as "settings.py", are left out, and what they import is not followed.
    """
    visited: set[Path] = set()
    pending = [path for name in modules for path in module_files(name, root)]
    while pending:
        path = pending.pop()
        if path not in visited and path.name not in skip:
            visited.add(path)
            pending.extend(direct_imports(path, root))
    return sorted(visited)
