"""Predictions of photos without labels, and the file of a contest: ids, order, columns, what has no row."""

import numpy as np
import pandas as pd
import pytest

from stages.core import tables
from stages.core.errors import TableError
from stages.core.settings import SettingsError
from stages.schemas import predictions, split_table
from stages.schemas.predictions import Predictions
from stages.submission import __main__ as submission_stage
from stages.submission import submitting, unlabelled
from stages.submission.settings import SubmissionSettings
from stages.submission.submitting import PhotoPredictions, SubmissionError

CLASSES = ["car", "van", "bus"]
PRIOR = np.array([0.25, 0.5, 0.25])
ONE, TWO = [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]


def rows(*photos):
    """Rows of data/splits.csv: (path, image id, reason)."""
    return pd.DataFrame(photos, columns=["path", "image_id", "reason"])


def predicted(*paths, probabilities=(ONE, TWO)):
    empty = [""] * len(paths)
    return PhotoPredictions(list(paths), empty, empty, np.array(probabilities[: len(paths)]).reshape(-1, 3), CLASSES)


ENSEMBLE = Predictions(["a1", "b2"], np.array([ONE, TWO]), CLASSES)


def test_each_photo_has_the_prediction_of_its_id_and_a_copy_the_same_one():
    given = rows(("x/1.jpg", "b2", ""), ("x/2.jpg", "a1", ""), ("x/3.jpg", "b2", "duplicate"))
    before = given.copy()
    found = unlabelled.predict_rows(given, ENSEMBLE, PRIOR, is_listed=False)
    np.testing.assert_array_equal(found.probabilities, [TWO, ONE, TWO])
    assert found.paths == ["x/1.jpg", "x/2.jpg", "x/3.jpg"]
    assert found.reasons == ["", "", ""] and found.classes == CLASSES
    pd.testing.assert_frame_equal(given, before)


def test_a_photo_that_cannot_be_read_has_the_prior_and_its_reason():
    given = rows(("1.jpg", "a1", "no_vehicle"), ("2.jpg", "c3", "truncated"), ("3.jpg", "", "missing"))
    found = unlabelled.predict_rows(given, ENSEMBLE, PRIOR, is_listed=False)
    np.testing.assert_array_equal(found.probabilities, [ONE, PRIOR, PRIOR])
    # Without a main car the whole photo is classified: there is a prediction.
    assert found.reasons == ["", "truncated", "missing"]


NO_PHOTOS = [
    ("Thumbs.db", "not_an_image"),
    ("list.csv", "not_an_image"),
    ("empty", "empty_file"),
    ("folder/", "empty_folder"),
    ("loop", "link_loop"),
    ("pipe", "not_a_file"),
]


@pytest.mark.parametrize(("path", "reason"), NO_PHOTOS)
def test_a_file_that_is_no_photo_has_no_row_unless_a_table_names_it(path, reason):
    given = rows((path, "c3", reason), ("1.jpg", "a1", ""))
    found = unlabelled.predict_rows(given, ENSEMBLE, PRIOR, is_listed=False)
    assert found.paths == ["1.jpg"] and found.probabilities.tolist() == [ONE]
    found = unlabelled.predict_rows(given, ENSEMBLE, PRIOR, is_listed=True)
    assert found.paths == [path, "1.jpg"]
    np.testing.assert_array_equal(found.probabilities, [PRIOR, ONE])


@pytest.mark.parametrize(
    ("path", "reason"),
    [("1.jpg", "empty_file"), ("1.JPG", "not_an_image"), ("no ending", "truncated"), ("x", "missing"), ("1.webp", "")],
)
def test_a_damaged_photo_has_a_row(path, reason):
    assert submitting.is_photo(path, reason)


def test_without_photos_the_tables_have_their_columns_and_no_rows():
    found = unlabelled.predict_rows(rows(), ENSEMBLE, PRIOR, is_listed=False)
    assert found.probabilities.shape == (0, 3)
    table = unlabelled.to_table(found)
    assert len(table) == 0
    columns = ["path", "image_id", "label", "probability", "second_label", "second_probability", "reason"]
    assert table.columns.tolist() == columns
    assert submitting.submission(found, SubmissionSettings()) == {"id": [], "label": []}
    whole = submitting.submission(found, SubmissionSettings(content="probabilities"))
    assert whole == {"id": [], "car": [], "van": [], "bus": []} and list(whole) == ["id", *CLASSES]


