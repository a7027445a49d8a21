import math
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import json_file
from stages.core.import_closure import ROOT
from stages.report import licences, model_card, model_card_data
from stages.report.model_card_data import CardData, CardMetrics, Provenance
from stages.schemas.predictions import Predictions

HOSTILE = "<b>|x"
CLASSES = ["a", HOSTILE]
SETTINGS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SCORES = {"n": 4, "accuracy": 0.75, "accuracy_low": 0.25, "accuracy_high": 0.875, "log_loss": 0.5, "ece": 0.125}
SCORES |= {"ece_if_calibrated": 0.0625}
GAIN = {"log_loss": -0.25, "log_loss_low": -0.5, "log_loss_high": 0.125, "accuracy": 0.25}
GAIN |= {"accuracy_low": -0.125, "accuracy_high": 0.5}
METRICS = CardMetrics(
    ingest={"files": 9, "reason": {"truncated": 2}, "split": {"train": 1, "val": 0, "test": 4}, "split_by": "time"},
    crop={"photos": 7, "rejected": 3, "reason": {"too_small": 1, "no_vehicle": 2}},
    mask={"crops": 7, "masked": 5, "reason": {"mask_too_small": 2}},
    audit={"photos": 7, "label_issue": 2, "outlier": 1, "expected_wrong": {"all": 1.5}},
    ensemble={"test": SCORES, "equal_weights": SCORES, "gain": GAIN, "fitted_on": "val", "selective": {}}
    | {"best_single": SCORES | {"name": "lite2"}},
    models={"lite0": {"test": SCORES}, "lite2": None},
)


def table_of(labels, splits):
    ids = [f"{number:016x}" for number in range(len(labels))]
    frame = pd.DataFrame({"image_id": ids, "label": labels, "split": splits, "group": ids, "status": "ok"})
    return frame.assign(path=[f"{name}.jpg" for name in ids], reason="")


def data_of(metrics=METRICS, **changes):
    """One photo of train and four of test, of which three are `a`, one predicted as the other class."""
    splits = table_of(["a", "a", "a", "a", HOSTILE], ["train", "test", "test", "test", "test"])
    first = np.array([0.5, 0.25, 0.75, 0.25])
    predicted = Predictions(splits["image_id"].tolist()[1:], np.column_stack([first, 1 - first]), CLASSES)
    given = {"settings": SETTINGS, "classes": CLASSES, "weights": {"lite0": 0.25, "lite2": 0.75}, "temperature": 0.5}
    return CardData(**({**given, "metrics": metrics, "splits": splits, "predicted": predicted} | changes))


def rows_of(card, heading):
    """The cells of the table below a heading."""
    section = card.partition(f"# {heading}\n")[2].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_figures_are_those_of_the_run():
    card = model_card.render(data_of())
    assert rows_of(card, "Model details")[1][:4] == ["lite2", "0.750", "efficientnet_lite2", "efficientnet_lite2.npz"]
    scores = ["4", "75.0 %", "25.0 % to 87.5 %", "0.500", "0.125"]
    unknown = ["0", "not measured", "not measured", "not measured", "not measured"]
    names = ["ensemble", "equal weights", "best single model: lite2", "lite0", "lite2"]
    assert rows_of(card, "Evaluation") == [[name, *scores] for name in names[:4]] + [[names[4], *unknown]]
    assert "-0.250 log loss (-0.500 to +0.125), +25.0 points of accuracy (-12.5 to +50.0)" in card
    # The losses are those of 0.5, 0.25, 0.75 and 0.75.
    assert f"Log loss of the ensemble: {-sum(map(math.log, (0.5, 0.25, 0.75, 0.75))) / 4:.3f} (95 % interval" in card
    assert "Files: 9; not used: `truncated` 2." in card and "1 train, 0 val, 4 test photos; split: time" in card
    assert "Photos without a main car: 3 of 7 (`no_vehicle` 2, `too_small` 1)." in card
    assert "Masks rejected: 2 of 7 (`mask_too_small` 2)" in card
    assert "2 labels of 7 photos are listed as doubtful; 1.5 of all are expected to be wrong. Outliers: 1." in card
    assert card == model_card.render(data_of())


def test_the_card_of_a_student_has_its_own_scores_and_nothing_of_the_ensemble():
    of_student = METRICS._replace(ensemble=None, models={"small": {"test": SCORES}})
    card = model_card.render(data_of(of_student, weights={"small": 1.0}, is_student=True))
    scores = ["4", "75.0 %", "25.0 % to 87.5 %", "0.500", "0.125"]
    assert rows_of(card, "Evaluation") == [["student small", *scores]]
    assert "(a student)" in card and "Log loss of the student: " in card
    assert "temperature 0.500, fitted on val" in card and "would show 0.062 on so few photos" in card
    assert "Gain over" not in card and "nsemble: " not in card
    unmeasured = model_card.render(
        data_of(METRICS._replace(models={"small": None}), weights={"small": 1.0}, is_student=True)
    )
    assert rows_of(unmeasured, "Evaluation")[0][1:3] == ["0", "not measured"]


def test_classes_come_worst_first_with_their_photos_and_intervals():
    card = model_card.render(data_of())
    # Of a tie the first class is predicted: two of three are right, Wilson's interval is 20.8 to 93.9 %.
    first = ["a", "1", "0", "3", "2", "66.7 %", "20.8 % to 93.9 %", "\\<b\\>\\|x (1)"]
    second = ["\\<b\\>\\|x", "0", "0", "1", "1", "100.0 %", "20.7 % to 100.0 %", "–"]
    assert rows_of(card, "Classes") == [first, second]
    assert "  - a as \\<b\\>\\|x: 1; the reverse: 0" in card


