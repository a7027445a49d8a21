import numpy as np
import pytest

from stages.classifiers import bag, inference, keras_file
from stages.classifiers.engine import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def network(bias):
    """Answers with the softmax of `bias`, plus the mean of red over 255 for the first class."""
    photo = keras.Input((4, 6, 3), dtype="uint8", name="photo")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(photo))
    logits = keras.layers.Dense(3, name="head")
    model = keras.Model(photo, keras.layers.Softmax()(logits(mean)), name="probabilities")
    kernel = np.zeros((3, 3), np.float32)
    kernel[0, 0] = 1
    logits.set_weights([kernel, np.array(bias, np.float32)])
    return model


def test_the_answer_is_the_mean_of_the_members_and_survives_the_file(tmp_path):
    networks = [network([0, 0, 0]), network([0, 2, 0]), network([5, 0, 1])]
    keras_file.save(bag.join(networks), tmp_path / "model.keras")
    joined = keras.saving.load_model(tmp_path / "model.keras")
    photos = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
    alone = [inference.predict(one, photos) for one in networks]
    np.testing.assert_allclose(inference.predict(joined, photos), np.mean(alone, axis=0), atol=1e-6)


def test_a_single_network_stays_as_it_is():
    only = network([0, 1, 0])
    assert bag.join([only]) is only
