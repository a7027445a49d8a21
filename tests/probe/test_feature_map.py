import numpy as np
import pytest

from stages.probe import feature_map
from stages.probe.linear_probe import Features
from stages.schemas.split_data import SplitData


def clusters(n_photos, seed=0):
    """Features of three well-separated directions in turn, of any length, in 8 dimensions."""
    rng = np.random.default_rng(seed)
    values = np.eye(8, dtype=np.float32)[np.arange(n_photos) % 3] + rng.normal(0, 0.05, (n_photos, 8))
    return (values * rng.uniform(1, 100, (n_photos, 1))).astype(np.float32)


def test_photos_of_one_direction_lie_together_whatever_their_length():
    places, kinds = feature_map.project(clusters(60)), np.arange(60) % 3
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (kinds[distances.argmin(axis=1)] == kinds).all()
    assert places.min() == 0 and places.max() == 1


def test_equal_features_give_equal_places_and_the_input_is_unchanged():
    values = clusters(40)
    before = values.copy()
    assert np.array_equal(feature_map.project(values), feature_map.project(values))
    assert np.array_equal(values, before)


def test_few_photos_lie_on_their_principal_components():
    # Directions (1, 0) and (0, 1) alone: one axis, at its ends.
    places = feature_map.project(np.array([[2, 0], [0, 3], [0, 9]], np.float32))
    assert sorted(places[:, 0].tolist()) == [0, 0, 1] or sorted(places[:, 0].tolist()) == [0, 1, 1]
    assert places[1].tolist() == places[2].tolist() and (places[:, 1] == 0.5).all()


@pytest.mark.parametrize("values", [np.ones((1, 4)), np.ones((12, 4)), np.zeros((12, 4)), np.ones((12, 1))])
def test_photos_that_do_not_differ_lie_in_the_middle(values):
    assert (feature_map.project(values.astype(np.float32)) == 0.5).all()


def parts(counts):
    """Features and splits of so many photos of train, val and test, with ids in descending order."""
    values, start, features, splits = clusters(sum(counts)), 0, {}, {}
    for name, count in zip(("train", "val", "test"), counts):
        ids = [f"i{9999 - start - n}" for n in range(count)]
        labels = np.zeros(count, int)
        features[name] = Features(values[start : start + count], labels, ids)
        splits[name] = SplitData(ids, ids, labels, ids)
        start += count
    return features, splits


def test_the_table_has_all_photos_sorted_by_id_and_may_have_empty_splits():
    table = feature_map.map_table(*parts((9, 0, 3)))
    assert table["image_id"].tolist() == [f"i{9999 - n}" for n in range(11, -1, -1)]
    features, _ = parts((9, 0, 3))
    places = feature_map.project(np.concatenate([features[n].values for n in ("train", "val", "test")])[::-1])
    assert np.array_equal(table[["x", "y"]].to_numpy(), places)


def test_of_many_photos_a_sample_is_drawn(monkeypatch):
    monkeypatch.setattr(feature_map, "_MAX_PHOTOS", 12)
    first, second = (feature_map.map_table(*parts((20, 5, 5))) for _ in range(2))
    assert len(first) == 12 == first["image_id"].nunique() and first.equals(second)
    assert first["image_id"].is_monotonic_increasing
