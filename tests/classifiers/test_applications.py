import numpy as np
import pytest

from stages.classifiers import applications, backbones
from stages.classifiers.backbones import ClassifierConfig
from stages.classifiers.catalogue import APPLICATIONS, Application
from stages.classifiers.engine import keras
from stages.core.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = ClassifierConfig(photo_hw=(40, 50), input_hw=(32, 40), n_classes=3)


def bare(name):
    application = APPLICATIONS[name]
    return applications._build(application, keras.Input((32, 40, 3)))


def random_tensors(name):
    rng = np.random.default_rng(0)
    return {key: rng.random(value.shape).astype(np.float32) for key, value in applications.tensors(bare(name)).items()}


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("own", [51, 102, 255]),
        ("tf", [-0.6, -0.2, 1.0]),
        ("torch", [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        ("caffe", [255 - 103.939, 102 - 116.779, 51 - 123.68]),
    ],
)
def test_scaling_by_hand(scaling, expected):
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, keras.layers.Identity()(applications._scaled(image, scaling)))
    photo = np.full((1, 2, 2, 3), (51, 102, 255), np.float32)
    found = model.predict_on_batch(photo)
    np.testing.assert_allclose(found[0, 1, 1], expected, rtol=1e-5, atol=1e-5)
    mode = {"own": None, "tf": "tf", "torch": "torch", "caffe": "caffe"}[scaling]
    if mode:
        reference = keras.applications.imagenet_utils.preprocess_input(photo.copy(), mode=mode)
        np.testing.assert_allclose(found, reference, rtol=1e-4, atol=1e-4)


def test_every_network_is_one_of_keras():
    for application in APPLICATIONS.values():
        assert callable(getattr(keras.applications, application.constructor))
        assert application.scaling in ("own", "tf", "torch", "caffe")
    assert set(APPLICATIONS) < set(backbones.BACKBONES)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny"])
def test_weights_find_their_places_and_the_file_is_read_again(name, tmp_path):
    shape = SHAPE._replace(embedding=5, pooling="both")
    network = backbones.build(backbones.find(name), shape)
    given = random_tensors(name)
    backbones.find(name).load(network.pooled, given)
    alone = bare(name)
    alone.set_weights(list(given.values()))
    photos = np.random.default_rng(1).integers(0, 256, (2, 40, 50, 3)).astype(np.uint8)
    resized = keras.Model(network.logits.input, network.logits.get_layer("resize").output).predict_on_batch(photos)
    maps = keras.Model(network.logits.input, network.logits.get_layer("pool_max")._inbound_nodes[0].input_tensors[0])
    np.testing.assert_allclose(maps.predict_on_batch(photos), alone.predict_on_batch(resized), rtol=1e-4, atol=1e-4)
    network.probabilities.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(again.predict_on_batch(photos), network.probabilities.predict_on_batch(photos))


def test_a_network_that_reads_bgr_is_saved_and_read_again(tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, applications._scaled(image, "caffe"))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    photo = np.random.default_rng(0).random((1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(again.predict_on_batch(photo), model.predict_on_batch(photo))


def test_other_weights_are_refused():
    network = backbones.build(backbones.find("mobilenet_v3_small"), SHAPE._replace(embedding=4))
    given = random_tensors("mobilenet_v3_small")
    names = sorted(given)
    missing = {name: given[name] for name in names[:-1]}
    turned = given | {names[0]: given[names[0]].T}
    for wrong in (missing, turned, given | {"9999 more": np.zeros(3, np.float32)}):
        with pytest.raises(applications.WeightsError, match="belongs to another network"):
            applications.load(network.pooled, wrong)


def test_a_failed_download_is_an_error_with_advice(monkeypatch):
    def fail(*_args, **_kwargs):
        raise Exception("URL fetch failure on somewhere: None -- no such host")

    monkeypatch.setattr(applications, "_build", fail)
    with pytest.raises(UserError, match=r"(?s)Xception: expected .* found: URL fetch failure .*dvc pull"):
        applications.pretrained(Application("Xception", "tf"))
