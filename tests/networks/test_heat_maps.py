"""Heat maps by hand, for all heads, and as what the network computes."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from scipy.stats import spearmanr

from stages.classifiers import backbones, bag
from stages.classifiers.backbones import Backbone, ClassifierConfig
from stages.classifiers.engine import keras
from stages.networks import classifier_head, heat_maps, runtime
from stages.networks.classifier_head import Dense, Head
from stages.networks.settings import InferenceSettings
from stages.train import onnx_file

RULE = InferenceSettings(batch_size=2, engine="openvino", precision="f32")
# Two features on a grid of 2 x 3 places.
FEATURES = np.array([[[[6, 0, 0], [0, 0, 12]], [[0, 6, 0], [6, 0, 0]]]], np.float32)


def edges(image):
    """A feature map of 32 features on a grid of a sixteenth of the image."""
    values = keras.layers.Rescaling(1 / 64)(image)
    for number in range(2):
        values = keras.layers.Conv2D(32, 5, strides=4, padding="same", activation="relu", name=f"conv{number}")(values)
    return values


def network(pooling, embedding, seed=1):
    keras.utils.set_random_seed(seed)
    shape = ClassifierConfig((64, 96), (64, 96), 5, pooling=pooling, embedding=embedding)
    return backbones.build(Backbone(edges, lambda *_: None), shape).probabilities


def head_of(pooling, kernel, bias=(0, 0), embedding=None):
    classes = Dense(np.array(kernel, np.float32), np.array(bias, np.float32))
    return Head("map", "pooled", "logits", pooling, embedding, classes, False)


def pool(values, pooling):
    kinds = {"average": values.mean(axis=(2, 3)), "max": values.max(axis=(2, 3))}
    return np.concatenate([kinds[kind] for kind in pooling], axis=1)


def maps(head, classes=(0,), values=FEATURES):
    return heat_maps.contributions(values, pool(values, head.pooling), head, np.array(classes, np.int64))


def test_average_pooling_gives_the_class_activation_map():
    """Class 1 weighs the features by 2 and -1: at each place their weighted sum, by the six places."""
    head = head_of(("average",), [[9, 2], [9, -1]])
    np.testing.assert_allclose(maps(head, [1]), [[[2, -1, 0], [-1, 0, 4]]])
    shares = heat_maps.positive_shares(maps(head, [1]))
    np.testing.assert_allclose(shares, [[[1 / 3, 0, 0], [0, 0, 2 / 3]]])


def test_the_mean_of_the_class_activation_map_and_the_bias_are_the_logit():
    head = head_of(("average",), [[9, 2], [9, -1]], [5, 7])
    pooled = FEATURES.mean(axis=(2, 3))
    assert maps(head, [1]).sum() + 7 == pytest.approx((pooled @ head.classes.kernel + head.classes.bias)[0, 1])


def test_a_maximum_is_where_it_is_and_is_divided_between_equals():
    """The first feature has its maximum of 12 once, the second its 6 twice."""
    head = head_of(("max",), [[1, 0], [2, 0]])
    np.testing.assert_allclose(maps(head), [[[0, 6, 0], [6, 0, 12]]])


def test_both_poolings_add_up_in_the_order_of_the_graph():
    """By the average 6 / 6 = 1 for each unit of the first feature; by the maximum 10 times the second."""
    head = head_of(("average", "max"), [[1, 0], [0, 0], [0, 0], [10, 0]])
    np.testing.assert_allclose(maps(head), [[[1, 30, 0], [30, 0, 2]]])
    swapped = head_of(("max", "average"), [[0, 0], [10, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(maps(swapped), maps(head))


def test_only_active_features_of_an_embedding_count():
    """The means are 3 and 2: the first feature of the embedding is 3 + 2, the second 3 - 2 - 9 is cut to 0."""
    embedding = Dense(np.array([[1, 1], [1, -1]], np.float32), np.array([0, -9], np.float32))
    head = head_of(("average",), [[6, 0], [600, 0]], embedding=embedding)
    np.testing.assert_allclose(maps(head), [[[6, 6, 0], [6, 0, 12]]])


def test_each_image_has_the_map_of_its_class():
    head = head_of(("average",), [[6, 0], [0, 6]])
    found = maps(head, [0, 1], np.concatenate([FEATURES] * 2))
    np.testing.assert_allclose(found, FEATURES[0])


def test_without_images_and_without_a_positive_part():
    assert maps(head_of(("max",), [[1, 0], [2, 0]]), [], np.zeros((0, 2, 2, 3), np.float32)).shape == (0, 2, 3)
    np.testing.assert_array_equal(heat_maps.positive_shares(np.full((1, 2, 2), -1.0)), np.zeros((1, 2, 2)))


@pytest.mark.parametrize(("pooling", "embedding"), [("average", 0), ("both", 7)])
def test_the_sum_of_a_map_and_what_no_place_changes_are_the_logit_of_the_network(tmp_path, pooling, embedding):
    onnx_file.save(network(pooling, embedding), tmp_path / "model.onnx")
    (head,) = classifier_head.find_heads(onnx.load(tmp_path / "model.onnx"))
    photos = np.random.default_rng(3).integers(0, 255, (2, 64, 96, 3), np.uint8)
    run = runtime.load(tmp_path / "model.onnx", [head.feature_map, head.pooled, head.logits], RULE)
    values, pooled, logits = (np.stack(rows) for rows in zip(*run(photos)))
    constant = head.classes.bias[[1, 4]].astype(np.float64)
    if head.embedding:
        is_active = pooled @ head.embedding.kernel + head.embedding.bias > 0
        constant += (is_active * head.embedding.bias * head.classes.kernel.T[[1, 4]]).sum(axis=1)
    found = heat_maps.contributions(values, pooled, head, np.array([1, 4]))
    np.testing.assert_allclose(found.sum(axis=(1, 2)) + constant, logits[[0, 1], [1, 4]], rtol=1e-3, atol=1e-4)

    shares = heat_maps.load(tmp_path / "model.onnx", RULE)(photos, np.array([1, 4]))
    np.testing.assert_allclose(shares, heat_maps.positive_shares(found), atol=1e-6)


def test_bagged_networks_have_the_mean_of_their_maps(tmp_path):
    onnx_file.save(bag.join([network("average", 0, seed) for seed in (1, 2)]), tmp_path / "model.onnx")
    photos, classes = np.random.default_rng(3).integers(0, 255, (1, 64, 96, 3), np.uint8), np.array([2])
    shares = []
    for head in classifier_head.find_heads(onnx.load(tmp_path / "model.onnx")):
        run = runtime.load(tmp_path / "model.onnx", [head.feature_map, head.pooled], RULE)
        values, pooled = (np.stack(rows) for rows in zip(*run(photos)))
        shares.append(heat_maps.positive_shares(heat_maps.contributions(values, pooled, head, classes)))
    assert len(shares) == 2 and np.abs(shares[0] - shares[1]).max() > 0.01
    np.testing.assert_allclose(
        heat_maps.load(tmp_path / "model.onnx", RULE)(photos, classes), np.mean(shares, axis=0), atol=1e-6
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network in an ONNX file."""
    path = tmp_path_factory.mktemp("trained") / "model.onnx"
    onnx_file.save(network("average", 0), path)
    return path