def test_intervals_count_a_group_as_one_photo():
    grouped = data_of().splits.assign(group=["t", "g", "g", "g", "x"])
    (first, _) = rows_of(model_card.render(data_of(splits=grouped)), "Classes")
    assert first[6] == "9.4 % to 97.5 %"  # a share of 2/3 of one trial


def test_what_is_missing_is_not_measured():
    card = model_card.render(CardData({}, CLASSES, {"one": 1.0}, None, CardMetrics()))
    for text in ("interval not measured", "paired by photo: not measured", "temperature not measured"):
        assert text in card
    for name in (
        "Files, splits and near-duplicates",
        "Confused classes",
        "Label issues and outliers",
        "Masks rejected",
    ):
        assert f"- {name}: not measured." in card
    assert "Classes: a, \\<b\\>\\|x." in card and "None" not in card
    assert rows_of(card, "Evaluation")[0] == ["ensemble", "0", *["not measured"] * 4]


def test_without_test_photos_classes_have_counts_and_no_recall():
    splits = table_of(["a", HOSTILE], ["train", "val"])
    metrics = METRICS._replace(ensemble={"test": {"n": 0}, "equal_weights": {"n": 0}, "fitted_on": "val"})
    card = model_card.render(data_of(metrics, splits=splits, predicted=Predictions([], np.zeros((0, 2)), CLASSES)))
    assert rows_of(card, "Classes") == [
        ["a", "1", "0", "0", *["not measured"] * 4],
        ["\\<b\\>\\|x", "0", "1", "0", *["not measured"] * 4],
    ]
    assert "Recall on test: not measured." in card and "Confused classes: not measured." in card


def test_the_html_shows_names_as_they_are_and_has_no_tag_of_theirs():
    classes = ["a", "<img src=x onerror=alert(1)>|`*_[x](javascript:y)"]
    splits = data_of().splits.replace(HOSTILE, classes[1])
    html = model_card.to_html(
        model_card.render(
            data_of(
                classes=classes,
                splits=splits,
                predicted=Predictions(data_of().predicted.image_ids, data_of().predicted.probabilities, classes),
            )
        )
    )
    assert "<img" not in html and "<h1" not in html and "javascript:y)" in html and "href" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;|`*_[x](javascript:y)</td>" in html
    assert html.count("<h3>Evaluation</h3>") == 1 and html.count("<h4>Classes</h4>") == 1
    cells = html.partition("<h4>Classes</h4>")[2].partition("</table>")[0]
    assert cells.count("<tr>") == 3 and cells.count("<td>") == 2 * 8


def test_a_threshold_for_unsure_predictions_is_told():
    selective = {"max_risk": 0.05, "confidence": 0.9, "threshold": 0.625, "test": {"n": 3, "risk": 0.25}}
    metrics = METRICS._replace(ensemble=METRICS.ensemble | {"selective": selective})
    card = model_card.render(data_of(metrics))
    assert "a probability below 0.625 is marked `unsure`; of the others at most 5.0 % are wrong with 90.0 %" in card
    assert "On test 3 are sure, of which 25.0 % are wrong." in card
    metrics = METRICS._replace(ensemble=METRICS.ensemble | {"selective": selective | {"threshold": None}})
    assert "no threshold promises a risk of 5.0 % at most, so all are marked `unsure`." in model_card.render(
        data_of(metrics)
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("data/sample/photos", "data/sample/photos"),
        ("/home/someone/photos", "photos"),
        ("../photos.zip", "photos.zip"),
        ("s3://bucket/folder/cars.tar?token=secret", "cars.tar"),
        ("C:\\Users\\someone\\photos", "photos"),
        ("https://host/", "not recorded"),
    ],
)
def test_a_source_is_named_without_the_machine_it_lies_on(source, name):
    assert model_card_data.source_name(source) == name


def test_provenance_has_commit_hashes_and_packages():
    facts = {"commit": "c0ffee", "dvc_lock_sha256": "d1", "requirements_sha256": "e2", "drift": ["keras 1, locked 2"]}
    card = model_card.render(data_of(provenance=Provenance(facts, {"keras": "2"})))
    assert "Commit: `c0ffee`." in card and "`dvc.lock`: `d1`; of `requirements.lock`: `e2`" in card
    assert "Packages: keras 2; installed otherwise: keras 1, locked 2." in card


def test_every_network_of_the_project_has_a_licence_that_the_attributions_name():
    text = (ROOT / "ATTRIBUTIONS.md").read_text(encoding="utf-8")
    sources = yaml.safe_load((ROOT / "models" / "pretrained" / "sources.yaml").read_text(encoding="utf-8"))
    models = {name: {"weights": f"{name}.npz"} for name in sources if name.startswith("efficientnet")}
    others = [name for name in sources if name not in models and name != "centernet_mobilenetv3"]
    settings = {"models": models, "detect": {"network": "centernet_mobilenetv3"}}
    rows = licences.of_run(settings | {"segmenters": {name: {"network": name} for name in others}}, models)
    assert {row.name.removesuffix(".npz") for row in rows} == set(sources)
    assert all(re.split("[ ;,]", row.licence)[0] in text for row in rows)


def test_weights_of_ones_own_have_no_known_licence():
    rows = licences.of_run({"models": {"a": {"weights": "mine.npz"}, "b": {"weights": "none"}}}, ["a", "b"])
    assert [tuple(row) for row in rows] == [("mine.npz", "pretrained weights", "not recorded: a file of your own")]


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "crop").mkdir()
    (tmp_path / "crop" / "details.json").write_text("[")
    with pytest.raises(json_file.UserError, match=r"crop/details\.json: expected JSON"):
        CardMetrics.read(tmp_path, [])
