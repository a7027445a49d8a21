import numpy as np
import onnxruntime
import pytest

from stages.classifiers import backbones, bag, keras_to_onnx
from stages.classifiers.backbones import Backbone, ClassifierConfig
from stages.classifiers.engine import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def edges(image):
    image = keras.layers.Rescaling(1 / 64)(image)
    return keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)


@pytest.mark.parametrize(("input_hw", "n_members"), [((48, 64), 1), ((30, 40), 1), ((30, 40), 2)])
def test_the_graph_predicts_as_the_model_for_any_number_of_photos(input_hw, n_members):
    config = ClassifierConfig((48, 64), input_hw, 3)
    networks = [backbones.build(Backbone(edges, lambda *_: None), config).probabilities for _ in range(n_members)]
    model = bag.join(networks)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=value.shape) for value in model.get_weights()])
    photos = rng.integers(0, 256, (5, 48, 64, 3)).astype(np.uint8)
    # Of different colours, so that the answers differ.
    photos = (photos * rng.random((5, 1, 1, 3))).astype(np.uint8)
    before = model.predict_on_batch(photos)
    session = onnxruntime.InferenceSession(keras_to_onnx.convert(model).SerializeToString())
    for chosen in (photos, photos[2:3]):
        (found,) = session.run(None, {"photo": chosen})
        np.testing.assert_allclose(found, model.predict_on_batch(chosen), atol=1e-5)
    assert before.std(axis=0).max() > 0.1
    np.testing.assert_array_equal(model.predict_on_batch(photos), before)
