"""The whole report stage, from files to the page, on four to eight small photos."""

import base64
import hashlib
import html.parser
import re

import cv2
import numpy as np
import pandas as pd
import pytest

from stages.core import atomic, tables
from stages.core.errors import TableError
from stages.images import archived, images
from stages.report import __main__ as report_stage
from stages.report import thumbnails
from stages.schemas import advice, corrections, crops, detections, issues, manifest, masks, predictions, split_table
from stages.schemas.advice import Advice
from stages.schemas.predictions import Predictions
from tests import archives
from tests.commands import tiny_bundle

HOSTILE = '<script>alert("x")</script>'
HOSTILE_ESCAPED = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;"


AUDIT = {
    "photos": 7,
    "label_issue": 3,
    "expected_wrong": {"first_20": 4.5, "listed": 2.4, "all": 5.0},
    "flags": {},
}


class Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.source = [], "", text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def says(self, text):
        return text in " ".join(self.words.split())


def photo_of(number):
    return np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)


class Project:
    """The output files of the stages before the report."""

    classes = ("a", HOSTILE)

    def __init__(self, folder, splits, per_gallery=24):
        self.folder, self.rows, self.boxes = folder, [], []
        for number, split in enumerate(splits):
            self.add_photo(number, split)
        self.issues, self.audit, self.decisions = [], AUDIT, corrections.none()
        self.leaks = []
        self.ingest = {"split_by": "random", "near_duplicate_groups": 2, "in_given_groups": 0}
        self.settings = (
            f"report: {{photos_per_gallery: {per_gallery}, thumbnail: 32, seed: 1}}\n"
            "models: {one: {input: removed}}\n"
            "inputs: {removed: {background: remove, width: 40, height: 30}}\n"
            f"ingest: {{source: {folder / 'photos'}}}\n"
        )

    def add_photo(self, number, split):
        label = self.classes[number % len(self.classes)]
        name = f"{number}{'&' if number else HOSTILE.replace('/', '|')}.png"
        content = images.encode(photo_of(number), ".png")
        image_id = images.image_id(content)
        atomic.write_bytes(self.folder / "photos" / name, content)
        archives.put(self.folder / "crops", {f"{image_id}.jpg": photo_of(number)})
        archives.put(self.folder / "mask_images", {f"{image_id}.png": np.full((30, 40), 200, np.uint8)})
        archives.put(self.folder / "input_images" / "removed", {f"{image_id}.png": photo_of(number)})
        atomic.write_bytes(
            self.folder / "models" / "one" / "model.onnx", tiny_bundle.classifier((40, 30), len(self.classes))
        )
        self.rows.append(
            {"image_id": image_id, "path": name, "label": label, "status": "ok", "reason": "", "split": split}
            | {"width": 40, "height": 30, "phash": "0" * 16, "group": image_id, "is_cropped": True, "n_vehicles": 2}
            | {"runner_up_ratio": 0.1, "note": ""}
            | {"x_min": 4.0, "y_min": 3.0, "x_max": 36.0, "y_max": 27.0, "score": 0.75, "class_name": "car"}
            | {
                "coverage": 0.25,
                "agreement": 0.9,
                "n_regions": 1,
                "is_masked": True,
                "mask_reason": "",
            }
        )
        for box, score in (((4.0, 3.0, 36.0, 27.0), 0.75), ((0.0, 0.0, 8.0, 6.0), 0.125)):
            self.boxes.append([image_id, "car", score, *box])

    def reject(self, place, reason, status):
        self.rows[place] |= {"reason": reason, "status": status, "is_cropped": False, "is_masked": False}
        self.rows[place] |= {"coverage": np.nan, "agreement": np.nan, "class_name": "", "score": np.nan}
        if status == "failed":
            self.rows[place]["split"] = ""

    def write(self, n_wrong=0):
        frame = pd.DataFrame(self.rows).sort_values(["image_id", "path"])
        for name, module in (
            ("manifest", manifest),
            ("boxes", crops),
            ("masks", masks),
            ("splits", split_table),
        ):
            table = frame[list(module.COLUMNS)].copy()
            if name == "manifest":
                table.loc[table["status"] != "failed", ["status", "reason"]] = ["ok", ""]
                table[["x_min", "y_min", "x_max", "y_max"]] = np.nan  # no annotated box
            tables.write(self.folder / f"{name}.csv", table)
        tables.write(
            self.folder / "detections.csv",
            pd.DataFrame(self.boxes, columns=list(detections.COLUMNS)).sort_values("image_id", kind="stable"),
        )
        atomic.write_text(self.folder / "classes.txt", "".join(f"{name}\n" for name in self.classes))
        atomic.write_text(self.folder / "params.yaml", self.settings)
        self.write_results(frame[frame["status"] == "ok"], n_wrong)

    def write_results(self, used, n_wrong):
        scored = used[used["split"].isin(["val", "test"])]
        true_probabilities = np.full(len(scored), 0.75)
        true_probabilities[np.flatnonzero(scored["split"] == "test")[:n_wrong]] = [
            0.125 + 0.0625 * n for n in range(n_wrong)
        ]
        order, numbers = np.arange(len(scored)), scored["label"].map(self.classes.index).to_numpy(dtype=int)
        probabilities = np.zeros((len(scored), len(self.classes)))
        probabilities[order, numbers] = true_probabilities
        probabilities[order, (numbers + 1) % len(self.classes)] = 1 - true_probabilities
        table = Predictions(scored["image_id"].tolist(), probabilities, list(self.classes))
        predictions.write(self.folder / "predictions.csv", table)
        n_val, n_test = (int((scored["split"] == split).sum()) for split in ("val", "test"))
        val, test = figures(n_val, 0), figures(n_test, n_wrong)
        metrics = self.folder / "metrics"
        self.write_models(val, test)
        places = pd.DataFrame({"image_id": used["image_id"], "x": np.linspace(0, 1, len(used)), "y": 0.25})
        tables.write(self.folder / "probes" / "one_map.csv", places)
        best = {"best_single": {"name": "one", **test}} if n_val else {}
        # As stages.ensemble writes it without photos in test or in val.
        ensemble = {name: value for name, value in ENSEMBLE.items() if n_test or name not in ("gain", "uncalibrated")}
        ensemble |= {} if n_val else {"val": {"n": 0}}
        atomic.write_json(
            metrics / "ensemble" / "details.json", ensemble | {"test": test, "equal_weights": test} | best
        )
        curve = pd.DataFrame({"threshold": [0.9, 0.6], "coverage": [0.5, 1.0], "risk": [0.0, 0.25], "split": "test"})
        tables.write(metrics / "ensemble" / "risk_coverage.csv", curve)
        rejections = {"photos": 4, "rejected": 1, "reason": {"too_small": 1}}
        crop = {"by_class": {self.classes[0]: rejections}, "overrejected_classes": {self.classes[0]: 0.001}}
        atomic.write_json(metrics / "crop" / "details.json", crop)
        atomic.write_json(metrics / "audit" / "details.json", self.audit)
        leaks = pd.DataFrame(self.leaks, columns=["group", "split", "path", "label"])
        tables.write(metrics / "ingest" / "leaks.csv", leaks)
        atomic.write_json(metrics / "ingest" / "details.json", self.ingest)
        corrections.write(self.folder / "corrections.csv", self.decisions)
        tables.write(self.folder / "issues.csv", pd.DataFrame(self.issues, columns=list(issues.COLUMNS)))
        sweep = pd.DataFrame({"value": [0.1, 0.2], "is_current": [True, False], "photos": 4, "cropped": [3, 2]})
        sweep = sweep.assign(share_cropped=sweep["cropped"] / 4, **dict.fromkeys(crops.REJECTION_REASONS, 0))
        tables.write(metrics / "crop" / "thresholds" / "min_score.csv", sweep.assign(low_score=[1, 2]))

    def write_models(self, val, test):
        modes = {
            mode: {"accuracy": 0.5, "log_loss": 0.25, "views": n + 1} for n, mode in enumerate(("none", "adaptive"))
        }
        content = {"val": val, "test": test, "tta": {"val": modes, "test": modes if test["n"] else {}}}
        atomic.write_json(self.folder / "metrics" / "evaluate" / "one" / "details.json", content)
        atomic.write_json(self.folder / "metrics" / "probe" / "one.json", {"val": val, "test": test})
        bins = {
            "confidence": [0.4, 0.9] * 2,
            "accuracy": [0.5, 1.0] * 2,
            "photos": 2,
            "model": ["uncalibrated", "calibrated"] * 2,
        }
        table = pd.DataFrame(bins)[: 4 if test["n"] else 0]
        tables.write(self.folder / "metrics" / "evaluate" / "one" / "reliability.csv", table)

    def render(self, run):
        out, names = self.folder / "out" / "index.html", ("manifest", "detections", "boxes", "masks", "splits")
        files = {name: self.folder / f"{name}.csv" for name in (*names, "predictions", "issues", "corrections")}
        folders = {name: self.folder / name for name in ("crops", "mask_images", "input_images", "models")}
        folders |= {name: self.folder / name for name in ("metrics", "probes")}
        files |= {"params": self.folder / "params.yaml", "classes": self.folder / "classes.txt", "out": out}
        files["strip"] = self.folder / "out" / "steps.jpg"
        run(report_stage, **files, **folders)
        return Page(out.read_text(encoding="utf-8"))


