"""Settings that changed since the run, by what DVC recorded of each stage."""

import threading

import pytest
import yaml

from stages.commands import bundle, open_set, run_settings
from stages.core.errors import UserError

PARAMS = {
    "runtime": {"reproducibility": "bits"},
    "tta": {"mode": "none", "min_views": 2},
    "mask": {"weights": {"u2netp": 1.0}, "min_coverage": 0.15},
    "segmenters": {"u2netp": {"input_px": 224}},
    "inputs": {"kept": {"width": 64, "fill": [1, 2]}, "other": {"width": 32}},
    "models": {"a": {"input": "kept", "rate": 1.0e-5}, "b": {"input": "other"}},
    "students": {"pupil": {"input": "other"}},
}
LOCK = {
    "resize@kept": {"inputs.kept": PARAMS["inputs"]["kept"], "models": {"a": {}}, "runtime.reproducibility": "metrics"},
    "resize@other": {"inputs.other": {"width": 999}},
    "train@a": {"models.a": PARAMS["models"]["a"]},
    "train@b": {"models.b": {"input": "gone"}},
    "train_students@pupil": {"students.pupil": {"input": "kept"}},
    "evaluate@a": {"tta": PARAMS["tta"]},
    "mask": {"mask": PARAMS["mask"], "inputs": {}, "segmenters": {}},
    "segment@u2netp": {"segmenters.u2netp": {"input_px": 224}},
    "audit": {"audit": {"folds": 1}},
}


@pytest.fixture
def project(tmp_path):
    """A function that writes params.yaml with changes, and dvc.lock as DVC writes it; it returns the changes found."""

    def call(models=None, section="models", **changes):
        content = {name: dict(PARAMS[name]) | changes.get(name, {}) for name in PARAMS}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        stages = {name: {"cmd": "c", "params": {"params.yaml": params}} for name, params in LOCK.items()}
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages | {"scan": {"cmd": "c"}}}))
        names = run_settings.stages_of({"a": "kept"} if models is None else models, section)
        return run_settings.changes(tmp_path / "params.yaml", tmp_path / "dvc.lock", names)

    return call


def test_settings_of_the_run_are_no_changes_nor_are_those_of_other_models(project):
    assert project() == [] and project(runtime={"reproducibility": "metrics"}) == []
    assert project({"b": "other"}) == [
        "inputs.other.width: 999, now 32",
        'models.b.input: "gone", now "other"',
    ]
    assert project({"pupil": "kept"}, "students") == ['students.pupil.input: "kept", now "other"']


def test_each_changed_value_is_named_with_both(project):
    changed = {"mask": {"min_coverage": 0.2}, "tta": {"min_views": 3, "mode": "fixed"}}
    changed["segmenters"] = {"u2netp": {"input_px": 320}}
    changed["inputs"] = {"kept": {"width": 64, "fill": [1, 3], "mask_margin": 0.05}}
    assert project(**changed) == [
        "inputs.kept.fill: [1, 2], now [1, 3]",
        "inputs.kept.mask_margin: null, now 0.05",
        "mask.min_coverage: 0.15, now 0.2",
        "segmenters.u2netp.input_px: 224, now 320",
        "tta.min_views: 2, now 3",
        'tta.mode: "none", now "fixed"',
    ]
    assert run_settings.listed(list("abcdef")) == "a; b; c; d; and 2 more" and run_settings.listed(["a"]) == "a"


def test_classes_are_left_out_of_photos_as_the_last_run_made_them(project, tmp_path, capsys):
    """Settings of trainings count where the trained models are used; those of the photos always do."""
    project(tta={"mode": "fixed"})
    arguments = tmp_path / "params.yaml", tmp_path / "dvc.lock"
    open_set.print_changed_settings(*arguments, is_trained=False)
    assert capsys.readouterr().err.endswith("(inputs.other.width: 999, now 32); run `dvc repro`\n")
    open_set.print_changed_settings(*arguments, is_trained=True)
    assert '(inputs.other.width: 999, now 32; models.b.input: "gone", now "other"; tta' in capsys.readouterr().err
    (tmp_path / "dvc.lock").unlink()
    open_set.print_changed_settings(*arguments, is_trained=True)
    assert capsys.readouterr().err == ""


def test_without_a_lock_nothing_is_compared(project, tmp_path):
    project(tta={"mode": "fixed"})
    (tmp_path / "dvc.lock").unlink()
    assert run_settings.changes(tmp_path / "params.yaml", tmp_path / "dvc.lock", {"evaluate@a"}) == []


def test_a_lock_file_that_another_process_is_writing_is_read_once_it_is_whole(project, tmp_path):
    project(tta={"mode": "fixed"})
    lock = tmp_path / "dvc.lock"
    content = lock.read_bytes()
    lock.write_bytes(b"")
    writer = threading.Timer(0.3, lock.write_bytes, [content])
    writer.start()
    assert run_settings.changes(tmp_path / "params.yaml", lock, {"evaluate@a"}) == ['tta.mode: "none", now "fixed"']
    writer.join()


def test_a_bundle_of_changed_settings_or_without_a_model_is_refused(project, tmp_path):
    project()
    bundle.require_settings_of_run(tmp_path / "params.yaml", ["a"], "models")
    with pytest.raises(UserError, match=r"params\.yaml: expected lost under `models`, found a, b; run `dvc repro`"):
        bundle.require_settings_of_run(tmp_path / "params.yaml", ["a", "lost"], "models")
    project(tta={"min_views": 1})
    with pytest.raises(UserError, match=r"found others \(tta\.min_views: 2, now 1\); run `dvc repro`, or take"):
        bundle.require_settings_of_run(tmp_path / "params.yaml", ["a"], "models")
