"""The results that `make repro` prints at its end, from files of metrics."""

import pytest

from stages.commands import results
from stages.core import atomic
from stages.core.errors import UserError

SCORES = {"n": 8, "accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 0.875, "log_loss": 0.625}


@pytest.fixture
def metrics(tmp_path):
    """The metrics of two models, the second flagged; the first has no test photos."""
    for name, test in (("a", {"n": 0}), ("b", SCORES)):
        atomic.write_json(tmp_path / "evaluate" / name / "details.json", {"val": SCORES, "test": test})
        atomic.write_json(tmp_path / "probe" / f"{name}.json", {"val": {"n": 8, "accuracy": 0.5}, "test": {"n": 0}})
    ensemble = {"weights": {"a": 0.25, "b": 0.75}, "val": SCORES, "test": SCORES, "equal_weights": SCORES}
    atomic.write_json(tmp_path / "ingest" / "details.json", {"files": 16})
    atomic.write_json(tmp_path / "ensemble" / "details.json", ensemble)
    flagged = {"b": {"no_gain_over_head": {"before": 1.0, "least": 1.25}}}
    atomic.write_json(
        tmp_path / "audit" / "details.json",
        {"flags": flagged, "label_issue": 3, "outlier": 2, "expected_wrong": {"listed": 2.4}},
    )
    return tmp_path


def test_each_model_has_a_row_with_its_linear_probe(metrics):
    table = results.table(metrics).set_index("model")
    assert table.index.tolist() == ["a", "b", "equal weights", "ensemble"]
    assert table["linear probe"].tolist() == ["50.0 %", "50.0 %", "-", "-"]
    assert table.loc["a", ["val accuracy", "test accuracy", "n"]].tolist() == ["75.0 %", "-", "0"]
    assert table.loc["b", ["test accuracy", "95 % interval", "weight"]].tolist() == [
        "75.0 %",
        "50.0 % to 87.5 %",
        "0.75",
    ]


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("ensemble/details.json", None, "expected a JSON file here, found none"),
        ("ensemble/details.json", "{}", "expected the key `weights`"),
        ("evaluate/a/details.json", '{"val":', "expected JSON"),
        ("probe/b.json", "{}", "expected the key `val`"),
        ("audit/details.json", '{"flags": {}}', "expected the key `label_issue`"),
    ],
)
def test_a_missing_or_damaged_file_is_named(metrics, run, path, text, problem):
    (metrics / path).unlink() if text is None else (metrics / path).write_text(text)
    with pytest.raises(UserError, match=f"^{metrics / path}: {problem}.*`dvc repro`"):
        run(results, metrics=metrics)


def test_flags_and_photos_to_check_follow_the_table(metrics, run, capsys):
    run(results, metrics=metrics)
    lines = capsys.readouterr().out.splitlines()
    assert lines[5].startswith("flagged: b ") and lines[6].startswith("likely causes: ")
    assert lines[7] == "to check: 3 label issues, 2.4 expected to be wrong; 2 outliers"
    assert lines[8] == f"report: {metrics}/report/index.html"
    atomic.write_json(
        metrics / "audit" / "details.json",
        {"flags": {}, "label_issue": 0, "outlier": 0, "expected_wrong": {"listed": 0.0}},
    )
    run(results, metrics=metrics)
    assert "flagged" not in capsys.readouterr().out


def test_leaks_and_empty_splits_are_told_beside_the_scores(metrics, run, capsys):
    run(results, metrics=metrics)
    assert "leaks:" not in (text := capsys.readouterr().out) and "no photos" not in text
    ensemble = {"weights": {"b": 1.0}, "val": {"n": 0}, "test": {"n": 0}, "equal_weights": SCORES}
    atomic.write_json(metrics / "ensemble" / "details.json", ensemble)
    leaks = {"groups": 2, "photos": 5, "by_split": {"train": 3, "val": 0, "test": 2}}
    atomic.write_json(metrics / "ingest" / "details.json", {"leaks": leaks})
    run(results, metrics=metrics)
    lines = capsys.readouterr().out.splitlines()
    assert "no photos in test: nothing was evaluated" in lines
    assert "no photos in val: weights and temperature were not fitted" in lines
    assert any(line.startswith("leaks: 2 groups straddle the given splits, 5 photos") for line in lines)


def test_a_student_follows_the_ensemble_and_is_compared_with_it(metrics, run, capsys, tmp_path):
    (tmp_path / "params.yaml").write_text("students: {pupil: {}, other: {}}\n")
    difference = {"log_loss": 0.0625, "log_loss_low": -0.125, "log_loss_high": 0.25}
    difference |= {"accuracy": -0.125, "accuracy_low": -0.25, "accuracy_high": 0.0}
    scores = {key: value for key, value in SCORES.items() if key != "n"}
    compared = {"n": 8, "student": scores, "ensemble": scores, "difference": difference}
    atomic.write_json(metrics / "students" / "pupil" / "comparison.json", {"val": {"n": 0}, "test": compared})
    atomic.write_json(metrics / "students" / "other" / "comparison.json", {"val": compared, "test": {"n": 0}})
    run(results, metrics=metrics, params=tmp_path / "params.yaml")
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split()[:2] == ["ensemble", "-"]
    assert lines[5].split()[:4] == ["pupil,", "student,", "calibrated", "-"] and "75.0 %" in lines[5]
    assert lines[6].split()[:5] == ["other,", "student,", "calibrated", "75.0", "%"]
    expected = "log loss +0.062 (-0.125 to +0.250), accuracy -12.5 points (-25.0 to +0.0), paired, 95 %"
    assert [line for line in lines if "minus ensemble" in line] == [f"pupil minus ensemble: {expected}"]


def test_a_student_without_a_comparison_is_one_line(metrics, run, tmp_path):
    (tmp_path / "params.yaml").write_text("students: {pupil: {}}\n")
    with pytest.raises(UserError, match=r"students/pupil/comparison.json: expected a JSON file here, found none"):
        run(results, metrics=metrics, params=tmp_path / "params.yaml")