GAINS = ("log_loss", "log_loss_low", "log_loss_high", "accuracy", "accuracy_low", "accuracy_high")
ENSEMBLE = {
    "weights": {"one": 1.0},
    "fitted_weights": {"one": 1.0},
    "shrinkage": 0.0,
    "fitted_on": "val",
    "selective": {"area": {"val": 0.1, "test": 0.2}},
    "temperature": 0.5,
    "uncalibrated": {"ece": 0.25, "log_loss": 0.75},
    "gain": dict.fromkeys(GAINS, -0.125),
    "val": {"n": 2, **{key: {"log_loss": 0.875, "accuracy": 0.5} for key in ("fitted", "shrinkage", "equal")}},
}


def figures(n_photos, n_wrong):
    if not n_photos:
        return {"n": 0}
    share = (n_photos - n_wrong) / n_photos
    return {"n": n_photos, "accuracy": share, "accuracy_low": 0.5, "accuracy_high": 1.0, "macro_f1": 0.625} | {
        "log_loss": 0.375,
        "ece": 0.125,
        "ece_if_calibrated": 0.0625,
    }


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, ["train", "train", "val", "val", "test", "test", "test", "test"])


def write_curves(project):
    folder = project.folder / "metrics" / "train" / "one" / "plots" / "metrics"
    atomic.write_text(folder / "val" / "log_loss.tsv", "step\tlog_loss\n0\t2.0\n1\t1.0\n")
    atomic.write_text(folder / "train" / "loss.tsv", "step\tloss\n1\t3.0\n")


