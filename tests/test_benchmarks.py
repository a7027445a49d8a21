"""The table and the JSON of `python -m benchmarks`: nothing here is timed."""

import io
import json

import pytest
import yaml

from benchmarks import __main__ as bench
from benchmarks.pipeline import many_photos
from benchmarks.suite import dvc_stages, project, results, worker
from benchmarks.suite.parts import PARTS, Contender, Part
from benchmarks.suite.processes import ContenderError, environment, last_line
from benchmarks.suite.report import Missing, Report

OWN = Contender("pipeline", "pipeline, metrics", "pipeline:detect", plain="plain", limit="network")
SLOW = Contender("pipeline_bits", "pipeline, bits", "pipeline:detect", "bits", plain="plain", limit="network")
PLAIN, NETWORK = Contender("plain", "ONNX Runtime", "plain:detect"), Contender("network", "network", "limits:detector")
DETECT = Part("detect", (OWN, SLOW, PLAIN, NETWORK))
HEADER = {
    "machine": {"cpu": "A CPU", "threads": 2, "instruction_sets": ["avx2"], "packages": {}},
    "commit": "a" * 40,
    "date": "2026-01-02T03:04:05+00:00",
}


def rounds(*seconds, items=10, peak=100.0):
    return [{"seconds": each, "items": items, "peak_mib": peak} for each in seconds]


def detect_rows(reasons=None):
    figures = {
        "pipeline": rounds(2, 4, 20),
        "pipeline_bits": rounds(1, 1, 1),
        "plain": rounds(4, 12, 20),
        "network": rounds(1, 3, 5),
    }
    return [results.row(contender, figures, reasons or {}) for contender in DETECT.contenders]


def part(rows, name="detect"):
    return {name: {"photos": 10, "photos_from": "sample", "rounds": 3, "date": HEADER["date"], "rows": rows}}


def test_figures_are_medians_and_ratios_are_taken_within_rounds():
    own = detect_rows()[0]
    assert own["seconds"] == 0.4 and own["photos_per_second"] == 2.5
    assert own["times_plain"] == 2 and own["times_plain_range"] == pytest.approx([1, 3])  # of 2, 3, 1
    assert own["share_of_limit"] == 0.5 and own["peak_mib"] == 100


def test_the_keys_that_others_read():
    made = results.complete(HEADER, part(detect_rows()), {})
    assert made["ratios"] == pytest.approx({"detect_default": 2, "detect_metrics": 2, "detect_bits": 12})
    assert made["shares"] == pytest.approx({"detect": 0.5, "detect_bits": 3})
    assert made["photos_per_second"] == {"detect": 2.5, "detect_bits": 10}
    assert made["peak_mib"] == {"detect": 100, "detect_bits": 100} and made["seconds"] == {}


def test_cold_and_warm_predictions_are_seconds():
    rows = [results.row(one, {one.name: rounds(3, items=1)}, {}) for one in PARTS["predict"].contenders]
    made = results.complete(HEADER, part(rows, "predict"), {})
    assert made["seconds"] == {"predict_cold_project": 3, "predict_cold_bundle": 3, "predict_warm": 3}


def test_a_missing_package_is_a_reason_and_nothing_is_compared_with_it():
    own, _, plain, _ = rows = detect_rows({"plain": "rembg is not installed"})
    assert "times_plain" not in own and own["share_of_limit"] == 0.5
    assert plain["reason"] == "rembg is not installed" and "seconds" not in plain
    made = results.complete(HEADER, part(rows), {})
    assert made["ratios"] == {}
    assert "ONNX Runtime: rembg is not installed" in results.table(made)


def test_a_part_that_failed_has_rows_with_the_reason():
    made = results.complete(HEADER, part(results.failed(DETECT, "disk full " * 30)), {})
    assert made["shares"] == made["photos_per_second"] == {}
    assert results.table(made).count("disk full disk full") >= 4


def test_lines_have_at_most_100_columns():
    long = HEADER | {"machine": HEADER["machine"] | {"cpu": "A CPU " * 40}}
    text = results.table(
        results.complete(long, part(detect_rows()) | part(results.failed(DETECT, "x" * 300), "crop"), {})
    )
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [({}, True), ({"commit": "b" * 40}, False), ({"machine": {"cpu": "Another"}}, False)],
)
def test_other_parts_stay_if_of_the_same_commit_and_machine(change, is_kept):
    earlier = HEADER | change | {"date": "2026-01-01T00:00:00+00:00", "parts": part(detect_rows())}
    made = results.complete(HEADER, part([], "resize"), earlier)
    assert list(made["parts"]) == (["detect", "resize"] if is_kept else ["resize"])
    assert ("detect" in made["shares"]) == is_kept


def test_nothing_stays_of_a_commit_with_changes():
    dirty = HEADER | {"commit": "a" * 40 + "-dirty"}
    assert list(results.complete(dirty, part([], "resize"), dirty | {"parts": part([])})["parts"]) == ["resize"]


