"""Code is a dependency: what each stage imports stands in its `deps`, and nothing else of the project does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = [
    "dvc.yaml",
    "data/sample/dvc.yaml",
    "models/pretrained/dvc.yaml",
    "models/pretrained/gluoncv/dvc.yaml",
    "models/pretrained/keras/dvc.yaml",
]
LAYERS = ("imaging", "learning", "rendering", "reporting", "records")


def named(path):
    """The dotted names that a file imports, anywhere in it; `from a import b` may name a module a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def files_of(name):
    """The project's files that importing `name` runs: the module, each `__init__.py` on the way unless empty."""
    parts = name.split(".")
    packages = [ROOT.joinpath(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)]
    module = ROOT.joinpath(*parts).with_suffix(".py")
    return [p for p in packages if p.is_file() and p.read_text(encoding="utf-8").strip()] + [module] * module.is_file()


def direct(path):
    return {found for name in named(path) for found in files_of(name)}


def started(path):
    """The files of modules that a module names in a text, to run them in an environment of their own."""
    return {file for name in re.findall(r"stages\.foreign\.\w+", path.read_text("utf-8")) for file in files_of(name)}


def closure(name):
    """All project files, relative to the root, that `python -m name` can import or start."""
    seen, pending = set(), files_of(name)
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending.extend(direct(path) | started(path))
    return {path.relative_to(ROOT).as_posix() for path in seen}


def stages_of(pipeline):
    """Each stage of a dvc.yaml that runs a module: its name, the modules, its `deps` relative to the root."""
    for name, stage in yaml.safe_load((ROOT / pipeline).read_text(encoding="utf-8"))["stages"].items():
        body = stage.get("do", stage)
        command = body["cmd"] if isinstance(body["cmd"], str) else " ".join(body["cmd"])
        modules = re.findall(r"python3? -m (stages[\w.]*)", command)
        deps = [next(iter(dep)) if isinstance(dep, dict) else dep for dep in body.get("deps", [])]
        base = (ROOT / pipeline).parent / body.get("wdir", ".")
        plain = [(base / dep).resolve() for dep in deps if "${" not in dep]
        inside = [path.relative_to(ROOT).as_posix() for path in plain if path.is_relative_to(ROOT)]
        if modules:
            yield pytest.param(modules, inside, id=f"{pipeline}:{name}")


def all_stages():
    return [stage for pipeline in PIPELINES if (ROOT / pipeline).is_file() for stage in stages_of(pipeline)]


def templates(modules):
    """The templates that the needed modules name: they decide what a stage writes as code does."""
    found = sorted((ROOT / "stages").rglob("templates/*.j2"))
    return {str(path.relative_to(ROOT)) for path in found for module in modules if path.name in read(module)}


def read(module):
    """The source of a project module."""
    return (ROOT / module).read_text(encoding="utf-8")


def compare(needed, deps):
    """What is missing from `deps`, and what of the project's code stands there without need."""
    missing = [file for file in needed if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)]
    code = [dep for dep in deps if dep.endswith(".py") or dep == "stages" or dep.startswith("stages/")]
    useless = [dep for dep in code if not any(file == dep or file.startswith(f"{dep}/") for file in needed)]
    return sorted(missing), sorted(useless)


@pytest.mark.parametrize(("modules", "deps"), all_stages())
def test_each_stage_depends_on_the_code_that_it_imports_and_on_no_other(modules, deps):
    needed = set().union(*map(closure, modules))
    assert needed, f"{modules}: expected a module of the project, found none"
    needed |= templates(needed)
    missing, useless = compare(needed, deps)
    lines = [f"missing:  - {path}" for path in missing] + [f"remove:   - {path}" for path in useless]
    assert not lines, "deps and imports differ\n" + "\n".join(lines)


def test_no_dependency_is_listed_twice():
    for stage in all_stages():
        deps = stage.values[1]
        assert len(deps) == len(set(deps)), f"{stage.id}: {sorted({dep for dep in deps if deps.count(dep) > 1})}"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_each_pipeline_has_stages_that_were_looked_at(pipeline):
    if not (ROOT / pipeline).is_file():
        pytest.skip(f"{pipeline} does not exist")
    assert list(stages_of(pipeline))


def test_the_comparison_itself_finds_what_is_missing_and_what_is_useless():
    needed = {"stages/ingest.py", "stages/records/atomic.py", "stages/records/params.py"}
    assert compare(needed, ["stages/ingest.py", "stages/records", "data/raw"]) == ([], [])
    assert compare(needed, ["stages/ingest.py", "stages/records/atomic.py", "stages/crop.py", "stages/imaging"]) == (
        ["stages/records/params.py"],
        ["stages/crop.py", "stages/imaging"],
    )
    assert compare(needed, ["stages/ingest.p", "stages/rec"])[0] == sorted(needed)


def test_imports_inside_functions_and_of_imported_modules_are_seen():
    found = closure("stages.convert")
    assert {"stages/convert.py", "stages/imaging/tfjs.py", "stages/imaging/onnx_graph.py"} <= found
    assert "stages/records/tables.py" in closure("stages.crop") and "stages/imaging/tfjs.py" not in closure(
        "stages.crop"
    )


def modules_of(layer):
    return sorted((ROOT / "stages" / layer).glob("*.py"))


@pytest.mark.parametrize(
    "path", [path for layer in LAYERS for path in modules_of(layer)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_only_go_down(path):
    allowed = {path.parent.name, "records"}
    for found in direct(path):
        parts = found.relative_to(ROOT).parts
        is_below = len(parts) == 3 and parts[1] in allowed
        assert is_below or parts == ("stages", "__init__.py"), f"{path.name} imports {'/'.join(parts)}"


def test_what_runs_in_another_environment_imports_nothing_but_its_neighbours():
    paths = modules_of("foreign")
    imported = {found for path in paths for found in direct(path)} - {ROOT / "stages" / "__init__.py"}
    assert len(paths) > 1 and all(found.parent == ROOT / "stages" / "foreign" for found in imported)
    assert "stages/foreign/gluoncv_to_onnx.py" in closure("stages.export")


def test_geometry_and_tables_do_not_import_tensorflow():
    names = [f"stages.{layer}.{path.stem}" for layer in ("imaging", "records") for path in modules_of(layer)]
    wanted = [name for name in names if not name.endswith(("__init__", ".tfjs"))]
    assert len(wanted) > 10
    code = f"import sys, {', '.join(wanted)}; sys.exit(sum(n in sys.modules for n in ('tensorflow', 'keras', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_what_takes_seconds_to_import_is_imported_where_it_is_needed():
    code = "import sys, stages.{}; sys.exit(sum(name in sys.modules for name in ('cleanlab', 'tensorflow')))"
    for stage in ("audit", "check", "ensemble", "report", "results"):
        assert subprocess.run([sys.executable, "-c", code.format(stage)], cwd=ROOT, check=False).returncode == 0, stage