def test_issues_and_flags_are_shown(project, run):
    first, second, third = project.rows[:3]
    project.reject(2, "no_vehicle", "rejected")
    for row, kind, suggested_label, score in ((first, "label_issue", HOSTILE, 0.96875), (second, "outlier", "", 2.25)):
        project.issues.append([row["image_id"], row["path"], row["split"], row["label"], kind, suggested_label, score])
    # An outlier that is no model input is left out.
    project.issues.append([third["image_id"], third["path"], third["split"], "a", "outlier", "", 9.0])
    project.audit = AUDIT | {"flags": {"one": {"no_gain_over_head": {"before": 1.0, "least": 1.25}}}}
    project.write()
    page = project.render(run)
    assert page.says("Flagged: one never beat the linear head that its training started from: val log loss 1.000")
    assert page.says("Likely causes: classes in another order than the model's;")
    assert len([a for a in page.of("span") if a.get("class") == "badge"]) == 1 and page.says("one flagged")
    assert page.says("linear probe: 100.0 % on val")
    assert page.says("label: a, wrong with probability 96.9%") and f"suggested label: {HOSTILE_ESCAPED}" in page.source
    assert page.says("nothing is removed or changed")
    assert page.says("random, with the same share of each class; near-duplicates") and page.says("photos or more: 2)")
    assert page.says("No photos are marked as of a given group. Where photos come in series")
    assert page.says("3 labels are listed, of which 2.4 are expected to be wrong; of all 7 photos, 5.0")
    assert page.says("of the 20 most doubtful, 4.5")
    assert page.says("distance: 2.2") and not page.says("distance: 9.0")
    project.issues, project.audit = [], AUDIT
    project.write()
    page = project.render(run)
    assert page.says("No label issues and no outliers.") and not page.says("Flagged")