def test_the_table_has_the_likeliest_class_and_the_runner_up():
    table = unlabelled.to_table(predicted("a/1.jpg", "b/2.jpg"))
    assert table[["path", "label", "probability", "second_label", "second_probability"]].values.tolist() == [
        ["a/1.jpg", "bus", 0.7, "van", 0.2],
        ["b/2.jpg", "car", 0.6, "van", 0.3],
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("stem", ["one.two", "2"]),
        ("name", ["one.two.jpg", "2.png"]),
        ("path", ["a/one.two.jpg", "b/2.png"]),
    ],
)
def test_the_id_is_the_stem_the_name_or_the_path(rule, expected):
    settings = SubmissionSettings(id=rule, id_column="image", label_column="model")
    table = submitting.submission(predicted("a/one.two.jpg", "b/2.png"), settings)
    assert table == {"image": expected, "model": ["bus", "car"]}


@pytest.mark.parametrize(
    ("rule", "paths", "wider"),
    [
        ("stem", ("a/1.jpg", "b/1.jpg"), "name or path"),
        ("stem", ("1.jpg", "1.png"), "name or path"),
        ("name", ("a/1.jpg", "b/1.jpg"), "path"),
    ],
)
def test_two_photos_with_one_id_are_an_error_that_names_both(rule, paths, wider):
    with pytest.raises(SubmissionError) as failed:
        submitting.submission(predicted(*paths), SubmissionSettings(id=rule))
    text = str(failed.value)
    assert all(path in text for path in paths) and f"submission.id `{rule}`" in text and f"set it to {wider}" in text
    assert "\n" not in text
    assert submitting.submission(predicted(*paths), SubmissionSettings(id="path"))["id"] == list(paths)


def test_probabilities_have_a_column_for_each_class():
    table = submitting.submission(predicted("1.jpg", "2.jpg"), SubmissionSettings(content="probabilities"))
    assert list(table) == ["id", *CLASSES]
    assert list(zip(*table.values())) == [("1", *ONE), ("2", *TWO)]
    with pytest.raises(SubmissionError, match=r"submission\.id_column: expected no name of a class, found `van`"):
        submitting.submission(predicted("1.jpg"), SubmissionSettings(content="probabilities", id_column="van"))


def test_one_name_for_both_columns_is_an_error():
    with pytest.raises(SettingsError, match="label_column: expected another name than id_column"):
        SubmissionSettings().replace(id_column="label")
    SubmissionSettings(content="probabilities").replace(id_column="label")


def sample(text):
    """The columns of a sample file, all text."""
    header, *lines = [line.split(",") for line in text.splitlines()]
    return dict(zip(header, zip(*lines)))


def test_a_sample_decides_the_order_and_the_names_of_the_columns():
    photos = predicted("b.jpg", "a.jpg")
    table = submitting.submission(photos, SubmissionSettings(), sample("image,model\na,x\nb,x"))
    assert table == {"image": ["a", "b"], "model": ["car", "bus"]}
    rule = SubmissionSettings(content="probabilities")
    table = submitting.submission(photos, rule, sample("image,van,bus,car\na,0,0,0\nb,0,0,0"))
    assert list(table) == ["image", "van", "bus", "car"]
    assert list(zip(*table.values())) == [("a", 0.3, 0.1, 0.6), ("b", 0.2, 0.7, 0.1)]


def test_a_sample_decides_which_photos_have_a_row():
    table = submitting.submission(predicted("b.jpg", "a.jpg"), SubmissionSettings(), sample("id,label\na,x"))
    assert table == {"id": ["a"], "label": ["car"]}


