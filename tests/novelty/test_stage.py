"""The stage on networks of a few numbers each, from photos to the note of `predict`, and the bundle with its file."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from stages.check import SECTIONS, check_rules
from stages.commands import bundle, predict, trained_ensemble
from stages.core import archive, settings
from stages.core.errors import UserError
from stages.core.settings import SettingsError
from stages.images import images
from stages.novelty import __main__ as stage
from stages.novelty import detector
from stages.novelty.detector import ModelScore, NoveltyDetector
from stages.schemas import split_table
from tests.commands import tiny_bundle

GREEN, RED = (20, 200, 20), (200, 20, 20)


def run(module, *arguments):
    saved, sys.argv = sys.argv, [module.__name__, *map(str, arguments)]
    try:
        module.main()
    finally:
        sys.argv = saved


def make_project(folder, share):
    """A project whose photos of train and val are greenish; `share` is `novelty.max_false_alarms`."""
    tiny_bundle.write_project(folder)
    path, rng = folder / "params.yaml", np.random.default_rng(1)
    text = path.read_text(encoding="utf-8")
    assert "max_false_alarms: null" in text
    path.write_text(text.replace("max_false_alarms: null", f"max_false_alarms: {share}"), encoding="utf-8")
    splits = [("train", 10), ("val", 30), ("test", 10)]
    ids = [f"{number:016x}" for number in range(50)]
    rows = [(name, "green") for name, n in splits for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["split", "label"]).assign(
        image_id=ids, path=ids, group=ids, status="ok", reason=""
    )
    frame[list(split_table.COLUMNS)].to_csv(folder / "data" / "splits.csv", index=False)
    for name in ("removed", "kept"):
        with archive.writing(folder / "data" / "model_inputs" / name / "0000.zip") as add:
            for image_id in ids:
                colour = np.clip(np.array(GREEN) + rng.integers(-20, 20, 3), 0, 255)
                add(f"{image_id}.png", images.encode(np.full((50, 80, 3), colour, np.uint8), ".png"))
    return folder


def run_stage(folder):
    places = {"params": "params.yaml", "splits": "data/splits.csv", "classes": "data/classes.txt", "models": "models"}
    places |= {"photos": "data/model_inputs", "ensemble": "models/ensemble.json", "out": "models/novelty.npz"}
    places["details"] = "metrics/novelty.json"
    run(stage, *(word for name, place in places.items() for word in (f"--{name}", folder / place)))
    return json.loads((folder / "metrics" / "novelty.json").read_text(encoding="utf-8"))


def make_bundle(folder):
    out = folder / "bundle"
    places = {"params": "params.yaml", "classes": "data/classes.txt"}
    places |= {name: name for name in ("models", "metrics", "data")}
    run(bundle, out, *(word for name, place in places.items() for word in (f"--{name}", folder / place)))
    return out


def photo(path, colour):
    path.write_bytes(images.encode(np.full((100, 160, 3), colour, np.uint8), ".png"))
    return path


def test_a_photo_of_another_colour_is_unknown_in_project_and_bundle(tmp_path, capsys):
    project = make_project(tmp_path / "project", 0.1)
    details = run_stage(project)
    assert details["scores"] == ["local_outlier_factor", "max_softmax", "mahalanobis"]
    assert details["val"]["n"] == 30 and details["test"]["n"] == 10
    assert details["val"]["unknown"] == 2 and "2 models" in capsys.readouterr().out
    known, unknown = photo(tmp_path / "known.png", GREEN), photo(tmp_path / "unknown.png", RED)
    for files in (trained_ensemble.of_project(project), trained_ensemble.of_bundle(make_bundle(project))):
        assert files.novelty in files.names()
        first, second = files.load().predict([known, unknown])
        assert trained_ensemble.UNKNOWN not in first.note and second.note.split(", ")[-1] == "unknown"
        assert second.probabilities.argmax() == 0
    run(predict, unknown, "--model", project / "bundle", "--out", tmp_path / "table.csv")
    assert pd.read_csv(tmp_path / "table.csv")["note"].str.endswith("unknown").all()


def test_without_a_share_nothing_is_marked_and_the_bundle_has_no_file_of_it(tmp_path, capsys):
    project = make_project(tmp_path / "project", "null")
    assert run_stage(project) == {} and capsys.readouterr().out.startswith("novelty: 0 models")
    assert detector.read(project / "models" / "novelty.npz") is None
    made = make_bundle(project)
    assert not (made / "novelty.npz").exists()
    for files in (trained_ensemble.of_project(project), trained_ensemble.of_bundle(made)):
        assert files.load().is_unknown is None


def test_the_same_photos_give_the_same_bytes(tmp_path):
    project = make_project(tmp_path / "project", 0.1)
    contents = set()
    for _ in range(2):
        run_stage(project)
        contents.add((project / "models" / "novelty.npz").read_bytes())
    assert len(contents) == 1


def test_a_detector_of_other_models_is_refused(tmp_path):
    project = make_project(tmp_path / "project", 0.1)
    detector.write(
        project / "models" / "novelty.npz", NoveltyDetector({"a": {"energy": ModelScore({}, 0.0, 1.0)}}, 1.0)
    )
    with pytest.raises(UserError, match=r"novelty\.npz: expected the models a, b, found a; run `dvc repro novelty`"):
        trained_ensemble.of_project(project).load()


def test_a_bundle_whose_detector_is_gone_is_refused(tmp_path):
    project = make_project(tmp_path / "project", 0.1)
    run_stage(project)
    made = make_bundle(project)
    (made / "novelty.npz").unlink()
    with pytest.raises(UserError, match=r"novelty\.npz: expected a file, found none"):
        trained_ensemble.of_bundle(made)


def test_networks_that_have_learned_from_val_give_no_threshold():
    path = tiny_bundle.ROOT / "params.yaml"
    sections = {name: settings.read(path, name, model) for name, model in SECTIONS.items()}
    sections |= {"models": {}, "segmenters": {}, "students": {}}
    check_rules(sections)
    sections["novelty"] = sections["novelty"].replace(max_false_alarms=0.05)
    check_rules(sections)
    sections["train"] = sections["train"].replace(folds=5)
    with pytest.raises(SettingsError, match=r"novelty\.max_false_alarms: expected null with train\.folds"):
        check_rules(sections)