def test_one_segmenter_has_no_agreement_and_several_have(project, run):
    project.write()
    page = project.render(run)
    assert page.says("Lowest agreement of the segmenters first.") and "Histogram: agreement" in page.source
    for row in project.rows:
        row["agreement"] = np.nan
    project.write()
    page = project.render(run)
    assert page.says("Lowest coverage first.") and "agreement of" not in page.source
    assert page.says("coverage 25.0%") and "Histogram: area of the mask" in page.source


def test_of_many_issues_the_most_severe_are_shown(tmp_path, run):
    project = Project(tmp_path, ["train"] * 6, per_gallery=2)
    for place, score in ((4, 0.01), (1, 0.02), (3, 0.03)):
        row = project.rows[place]
        project.issues.append([row["image_id"], row["path"], "train", row["label"], "label_issue", "a", score])
    project.write()
    page = project.render(run)
    section = page.source[page.source.index('id="issues"') : page.source.index('id="confusion"')]
    assert re.findall(r"probability ([0-9.]+)%", section) == ["1.0", "2.0"]
    assert page.says("Shown: 2 of 3, the first ones.")


def test_full_page(project, run):
    project.reject(0, "no_vehicle", "ok")
    project.reject(1, "truncated", "failed")
    project.write(n_wrong=2)
    write_curves(project)
    page = project.render(run)
    assert page.says("paired by photo: -0.125 log loss") and page.says("log loss on val: 0.875 with fitted weights")
    assert page.says("on test: 0.125 with the temperature 0.50, fitted on val; 0.250 uncalibrated")
    assert page.says("would have an ECE of 0.062 on a sample of this size")
    assert (
        page.says("adaptive: more views where the first disagree")
        and "Scatter chart: accuracy of one on test" in page.source
    )
    assert page.says("Test accuracy of the ensemble: 50.0 %") and page.says("4 photos, 2 classes")
    files = re.findall(r'<th scope="row">([a-z ]+)</th><td data-name="files">(\d+)</td>', page.source)
    assert dict(files) == {
        "files": "8",
        "usable": "7",
        "with boxes": "7",
        "cropped": "6",
        "masked": "6",
        "model inputs": "7",
    }
    assert page.says(
        "No box of crop.classes, and none of another class at crop.min_score or more. Here: 1 full image used."
    )
    assert page.says("part of the file is lost or damaged. Here: 1 not used.")
    assert page.says("Wrong predictions on test 2")
    first, second = page.source.index("87.5%"), page.source.index("81.2%")
    assert first < second
    assert len([a for a in page.of("svg") if "aria-label" in a]) == 5 + 2 + 6 + 1  # thresholds, distributions, map


def advise(project, n_photos=4):
    """Write advice about the photos of the project, in which a larger input is better."""
    figures = {"accuracy": 0.5, "log_loss": 0.75, "time": 1.0} | dict.fromkeys(GAINED, 0.0)
    better = {"accuracy": 0.625, "log_loss": 0.5, "time": 1.5625} | dict.fromkeys(GAINED, -0.25)
    names = {"remove 40x30": figures, f"keep {HOSTILE}": better}
    rows = [{"input": name, "backbone": "efficientnet_lite0", **row} for name, row in names.items()]
    digest = advice.digest(project.folder / "splits.csv")
    advice.write(project.folder / "metrics" / "advice.json", Advice(digest, n_photos, "remove 40x30", rows))


GAINED = [f"{name}{end}" for name in ("gain", "both_gain") for end in ("", "_low", "_high")]


def test_advice_is_shown_for_the_photos_that_it_is_about(project, run):
    project.write()
    assert not project.render(run).says("Advice")
    advise(project)
    page = project.render(run)
    assert page.says("cross-validated on 4 photos of train") and page.says("62.5 %") and HOSTILE not in page.source
    section = page.source[page.source.index('id="advice"') :]
    assert section.index("-0.250") < section.index("+0.000")  # the least log loss first
    text = (project.folder / "splits.csv").read_text()
    (project.folder / "splits.csv").write_text(text + "\n")
    assert not project.render(run).says("Advice")


