import pytest

from stages.sources import file_names


@pytest.mark.parametrize("name", ["a.jpg", "x/y/A.JPEG", "a.b.png", "a.WebP", "a.hif", "a.jp2", "è.tiff"])
def test_names_of_photos(name):
    assert file_names.is_photo_name(name)


@pytest.mark.parametrize(
    "name", ["", "a", "jpg", ".jpg", "a.jpg.txt", "a.jpg/x", "Thumbs.db", "a.xml", "a.jpg~", "a.svg"]
)
def test_names_of_other_files(name):
    assert not file_names.is_photo_name(name)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("list.csv", "list.csv"),
        ("x/List.CSV", "List.CSV"),
        ("x/list.tsv", "list.tsv"),
        ("x/list.parquet", "list.parquet"),
        ("x/instances.JSON", "instances.JSON"),
        ("s3://cars/x/list.csv", "list.csv"),
        ("s3://cars/x/list.csv?versionId=1/2", "list.csv"),
        ("file:///x/list.csv", "list.csv"),
        ("what?/list.csv", "list.csv"),
        ("list.csv?", ""),
        ("photos", ""),
        ("photos/", ""),
        ("", ""),
        ("photos.zip", ""),
        ("x.csv/photos", ""),
        ("s3://cars/photos?x=list.csv", ""),
        ("list.jsonl", ""),
        (".csv", ""),
        (".json", ""),
    ],
)
def test_the_table_or_annotation_file_that_a_source_is(source, expected):
    assert file_names.annotation_name(source) == expected
