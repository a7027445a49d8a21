import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd

from stages.reporting import charts
from stages.reporting.counts import Stage


def texts(svg):
    tree = ElementTree.fromstring(str(svg).replace("xlink:href", "href"))
    return [element.text for element in tree.iter("text")]


def test_funnel_writes_names_and_counts():
    found = texts(charts.funnel([Stage("files", 7, ""), Stage("usable", 0, "")]))
    assert {"files", "usable", "7", "files (count)", "stage"} <= set(found)


def test_labels_are_no_formulas_and_no_markup():
    found = texts(charts.confusion(np.eye(3, dtype=int), ["$x_{$", "--><b>&", "名車"]))
    assert {"$x_{$", "--><b>&", "名車"} <= set(found)


def test_long_labels_are_cut():
    counts = pd.DataFrame({"train": [1], "val": [0], "test": [2]}, index=["x" * 200])
    assert "x" * 23 + "…" in texts(charts.per_class(counts))


def test_many_classes_are_numbered():
    found = texts(charts.confusion(np.eye(60, dtype=int), [f"class {n}" for n in range(60)]))
    assert "true class (number in the list)" in found
    assert "class 7" not in found


def test_empty_matrix_and_no_photos():
    assert "predicted class" in texts(charts.confusion(np.zeros((2, 2), dtype=int), ["a", "b"]))
    counts = pd.DataFrame({"train": [0], "val": [0], "test": [0]}, index=["a"])
    assert "photos (count)" in texts(charts.per_class(counts))


def test_a_chart_follows_the_text_colour_and_the_user_s_settings_do_not_matter():
    stages = [Stage("files", 7, "")]
    plain = charts.funnel(stages)
    assert "currentColor" in plain and "#010203" not in plain
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert charts.funnel(stages) == plain


def test_curves_of_one_epoch():
    tables = {"val/accuracy": pd.DataFrame({"step": [0], "accuracy": [0.5]})}
    found = charts.curves('a"<b>', tables)
    assert "accuracy on val" in texts(found)
    assert 'a"<b>' not in found