def test_model_inputs_of_every_input_are_shown_and_those_of_none_removed(project, run, capsys):
    project.settings = project.settings.replace(
        "{one: {input: removed}}", "{one: {input: removed}, two: {input: kept}}"
    )
    kept = "{kept: {background: keep, width: 40, height: 30}, removed:"
    project.settings = project.settings.replace("{removed:", kept)
    for name in ("kept", "old"):
        archives.put(project.folder / "input_images" / name, archives.take(project.folder / "input_images" / "removed"))
    project.write()
    page = project.render(run)
    captions = {image["alt"].partition(" of ")[0] for image in page.of("img")}
    assert {"Input removed", "Input kept"} < captions and "Model input" not in captions
    assert sorted(path.name for path in (project.folder / "input_images").iterdir()) == ["kept", "removed"]
    assert "old: params.yaml names no such input" in capsys.readouterr().err


def test_figures_of_unknown_models_and_segmenters_are_removed(project, run, capsys):
    project.write()
    metrics = project.folder / "metrics"
    for path in ("evaluate/old.json", "evaluate/old/classes.csv", "probe/old.json", "segment/old.json"):
        atomic.write_text(metrics / path, "{}")
    project.render(run)
    assert [path.name for path in (metrics / "evaluate").iterdir()] == ["one"]
    assert [path.name for path in (metrics / "probe").iterdir()] == ["one.json"]
    assert not list((metrics / "segment").iterdir())
    names = ", ".join(str(metrics / path) for path in ("evaluate/old", "evaluate/old.json", "probe/old.json"))
    message = capsys.readouterr().err
    assert f"report: removed {names}: params.yaml names no such model" in message
    assert "segment/old.json: params.yaml names no such segmenter" in message


def test_equal_inputs_give_equal_bytes(project, run):
    project.write(n_wrong=1)
    write_curves(project)
    first = project.render(run).source
    assert first == project.render(run).source


def test_hostile_labels_and_paths_are_only_text(project, run):
    project.write(n_wrong=1)
    page = project.render(run)
    assert page.of("script") == [{}]
    assert HOSTILE not in page.source
    assert HOSTILE_ESCAPED in page.source  # as a label, in HTML
    assert "&lt;script&gt;" in page.source[page.source.index("<svg") :]  # as a tick, in a chart
    assert "0&lt;script&gt;alert(&#34;x&#34;)&lt;|script&gt;.png" in page.source  # as a path
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]


def test_the_page_has_no_external_resources(project, run):
    project.write(n_wrong=1)
    write_curves(project)
    page = project.render(run)
    assert re.findall(r"https?:", page.source) == []
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#")), (tag, attributes)
    assert "@import" not in page.source
    assert set(re.findall(r"url\((#|data:image/|.)", page.source)) <= {"#", "data:image/"}


def test_ids_are_unique_and_links_have_targets(project, run):
    project.write(n_wrong=1)
    write_curves(project)
    page = project.render(run)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a[n][1:] for _, a in page.tags for n in ("href", "xlink:href") if a.get(n, "").startswith("#")}
    assert targets <= set(ids)


