import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd

from stages.report import charts
from stages.report.counts import Stage


def texts(svg):
    tree = ElementTree.fromstring(str(svg).replace("xlink:href", "href"))
    return [element.text for element in tree.iter("text")]


def test_the_funnel_shows_names_and_counts():
    labels = texts(charts.funnel([Stage("files", 7, ""), Stage("usable", 0, "")]))
    assert {"files", "usable", "7", "files (count)", "stage"} <= set(labels)


def test_labels_are_neither_formulas_nor_markup():
    labels = texts(charts.confusion(np.eye(3, dtype=int), ["$x_{$", "--><b>&", "名車"]))
    assert {"$x_{$", "--><b>&", "名車"} <= set(labels)


def test_long_labels_are_cut():
    counts = pd.DataFrame({"train": [1], "val": [0], "test": [2]}, index=["x" * 200])
    assert "x" * 23 + "…" in texts(charts.per_class(counts))


def test_empty_matrix_and_no_photos():
    assert "predicted class" in texts(charts.confusion(np.zeros((2, 2), dtype=int), ["a", "b"]))
    counts = pd.DataFrame({"train": [0], "val": [0], "test": [0]}, index=["a"])
    assert "photos (count)" in texts(charts.per_class(counts))


def test_a_chart_has_the_text_colour_and_ignores_the_user_s_settings():
    stages = [Stage("files", 7, "")]
    plain = charts.funnel(stages)
    assert "currentColor" in plain and "#010203" not in plain
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert charts.funnel(stages) == plain


def test_curves_of_one_epoch():
    tables = {"val/accuracy": pd.DataFrame({"step": [0], "accuracy": [0.5]})}
    svg = charts.curves('a"<b>', tables)
    assert "accuracy on val" in texts(svg)
    assert 'a"<b>' not in svg


def test_nearly_equal_values_have_a_wider_axis():
    labels = texts(charts.histogram("s", pd.Series([1.0, 1.0001]), "shape", "width / height"))
    ticks = labels[: labels.index("shape (width / height)")]
    assert len(ticks) >= 3
    assert sum(0.99 < float(tick) < 1.01 for tick in ticks) <= 2


def test_a_histogram_without_values_and_with_missing_values():
    assert "mask (share)" in texts(charts.histogram("s", pd.Series([float("nan")]), "mask", "share"))
    assert "Histogram: mask of 1 photos, median 0.50." in charts.histogram(
        "s", pd.Series([0.5, float("nan")]), "mask", "share"
    )