@pytest.mark.parametrize(
    ("text", "content", "message"),
    [
        ("id,label\na,x\nc,x\nd,x", "label", "a photo for each id, found none for `c` and 1 more; .*such as `b`"),
        ("id,label\na.jpg,x", "label", r"found none for `a\.jpg` and 0 more"),
        ("id,car,van,bus,lorry\na,0,0,0,0", "probabilities", "`lorry` is on one side only"),
        ("id,car,van\na,0,0", "probabilities", "`bus` is on one side only"),
        ("id,car,van,bus\na,0,0,0", "label", "expected the columns label, found car, van, bus"),
        ("id,label\na,x", "probabilities", "expected the columns car, van, bus, found label"),
        ("id\na", "label", "expected the columns label, found"),
    ],
)
def test_a_sample_of_other_photos_or_classes_is_an_error_that_names_them(text, content, message):
    settings = SubmissionSettings(content=content, sample_file="sample.csv")
    with pytest.raises(SubmissionError, match=rf"^sample\.csv: .*{message}"):
        submitting.submission(predicted("b.jpg", "a.jpg"), settings, sample(text))


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs the stage on rows of data/splits.csv: (path, image id, label, split, status, reason).

    Three train photos, two of them vans, precede them. It returns both tables.
    """
    monkeypatch.chdir(tmp_path)

    def call(*photos, unlabelled="others", **changes):
        train = [
            (f"{n}.jpg", f"t{n}", label, "train", "ok", "") for n, label in enumerate(("van", "van", "car", "bus"))
        ]
        table = pd.DataFrame([*train, *photos], columns=["path", "image_id", "label", "split", "status", "reason"])
        rest = {"group": ""}
        tables.write(tmp_path / "splits.csv", table.assign(**rest)[list(split_table.COLUMNS)])
        (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
        predictions.write(tmp_path / "probabilities.csv", ENSEMBLE)
        source = f"ingest: {{source: photos, unlabelled: {unlabelled or 'null'}}}\n"
        (tmp_path / "params.yaml").write_text(f"{source}submission: {changes}\n")
        names = {"params": "params.yaml", "splits": "splits.csv", "classes": "classes.txt"}
        names |= {"probabilities": "probabilities.csv", "predictions": "p.csv", "submission": "s.csv"}
        run(submission_stage, **{name: tmp_path / file for name, file in names.items()})
        return tables.read_text(tmp_path / "p.csv"), tables.read_text(tmp_path / "s.csv")

    return call


PHOTOS = [
    ("y.jpg", "b2", "", "unlabelled", "ok", ""),
    ("list.csv", "c4", "", "unlabelled", "failed", "not_an_image"),
    ("Thumbs.db", "c5", "", "unlabelled", "failed", "not_an_image"),
    ("broken.jpg", "c3", "", "unlabelled", "failed", "truncated"),
    ("copy.jpg", "a1", "", "unlabelled", "rejected", "duplicate"),
]


def test_the_stage_answers_every_photo_and_counts_what_is_none(stage, capsys):
    table, contest = stage(*PHOTOS)
    assert table["path"].tolist() == ["broken.jpg", "copy.jpg", "y.jpg"]
    assert table["label"].tolist() == ["van", "bus", "car"] and table["probability"].tolist() == ["0.5", "0.7", "0.6"]
    assert table["reason"].tolist() == ["truncated", "", ""]
    assert contest.to_dict("list") == {"id": ["broken", "copy", "y"], "label": ["van", "bus", "car"]}
    captured = capsys.readouterr()
    assert captured.out == "submission: 3 photos, 1 by prior, 2 no photos\n"
    assert captured.err == "submission: broken.jpg (truncated) gets the shares of the classes in train\n"


def test_the_stage_answers_all_that_a_table_names(stage):
    _, contest = stage(*PHOTOS, unlabelled="others/list.csv", id="name")
    assert contest["id"].tolist() == ["Thumbs.db", "broken.jpg", "copy.jpg", "list.csv", "y.jpg"]


def test_without_photos_to_predict_the_stage_writes_tables_without_rows(stage, capsys):
    table, contest = stage(unlabelled=None, sample_file="nowhere.csv")
    assert len(table) == len(contest) == 0 and contest.columns.tolist() == ["id", "label"]
    assert capsys.readouterr().out == "submission: 0 photos, 0 by prior, 0 no photos\n"


def test_the_stage_follows_the_sample_file_whose_ids_are_text(stage, tmp_path):
    (tmp_path / "sample.csv").write_text("file,model\n007,?\ny,?\n")
    _, contest = stage(("007.jpg", "a1", "", "unlabelled", "ok", ""), PHOTOS[0], sample_file="sample.csv")
    assert contest.to_dict("list") == {"file": ["007", "y"], "model": ["bus", "car"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\ny,a\ny,b\n", "column `id`, row 3: expected each id once"),
        (None, "expected a table here"),
        ("", "CSV"),
    ],
)
def test_a_sample_file_that_repeats_an_id_or_is_none_is_an_error(stage, tmp_path, text, message):
    if text is not None:
        (tmp_path / "sample.csv").write_text(text)
    with pytest.raises(TableError, match=rf"sample\.csv: .*{message}"):
        stage(PHOTOS[0], sample_file="sample.csv")
