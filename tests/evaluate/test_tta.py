import numpy as np
import pytest

from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.evaluate.tta_views import View


def test_the_first_view_is_the_photo_itself_and_all_are_different():
    photos = np.random.default_rng(0).integers(0, 256, (2, 7, 9, 3), dtype=np.uint8)
    seen = [tta_views.apply_transform(photos, view) for view in tta_views.VIEWS]
    np.testing.assert_array_equal(seen[0], photos)
    assert len({view.tobytes() for view in seen}) == len(tta_views.VIEWS)
    assert all(view.shape == photos.shape and view.dtype == np.uint8 and view.flags.c_contiguous for view in seen)


def test_mirrored_the_right_is_on_the_left(corners):
    photos = corners(8, 6)[None]
    np.testing.assert_array_equal(tta_views.apply_transform(photos, View(flip=True))[0], photos[0, :, ::-1])


def test_magnified_the_middle_fills_the_picture_and_reduced_the_edges_are_repeated():
    photo = np.zeros((1, 8, 8, 3), np.uint8)
    photo[0, 2:6, 2:6] = 200
    assert tta_views.apply_transform(photo, View(zoom=2.5)).min() == 200
    frame = np.full((1, 8, 8, 3), 50, np.uint8)
    assert (tta_views.apply_transform(frame, View(zoom=0.5)) == 50).all()


def test_turned_by_a_quarter_to_the_left(corners):
    photo = corners(8, 8)[None]
    np.testing.assert_array_equal(tta_views.apply_transform(photo, View(turn=90))[0], np.rot90(photo[0]))


def test_the_photos_given_stay_as_they_are_and_none_are_survived(corners):
    photos = corners(8, 8)[None]
    before = photos.copy()
    for view in tta_views.VIEWS:
        tta_views.apply_transform(photos, view)
        assert tta_views.apply_transform(photos[:0], view).shape == (0, 8, 8, 3)
    np.testing.assert_array_equal(photos, before)


# Photo 0: all views say class 0. Photo 1: the first two disagree, the next two settle it. Photo 2: never settled.
SAYS = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1], [0, 1, 0]])
ROWS = np.array([[[0.8, 0.2] if name == 0 else [0.3, 0.7] for name in of_view] for of_view in SAYS])


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
def test_photos_get_more_views_as_long_as_theirs_disagree(params, views):
    found = tta.predict_tta(tta.from_precomputed(ROWS), 3, params)
    assert found.views.tolist() == views
    for photo, count in enumerate(views):
        np.testing.assert_allclose(found.probabilities[photo], ROWS[:count, photo].mean(axis=0))


def test_only_open_photos_are_asked_about_and_alone_a_photo_gets_the_same_answer():
    asked = []

    def ask(number, chosen):
        asked.append((number, chosen.tolist()))
        return ROWS[number, chosen]

    whole = tta.predict_tta(ask, 3, TtaSettings())
    assert asked == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [1, 2]), (3, [1, 2]), (4, [2]), (5, [2])]
    for photo in range(3):
        alone = tta.predict_tta(tta.from_precomputed(ROWS[:, [photo]]), 1, TtaSettings())
        np.testing.assert_array_equal(alone.probabilities[0], whole.probabilities[photo])


def test_no_photos_have_no_answers():
    found = tta.predict_tta(tta.from_precomputed(np.zeros((6, 0, 4))), 0, TtaSettings())
    assert found.probabilities.shape == (0, 4) and found.views.shape == (0,)
