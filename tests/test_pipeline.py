"""The whole pipeline through DVC on a few rendered photos: tables, metrics, a second run, prediction, bundle."""

import asyncio
import io
import json
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.schemas import corrections
from tests import archives, small_project
from tests.commands.serving import browser
from tests.small_project import PER_CLASS, ROOT, run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pipeline on rendered photos, after `dvc repro`."""
    if name := small_project.missing_network():
        pytest.skip(f"needs models/pretrained/{name}: run `dvc repro models/pretrained/dvc.yaml`")
    folder = tmp_path_factory.mktemp("project")
    small_project.make(folder)
    run(folder, "dvc", "repro")
    return folder


@pytest.mark.parametrize("table", ["manifest", "boxes", "masks", "splits"])
def test_every_table_has_one_row_per_file(project, table):
    rows = pd.read_csv(project / "data" / f"{table}.csv", keep_default_na=False).set_index("path")
    assert len(rows) == 3 * PER_CLASS + 3 + 4
    assert rows.loc[["broken.jpg", "Thumbs.db", "copy.jpg", "more/new.jpg"], "reason"].tolist() == [
        "truncated", "not_an_image", "duplicate", "",
    ]  # fmt: skip
    assert rows.loc["van/half of 'it' ü.jpg", "reason"] == "truncated"
    assert rows.loc["van/nothing.jpg", "reason"] == "empty_file"
    duplicates = rows.loc[["van/again.jpg", "van/van_001.jpg"], "reason"]
    assert sorted(duplicates) == ["", "duplicate"]


def test_every_usable_photo_has_a_model_input(project):
    rows = pd.read_csv(project / "data" / "splits.csv", keep_default_na=False)
    usable = rows[rows["status"] == "ok"]
    assert len(usable) == 3 * PER_CLASS + 1
    for name in ("removed", "kept"):
        found = archives.take(project / "data" / "model_inputs" / name)
        assert sorted(f"{image_id}.png" for image_id in usable["image_id"]) == sorted(found)


def test_metrics_agree_with_the_predictions(project):
    scores, weights = (
        json.loads((project / "metrics" / name).read_text()) for name in ("ensemble.json", "weights.json")
    )
    assert set(weights) == {"tiny", "other"} and sum(weights.values()) == pytest.approx(1)
    photos = pd.read_csv(project / "data" / "splits.csv", keep_default_na=False).set_index("image_id")
    predicted = pd.read_csv(project / "data" / "ensemble_predictions.csv").set_index("image_id")
    test = photos[photos["split"] == "test"]
    assert scores["n"] == len(test) == 6
    is_correct = predicted.loc[test.index].idxmax(axis=1) == test["label"]
    assert scores["accuracy"] == pytest.approx(is_correct.mean())


def test_photos_without_labels_are_predicted(project):
    table = pd.read_csv(project / "data" / "predictions_unlabelled.csv", keep_default_na=False).set_index("path")
    assert table.index.tolist() == ["broken.jpg", "copy.jpg", "more/new.jpg"]
    assert table["reason"].tolist() == ["truncated", "", ""]
    # The damaged photo gets the shares of the classes in train.
    prior = json.loads((project / "models" / "ensemble.json").read_text())["prior"]
    assert sum(prior.values()) == pytest.approx(1)
    assert table.loc["broken.jpg", "probability"] == pytest.approx(max(prior.values()))
    # The copy of a train photo, which no table of val and test predictions has, is predicted by what is in it.
    photos = pd.read_csv(project / "data" / "manifest.csv", keep_default_na=False).set_index("path")
    known, copy = photos.loc["van/van_003.jpg"], photos.loc["copy.jpg"]
    assert (known["split"], copy["split"]) == ("train", "unlabelled") and copy["image_id"] == known["image_id"]
    answers = pd.read_csv(project / "data" / "unlabelled_probabilities.csv").set_index("image_id")
    assert sorted(answers.index) == sorted(table.loc[["copy.jpg", "more/new.jpg"], "image_id"])
    for row in table.iloc[1:].itertuples():
        expected = answers.loc[row.image_id].sort_values()
        assert [row.label, row.second_label] == expected.index[[-1, -2]].tolist()
    scored = pd.read_csv(project / "data" / "ensemble_predictions.csv")["image_id"]
    assert not scored.isin(answers.index).any()
    contest = pd.read_csv(project / "data" / "submission.csv", keep_default_na=False)
    assert contest.to_dict("list") == {"id": ["broken", "copy", "new"], "label": table["label"].tolist()}


def test_photos_without_labels_are_predicted_as_predict_does(project):
    run(project, "python", "-m", "stages", "predict", small_project.UNLABELLED, "--out", "new.csv")
    predicted = pd.read_csv(project / "new.csv", keep_default_na=False).set_index("path")
    table = pd.read_csv(project / "data" / "predictions_unlabelled.csv", keep_default_na=False).set_index("path")
    assert [path.removeprefix("unlabelled/") for path in predicted.index] == table.index.tolist()
    names = ["label", "second_label"]
    assert predicted[names].values.tolist()[1:] == table[names].values.tolist()[1:]
    differences = pd.to_numeric(predicted["probability"]).to_numpy()[1:] - table["probability"].to_numpy()[1:]
    assert np.abs(differences).max() < 2e-4
    # A damaged photo has a note, and no label.
    assert predicted.iloc[0]["label"] == "" and "truncated" in predicted.iloc[0]["note"]


def test_metrics_and_plots_can_be_shown(project):
    assert "metrics/ensemble.json" in run(project, "dvc", "metrics", "show")
    run(project, "dvc", "plots", "show", "-o", "plots")
    assert (project / "plots" / "index.html").is_file()


def test_a_second_run_has_nothing_to_do(project):
    before = (project / "dvc.lock").read_bytes()
    partial = project / "data" / "maps" / "u2netp" / ".00000.0a1b2c3d.zip"
    partial.write_bytes(b"of a killed run")
    assert small_project.started_stages(run(project, "dvc", "repro")) == ["scan"]
    assert (project / "dvc.lock").read_bytes() == before
    partial.unlink()


def test_after_a_pull_another_machine_has_nothing_to_do(project, tmp_path):
    small_project.commit(project, "results")
    small_project.add_remote(project, str(tmp_path / "store"))
    small_project.check_on_another_machine(project, tmp_path / "second")


def test_predictions_equal_those_of_the_pipeline_and_do_not_depend_on_other_photos(project):
    photos = pd.read_csv(project / "data" / "splits.csv", keep_default_na=False).set_index("path")
    table = pd.read_csv(project / "data" / "ensemble_predictions.csv").set_index("image_id")
    run(project, "python", "-m", "stages", "predict", "photos", "--out", "all.csv", "--submission", "submission.csv")
    predicted = pd.read_csv(project / "all.csv", keep_default_na=False)
    assert len(predicted) == len(list((project / "photos").rglob("*.*")))
    for row in predicted.itertuples():
        photo = photos.loc[row.path.removeprefix("photos/")]
        if photo["image_id"] in table.index and photo["split"] == "test":
            expected = table.loc[photo["image_id"]].sort_values()
            assert [row.label, row.second_label] == expected.index[[-1, -2]].tolist()
            assert float(row.probability) == pytest.approx(expected.iloc[-1], abs=2e-4)
    empty = predicted.set_index("path").loc["photos/van/nothing.jpg"]
    assert empty["label"] == "" and "empty_file" in empty["note"]
    submission = pd.read_csv(project / "submission.csv", keep_default_na=False)
    assert submission.columns.tolist() == ["id", "label"] and len(submission) == len(predicted)
    assert (submission["label"] != "").all()
    some = predicted.iloc[[3, 0]]
    text = run(project, "python", "-m", "stages", "predict", *some["path"])
    again = pd.read_csv(io.StringIO(text), keep_default_na=False)
    pd.testing.assert_frame_equal(again.astype(str), some.reset_index(drop=True).astype(str))


# What a bundle needs is in requirements-serve.lock alone.
PREDICT = """
import sys
from importlib.metadata import packages_distributions
from stages import __main__
__main__.main()
imported, known = {name.partition(".")[0] for name in sys.modules}, packages_distributions()
print(*sorted({package for name in imported for package in known.get(name, ())}), file=open("packages.txt", "w"))
"""


def test_predictions_and_those_of_a_bundle_in_another_folder_are_the_same_without_the_packages_of_training(
    project, tmp_path
):
    run(project, "python", "-m", "stages", "bundle", "bundle")
    bundle = (project / "bundle").rename(tmp_path / "elsewhere")
    run(project, "python", "-c", PREDICT, "predict", "photos", "--out", "here.csv")
    words = ["predict", "photos", "--model", str(bundle), "--out", "there.csv", "--submission", "ids.csv"]
    run(project, "python", "-c", PREDICT, *words, "--explain", "maps")
    assert (project / "here.csv").read_bytes() == (project / "there.csv").read_bytes()
    lock = (ROOT / "requirements-serve.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z\d.-]+)==", lock, re.MULTILINE))
    used = {re.sub(r"[._-]+", "-", name.lower()) for name in (project / "packages.txt").read_text().split()}
    # Some are imported only where they happen to be installed.
    assert "numpy" in used and "onnx" in used and used - {"onnxruntime", "absl-py", "setuptools"} <= locked
    params = project / "params.yaml"
    text = params.read_text(encoding="utf-8")
    changed = yaml.safe_load(text)
    changed["mask"]["max_coverage"] = 0.5
    params.write_text(yaml.safe_dump(changed), encoding="utf-8")
    with pytest.raises(
        AssertionError, match=r"bundle: params\.yaml: .* found others \(mask\.max_coverage: [\d.]+, now 0\.5\)"
    ):
        run(project, "python", "-m", "stages", "bundle", "bundle")
    params.write_text(text, encoding="utf-8")
    assert not (project / "bundle").exists()
    for path in (bundle / "models").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(AssertionError, match=r"predict: .*onnx: expected the SHA-256"):
        run(project, "python", "-m", "stages", "predict", "photos", "--model", str(bundle))


def test_rendered_cars_are_detected_and_segmented(project):
    boxes = pd.read_csv(project / "data" / "boxes.csv")
    masks = pd.read_csv(project / "data" / "masks.csv")
    assert boxes["is_cropped"].sum() >= 3 * PER_CLASS
    assert masks["is_masked"].sum() >= 3 * PER_CLASS - 1
    corners = boxes.loc[boxes["is_cropped"], ["x_min", "y_min", "x_max", "y_max"]].to_numpy()
    assert (corners >= 0).all() and (corners <= np.array([320, 240, 320, 240])).all()


def test_a_misspelled_parameter_stops_the_run_before_any_stage(project):
    path = project / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("epochs: 1", "epoch: 1", 1))
    try:
        command = ["dvc", "repro"]
        environment = small_project.environment()
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    finally:
        path.write_text(before)
    assert done.returncode != 0
    assert "train.epoch" in done.stderr and "did you mean" in done.stderr
    assert (project / "metrics" / "ensemble.json").is_file()


def detected_rows(project):
    """The outputs of the detector that are cached: an output that is computed again is in a new row."""
    (path,) = (project / "logs/inference_cache/detect").glob("*.sqlite")
    with closing(sqlite3.connect(path)) as base:
        return base.execute("SELECT rowid FROM outputs ORDER BY rowid").fetchall()


def test_decisions_of_people_run_what_depends_on_them_and_infer_nothing_again(project):
    photos = pd.read_csv(project / "data" / "manifest.csv", keep_default_na=False)
    usable = photos[(photos["status"] == "ok") & (photos["split"] == "train")].set_index("path")
    wrong, boxed, plain = *usable.index[usable["label"] == "van"][:2], usable.index[0]
    path = project / "data" / "corrections.csv"
    rows = [(wrong, "label", "pickup"), (boxed, "box", "10 20 300 200"), (plain, "no_mask", "")]
    decided = [(usable.loc[name, "image_id"], kind, value, "ann", "", "label_issue") for name, kind, value in rows]
    corrections.write(path, pd.DataFrame(decided, columns=list(corrections.COLUMNS)))
    inferred = detected_rows(project)
    output = run(project, "dvc", "repro")
    assert detected_rows(project) == inferred
    assert {"ingest", "crop", "mask", "train@tiny", "ensemble", "report"} <= set(small_project.started_stages(output))
    after = pd.read_csv(project / "data" / "splits.csv", keep_default_na=False).set_index("path")
    assert after.loc[wrong, "label"] == "pickup"
    assert (after.loc[usable.index, "split"] == "train").all()
    boxes = pd.read_csv(project / "data" / "boxes.csv", keep_default_na=False).set_index("path")
    assert boxes.loc[boxed, ["x_min", "y_min", "x_max", "y_max"]].tolist() == ["10.0", "20.0", "300.0", "200.0"]
    masks = pd.read_csv(project / "data" / "masks.csv", keep_default_na=False).set_index("path")
    assert masks.loc[plain, "mask_reason"] == "background_kept_by_review"
    assert "ensemble" in run(project, "dvc", "metrics", "diff")


async def press(address, keys, devtools):
    """Open the page of a review and press keys, each when the photo before is decided."""
    async with browser.tab(devtools) as tab:
        await tab.open(address, width=1280)
        for n_done, key in enumerate(keys):
            await tab.wait_for(f"photo !== null && !isBusy && queue.done.size === {n_done}")
            await tab.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
            await tab.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        await tab.wait_for(f"!isBusy && queue.done.size === {len(keys)}")


def used_labels(project):
    photos = pd.read_csv(project / "data" / "splits.csv", keep_default_na=False)
    return photos[photos["status"] == "ok"].set_index("image_id")["label"]


@pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
def test_five_photos_decided_by_keyboard_change_the_next_run(project, tmp_path):
    path, before = project / "data" / "corrections.csv", used_labels(project)
    corrections.write(path, corrections.none())
    command = ["python", "-m", "stages", "review", "--port", "0"]
    process = subprocess.Popen(command, cwd=project, env=small_project.environment(), stdout=subprocess.PIPE, text=True)
    try:
        address = next(line for line in process.stdout if " photos at " in line).split()[4].rstrip(";")
        with browser.chromium(tmp_path) as devtools:
            asyncio.run(asyncio.wait_for(press(address, "y2y2y", devtools), 120))
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and output.startswith("review: 5 decisions, 5 label, ")
    decided = corrections.read(path).set_index("image_id")["value"]
    changed = decided[decided != before[decided.index]]
    assert len(decided) == 5 and len(changed) >= 1
    inferred = detected_rows(project)
    output = run(project, "dvc", "repro")
    assert detected_rows(project) == inferred
    assert {"ingest", "train@tiny", "ensemble", "report"} <= set(small_project.started_stages(output))
    after = used_labels(project)
    assert (after[changed.index] == changed).all()
    assert "ensemble" in run(project, "dvc", "metrics", "diff", "--all")
