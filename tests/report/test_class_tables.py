"""What the page shows of few and of many classes."""

import re

import numpy as np
import pandas as pd
import pytest

from stages.report.class_tables import shown_rows
from stages.report.confusions import ConfusedPair
from stages.report.pair_gallery import pair_gallery
from stages.report.pictures import Thumbnail
from tests.report.test_thumbnails import HOSTILE, Project


class Store:
    """Crops whose size says which photo they are of."""

    def crop(self, image_id):
        return Thumbnail(np.zeros((4, int(image_id), 3), np.uint8), "")


@pytest.mark.parametrize(("n_rows", "n_first"), [(0, 0), (25, 25), (26, 20), (196, 20)])
def test_of_more_than_25_classes_20_are_visible_and_none_is_lost(n_rows, n_first):
    first, rest = shown_rows(range(n_rows))
    assert len(first) == n_first and [*first, *rest] == list(range(n_rows))


def predicted_rows():
    """Of class a two photos are taken for b, one with more probability; of b none is taken for a."""
    columns = ["image_id", "label", "predicted", "probability", "true_probability"]
    rows = [["11", "a", "b", 0.5, 0.2], ["12", "a", "b", 0.75, 0.2], ["13", "a", "a", 0.9, 0.9]]
    rows += [["14", "b", "b", 0.625, 0.625], ["15", "b", "c", 0.9, 0.1]]
    return pd.DataFrame(rows, columns=columns).assign(path=HOSTILE, outcome="not rejected")


def test_a_pair_shows_the_surest_mistake_or_else_the_surest_photo():
    gallery = pair_gallery(predicted_rows(), [ConfusedPair("a", "b", 2, 0)], Store())
    (card,) = gallery.cards
    assert [image.width for image in card.images] == [12, 14]
    assert card.lines == ("a as b: 2 of 3", "b as a: 0 of 2") and card.marks.label == "a\nb"
    assert card.images[0].alt == f"a, predicted as b: crop of {HOSTILE}"


def test_a_class_without_test_photos_has_a_text_in_place_of_the_photo():
    (card,) = pair_gallery(predicted_rows(), [ConfusedPair("b", "c", 1, 0)], Store()).cards
    assert [(image.width, image.reason) for image in card.images] == [(15, ""), (0, "no test photo of c")]
    assert card.lines[1] == "c as b: 0 of 0"


def test_of_many_pairs_twelve_are_shown():
    gallery = pair_gallery(predicted_rows(), [ConfusedPair("a", "b", 2, 0)] * 13, Store())
    assert (gallery.total, len(gallery.cards)) == (13, 12)


class ManyClasses(Project):
    classes = (HOSTILE, *(f"car {number:03d}" for number in range(195)))


@pytest.fixture
def page_of_many(tmp_path, run):
    """A page of 196 classes with a photo of train and one of test each; of the first three photos of test are wrong."""
    project = ManyClasses(tmp_path, ["train"] * 196 + ["test"] * 196, per_gallery=2)
    project.write(n_wrong=3)
    return project.render(run)


def test_of_196_classes_the_worst_are_visible_and_the_others_folded(page_of_many):
    section = page_of_many.source.partition('id="confusion"')[2].partition("</section>")[0]
    visible, _, folded = section.partition("176 more classes")
    recall = re.compile(r'<td data-name="correct">(\d) of 1</td>')
    assert recall.findall(visible) == ["0"] * 3 + ["1"] * 17 and recall.findall(folded) == ["1"] * 176
    assert len(re.findall(r"as .*: 1 of 1</p>", section)) == 3  # a card for each wrong photo
    assert page_of_many.says("of 196 classes, those of the most confused pairs; 3 of 3 wrong predictions lie between")
    assert page_of_many.says("fewest photos of train; 176 of 196 classes are not shown.")
    assert "<script>alert" not in page_of_many.source and page_of_many.says(HOSTILE)
    assert len(page_of_many.of("tr")) < 2000 and page_of_many.says("196 classes).")


def test_without_wrong_predictions_many_classes_have_no_chart_and_no_pairs(tmp_path, run):
    project = ManyClasses(tmp_path, ["test"] * 196, per_gallery=2)
    project.write()
    page = project.render(run)
    assert page.says("Shown: 0 of 196 classes") and "Confusion matrix:" not in page.source
    assert not page.says("Most confused pairs")


def test_few_classes_are_shown_whole(tmp_path, run):
    project = Project(tmp_path, ["train", "train", "test", "test"])
    project.write(n_wrong=1)
    page = project.render(run)
    assert not page.says("find a class") and not page.says("more classes") and page.says("Most confused pairs 1")
