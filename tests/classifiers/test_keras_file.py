import json
import zipfile

import numpy as np
import pytest

from stages.classifiers import keras_file
from stages.classifiers.engine import keras

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def model(value):
    keras.utils.set_random_seed(0)
    photo = keras.Input((5,), name="x")
    # A regularizer shared by two layers is what Keras numbers by its address.
    shared = keras.regularizers.L2(0.1)
    x = keras.layers.Dense(3, kernel_regularizer=shared, name="a")(photo)
    x = keras.layers.Dense(2, kernel_regularizer=shared, name="b")(x)
    built = keras.Model(photo, x, name="m")
    built.set_weights([np.full(w.shape, value, np.float32) for w in built.weights])
    return built


def test_equal_models_give_equal_bytes_and_others_do_not(tmp_path, monkeypatch):
    keras_file.save(model(1), tmp_path / "a.keras")
    monkeypatch.setattr("time.time", lambda: 4e9)
    keras_file.save(model(1), tmp_path / "b.keras")
    keras_file.save(model(2), tmp_path / "c.keras")
    first, second, third = ((tmp_path / f"{name}.keras").read_bytes() for name in "abc")
    assert first == second != third


def test_the_file_still_loads_and_computes_the_same(tmp_path):
    original = model(0.5)
    keras_file.save(original, tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    x = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), original.predict_on_batch(x))


def test_no_date_and_no_address_stays(tmp_path):
    keras_file.save(model(1), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "date_saved" not in json.loads(archive.read("metadata.json"))
        config = json.loads(archive.read("config.json"))
    numbers = []

    def collect(value):
        if isinstance(value, dict):
            numbers.extend([value["shared_object_id"]] if "shared_object_id" in value else [])
            value = list(value.values())
        for item in value if isinstance(value, list) else []:
            collect(item)

    collect(config)
    assert len(numbers) >= 2 and set(numbers) <= set(range(1, len(numbers) + 1))


def test_a_failure_leaves_nothing(tmp_path):
    class Broken:
        def save(self, path):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        keras_file.save(Broken(), tmp_path / "a.keras")
    assert list(tmp_path.iterdir()) == []
