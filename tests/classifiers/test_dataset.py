import numpy as np
import pytest

from stages.classifiers import dataset
from stages.classifiers.dataset import ImageSource, PhotoError
from stages.core.archive import Archive, ArchiveError
from stages.images import images
from stages.schemas.split_data import SplitData
from stages.train import training_data
from stages.train.settings import AugmentSettings, TrainSettings
from tests import archives

SIZE = (6, 8)
PLAIN = AugmentSettings(flip=0, affine=0, colour=0, cutout=0)
PARAMS = TrainSettings(epochs=2, batch_size=4, augment=PLAIN, seed=11)


@pytest.fixture
def source():
    """Seven photos of one colour each; red tells which photo it is."""
    contents = {f"{number}.png": images.encode(one_colour(number), ".png") for number in range(7)}
    return ImageSource(contents.__getitem__, list(contents), np.arange(7, dtype=np.int64) + 100, SIZE)


def one_colour(number):
    return np.full((*SIZE, 3), (10 * number, 2, 1), np.uint8)


def first(source, n_photos):
    return source._replace(names=source.names[:n_photos], labels=source.labels[:n_photos])


def read(source, params):
    """Photos and labels, which the targets must name wholly."""
    batches = [
        (photos.numpy(), targets.numpy()) for photos, targets in training_data.training_batches(source, params, 107)
    ]
    targets = np.concatenate([targets for _, targets in batches])
    assert targets.shape[1] == 107 and targets.dtype == np.float32
    np.testing.assert_array_equal(np.sort(targets, axis=1)[:, -2:], [[0, 1]] * len(targets))
    return np.stack([photos for photos, _ in batches]), targets.argmax(axis=1)


def test_training_batches_are_full_shuffled_and_labelled_right(source):
    photos, labels = read(source, PARAMS)
    assert photos.shape == (4, 4, *SIZE, 3) and photos.dtype == np.uint8
    np.testing.assert_array_equal(photos[..., 0, 0, 0].ravel(), (labels - 100) * 10)
    assert (photos[..., 1:] == [2, 1]).all()
    first, second = labels[:7], labels[7:14]
    assert sorted(first) == sorted(second) == list(range(100, 107))
    assert first.tolist() != second.tolist() and first.tolist() != sorted(first)


def test_order_and_variation_depend_on_the_seed_alone(source):
    varied = PARAMS.replace(augment=AugmentSettings())
    photos, labels = read(source, varied)
    again, same_labels = read(source, varied.replace(cache_mb=0))
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_array_equal(photos, again)
    assert read(source, varied.replace(seed=12))[1].tolist() != labels.tolist()


def test_a_photo_varies_from_pass_to_pass(source):
    photos, labels = read(source, PARAMS.replace(epochs=4, augment=AugmentSettings(colour=1, full_share=1)))
    reds = photos[..., 0, 0, 0].ravel()[labels == 106]
    assert len(set(reds.tolist())) > 1


def test_mixed_targets_tell_what_was_mixed(source):
    """Photos of one colour: the red that comes out is that of the photos, weighed by their target."""
    mixed = PARAMS.replace(epochs=4, augment=PLAIN.replace(mixup=0.5, cutmix=0.5, full_share=1.0))
    n_mixed = 0
    for photos, targets in training_data.training_batches(source, mixed, 107):
        reds = photos.numpy()[..., 0].mean(axis=(1, 2))
        np.testing.assert_allclose(reds, targets.numpy() @ (np.arange(107) - 100) * 10, atol=0.6)
        n_mixed += int((targets.numpy().max(axis=1) < 1).sum())
    assert n_mixed > 8
    again = [targets.numpy() for _, targets in training_data.training_batches(source, mixed, 107, first_step=3)]
    whole = [targets.numpy() for _, targets in training_data.training_batches(source, mixed, 107)]
    np.testing.assert_array_equal(np.stack(again), np.stack(whole[3:]))


def test_full_batches_hold_photos_alone(source):
    batches = list(training_data.full_batches(source, PARAMS))
    assert [batch[:, 0, 0, 0].tolist() for batch in batches] == [[0, 10, 20, 30], [40, 50, 60, 0]]
    (single,) = training_data.full_batches(first(source, 3), PARAMS)
    assert single[:, 0, 0, 0].tolist() == [0, 10, 20, 0]


@pytest.mark.parametrize("n_photos", [1, 3])
def test_fewer_photos_than_a_batch_are_repeated(source, n_photos):
    few = first(source, n_photos)
    photos, labels = read(few, PARAMS)
    assert photos.shape[:2] == (2, 4)
    assert set(labels.tolist()) == set(few.labels.tolist())


@pytest.mark.parametrize(("n", "batch", "steps"), [(1, 32, 1), (32, 32, 1), (420, 32, 13), (47, 32, 1), (49, 32, 2)])
def test_steps_per_epoch(n, batch, steps):
    assert training_data.steps_per_epoch(n, batch) == steps


def test_photos_in_order_are_untouched_whatever_the_variation(source):
    batches = list(dataset.in_order(source, 4))
    assert [batch.shape for batch in batches] == [(4, *SIZE, 3)] * 2
    rows = np.concatenate(batches)
    np.testing.assert_array_equal(rows[:7], [one_colour(number) for number in range(7)])
    assert (rows[7:] == 0).all()


def test_no_photos_no_batches():
    assert list(dataset.in_order(ImageSource({}.__getitem__, [], np.zeros(0, np.int64), SIZE), 4)) == []


WIDER = images.encode(np.zeros((SIZE[0], SIZE[1] + 1, 3), np.uint8), ".png")


@pytest.mark.parametrize("content", [WIDER, b"\x89PNG\r\n\x1a\n broken", b"", None])
def test_the_unreadable_photo_is_named(source, content):
    def read(name):
        if name == "5.png" and content is None:
            raise ArchiveError("truncated", f"{name} is damaged")
        return content if name == "5.png" else source.read(name)

    expected = ArchiveError if content is None else PhotoError
    with pytest.raises(expected, match=r"5\.png(?! is).*expected a readable 8x6 picture|5\.png is damaged"):
        list(dataset.in_order(source._replace(read=read), 4))


def test_a_source_is_of_an_archive_that_holds_all_its_photos(tmp_path):
    archives.put(tmp_path / "p.zip", {f"{number}.png": one_colour(number) for number in (3, 1)})
    chosen = SplitData(["1", "3"], ["x", "y"], ["1.png", "3.png"], np.array([7, 8]), ["1", "3"])
    (batch,) = dataset.in_order(ImageSource.of(Archive(tmp_path / "p.zip"), chosen, SIZE), 2)
    np.testing.assert_array_equal(batch, [one_colour(1), one_colour(3)])
    with pytest.raises(PhotoError, match=r"p\.zip: expected a photo 4\.png, found none"):
        ImageSource.of(Archive(tmp_path / "p.zip"), chosen._replace(names=["1.png", "4.png"]), SIZE)


def test_bytes_that_end_in_noughts_reach_the_decoder_whole(source):
    """NumPy's own texts lose noughts at their end; inside a graph TensorFlow could go by way of those."""
    odd = source._replace(read=lambda name: name.encode() + bytes(9))
    contents = dataset.tf.data.Dataset.range(2).map(dataset._fetcher(odd)).as_numpy_iterator()
    assert list(contents) == [b"0.png" + bytes(9), b"1.png" + bytes(9)]
