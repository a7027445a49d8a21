import pytest

from stages.core.settings import SettingsError, build
from stages.sources.settings import SourceSettings


def read(**node):
    return build({"source": "photos", **node}, SourceSettings, "ingest")


def error(**node):
    with pytest.raises(SettingsError) as caught:
        read(**node)
    message = str(caught.value)
    assert message.startswith("ingest.") and "\n" not in message
    return message


def test_a_source_is_enough():
    found = read()
    assert (found.layout, found.root, found.class_map, found.unlabelled) == ("auto", None, None, None)
    columns = found.columns
    assert (columns.path, columns.label, columns.split, columns.group) == ("path", "label", "split", "group")


@pytest.mark.parametrize(
    "layout",
    [
        *(
            "auto",
            "table",
            "imagefolder",
            "coco",
            "voc",
            "{label}/**",
            "{split}/{label}/**",
            "*/{label}/*",
            "{label}_*",
        ),
        *(
            "{label}/{label}/*",
            "{label}/{group}/*",
            "{label}/{label_group}/*",
            "{origin}/{label}/{shared_group}/*",
            "{split}/{group}/{label}_*",
            "{label}",
            "Käfer/{label}",
        ),
    ],
)
def test_named_layouts_and_patterns_with_a_label(layout):
    assert read(layout=layout).layout == layout


@pytest.mark.parametrize(
    ("layout", "found"),
    [
        ("", "found ''"),
        ("folder", "found 'folder'"),
        ("{label}/{group/*", "found '{label}/{group/*', where a brace has no other"),
        ("{label}/{/*", "where a brace has no other"),
        ("{label}/group}/*", "where a brace has no other"),
        ("Auto", "found 'Auto'"),
        ("{split}/**", "found '{split}/**'"),
        ("{label", "found '{label'"),
        ("{class}/**", "found the placeholder {class}"),
        ("{label}/{Split}/*", "found the placeholder {Split}"),
        ("{label}/{}/*", "found the placeholder {}"),
        ("{label}/{ split }/*", "found the placeholder { split }"),
        ("{split}/{split}/{label}/*", "at most once"),
        ("{group}/{label}/{group}/*", "at most once"),
        ("{group}/{label}/{label_group}/*", "at most once"),
        ("{origin}/{label}/{origin}/*", "at most once"),
        ("{label}/", "without a slash"),
        ("/{label}/*", "without a slash"),
        ("{label}//*", "without a slash"),
    ],
)
def test_other_layouts_are_errors_that_show_what_was_found(layout, found):
    message = error(layout=layout)
    assert message.startswith("ingest.layout") and found in message


@pytest.mark.parametrize("name", ["source", "unlabelled", "root", "class_map"])
@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/x",
        "S3://key:secret@bucket/x",
        "https://me@host/x.zip",
        "zip://x::sftp://a:secret@h/y.zip",
    ],
)
def test_a_url_with_a_password_is_refused_without_showing_it(name, url):
    message = error(**{name: url})
    assert message.startswith(f"ingest.{name}") and "environment" in message and "secret" not in message


@pytest.mark.parametrize("source", ["s3://bucket/a@b/c", "photos/a@b", "file:///x/a@b", "memory://a", "C:/x@y"])
def test_an_at_sign_in_a_path_is_no_password(source):
    assert read(source=source).source == source


def test_an_empty_source_is_refused():
    assert "found an empty text" in error(source="")
    assert "found an empty text" in error(unlabelled="")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ""}, "path"),
        ({"label": None}, "label"),
        ({"path": "label"}, "another column"),
        ({"paths": "x"}, "paths"),
    ],
)
def test_columns_that_cannot_be_are_errors(columns, message):
    assert message in error(columns=columns)


def test_columns_may_be_ignored():
    columns = read(columns={"split": None, "group": None, "label": "model"}).columns
    assert (columns.label, columns.split, columns.group) == ("model", None, None)
