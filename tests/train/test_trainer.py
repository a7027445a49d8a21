"""The whole stage with a backbone of one convolution, in processes of its own, and what it leaves behind."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stages.classifiers import inference, onnx_classifier, pretrained
from stages.classifiers.engine import keras
from stages.classifiers.settings import BagSettings, ModelSettings
from stages.core.errors import TableError, UserError
from stages.train import bagging
from stages.train.settings import TrainSettings
from tests import archives

ROOT = Path(__file__).parents[2]
PARAMS = """
runtime: {threads: 1}
train: {epochs: 2, batch_size: 4, patience: null}
models:
  tiny: {backbone: one_convolution, weights: w.npz, input: i, input_px: 32}
"""
# Stands in for the table of real backbones, which take a minute to compile.
PROGRAM = """
from stages.train import __main__ as train
from stages.classifiers import backbones
from stages.classifiers.engine import keras

def features(image):
    image = keras.layers.Rescaling(1 / 255, name="normalise")(image)
    return keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(image)

def load(model, tensors):
    model.get_layer("first").set_weights([tensors["kernel"], tensors["bias"]])

backbones.BACKBONES["one_convolution"] = backbones.Backbone(features, load)
KILL = ""
train.main()
"""
# Kills itself with SIGKILL, which no handler can catch, before a training step or before a file is replaced.
DIES = """
import os, signal
from stages.train import fit
from stages.core import atomic
compile_step, replacing, left = fit.compiled_train_step, atomic.replacing, [{left}]

def count(work):
    def counted(*given):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return work(*given)
    return counted

