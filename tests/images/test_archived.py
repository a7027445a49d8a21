import numpy as np
import pytest

from stages.core.archive import Archive
from stages.images import archived
from stages.images.images import ImageError
from tests import archives


@pytest.fixture
def archive(tmp_path, corners):
    images = {"a.png": corners(6, 4), "m.png": np.full((2, 3), 7, np.uint8), "bad.png": b"no image"}
    archives.put(tmp_path / "p.zip", images)
    return Archive(tmp_path / "p.zip")


def test_images_masks_and_sizes_are_read_by_name(archive, corners):
    np.testing.assert_array_equal(archived.read_image(archive, "a.png"), corners(6, 4))
    assert archived.read_size_wh(archive, "a.png") == (6, 4)
    assert archived.read_mask(archive, "m.png").tolist() == [[7] * 3] * 2
    assert archived.read_bytes(archive, "bad.png") == b"no image"


@pytest.mark.parametrize("read", [archived.read_image, archived.read_mask, archived.read_size_wh])
@pytest.mark.parametrize(("name", "reason"), [("bad.png", "not_an_image"), ("none.png", "missing")])
def test_errors_name_archive_and_image(archive, read, name, reason):
    with pytest.raises(ImageError, match=rf"p\.zip: .*{name}") as caught:
        read(archive, name)
    assert caught.value.reason == reason


def test_bytes_that_are_not_there_are_an_image_error(archive):
    with pytest.raises(ImageError, match=r"p\.zip: .*none\.png") as caught:
        archived.read_bytes(archive, "none.png")
    assert caught.value.reason == "missing"