def test_every_image_has_a_text_alternative(project, run):
    project.write(n_wrong=1)
    write_curves(project)
    page = project.render(run)
    # Steps, detections, masks, errors with their heat maps, a confused pair.
    assert len(page.of("img")) == 3 * 8 + 8 + 2 * 8 + 2 + 2
    assert all(attributes["alt"].strip() for attributes in page.of("img"))
    for attributes in page.of("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["aria-label"].strip()


def test_charts_name_their_axes_and_units(project, run):
    project.write(n_wrong=1)
    write_curves(project)
    page = project.render(run)
    labels = ["files (count)", "stage", "photos (count)", "class", "predicted class", "true class"]
    labels += ["loss (nats)", "accuracy (0 to 1)", "epoch (passes over the training photos)"]
    for label in labels:
        assert f">{label}</text>" in page.source


def test_galleries_are_sampled_and_counts_are_not(tmp_path, run):
    project = Project(tmp_path, ["test"] * 8, per_gallery=3)
    project.write(n_wrong=5)
    page = project.render(run)
    assert page.says("Photos with a main car 8") and page.says("Shown: 3 of 8, a random sample with seed 1.")
    assert page.says("Wrong predictions on test 5") and page.says("Shown: 3 of 5, a random sample with seed 1.")
    # Steps, detections, masks, errors with their heat maps, a confused pair.
    assert len(page.of("img")) == 3 * 3 + 3 + 2 * 3 + 2 * 3 + 2


def test_no_test_and_no_val_photos(tmp_path, run):
    project = Project(tmp_path, ["train"] * 4)
    project.write()
    page = project.render(run)
    assert page.says("No test photos, so there is no test accuracy.")
    assert page.says("No val photos, so the weights are not fitted")
    assert page.says("Errors of the ensemble on test No test photos.")
    assert page.says("No test photos, so no confusion matrix and no recall per class.")
    assert page.says("No training curves.")
    assert not page.says("Test accuracy of the ensemble")


def test_no_rejected_photos_and_no_errors(project, run):
    project.write()
    page = project.render(run)
    assert page.says("No rejected photos: every file is a usable photo with a main car.")
    assert page.says("No errors: all 4 test photos are classified correctly.")
    assert page.says("Masks not used 0")


def test_missing_and_changed_photos_are_named(project, run):
    project.write(n_wrong=1)
    missing, changed = project.rows[1], project.rows[2]
    (project.folder / "photos" / missing["path"]).unlink()
    archives.put(project.folder / "crops", {}, without=(f"{missing['image_id']}.jpg",))
    archives.put(project.folder / "mask_images", {}, without=(f"{changed['image_id']}.png",))
    archives.write(project.folder / "photos" / changed["path"], photo_of(99))
    page = project.render(run)
    labels = [attributes["aria-label"] for attributes in page.of("div") if attributes.get("role") == "img"]
    twice = [
        f"Photo {missing['path']} with 2 boxes: not available, missing",
        f"Photo {changed['path']} with 2 boxes: not available, changed",
    ]
    once = [f"Crop of {missing['path']}: not available, missing"] + [
        f"Crop of {row['path']}{treatment}: not available, missing"
        for row in (missing, changed)
        for treatment in (", its background tinted", " without its background")
    ]
    assert sorted(labels) == sorted([*twice, *twice, *once])


def test_only_shown_photos_are_read(tmp_path, run, monkeypatch):
    project = Project(tmp_path, ["train"] * 8, per_gallery=2)
    project.write()
    paths, names = [], []
    load, read_bytes = images.load, archived.read_bytes
    monkeypatch.setattr(images, "load", lambda path, *rest: paths.append(path) or load(path, *rest))
    monkeypatch.setattr(archived, "read_bytes", lambda archive, name: names.append(name) or read_bytes(archive, name))
    project.render(run)
    assert len(paths) == 2 + 2 + 1  # steps, detections, strip
    # Preprocessing, masks (crop and mask, twice), strip, map.
    assert len(names) == 2 * 2 + 2 * 2 * 2 + 4 + 8


def test_boxes_lie_over_the_thumbnail(tmp_path, run):
    project = Project(tmp_path, ["train"] * 2)
    project.write()
    page = project.render(run)
    chosen = [attributes for attributes in page.of("rect") if attributes.get("class") == "chosen"]
    # 40 x 30 pixels at 32 x 24.
    assert chosen == [{"class": "chosen", "x": "3.2", "y": "2.4", "width": "25.6", "height": "19.2"}] * 4
    image = base64.b64decode(page.of("img")[0]["src"].split(",")[1])
    assert cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)


def test_scores_of_other_photos_are_an_error(project, run):
    project.write()
    path = project.folder / "metrics" / "ensemble" / "details.json"
    atomic.write_json(path, ENSEMBLE | {"test": {"n": 3}, "equal_weights": {"n": 3}})
    with pytest.raises(TableError, match=r"ensemble/details\.json: expected scores of 4 test photos, found 3"):
        project.render(run)


