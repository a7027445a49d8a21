import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from stages.classifiers import linear_head


def test_the_bias_alone_gives_the_frequencies():
    kernel, bias = linear_head.fit_linear_head(np.zeros((4, 2), np.float32), np.array([0, 0, 0, 1]), 2, l2=1.0)
    np.testing.assert_array_equal(kernel, np.zeros((2, 2)))
    assert bias[0] - bias[1] == pytest.approx(np.log(3), abs=1e-3)


def test_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features, labels = rng.random((60, 5)) + 3, np.arange(60) % 3
    kernel, bias = linear_head.fit_linear_head(features, labels, 3, l2=0.1)
    other = LogisticRegression(C=1 / (0.1 * 60), tol=1e-10, max_iter=5000).fit(features, labels)
    np.testing.assert_allclose(kernel, other.coef_.T, atol=2e-3)
    ours = features @ kernel + bias
    theirs = features @ other.coef_.T + other.intercept_
    np.testing.assert_allclose(ours - ours[:, :1], theirs - theirs[:, :1], atol=1e-2)


@pytest.mark.parametrize("labels", [[0, 1, 3], [2, 2, 2]])
def test_classes_without_photos_are_held_unlikely(labels):
    features = np.eye(3, 4, dtype=np.float32)
    before = features.copy()
    kernel, bias = linear_head.fit_linear_head(features, np.array(labels), 4, l2=1e-3, label_smoothing=0.1)
    np.testing.assert_array_equal((features @ kernel + bias).argmax(axis=1), labels)
    np.testing.assert_array_equal(features, before)
    assert kernel.dtype == bias.dtype == np.float32 and np.isfinite(kernel).all()


def test_works_on_one_thread(monkeypatch):
    thread_counts, minimize = [], linear_head.minimize

    def watched(*args, **kwargs):
        thread_counts.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return minimize(*args, **kwargs)

    monkeypatch.setattr(linear_head, "minimize", watched)
    with threadpool_limits(2, user_api="blas"):
        linear_head.fit_linear_head(np.eye(4), np.array([0, 1, 0, 1]), 2, l2=0.1)
    assert set(thread_counts) == {1}
