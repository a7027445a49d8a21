"""Imports of each stage lie within its `deps`, imports only go down, and no class name is used twice."""

import ast
import collections
import re
import subprocess
import sys

import pytest
import yaml

from stages.core.import_closure import ROOT, direct_imports, import_closure

PIPELINES = [
    "dvc.yaml",
    "data/sample/dvc.yaml",
    "models/pretrained/dvc.yaml",
    "models/pretrained/gluoncv/dvc.yaml",
    "models/pretrained/keras/dvc.yaml",
]
STAGES = (
    *("check", "scan", "ingest", "detect", "crop", "segment", "mask", "resize", "train", "probe", "evaluate"),
    *("ensemble", "novelty", "submission", "audit", "report", "students", "pretrained", "sample"),
)
# Each package may import those of lower levels, and itself.
LEVELS = {
    "core": 0,
    "schemas": 1,
    **dict.fromkeys(("images", "networks", "scoring"), 2),
    **dict.fromkeys(("selection", "classifiers", "sources"), 3),
    **dict.fromkeys(STAGES, 4),
    "commands": 5,
}


def started_modules(path):
    """The modules that a file names in a text, to run them in an environment of their own."""
    return set(re.findall(r"stages\.pretrained\.gluoncv\.\w+", path.read_text("utf-8")))


def closure(name):
    """All project files, relative to the root, that `python -m name` can import or start."""
    files = import_closure([name, f"{name}.__main__"])
    started = set().union(*map(started_modules, files))
    return {path.relative_to(ROOT).as_posix() for path in import_closure([name, f"{name}.__main__", *started])}


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
    return [stage for pipeline in PIPELINES for stage in stages_of(pipeline)]


def templates(modules):
    """The templates that the needed modules name: they decide what a stage writes as code does."""
    paths = sorted((ROOT / "stages").rglob("templates/*.j2"))
    sources = [(ROOT / module).read_text(encoding="utf-8") for module in modules]
    return {str(path.relative_to(ROOT)) for path in paths if any(path.name in source for source in sources)}


def compare(needed, deps):
    """What of the needed files lies in none of `deps`, and which of these, code all, hold nothing that is needed."""
    missing = [file for file in needed if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)]
    code = [dep for dep in deps if dep == "stages" or dep.startswith("stages/")]
    useless = [dep for dep in code if not any(file == dep or file.startswith(f"{dep}/") for file in needed)]
    return sorted(missing), sorted(useless)


@pytest.mark.parametrize(("modules", "deps"), all_stages())
def test_imports_of_each_stage_lie_within_its_deps_and_every_dep_holds_some(modules, deps):
    needed = set().union(*map(closure, modules))
    assert needed, f"{modules}: expected a module of the project, found none"
    missing, useless = compare(needed | templates(needed), deps)
    lines = [f"missing:  - {path}" for path in missing] + [f"remove:   - {path}" for path in useless]
    assert not lines, "deps and imports differ\n" + "\n".join(lines)


def test_no_dependency_is_listed_twice():
    for stage in all_stages():
        deps = stage.values[1]
        assert len(deps) == len(set(deps)), f"{stage.id}: {sorted({dep for dep in deps if deps.count(dep) > 1})}"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_each_pipeline_has_stages_that_run_modules(pipeline):
    assert list(stages_of(pipeline))


def test_every_stage_of_the_pipeline_is_a_package_or_a_module_of_its_name():
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        own, of_students = name.removesuffix("_students"), stage.get("foreach") == "${students}"
        places = [f"{own}/__main__.py", f"{own}.py", *([f"students/{own}.py"] if of_students else [])]
        assert own == name or of_students, name
        assert any((ROOT / "stages" / place).is_file() for place in places), name


def test_the_comparison_finds_what_is_missing_and_what_is_useless():
    needed = {"stages/ingest/__main__.py", "stages/core/atomic.py", "stages/core/params.py"}
    assert compare(needed, ["stages/ingest", "stages/core", "data/raw"]) == ([], [])
    assert compare(needed, ["stages/ingest", "stages/core/atomic.py", "stages/crop", "stages/images"]) == (
        ["stages/core/params.py"],
        ["stages/crop", "stages/images"],
    )
    assert compare(needed, ["stages/inges", "stages/cor"])[0] == sorted(needed)


def test_imports_inside_functions_and_of_imported_modules_are_found():
    files = closure("stages.pretrained.convert")
    assert {"stages/pretrained/convert.py", "stages/pretrained/tfjs.py", "stages/networks/onnx_graph.py"} <= files
    assert "stages/core/tables.py" in closure("stages.crop")
    assert "stages/pretrained/tfjs.py" not in closure("stages.crop")


def package_of(path):
    """The package below stages/ that a file belongs to; the name of a module that lies there itself."""
    return path.relative_to(ROOT / "stages").with_suffix("").parts[0]


MODULES = sorted(path for path in (ROOT / "stages").rglob("*.py") if package_of(path) not in ("__init__", "__main__"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path):
    own = package_of(path)
    for file in direct_imports(path):
        other = package_of(file)
        is_settings = own == "check" and file.name == "settings.py"
        is_below = other == "__init__" or other == own or LEVELS[other] < LEVELS[own]
        assert is_below or is_settings, f"{path.relative_to(ROOT)} imports {file.relative_to(ROOT)}"


def test_every_package_has_a_level():
    assert {package_of(path) for path in MODULES} == set(LEVELS)


def test_no_class_name_is_used_twice():
    places = collections.defaultdict(list)
    for path in (ROOT / "stages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_tests_mirror_the_packages():
    own = {"images", *LEVELS}
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.relative_to(ROOT / "tests").parts[0]
        assert folder in own or folder == path.name, f"{path}: expected a folder named as a package of stages/"


def test_what_runs_in_another_environment_imports_nothing_but_its_neighbours():
    folder = ROOT / "stages" / "pretrained" / "gluoncv"
    paths = sorted(folder.glob("*.py"))
    files = {file for path in paths for file in direct_imports(path)} - {ROOT / "stages" / "__init__.py"}
    assert len(paths) > 1 and all(file.parent == folder for file in files)
    assert "stages/pretrained/gluoncv/gluoncv_to_onnx.py" in closure("stages.pretrained.export")


def modules_named(*packages):
    paths = [path for path in MODULES if package_of(path) in packages and path.stem not in ("__init__", "__main__")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode


def test_geometry_and_tables_do_not_import_tensorflow():
    names = modules_named("core", "schemas", "images", "networks", "selection", "scoring", "detect", "segment", "mask")
    assert len(names) > 20
    code = f"import sys, {', '.join(names)}; sys.exit(sum(n in sys.modules for n in ('tensorflow', 'keras', 'torch')))"
    assert run_python(code) == 0


@pytest.mark.parametrize(
    "module", ["audit.__main__", "check", "ensemble.__main__", "report.__main__", "commands.results", "commands.serve"]
)
def test_what_takes_seconds_to_import_is_imported_where_it_is_needed(module):
    code = f"import sys, stages.{module}; sys.exit('tensorflow' in sys.modules)"
    assert run_python(code) == 0
