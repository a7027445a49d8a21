import pytest

from stages.core.import_closure import ROOT, direct_imports, import_closure, imported_names, module_files


@pytest.fixture
def root(tmp_path):
    sources = {
        "a/__init__.py": "",
        "a/top.py": "import os\nfrom a import middle\nfrom a.b.leaf import value\n",
        "a/middle.py": "import a.top\n\ndef late():\n    from a import hidden\n",
        "a/hidden.py": "",
        "a/b/__init__.py": "from a.b import more\n",
        "a/b/leaf.py": "value = 1\n",
        "a/b/more.py": "",
        "a/beside.py": "from a import top\n",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source, "utf-8")
    return tmp_path


def relative(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


def test_the_closure_holds_imports_of_imports_also_inside_functions_and_in_circles(root):
    expected = ["a/b/__init__.py", "a/b/leaf.py", "a/b/more.py", "a/hidden.py", "a/middle.py", "a/top.py"]
    assert relative(root, import_closure(["a.top"], root)) == expected
    assert relative(root, import_closure(["a.middle", "a.beside"], root)) == sorted([*expected, "a/beside.py"])


def test_what_is_skipped_is_not_followed(root):
    expected = ["a/b/__init__.py", "a/b/leaf.py", "a/b/more.py", "a/top.py"]
    assert relative(root, import_closure(["a.top"], root, skip=["middle.py"])) == expected


def test_a_module_runs_the_packages_around_it_unless_they_are_empty(root):
    assert relative(root, module_files("a.b.leaf", root)) == ["a/b/__init__.py", "a/b/leaf.py"]
    assert relative(root, module_files("a.b", root)) == ["a/b/__init__.py"]
    assert module_files("numpy", root) == module_files("a.b.leaf.value", root)[2:] == []
    assert import_closure([], root) == import_closure(["numpy"], root) == []


def test_a_name_may_be_a_module_or_lie_in_one(root):
    assert list(imported_names(root / "a/top.py")) == ["os", "a", "a.middle", "a.b.leaf", "a.b.leaf.value"]
    assert relative(root, sorted(direct_imports(root / "a/top.py", root))) == [
        "a/b/__init__.py", "a/b/leaf.py", "a/middle.py",
    ]  # fmt: skip


@pytest.mark.parametrize("statement", ["from . import b", "from .b import leaf"])
def test_a_relative_import_is_refused_by_file_and_line(root, statement):
    (root / "a/hidden.py").write_text(f"\n{statement}\n", "utf-8")
    with pytest.raises(ValueError, match=r"hidden\.py, line 2: expected an absolute import"):
        import_closure(["a.top"], root)


def test_the_closure_of_this_project_begins_with_the_kernels_that_it_restricts():
    assert relative(ROOT, import_closure(["stages.core.batches"])) == [
        "stages/__init__.py", "stages/core/batches.py", "stages/core/cores.py",
    ]  # fmt: skip
