import hashlib

import h5py
import numpy as np
import pytest
from keras.src.applications import mobilenet_v3
from keras.src.backend import config
from keras.src.legacy.saving import legacy_h5_format

from stages.classifiers import applications, pretrained
from stages.classifiers.engine import keras
from stages.classifiers.settings import ModelSettings
from stages.core.errors import UserError
from stages.pretrained import download

FILE = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A network of Keras with random weights, whose file lies where Keras keeps what it has downloaded."""
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_tensor=keras.Input((64, 96, 3))
    )
    rng = np.random.default_rng(0)
    # Kernels as Keras draws them keep activations in range; offsets, scales and statistics are all different.
    given = [value if value.ndim > 1 else rng.uniform(0.5, 1.5, value.shape) for value in network.get_weights()]
    network.set_weights(given)
    path = tmp_path / "keras_home" / "models" / FILE
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path / "keras_home"), raising=True)
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(mobilenet_v3.WEIGHTS_HASHES, "small_224_1.0_float", ("", digest))
    return network, path


@pytest.mark.filterwarnings("ignore:.*input_shape.*:UserWarning", "ignore:__array__ implementation:DeprecationWarning")
def test_from_the_file_that_keras_downloads_to_the_features_of_a_classifier(published, tmp_path, run):
    network, _ = published
    run(download, backbone="mobilenet_v3_small", out=tmp_path / "keras" / "mobilenet_v3_small.npz")
    model = ModelSettings(backbone="mobilenet_v3_small", weights="keras/mobilenet_v3_small.npz", input="i")
    shape = pretrained.shape(model, (64, 96), n_classes=3)
    built = pretrained.network(model, shape, pretrained.read(tmp_path, model))
    photos = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    expected = network.predict_on_batch(photos.astype(np.float32)).mean(axis=(1, 2))
    assert expected.std() > 0
    np.testing.assert_allclose(built.pooled.predict_on_batch(photos), expected, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*input_shape.*:UserWarning", "ignore:__array__ implementation:DeprecationWarning")
def test_a_damaged_file_is_not_read(published, tmp_path, run, monkeypatch):
    _, path = published
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    # Keras then downloads the file again, from nowhere.
    monkeypatch.setattr(mobilenet_v3, "BASE_WEIGHT_PATH", (tmp_path / "nowhere").as_uri() + "/")
    with pytest.raises(UserError, match=r"(?s)MobileNetV3Small: expected ImageNet's weights from Keras, found"):
        run(download, backbone="mobilenet_v3_small", out=tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()


def test_weights_are_written_without_pickles(tmp_path, run, monkeypatch, capsys):
    tensors = {"0000 a/kernel": np.arange(6.0).reshape(2, 3), "0001 a/bias": np.zeros(3)}
    monkeypatch.setattr(applications, "pretrained", lambda application: tensors if application.constructor else None)
    run(download, backbone="xception", out=tmp_path / "keras" / "xception.npz")
    with np.load(tmp_path / "keras" / "xception.npz", allow_pickle=False) as archive:
        assert sorted(archive) == sorted(tensors)
        np.testing.assert_array_equal(archive["0000 a/kernel"], tensors["0000 a/kernel"])
    assert capsys.readouterr().out == "download xception: 2 arrays\n"


def test_without_a_connection_nothing_is_written(tmp_path, run, monkeypatch):
    def fail(_application):
        raise UserError("connect once")

    monkeypatch.setattr(applications, "pretrained", fail)
    with pytest.raises(UserError, match="connect once"):
        run(download, backbone="xception", out=tmp_path / "xception.npz")
    assert list(tmp_path.iterdir()) == []
