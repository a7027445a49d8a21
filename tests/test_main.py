"""`python -m stages`: the list of what can be run, and runs of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages import __main__ as program

ROOT = Path(__file__).resolve().parents[1]
NAMES = {name: path for group in program.groups().values() for name, path in group.items()}


def stages(*words):
    return subprocess.run([sys.executable, "-m", "stages", *words], cwd=ROOT, capture_output=True, text=True)


def test_stages_are_listed_in_the_order_of_the_pipeline():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    # Students have two modules of their own, and go through two of these stages.
    main = [name for name, stage in pipeline.items() if stage.get("foreach") != "${students}"]
    assert main == list(program.STAGES) == list(NAMES)[: len(main)]


def test_commands_and_steps_are_listed_and_their_helpers_are_not():
    assert {"advise", "predict", "bundle", "compare", "experiment", "search", "repeated_holdout", "results",
            "provenance", "reproduce", "review", "serve", "open_set",
            "students.teach", "students.compare",
            "repair_lock", "docs", "status", "score_sample", "parallel_repro", "sample.render", "sample.score",
            "pretrained.fetch", "pretrained.convert", "pretrained.export", "pretrained.download",
            "pretrained.quantize", "calibrate",
    } == set(NAMES) - set(program.STAGES)  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_without_a_name_there_is_a_line_for_each(words):
    done = stages(*words)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert done.returncode == 0 and [words[0] for words in lines] == list(NAMES)
    assert all(len(words) == 2 for words in lines) and max(map(len, done.stdout.splitlines())) <= 100


def test_the_list_imports_no_heavy_library():
    code = "import sys; from stages import __main__; __main__.listing(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("predcit", "did you mean `predict`?"),
        ("render", "did you mean `sample.render`?"),
        ("grid", "run `python -m stages` for the list"),
    ],
)
def test_an_unknown_name_is_one_line_with_a_hint(name, hint):
    done = stages(name, "--help")
    expected = f"python -m stages: expected the name of a stage or command, found `{name}`; {hint}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_usage_names_the_command_as_it_is_run(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stages", name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        program.main()
    assert not stopped.value.code and capsys.readouterr().out.startswith(f"usage: python -m stages {name} [-h]")


@pytest.mark.parametrize("module", ["crop", "check", "commands.results", "pretrained.fetch"])
def test_usage_is_the_same_when_the_module_is_run_itself(module):
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{module}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"usage: python -m stages {module.removeprefix('commands.')} [-h]")


def test_errors_begin_with_the_name_and_exit_codes_are_passed_on(tmp_path):
    done = stages("results", "--metrics", str(tmp_path))
    assert done.returncode == 1 and done.stderr.startswith("results: ") and len(done.stderr.splitlines()) == 1
    words = [word for name in ("photos", "masks", "truth") for word in (f"--{name}", str(tmp_path / name))]
    done = stages("sample.render", "--params", str(tmp_path / "params.yaml"), *words)
    assert done.returncode == 1 and done.stderr.startswith("render: ") and len(done.stderr.splitlines()) == 1
    assert stages("results", "--metrics").returncode == 2
