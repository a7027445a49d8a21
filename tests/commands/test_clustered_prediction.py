"""Prediction on a Ray cluster of two one-core nodes: the bytes of the local engine, and photos that kill workers."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from stages.commands import bundle_manifest, clustered_prediction, predict, trained_ensemble
from stages.core import atomic
from stages.core.runtime_settings import RuntimeSettings
from stages.images import images
from tests import small_project

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
ROOT = Path(__file__).parents[2]
NETWORKS = ("centernet_mobilenetv3.onnx", "u2netp_int8.onnx")
CLASSES = ["car", "van", "bus"]
MODEL_HW = (160, 256)


def write_settings(folder, **runtime):
    """The project's settings, with batches of four."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["runtime"] |= {"cluster_timeout": 300, **runtime}
    content["detect"]["inference"]["batch_size"] = 4
    content["inputs"] = {"one": {"background": "remove", "width": MODEL_HW[1], "height": MODEL_HW[0]}}
    content["models"] = {"tiny": {"backbone": "xception", "weights": "none", "input": "one"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def write_photos(folder):
    """Ten photos of coarse noise, a damaged one, an empty one, and a file that is no photo."""
    folder.mkdir()
    for number in range(10):
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        content = images.encode(np.kron(small, np.ones((20 + number, 20, 1), np.uint8)), ".jpg")
        (folder / f"{number}.jpg").write_bytes(content)
    (folder / "damaged.jpg").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(300))


def write_ensemble(folder, networks, weights):
    """The networks, and an ensemble of one model, `tiny`."""
    networks.mkdir(parents=True)
    for name in NETWORKS:
        if not (ROOT / "models/pretrained" / name).is_file():
            pytest.skip(f"needs models/pretrained/{name}: run `dvc repro models/pretrained/dvc.yaml`")
        shutil.copy(ROOT / "models/pretrained" / name, networks)
    prior = {"car": 0.5, "van": 0.25, "bus": 0.25}
    record = {"classes": CLASSES, "weights": {"tiny": 1.0}, "temperature": 1.5, "prior": prior}
    atomic.write_json(folder / weights, record)


def write_model(path):
    """A model: the softmax of a product with the mean colour."""
    matrix = np.array([[0.03, -0.02, 0.01], [0.01, 0.02, -0.03], [-0.02, 0.01, 0.02]], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["photos", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    inputs = [helper.make_tensor_value_info("photos", TensorProto.FLOAT, [None, *MODEL_HW, 3])]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        numpy_helper.from_array(matrix, "matrix"),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    path.parent.mkdir()
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


@pytest.fixture
def bundle(tmp_path):
    """A bundle with a small model."""
    folder = tmp_path / "bundle"
    write_ensemble(folder, folder / "networks", "ensemble.json")
    write_settings(folder)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    write_model(folder / "models/tiny.onnx")
    bundle_manifest.write(folder)
    return folder


@pytest.fixture
def project(tmp_path):
    """A project with a small model, after its `dvc repro`."""
    folder = tmp_path / "project"
    write_ensemble(folder, folder / "models/pretrained", "models/ensemble.json")
    write_settings(folder)
    (folder / "data").mkdir()
    (folder / "data/classes.txt").write_text("\n".join(CLASSES) + "\n")
    write_model(folder / "models/tiny/model.onnx")
    write_photos(folder / "photos")
    (folder / "stages").symlink_to(ROOT / "stages")
    return folder


def predict_in(folder, *words):
    """The bytes of the table and of the contest file of a prediction in `folder`."""
    files = ("--out", "table.csv", "--submission", "contest.csv")
    small_project.run(folder, "python", "-m", "stages", "predict", "photos", "lost.jpg", *words, *files)
    return [(folder / name).read_bytes() for name in ("table.csv", "contest.csv")]


@pytest.mark.usefixtures("nodes")
def test_a_project_predicts_the_same_bytes_with_each_engine(project):
    local = predict_in(project)
    table = local[0].decode().splitlines()
    assert len(table) == 1 + 10 + 3 and local[0].count(b",car,") + local[0].count(b",van,") > 3
    assert table[-1].startswith("lost.jpg,,,,,") and "missing: lost.jpg: No such file" in table[-1]
    write_settings(project, engine="ray")
    assert predict_in(project) == local
    write_settings(project, engine="ray", shares_photos=True)
    assert predict_in(project) == local
    assert predict_in(project, "--engine", "local") == local


@pytest.mark.usefixtures("nodes")
def test_a_bundle_runs_on_a_cluster_only_on_request_and_predicts_the_same(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_photos(elsewhere / "photos")
    (elsewhere / "stages").symlink_to(ROOT / "stages")
    write_settings(bundle, engine="ray")
    bundle_manifest.write(bundle)
    local = predict_in(elsewhere, "--model", str(bundle))
    assert predict_in(elsewhere, "--model", str(bundle), "--engine", "ray") == local


def test_without_the_package_the_engine_is_refused_in_one_line_and_a_bundle_needs_none(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write_photos(elsewhere)
    code = "import sys; sys.modules['ray'] = None; from stages import __main__; __main__.main()"
    words = ["python", "-c", code, "predict", str(elsewhere / "1.jpg"), "--model", str(bundle)]
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    assert "1.jpg," in small_project.run(tmp_path, *words)
    with pytest.raises(AssertionError, match=r"predict: expected the package ray .* or take the engine `local`$"):
        small_project.run(tmp_path, *words, "--engine", "ray")


def run_or_die(ensemble, items):
    """Predict a chunk, or end the process for the photo named killer."""
    if any("killer" in item.content.path for item in items):
        os.kill(os.getpid(), signal.SIGKILL)
    return clustered_prediction.run_chunk(ensemble, items)


@pytest.mark.usefixtures("nodes")
def test_a_photo_that_kills_its_worker_is_one_row_and_the_others_are_predicted(bundle, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    write_photos(folder)
    shutil.copy(folder / "5.jpg", folder / "killer.jpg")
    files = trained_ensemble.of_bundle(bundle)
    photos = predict.list_photos([folder])
    paths, prior = [photo.path for photo in photos], files.read_weights().prior
    local = predict.collect(photos, enumerate(files.load().predict(paths)), CLASSES, prior)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with monkeypatch.context() as patched:
        # The function travels by value, and finds the original one on the worker.
        patched.setattr(clustered_prediction, "run_chunk", run_or_die)
        results = predict.predict_paths(paths, files, RuntimeSettings(engine="ray", cluster_timeout=300))
        found = predict.collect(photos, results, CLASSES, prior)
    (number,) = [row for row, path in enumerate(found.predictions.paths) if "killer" in path]
    probabilities, others = found.predictions.probabilities, np.arange(len(found.notes)) != number
    assert found.predictions.reasons[number] == "worker_died"
    np.testing.assert_array_equal(probabilities[number], prior)
    # Chunks differ, and NumPy's vectors with them: the last bit of a float64 may, four digits do not.
    np.testing.assert_allclose(probabilities[others], local.predictions.probabilities[others], rtol=1e-14)
    rows, local_rows = (list(zip(*predict.to_table(one).values(), strict=True)) for one in (found, local))
    row = dict(zip(predict.COLUMNS, rows.pop(number), strict=True))
    del local_rows[number]
    assert rows == local_rows and len(rows) > 10
    assert row["label"] == "" and row["note"].startswith("worker_died: ")
