"""A student through DVC: what it is taught, what runs for it, and its bundle."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import small_project
from tests.small_project import PER_CLASS, run

STAGES = [f"{name}@pupil" for name in ("teach", "train_students", "evaluate_students", "compare_students")]
METRICS = Path("metrics/students/pupil")


def change(folder, edit):
    """Rewrite params.yaml of the project."""
    path = folder / "params.yaml"
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The small project after `dvc repro` without students, and again with one; `started` has the stages of both."""
    if name := small_project.missing_network():
        pytest.skip(f"needs models/pretrained/{name}: run `dvc repro models/pretrained/dvc.yaml`")
    folder = tmp_path_factory.mktemp("project")
    small_project.make(folder)
    started = [small_project.started_stages(run(folder, "dvc", "repro"))]

    def edit(content):
        content["students"] = {"pupil": content["models"]["tiny"]}
        content["teach"] |= {"min_confidence": 0.0, "min_agreement": 0.0}

    change(folder, edit)
    started.append(small_project.started_stages(run(folder, "dvc", "repro")))
    (folder / "started.json").write_text(json.dumps(started))
    return folder


def read(folder, path):
    return json.loads((folder / path).read_text())


def test_students_run_stages_of_their_own_and_no_others(project):
    without, with_one = read(project, "started.json")
    assert "ensemble" in without and not [name for name in without if "student" in name or "teach" in name]
    assert [name for name in with_one if name not in ("check", "scan")] == STAGES
    assert small_project.started_stages(run(project, "dvc", "repro")) == ["scan"]


def test_train_and_new_photos_are_taught_and_no_copy_of_a_labelled_photo(project):
    photos = pd.read_csv(project / "data/splits.csv", keep_default_na=False).set_index("path")
    train = photos.index[(photos["split"] == "train") & (photos["status"] == "ok")]
    targets = pd.read_csv(project / "data/students/pupil/targets.csv").set_index("image_id")
    assert sorted(targets.index) == sorted(photos.loc[[*train, "more/new.jpg"], "image_id"])
    new = photos.loc["more/new.jpg", "image_id"]
    expected = pd.read_csv(project / "data/unlabelled_probabilities.csv").set_index("image_id").loc[new]
    np.testing.assert_allclose(targets.loc[new], expected, atol=1e-12)
    details = read(project, METRICS / "targets.json")
    assert details["train"]["n"] == len(train) > 3 and (details["unlabelled"]["n"], details["unlabelled"]["used"]) == (
        1,
        1,
    )
    assert details["unlabelled"]["by_class"][expected.idxmax()] == 1
    val = details["pseudo_labels"]["val"]
    assert val["n"] == val["accepted"] == (photos["split"] == "val").sum() and 0 <= val["precision"] <= 1


def test_photos_without_a_label_are_left_out_where_the_ensemble_is_not_sure(project, tmp_path):
    words = ["--params", "params.yaml", "--splits", "data/splits.csv", "--classes", "data/classes.txt"]
    words += ["--models", "models", "--photos", "data/model_inputs", "--predictions", "data/predictions"]
    words += [
        "--unlabelled",
        "data/unlabelled",
        "--targets",
        str(tmp_path / "t.csv"),
        "--details",
        str(tmp_path / "d.json"),
    ]
    before = (project / "params.yaml").read_bytes()
    taught = pd.read_csv(project / "data/students/pupil/targets.csv")
    try:
        for min_confidence in (None, 1.0):
            change(project, lambda content, value=min_confidence: content["teach"].update(min_confidence=value))
            out = run(project, "python", "-m", "stages", "students.teach", *words)
            assert out == f"teach: {len(taught) - 1} train, 0 pseudo labels, 1 unlabelled\n"
            assert read(tmp_path, "d.json")["pseudo_labels"]["val"] == {"n": 6, "accepted": 0}
            left = pd.read_csv(tmp_path / "t.csv")
            assert len(left) == len(taught) - 1 and set(left["image_id"]) < set(taught["image_id"])
    finally:
        (project / "params.yaml").write_bytes(before)


def test_the_comparison_is_on_the_photos_of_test(project):
    figures = read(project, METRICS / "comparison.json")["test"]
    assert figures["n"] == 6
    assert figures["ensemble"]["accuracy"] == pytest.approx(read(project, "metrics/ensemble.json")["accuracy"])
    difference = figures["student"]["accuracy"] - figures["ensemble"]["accuracy"]
    assert figures["difference"]["accuracy"] == pytest.approx(difference)
    assert "metrics/students/pupil/comparison.json" in run(project, "dvc", "metrics", "show")


def test_a_bundle_of_the_student_alone_predicts_what_was_evaluated(project, tmp_path):
    run(project, "python", "-m", "stages", "bundle", str(tmp_path / "bundle"), "--model", "pupil")
    assert [path.name for path in (tmp_path / "bundle/models").iterdir()] == ["pupil.onnx"]
    words = ["photos", "--model", str(tmp_path / "bundle"), "--out", "student.csv"]
    run(project, "python", "-m", "stages", "predict", *words)
    predicted = pd.read_csv(project / "student.csv", keep_default_na=False).set_index("path")
    photos = pd.read_csv(project / "data/splits.csv", keep_default_na=False).set_index("path")
    evaluated = pd.read_csv(project / "data/students/pupil/predictions.csv").set_index("image_id")
    temperature = read(project, "models/students/pupil.json")["temperature"]
    test = photos[photos["split"] == "test"]
    assert len(test) == PER_CLASS and temperature != 1
    for path, image_id in test["image_id"].items():
        powers = evaluated.loc[image_id] ** (1 / temperature)
        row = predicted.loc[f"photos/{path}"]
        assert row["label"] == powers.idxmax()
        assert float(row["probability"]) == pytest.approx(powers.max() / powers.sum(), abs=2e-4)


def test_a_bundle_of_what_is_no_student_is_refused(project, tmp_path):
    command = ["python", "-m", "stages", "bundle", str(tmp_path / "bundle"), "--model", "pupill"]
    environment = small_project.environment()
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    expected = (
        "bundle: params.yaml: expected an entry of `students`, found none called `pupill`; did you mean `pupil`?\n"
    )
    assert (done.returncode, done.stderr) == (1, expected) and not (tmp_path / "bundle").exists()
