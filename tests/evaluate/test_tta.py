import numpy as np
import pytest

from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.evaluate.tta_views import View


def test_the_first_view_is_the_unchanged_photo_and_all_views_differ():
    photo = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    views = [tta_views.apply_transform(photo, view) for view in tta_views.VIEWS]
    np.testing.assert_array_equal(views[0], photo)
    assert len({view.tobytes() for view in views}) == len(tta_views.VIEWS)
    assert all(view.shape == photo.shape and view.dtype == np.uint8 and view.flags.c_contiguous for view in views)


def test_flip_swaps_left_and_right(corners):
    photo = corners(8, 6)
    np.testing.assert_array_equal(tta_views.apply_transform(photo, View(flip=True)), photo[:, ::-1])


def test_zoom_above_one_magnifies_the_centre_and_below_one_replicates_the_edges():
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[2:6, 2:6] = 200
    assert tta_views.apply_transform(photo, View(zoom=2.5)).min() == 200
    frame = np.full((8, 8, 3), 50, np.uint8)
    assert (tta_views.apply_transform(frame, View(zoom=0.5)) == 50).all()


def test_a_turn_of_90_degrees_is_counterclockwise(corners):
    photo = corners(8, 8)
    np.testing.assert_array_equal(tta_views.apply_transform(photo, View(turn=90)), np.rot90(photo))


def test_the_input_is_not_changed(corners):
    photo = corners(8, 8)
    before = photo.copy()
    for view in tta_views.VIEWS:
        tta_views.apply_transform(photo, view)
    np.testing.assert_array_equal(photo, before)


# All views of photo 0 predict class 0; the first two of photo 1 disagree, the next two agree; never those of photo 2.
CLASS_BY_VIEW = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1], [0, 1, 0]])
ROWS = np.array([[[0.8, 0.2] if name == 0 else [0.3, 0.7] for name in names] for names in CLASS_BY_VIEW])


@pytest.mark.parametrize(
    ("params", "views"),
    [
        (TtaSettings(mode="none"), [1, 1, 1]),
        (TtaSettings(mode="fixed", min_views=3), [3, 3, 3]),
        (TtaSettings(min_views=2, max_views=6, agreement=0.75), [2, 4, 6]),
        (TtaSettings(min_views=2, max_views=5, agreement=0.75), [2, 4, 5]),
        (TtaSettings(min_views=2, max_views=6, agreement=1.0), [2, 6, 6]),
        (TtaSettings(min_views=2, max_views=6, agreement=0.0), [2, 2, 2]),
        (TtaSettings(min_views=4, max_views=2), [4, 4, 4]),
        (TtaSettings(min_views=1, max_views=4, agreement=1.0), [1, 1, 1]),
    ],
)
def test_photos_get_more_views_while_their_views_disagree(params, views):
    result = tta.predict_tta(tta.from_precomputed(ROWS), 3, params)
    assert result.views.tolist() == views
    for photo, count in enumerate(views):
        np.testing.assert_allclose(result.probabilities[photo], ROWS[:count, photo].mean(axis=0))


def test_only_photos_in_disagreement_are_predicted_again_and_each_independently():
    calls = []

    def predict(number, chosen):
        calls.append((number, chosen.tolist()))
        return ROWS[number, chosen]

    whole = tta.predict_tta(predict, 3, TtaSettings())
    assert calls == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [1, 2]), (3, [1, 2]), (4, [2]), (5, [2])]
    for photo in range(3):
        alone = tta.predict_tta(tta.from_precomputed(ROWS[:, [photo]]), 1, TtaSettings())
        np.testing.assert_array_equal(alone.probabilities[0], whole.probabilities[photo])


def test_no_photos_give_empty_arrays():
    result = tta.predict_tta(tta.from_precomputed(np.zeros((6, 0, 4))), 0, TtaSettings())
    assert result.probabilities.shape == (0, 4) and result.views.shape == (0,)