def test_a_new_run_of_a_part_takes_the_place_of_the_earlier_one():
    earlier = HEADER | {"parts": part(results.failed(DETECT, "failed"))}
    assert results.complete(HEADER, part(detect_rows()), earlier)["shares"]["detect"] == 0.5


class FakeWorker:
    """Answers at once; `work` says how it fails."""

    def __init__(self, work, _):
        self.work, self.calls = work, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def round(self, **_):
        self.calls += 1
        if self.work == "missing" or (self.work == "dies" and self.calls == 2):
            raise ContenderError(self.work)
        return {"seconds": 1.0, "items": 10, "peak_mib": 1.0}


def test_contenders_that_fail_do_not_stop_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "Worker", FakeWorker)
    monkeypatch.setattr(bench, "_PAUSE", 0)
    monkeypatch.setattr(project, "copy", lambda *_: None)
    some = Part("detect", tuple(Contender(name, name, name) for name in ("missing", "well", "dies")))
    rows = bench.measure(some, tmp_path, tmp_path, bench.arguments(["--rounds", "2"]))
    assert [row.get("reason") for row in rows] == ["missing", None, "dies"]


def test_a_failed_preparation_is_the_reason_of_every_part(monkeypatch, tmp_path):
    def fail(*_):
        raise ContenderError("no network")

    monkeypatch.setattr(project, "run_stages", fail)
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(b"photo")
    words = ["--only", "detect,crop", "--photos-from", str(tmp_path / "photos")]
    parts = bench.measure_all(bench.arguments(words), tmp_path)
    assert list(parts) == ["detect", "crop"]
    assert {row["reason"] for one in parts.values() for row in one["rows"]} == {"preparation failed: no network"}


def test_an_unknown_part_is_named(capsys):
    with pytest.raises(SystemExit):
        bench.arguments(["--only", "detect,masks"])
    assert "found masks" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ModuleNotFoundError("", name="mxnet"), Missing("mxnet is not installed")])
def test_a_worker_says_what_is_missing(error):
    def work(_):
        raise error

    replies = io.StringIO()
    worker.measure(work, Report(replies, io.StringIO()))
    assert json.loads(replies.getvalue()) == {"missing": "mxnet is not installed"}


def test_a_worker_reports_until_no_round_is_wanted():
    replies = io.StringIO()
    report = Report(replies, io.StringIO("run\n"))
    report(1.5, 3, peak=2.0)
    with pytest.raises(SystemExit):
        report(1.0, 3, peak=2.0)
    assert json.loads(replies.getvalue().splitlines()[0]) == {"seconds": 1.5, "items": 3, "peak_mib": 2.0}


def test_children_choose_their_own_restrictions(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert "ONEDNN_MAX_CPU_ISA" not in environment() and environment()["PYTHONPATH"] == str(dvc_stages.ROOT)


def test_the_last_line_of_an_error():
    assert last_line("Traceback\n  here\nValueError: bad\n\n") == "ValueError: bad"
    assert last_line("") == "it ended without a message"


def test_photos_are_taken_in_turn_from_each_class(tmp_path):
    for name in ("a/1.jpg", "a/2.JPG", "a/3.jpg", "b/1.jpeg", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    chosen = [path.relative_to(tmp_path).as_posix() for path in project.choose_photos(tmp_path, 3)]
    assert chosen == ["a/1.jpg", "b/1.jpeg", "a/2.JPG"]
    with pytest.raises(FileNotFoundError, match="expected JPEG photos"):
        project.choose_photos(tmp_path / "none", 3)


@pytest.mark.parametrize("name", ["ingest", "detect", "crop", "segment", "mask", "resize", "train", "evaluate"])
def test_options_and_outputs_of_stages_come_from_dvc_yaml(name, monkeypatch, tmp_path):
    (tmp_path / "params.yaml").write_text("models: {one: {input: kept}}")
    monkeypatch.chdir(tmp_path)
    options = dvc_stages.options(name, "one")
    assert options[:2] == ["--params", "params.yaml"] and not any("$" in word for word in options)
    assert ("data/model_inputs/kept" in options) == (name in ("train", "evaluate"))
    assert dvc_stages.outputs(name, "one")


def test_placeholders_stand_for_the_outputs_of_every_model_segmenter_and_input():
    definition = yaml.safe_load((dvc_stages.ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    paths = many_photos.outputs(
        definition, {"models": ["a", "b"], "segmenters": ["c"], "inputs": ["d", "e"], "students": []}
    )
    assert {"models/a", "models/b", "data/maps/c", "data/model_inputs/d", "data/model_inputs/e"} <= set(paths)
    assert not any("$" in path for path in paths)


def test_every_contender_is_compared_with_one_of_its_part():
    for name, one in PARTS.items():
        names = [contender.name for contender in one.contenders]
        assert len(set(names)) == len(names) and one.name == name
        for contender in one.contenders:
            assert {contender.plain, contender.limit} - {""} <= set(names)
