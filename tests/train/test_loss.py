import numpy as np
import pytest

from stages.classifiers.engine import tf
from stages.classifiers.settings import TeachSettings
from stages.train import loss
from stages.train.settings import TrainSettings


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    weights = loss.balanced_class_weights(np.array([0, 0, 0, 2]), 3)
    assert weights.tolist() == pytest.approx([4 / 6, 0, 2])
    assert weights[[0, 0, 0, 2]].mean() == pytest.approx(1)


def test_weighted_cross_entropy_by_hand():
    logits = tf.math.log(tf.constant([[0.5, 0.25, 0.25]]))
    # Label smoothing of 0.3 over three classes: targets of 0.8, 0.1 and 0.1.
    expected = 0.8 * np.log(2) + 0.2 * np.log(4)
    for weight in (1.0, 2.5):
        cross_entropy = loss.weighted_cross_entropy(0.3, np.array([weight, 7, 7]))
        value = float(cross_entropy(tf.constant([[1.0, 0, 0]]), logits)[0])
        assert value == pytest.approx(weight * expected, rel=1e-6)


def test_a_mixed_target_has_the_loss_and_the_mean_weight_of_both_classes():
    logits = tf.math.log(tf.constant([[0.5, 0.25, 0.25]]))
    cross_entropy = loss.weighted_cross_entropy(0.0, np.array([2.0, 6, 7]))
    value = float(cross_entropy(tf.constant([[0.25, 0.75, 0]]), logits)[0])
    assert value == pytest.approx((0.25 * np.log(2) + 0.75 * np.log(4)) * 5, rel=1e-6)


@pytest.mark.parametrize(("class_weights", "weight"), [("none", 1), ("balanced", 2)])
def test_settings_choose_the_class_weights(class_weights, weight):
    settings = TrainSettings(class_weights=class_weights, label_smoothing=0.0)
    cross_entropy = loss.training_loss(settings, np.array([0, 0, 0, 2]), 3)
    value = float(cross_entropy(tf.constant([[0.0, 0, 1]]), tf.zeros((1, 3)))[0])
    assert value == pytest.approx(weight * np.log(3), rel=1e-6)


def test_distillation_by_hand():
    # The teacher's 0.6, 0.3 and 0.1 are softened already; the student's logits divided by two are ln 2, 0 and 0.
    targets = tf.constant([[0.0, 1, 0, 0.6, 0.3, 0.1]])
    logits = tf.constant([[2 * np.log(2), 0, 0]], tf.float32)
    hard = -np.log(1 / 6)
    soft = -(0.6 * np.log(2 / 4) + 0.4 * np.log(1 / 4))
    label_loss = loss.weighted_cross_entropy(0.0, np.ones(3))
    for share in (0.0, 0.25, 1.0):
        distillation = loss.distillation_loss(label_loss, TeachSettings(temperature=2.0, soft_share=share))
        value = float(distillation(targets, logits)[0])
        assert value == pytest.approx((1 - share) * hard + share * 4 * soft, rel=1e-6)


def test_the_gradient_of_the_soft_term_is_that_of_the_paper():
    # Equation 2: T^2 times (q - p) / T, p and q being the softened probabilities of teacher and student.
    teacher, logits = np.array([0.6, 0.3, 0.1]), tf.constant([[0.5, -1, 2]])
    teach = TeachSettings(temperature=4.0, soft_share=1.0)
    distillation = loss.distillation_loss(loss.weighted_cross_entropy(0.1, np.ones(3)), teach)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = distillation(tf.constant([[0, 0, 1, *teacher]], tf.float32), logits)
    student = np.exp(np.array([0.5, -1, 2]) / 4)
    expected = 4 * (student / student.sum() - teacher)
    np.testing.assert_allclose(tape.gradient(value, logits)[0], expected, rtol=1e-5)