fit.compiled_train_step = lambda *given: count(compile_step(*given))
atomic.replacing = count(replacing)
"""
SPLITS = ["train"] * 5 + ["val"] * 2


def prepare(folder, splits=SPLITS):
    rows = ["image_id,path,label,group,split,status,reason\n"]
    for number, split in enumerate(splits):
        rows.append(f"i{number},i{number}.jpg,{'ab'[number % 2]},,{split},ok,\n")
        image = np.random.default_rng(number).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        archives.put(folder / "photos.zip", {f"i{number}.png": image})
    (folder / "splits.csv").write_text("".join(rows))
    (folder / "classes.txt").write_text("a\nb\nnever_seen\n")
    (folder / "params.yaml").write_text(PARAMS)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    np.savez(folder / "w.npz", kernel=kernel, bias=np.zeros(4, np.float32))
    return folder


def teach(folder, probabilities):
    """Make `tiny` a student that learns these probabilities of the first class, and photo i7 without a label."""
    head, models = PARAMS.split("models:")
    settings = head.replace("patience: null", "patience: null, checkpoint_minutes: 1.0e-9") + "students:" + models
    (folder / "params.yaml").write_text(settings + "teach: {temperature: 3.0, soft_share: 0.9}\n")
    if "i7" not in (folder / "splits.csv").read_text():
        with (folder / "splits.csv").open("a") as stream:
            stream.write("i7,i7.jpg,,,unlabelled,ok,\n")
        archives.put(folder / "photos.zip", {"i7.png": np.full((40, 60, 3), 200, np.uint8)})
    names = [*(f"i{number}" for number in range(5)), "i7"]
    rows = [f"{name},{share},{1 - share},0\n" for name, share in zip(names, probabilities, strict=True)]
    (folder / "targets.csv").write_text("image_id,a,b,never_seen\n" + "".join(rows))
    return folder


def start(folder, out, dies_after=None):
    given = {"params": "params.yaml", "splits": "splits.csv", "photos": "photos.zip", "classes": "classes.txt"}
    given |= {"pretrained": ".", "out": f"{out}/model", "curves": f"{out}/curves", "logs": f"logs_{out}"}
    given |= {"targets": "targets.csv"} if (folder / "targets.csv").exists() else {}
    arguments = [part for name, path in given.items() for part in (f"--{name}", str(folder / path))]
    program = PROGRAM if dies_after is None else PROGRAM.replace('KILL = ""', DIES.format(left=dies_after))
    command = [sys.executable, "-c", program, "--model", "tiny", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def run(folder, out):
    done = start(folder, out)
    assert done.returncode == 0, done.stderr
    return done, {p.relative_to(folder / out): p.read_bytes() for p in (folder / out).rglob("*") if p.is_file()}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_two_processes_write_the_same_bytes(tmp_path):
    folder = prepare(tmp_path / "data")
    done, first = run(folder, "one")
    _, second = run(folder, "two")
    assert first == second
    assert {Path("model/model.keras"), Path("model/model.onnx")} < set(first) and Path("curves/metrics.json") in first
    assert done.stdout.startswith("train tiny: 5 photos, ") and "photo/s" in done.stderr
    assert "cuda" not in done.stderr.lower()
    facts = json.loads(first[Path("model/model.json")])
    assert facts["classes"] == ["a", "b", "never_seen"]
    assert (facts["photo_hw"], facts["input_hw"]) == ([40, 60], [21, 32])
    assert facts["precision"] == "float32" or facts["device"] != "CPU"
    model = keras.saving.load_model(folder / "one/model/model.keras")
    photos = np.random.default_rng(9).integers(0, 256, (2, 40, 60, 3)).astype(np.uint8)
    expected = inference.predict(model, photos)
    assert expected.shape == (2, 3)
    # The copy for prediction gives the same, one photo at a time.
    predict = onnx_classifier.load(folder / "one/model/model.onnx")
    np.testing.assert_allclose(predict(photos), expected, atol=1e-5)


@pytest.mark.parametrize("dies_after", [0, 2, 4, 6])
def test_killed_at_any_moment_and_started_again_it_writes_the_bytes_of_a_run_never_broken(tmp_path, dies_after):
    folder = prepare(tmp_path / "data")
    (folder / "params.yaml").write_text(PARAMS.replace("patience: null", "patience: null, checkpoint_minutes: 1.0e-9"))
    _, whole = run(folder, "whole")
    killed = start(folder, "broken", dies_after)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    _, again = run(folder, "broken")
    assert {path: content for path, content in again.items() if not path.name.startswith(".")} == whole
    assert [path.name.split(".")[0] for path in (folder / "logs_broken").iterdir()] == ["events"]


def test_one_photo_and_no_val_is_enough(tmp_path):
    folder = prepare(tmp_path / "data", ["train", "test"])
    _, files = run(folder, "out")
    assert json.loads(files[Path("model/model.json")])["best_epoch"] == 2
    assert not any("val" in path.parts for path in files)


def test_no_training_photos_are_refused(tmp_path):
    folder = prepare(tmp_path / "data", ["val", "test"])
    with pytest.raises(TableError, match=r"splits\.csv: expected photos with the split `train`, found none"):
        bagging.read_members(folder / "splits.csv", folder / "photos.zip", ["a", "b"], BagSettings())


def test_each_network_has_the_batch_size_that_its_photos_need(tmp_path):
    splits = [SimpleNamespace(train=SimpleNamespace(names=["photo"] * count)) for count in (799, 800)]
    recipe = TrainSettings(batch_size=16, min_steps_per_epoch=100)
    several = bagging.plan(splits, recipe, tmp_path, tmp_path)
    assert [member.recipe.batch_size for member in several] == [4, 8]
    (alone,) = bagging.plan(splits[:1], recipe, tmp_path, tmp_path)
    assert alone.recipe == recipe.replace(batch_size=4)


def bag_of(folder, n_folds):
    text = PARAMS.replace("patience: null", f"patience: null, checkpoint_minutes: 1.0e-9, folds: {n_folds}")
    (folder / "params.yaml").write_text(text)
    return folder


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_with_folds_each_network_lacks_one_of_them_and_the_model_is_their_mean(tmp_path):
    folder = bag_of(prepare(tmp_path / "data"), 2)
    done, files = run(folder, "out")
    assert "network 2 of 2" in done.stderr
    # Seven photos are outside test: four of a and three of b.
    assert re.match(r"train tiny: [34] \+ [34] photos, \d \+ \d best epoch, ", done.stdout)
    facts = json.loads(files[Path("model/model.json")])
    assert len(facts["members"]) == 2 and facts["members"][0]["seed"] != facts["members"][1]["seed"]
    assert "best_epoch" not in facts and facts["n_parameters"] > 0
    curve = [line.split("\t") for line in files[Path("curves/plots/metrics/val/log_loss.tsv")].decode().splitlines()]
    assert [line[0] for line in curve] == ["step", "0", "1", "2"]
    model = keras.saving.load_model(folder / "out/model/model.keras")
    trained = onnx_classifier.load_trained(folder / "out/model/model.onnx", 3)
    photos = np.random.default_rng(9).integers(0, 256, (3, 40, 60, 3)).astype(np.uint8)
    first, second = (member(photos) for member in trained.members)
    assert abs(first - second).max() > 1e-4
    np.testing.assert_allclose(trained.classify(photos), (first + second) / 2, atol=1e-6)
    np.testing.assert_allclose(inference.predict(model, photos), (first + second) / 2, atol=1e-5)


@pytest.mark.parametrize("dies_after", [3, 7, 11])
def test_a_killed_bag_goes_on_where_it_was(tmp_path, dies_after):
    folder = bag_of(prepare(tmp_path / "data"), 2)
    _, whole = run(folder, "whole")
    killed = start(folder, "broken", dies_after)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    _, again = run(folder, "broken")
    assert {path: content for path, content in again.items() if not path.name.startswith(".")} == whole
    assert not list((folder / "logs_broken").rglob("checkpoint.npz"))


SURE, UNSURE = [0.875, 0.25, 0.875, 0.25, 0.875, 0.25], [0.5, 0.5, 0.5, 0.5, 0.5, 0.625]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("dies_after", [3, 6])
def test_a_killed_student_goes_on_where_it_was_and_other_targets_start_anew(tmp_path, dies_after):
    folder = teach(prepare(tmp_path / "data"), SURE)
    done, whole = run(folder, "whole")
    assert done.stdout.startswith("train tiny: 6 photos, ")
    killed = start(folder, "broken", dies_after)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = (folder / "logs_broken" / "checkpoint.npz").read_bytes()
    _, again = run(folder, "broken")
    assert {path: content for path, content in again.items() if not path.name.startswith(".")} == whole
    _, unsure = run(teach(folder, UNSURE), "unsure")
    assert unsure[Path("model/model.keras")] != whole[Path("model/model.keras")]
    # The state of a training on the first targets is none of one on the second.
    (folder / "logs_broken" / "checkpoint.npz").write_bytes(state)
    _, anew = run(folder, "broken")
    assert anew[Path("model/model.keras")] == unsure[Path("model/model.keras")]


def test_more_folds_than_photos_are_refused(tmp_path):
    folder = prepare(tmp_path / "data")
    with pytest.raises(TableError, match=r"expected photos outside test for train.folds \(5\), found enough for 4"):
        bagging.read_members(folder / "splits.csv", folder / "photos.zip", ["a", "b"], BagSettings(folds=5))


def test_pretrained_tensors_are_read_by_name(tmp_path):
    np.savez(tmp_path / "w.npz", **{"_fc.bias": np.ones(2, np.float32)})
    assert pretrained.read(tmp_path, ModelSettings(backbone="x", weights="none", input="i")) is None
    found = pretrained.read(tmp_path, ModelSettings(backbone="x", weights="w.npz", input="i"))
    assert list(found) == ["_fc.bias"] and found["_fc.bias"].tolist() == [1, 1]
    with pytest.raises(UserError, match=r"other\.npz: expected pretrained weights"):
        pretrained.read(tmp_path, ModelSettings(backbone="x", weights="other.npz", input="i"))


def test_a_longer_side_shrinks_both_in_proportion():
    assert pretrained.shrunk((160, 256), 128) == (80, 128) and pretrained.shrunk((256, 160), 128) == (128, 80)
    assert pretrained.shrunk((40, 60), 32) == (21, 32) and pretrained.shrunk((1, 500), 32) == (1, 32)
    model = ModelSettings(backbone="x", weights="none", input="i")
    assert pretrained.shape(model, (160, 256), 3)[:3] == ((160, 256), (160, 256), 3)
    smaller = ModelSettings(backbone="x", weights="none", input="i", input_px=128)
    assert pretrained.shape(smaller, (160, 256), 3)[:2] == ((160, 256), (80, 128))


# Two devices of one CPU stand in for two GPUs.
DEVICES = """
from stages.classifiers import runtime
from stages.classifiers.engine import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
runtime.strategy = lambda _: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
"""


def test_two_devices_share_every_batch_and_learn_what_one_does(tmp_path, monkeypatch):
    folder = prepare(tmp_path / "data")
    # Each device drops other features.
    (folder / "params.yaml").write_text(PARAMS.replace("train: {", "train: {dropout: 0, "))
    _, alone = run(folder, "alone")
    monkeypatch.setitem(globals(), "PROGRAM", PROGRAM.replace('KILL = ""', DEVICES))
    done, shared = run(folder, "shared")
    # The last epoch of both, not the best: which one that is may hang on a last digit.
    one, two = (json.loads(files[Path("curves/metrics.json")]) for files in (alone, shared))
    assert two.pop("step") == one.pop("step") == 2 and "replica" not in done.stderr.lower()
    for split, figures in one.items():
        assert two[split] == pytest.approx(figures, abs=2e-4)
