"""What the text of stages says about their outputs is never less than what DVC finds."""

from pathlib import Path

import pytest

from stages.scan import stage_files

PIPELINE = """
stages:
  one:
    cmd: x
    wdir: sub
    outs: [photos, {../far: {cache: false}}]
    metrics: [m.json]
  many:
    foreach: [a, b]
    do:
      cmd: x
      outs: ['maps/${item}/photos']
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two stages, and a photo folder under `dvc add`."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "own.dvc").write_text("outs:\n- path: own\n  md5: 00\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sub/photos", True),
        ("sub/photos/bus", True),
        ("far", True),
        ("sub/m.json", True),
        ("maps/a/photos/x", True),
        ("maps/anything/photos", True),
        ("maps/a/other", False),
        ("photos", False),
        ("sub", False),
        ("sub/photos_2", False),
        ("own", False),
    ],
)
def test_outputs_are_found_with_their_folder_and_with_any_value(project, path, expected):
    assert stage_files.could_write(project / path) is expected


@pytest.mark.parametrize("text", ["stages: [", "stages: [1]", "x", "stages: {a: {cmd: x, outs: 3}}", "\x00"])
def test_a_file_of_another_form_is_left_to_dvc(project, text):
    (project / "sub").mkdir()
    (project / "sub" / "dvc.yaml").write_text(text)
    assert stage_files.could_write(project / "photos")


def test_a_stage_of_one_file_counts_and_environments_do_not(project):
    for folder in ("env", "photos", "deep/er"):
        (project / folder).mkdir(parents=True)
        (project / folder / "one.dvc").write_text(f"cmd: x\nouts:\n- path: {project}/{folder}-made\n")
    (project / "env" / "pyvenv.cfg").touch()
    assert stage_files.could_write(project / "deep" / "er-made" / "x")
    assert not stage_files.could_write(project / "env-made")
    (project / "dvc.yaml").write_text("stages:\n")
    assert not stage_files.could_write(project / "sub" / "photos")


def test_without_a_project_dvc_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stage_files.could_write(Path.cwd() / "photos")
