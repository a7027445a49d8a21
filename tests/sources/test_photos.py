"""Photos of the manifest are read from the source of their split."""

import pytest

from stages.images.images import ImageError, image_id
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings


@pytest.fixture
def folder(tmp_path):
    """Folders `photos` and `others`, each with the file a/1.jpg, whose content is the name of the folder."""
    for name in ("photos", "others"):
        (tmp_path / name / "a").mkdir(parents=True)
        (tmp_path / name / "a" / "1.jpg").write_text(name)
    (tmp_path / "list.csv").write_text("path,label\nphotos/a/1.jpg,x\n")
    return tmp_path


def test_paths_are_relative_to_the_folder_or_to_the_one_of_the_table(folder):
    assert Photos(SourceSettings(source=str(folder / "photos"))).load("a/1.jpg", "", "train") == b"photos"
    assert Photos(SourceSettings(source=str(folder / "list.csv"))).load("photos/a/1.jpg", "", "train") == b"photos"
    settings = SourceSettings(source=str(folder / "list.csv"), root=str(folder / "others"))
    assert Photos(settings).load("a/1.jpg", "", "train") == b"others"
    # A folder of photos is its own root.
    settings = SourceSettings(source=str(folder / "photos"), root=str(folder / "others"))
    assert Photos(settings).load("a/1.jpg", "", "train") == b"photos"


def test_unlabelled_photos_are_those_of_their_own_source(folder):
    photos = Photos(SourceSettings(source=str(folder / "photos"), unlabelled=str(folder / "others")))
    assert photos.load("a/1.jpg", "", "unlabelled") == b"others"
    assert [photos.load("a/1.jpg", "", split) for split in ("train", "val", "test", "")] == [b"photos"] * 4


def test_the_bytes_are_those_of_the_image_id_or_an_error_with_a_reason(folder):
    photos = Photos(SourceSettings(source=str(folder / "photos")))
    assert photos.load("a/1.jpg", image_id(b"photos"), "train") == b"photos"
    # The second labelled object of a photo.
    assert photos.load("a/1.jpg", f"{image_id(b'photos')}-2", "train") == b"photos"
    for path, name, reason in (
        ("a/1.jpg", image_id(b"x"), "changed"),
        ("a/2.jpg", "", "missing"),
        ("..", "", "outside"),
    ):
        with pytest.raises(ImageError) as failed:
            photos.load(path, name, "train")
        assert failed.value.reason == reason
