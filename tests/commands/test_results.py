"""What `make repro` ends with, from files of metrics."""

import pytest

from stages.commands import results
from stages.core import atomic

SCORES = {"n": 8, "accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 0.875, "log_loss": 0.625}


@pytest.fixture
def metrics(tmp_path):
    """Two models, the second flagged; nothing was judged on test of the first."""
    for name, test in (("a", {"n": 0}), ("b", SCORES)):
        atomic.write_json(tmp_path / "evaluate" / f"{name}.json", {"val": SCORES, "test": test})
        atomic.write_json(tmp_path / "probe" / f"{name}.json", {"val": {"n": 8, "accuracy": 0.5}, "test": {"n": 0}})
    blend = {"weights": {"a": 0.25, "b": 0.75}, "test": SCORES, "equal_weights": SCORES}
    atomic.write_json(tmp_path / "ensemble.json", blend)
    flagged = {"b": {"head_kept": {"before": 1.0, "least": 1.25}}}
    atomic.write_json(tmp_path / "audit.json", {"flags": flagged, "label_error": 3, "outlier": 2})
    return tmp_path


def test_each_model_stands_beside_its_probe(metrics):
    table = results.table(metrics).set_index("model")
    assert table.index.tolist() == ["a", "b", "equal weights", "ensemble"]
    assert table["of its probe"].tolist() == ["50.0 %", "50.0 %", "-", "-"]
    assert table.loc["a", ["val accuracy", "test accuracy", "n"]].tolist() == ["75.0 %", "-", "0"]
    assert table.loc["b", ["test accuracy", "95 % interval", "weight"]].tolist() == [
        "75.0 %",
        "50.0 % to 87.5 %",
        "0.75",
    ]


def test_faults_and_what_to_look_at_come_after_the_table(metrics, run, capsys):
    run(results, metrics=metrics)
    lines = capsys.readouterr().out.splitlines()
    assert lines[5].startswith("a fault is likely: b never beat the linear head") and lines[6].startswith("look for ")
    assert lines[7] == "to look at: 3 labels in doubt, 2 photos unlike all others"
    assert lines[8] == f"report: {metrics}/report/index.html"
    atomic.write_json(metrics / "audit.json", {"flags": {}, "label_error": 0, "outlier": 0})
    run(results, metrics=metrics)
    assert "a fault is likely" not in capsys.readouterr().out
