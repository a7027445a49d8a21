import numpy as np
import pytest

from stages.classifiers import dataset
from stages.classifiers.image_source import ImageSource, PhotoError
from stages.core.archive import Archive, ArchiveError
from stages.images import images
from stages.schemas.split_data import SplitData
from tests import archives

SIZE = (6, 8)


@pytest.fixture
def source():
    """Seven photos of one colour each; red tells which photo it is."""
    contents = {f"{number}.png": images.encode(one_colour(number), ".png") for number in range(7)}
    return ImageSource(contents.__getitem__, list(contents), np.arange(7, dtype=np.int64) + 100, SIZE)


def one_colour(number):
    return np.full((*SIZE, 3), (10 * number, 2, 1), np.uint8)


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
    with pytest.raises(expected, match=r"5\.png(?! is).*expected a readable image of 8x6|5\.png is damaged"):
        list(dataset.in_order(source._replace(read=read), 4))


def test_a_source_is_of_an_archive_that_holds_all_its_photos(tmp_path):
    archives.put(tmp_path / "p.zip", {f"{number}.png": one_colour(number) for number in (3, 1)})
    chosen = SplitData(["1", "3"], ["x", "y"], np.array([7, 8]), ["1", "3"])
    (batch,) = dataset.in_order(ImageSource.of(Archive(tmp_path / "p.zip"), chosen, SIZE), 2)
    np.testing.assert_array_equal(batch, [one_colour(1), one_colour(3)])
    with pytest.raises(PhotoError, match=r"p\.zip: expected an image 4\.png, found none"):
        ImageSource.of(Archive(tmp_path / "p.zip"), chosen._replace(image_ids=["1", "4"]), SIZE)


def test_bytes_that_end_in_noughts_reach_the_decoder_whole(source):
    """NumPy's own texts lose noughts at their end; inside a graph TensorFlow could go by way of those."""
    odd = source._replace(read=lambda name: name.encode() + bytes(9))
    contents = dataset.tf.data.Dataset.range(2).map(dataset._fetcher(odd)).as_numpy_iterator()
    assert list(contents) == [b"0.png" + bytes(9), b"1.png" + bytes(9)]