@pytest.mark.parametrize("content", [None, "{", '{"test": {"n": 4}}'])
def test_missing_or_broken_metrics_are_named(project, run, content):
    project.write()
    path = project.folder / "metrics" / "ensemble" / "details.json"
    path.unlink()
    if content:
        path.write_text(content)
    with pytest.raises(TableError, match=r"ensemble/details\.json: expected"):
        project.render(run)


def test_downscaling_keeps_the_aspect_ratio_and_never_enlarges():
    wide = np.arange(1 * 500 * 3, dtype=np.uint32).reshape(1, 500, 3).astype(np.uint8)
    before = wide.copy()
    assert thumbnails.downscaled(wide, 100).shape == (1, 100, 3)
    assert thumbnails.downscaled(photo_of(0), 20).shape == (15, 20, 3)
    assert thumbnails.downscaled(photo_of(0), 40).shape == (30, 40, 3)
    assert np.array_equal(wide, before)


def test_rejections_are_counted_by_class_and_overrejected_classes_are_named(project, run):
    project.write()
    page = project.render(run)
    assert page.says("1 of 4") and page.says("25.0 %") and page.says("too_small 1")
    assert page.says("rejects more photos of a than of the other classes") and page.says("p = 0.001")
    for label in (
        "crop.min_score (score, 0 to 1)",
        "share of photos (0 to 1)",
        "area of the mask (share of the crop, 0 to 1)",
    ):
        assert f">{label}</text>" in page.source


def test_near_duplicates_are_side_by_side_and_those_of_two_classes_first(tmp_path, run):
    project = Project(tmp_path, ["train"] * 6)
    for group, members in (("g1", (0, 2)), ("g2", (1, 4))):  # labels alternate: g1 has one, g2 two
        for place in members:
            project.rows[place]["group"] = group
    project.write()
    page = project.render(run)
    assert page.says("Near-duplicates 2") and page.says("2 photos different labels")
    section = page.source[page.source.index('id="duplicates"') : page.source.index('id="steps"')]
    assert section.index("different labels</span>") < section.index("2 photos</p>") and section.count("<img") == 4


def test_the_policy_allows_the_script_of_the_page(project, run):
    project.write()
    page = project.render(run)
    script = re.search(r"<script>(.*?)</script>", page.source, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_all_groups_are_counted_and_those_of_two_classes_shown_before_others(tmp_path, run):
    project = Project(tmp_path, ["train"] * 8, per_gallery=1)
    for group, members in (("g1", (0, 2)), ("g2", (4, 6)), ("g3", (1, 3)), ("g4", (5, 7, 0))):
        for place in members:
            project.rows[place]["group"] = group
    project.write()  # of g1 one photo is left, g4 has two classes
    page = project.render(run)
    assert page.says("Near-duplicates 3") and page.says("Shown: 1 of 3, a random sample with seed 1.")
    assert page.says("3 photos different labels")


def test_leaks_between_given_splits_stand_in_a_notice_and_a_table(project, run):
    project.write()
    assert not project.render(run).says("Leaks:")
    project.leaks = [("g", "test", "t/<1>.jpg", "a"), ("g", "train", "r/1.jpg", "a")]
    project.write()
    page = project.render(run)
    assert page.says("Leaks: 2 photos") and page.says("such groups: 1)") and page.says("t/<1>.jpg")


@pytest.mark.parametrize(
    ("split_by", "text"), [("time", "the latest photos are test"), ("origin", "test has other dealers")]
)
def test_the_page_says_how_photos_were_split(project, run, split_by, text):
    project.ingest |= {"in_given_groups": 5}
    project.write()
    assert project.render(run).says("5 photos are marked as of a given group")
    project.ingest |= {"split_by": split_by}
    project.write()
    page = project.render(run)
    assert page.says(text) and not page.says("accuracy on test is too high")


def test_an_annotated_box_is_drawn_and_a_note_is_explained(tmp_path, run):
    project = Project(tmp_path, ["train"] * 2)
    project.boxes = project.boxes[2:]
    project.rows[0] |= {"class_name": "annotated", "score": 1.0, "note": "incomplete_jpeg"}
    project.write()
    page = project.render(run)
    assert page.says("main car: annotated 1.00") and page.says("The file lacks its last bytes")
    assert len([attributes for attributes in page.of("rect") if attributes.get("class") == "chosen"]) == 4