def permuted(path, out, n_weights):
    """Write the network at `path` to `out` with the values of its last weights, from the head up, in random order."""
    model = onnx.load(path)
    rng, weights = np.random.default_rng(9), {tensor.name: tensor for tensor in model.graph.initializer}
    last = [
        name for node in reversed(model.graph.node) for name in node.input if name in weights and weights[name].dims
    ]
    for name in [name for name in last if len(weights[name].dims) > 1][:n_weights]:
        values = numpy_helper.to_array(weights[name])
        weights[name].CopyFrom(numpy_helper.from_array(rng.permuted(values.ravel()).reshape(values.shape), name))
    onnx.save(model, out)


@pytest.mark.parametrize("n_weights", [1, 3])
def test_maps_depend_on_the_weights(trained, tmp_path, n_weights):
    """The sanity check of Adebayo et al. 2018 (arXiv:1810.03292): with the head's weights, or also those above it, in
    random order, the ranks of the places are others.
    """
    rng = np.random.default_rng(3)
    photos = rng.integers(0, 255, (8, 16, 24, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    classes = np.arange(8) % 5
    permuted(trained, tmp_path / "random.onnx", n_weights)
    before, again, after = (
        heat_maps.load(path, RULE)(photos, classes).reshape(8, -1)
        for path in (trained, trained, tmp_path / "random.onnx")
    )
    np.testing.assert_array_equal(again, before)
    # Where nothing speaks for the class any more, there are no ranks.
    correlations = [spearmanr(*pair).statistic for pair in zip(before, after) if np.ptp(pair, axis=1).all()]
    assert before.shape == (8, 24) and len(correlations) >= 4 and np.mean(correlations) < 0.7
