import json
import subprocess
from pathlib import Path

import pytest
import yaml

from stages.commands import provenance
from stages.core.errors import UserError
from stages.core.settings import SettingsError

PARAMS = {
    "runtime": {"reproducibility": "bits", "threads": 3},
    "detect": {
        "network": "centernet_mobilenetv3", "min_score": 0.05, "max_boxes": 100,
        "inference": {"batch_size": 16, "engine": "openvino", "precision": "f32"},
    },
    "segment": {"inference": {"batch_size": 16, "engine": "onnxruntime", "precision": "bf16"}},
}  # fmt: skip


def git(*words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    done = subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with lock files, two networks and one trained model, as the working folder."""
    monkeypatch.chdir(tmp_path)
    outs = [{"path": "a.onnx", "md5": "1"}, {"path": "b.npz", "md5": "2"}]
    files = {
        "params.yaml": yaml.safe_dump(PARAMS),
        "requirements.lock": "pandas==0.0.1\n",
        "dvc.lock": "stages: {}\n",
        "models/pretrained/dvc.lock": yaml.safe_dump({"stages": {"convert": {"outs": outs}, "idle": {"cmd": "true"}}}),
        "models/lite/model.json": json.dumps({"name": "lite", "device": "CPU", "precision": "float32", "seed": 0}),
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")


def write(run):
    run(provenance)
    return json.loads(Path("metrics/provenance.json").read_text())


@pytest.mark.usefixtures("project")
def test_it_records_commit_networks_packages_cpu_and_precision(run):
    facts = write(run)
    assert facts["commit"] == git("rev-parse", "HEAD") and facts["networks_md5"] == {"a.onnx": "1", "b.npz": "2"}
    assert facts["drift"] == [f"pandas {provenance.system.installed()['pandas']}, locked 0.0.1"]
    assert facts["stages"]["train@lite"] == {"device": "CPU", "precision": "float32"}
    assert facts["stages"]["detect"]["engine"] == "openvino" and facts["stages"]["detect"]["precision"] == "f32"
    assert facts["stages"]["segment"]["engine"] == "onnxruntime" and facts["stages"]["segment"]["precision"] == "f32"
    assert (
        facts["threads"] == 3
        and facts["cpu"]["machine"]
        and len(facts["dvc_lock_sha256"]) == len(facts["requirements_sha256"]) == 64
    )


@pytest.mark.usefixtures("project")
def test_the_commit_is_kept_while_the_results_are_the_same(run):
    first = write(run)
    git("add", "-A")
    git("commit", "-q", "-m", "results")
    assert write(run) == first and git("status", "--porcelain") == ""
    Path("dvc.lock").write_text("stages: {train: {}}\n")
    second = write(run)
    assert second["commit"] == git("rev-parse", "HEAD") != first["commit"]
    assert second["dvc_lock_sha256"] != first["dvc_lock_sha256"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("text", [None, "", "stages: [", "stages: {a: {outs: [1]}}", "other: {}"])
def test_a_lock_file_that_is_none_is_named(run, text):
    path = Path("models/pretrained/dvc.lock")
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=rf"(?s)^{path}: expected a lock file of DVC, found.*; run `make repro`"):
        run(provenance)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("path", ["models/lite/model.json", "metrics/provenance.json"])
def test_a_damaged_json_file_is_named(run, path):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("{")
    with pytest.raises(UserError, match=f"^{path}: expected JSON"):
        run(provenance)


@pytest.mark.usefixtures("project")
def test_an_invalid_parameter_is_named(run):
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"segment": {"inference": {}}}))
    with pytest.raises(SettingsError, match=r"segment\.inference"):
        run(provenance)
