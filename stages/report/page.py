"""The report as one HTML text."""

import base64
import hashlib
import re
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from stages.report import (
    charts,
    class_tables,
    confusions,
    counts,
    decisions,
    model_card,
    pair_gallery,
    photo_map,
    results,
)
from stages.report.galleries import GalleryBuilder
from stages.report.report_data import ReportData, select_split
from stages.schemas import flags

_LEAKS_SHOWN = 50
_CODE = re.compile("`([^`]+)`")
_SCRIPTS = ("filters.js", "search.js", "map.js")
_HOW_SPLIT = {
    "random": "Splits that are not given are random, with the same share of each class",
    "time": "Splits that are not given follow the time: the latest photos are test, those before them val",
    "origin": "Splits that are not given follow the origin: test has other dealers, websites or photographers than "
    "train",
}


def render(data: ReportData, builder: GalleryBuilder, card: str) -> str:
    """Return the page, with the model card `card` in Markdown. It has no external resources; equal data, equal text.

    Its content security policy allows one script, by its hash.
    """
    loader = jinja2.PackageLoader("stages.report")
    jinja = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.filters |= {"percent": percent, "sentence": flags.sentence, "with_code": with_code}
    script = "".join(loader.get_source(jinja, name)[0] for name in _SCRIPTS)
    jinja.globals |= {"seed": builder.seed, "script": Markup(script), "script_hash": _sha256(script)}
    predicted = counts.predicted_test_rows(data.rows, data.predicted)
    matrix = counts.confusion(predicted, data.predicted.classes)
    tables = _result_tables(data) | _photo_tables(data) | class_tables.tables(data, matrix, len(predicted))
    tables |= {"choices": _choices(data), "card": model_card.to_html(card), "decisions": decisions.of_report(data)}
    galleries = _galleries(data, builder, predicted, matrix)
    return jinja.get_template("report.html.j2").render(**tables, **galleries, worst=class_tables.WORST)


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def with_code(text: str) -> Markup:
    """A text as HTML, in which names between backticks are code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def percent(share: float) -> str:
    """A share, 0..1, in percent with one digit and a narrow space before the sign."""
    return f"{100 * share:.1f}\u202f%"


def _result_tables(data: ReportData) -> dict[str, Any]:
    """Scores, flags and charts of the models and the ensemble."""
    return {
        "results": results.results_rows(data.ensemble, data.models),
        "probes": data.probes,
        "audit": data.audit,
        "flags": flags.from_json(data.audit["flags"]),
        "likely_causes": flags.LIKELY_CAUSES,
        "ensemble": data.ensemble,
        "tta_rows": results.tta_rows(data.models),
        "advice": data.advice,
        "advice_rows": results.advice_rows(data.advice),
        "reliability_charts": {n: charts.reliability(n, t) for n, t in data.reliability.items() if len(t)},
        "risk_chart": charts.risk_coverage(data.risk_coverage, data.ensemble["selective"].get("threshold")),
        "curve_charts": {name: charts.curves(name, tables) for name, tables in data.curves.items() if tables},
    }


def _photo_tables(data: ReportData) -> dict[str, Any]:
    """Counts and charts of the photos: what each stage left of them, their splits and shapes."""
    stages = counts.funnel(data.rows, data.detections)
    return {
        "leaks": data.leaks.head(_LEAKS_SHOWN).to_dict("records"),
        "n_leaks": len(data.leaks),
        "n_leak_groups": data.leaks["group"].nunique(),
        "ingest": data.ingest,
        "how_split": _HOW_SPLIT,
        "n_val": len(select_split(data.rows, "val")),
        "n_test": len(select_split(data.rows, "test")),
        "stages": stages,
        "funnel_chart": charts.funnel(stages),
        "threshold_charts": {name: charts.threshold(name, table) for name, table in data.thresholds.items()},
        "histograms": [charts.histogram(*shape) for shape in counts.shapes(data.rows)],
    }


def _choices(data: ReportData) -> dict[str, list[str]]:
    """The options of each filter."""
    names = {"class": "label", "split": "split", "outcome": "outcome"}
    return {name: sorted(set(data.rows[column]) - {""}) for name, column in names.items()}


def _galleries(
    data: ReportData, builder: GalleryBuilder, predicted: pd.DataFrame, matrix: np.ndarray
) -> dict[str, Any]:
    rows = data.rows
    pairs = confusions.confused_pairs(matrix, data.predicted.classes)
    return {
        "detections": builder.detections(rows),
        "rejected": builder.rejected(rows),
        "masks": builder.masks(rows),
        "steps": builder.steps(rows),
        "duplicates": builder.duplicates(rows),
        "issues": builder.issues(rows, data.issues),
        "errors": builder.errors(predicted),
        "map": photo_map.build(data, builder.store),
        "confused": pair_gallery.pair_gallery(predicted, pairs, builder.store),
    }
