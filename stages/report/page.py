"""The report as one HTML text."""

import base64
import hashlib
from typing import Any

import jinja2
from markupsafe import Markup

from stages.report import charts, counts, model_card, results
from stages.report.galleries import GalleryBuilder
from stages.report.report_data import ReportData, select_split
from stages.schemas import flags

_LEAKS_SHOWN = 50
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
    jinja.filters |= {"percent": percent, "sentence": flags.sentence}
    script = loader.get_source(jinja, "filters.js")[0]
    jinja.globals |= {"seed": builder.seed, "script": Markup(script), "script_hash": _sha256(script)}
    tables = _tables(data) | {"choices": _choices(data), "card": model_card.to_html(card)}
    return jinja.get_template("report.html.j2").render(**tables, **_galleries(data, builder))


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def percent(share: float) -> str:
    """A share, 0..1, in percent with one digit and a narrow space before the sign."""
    return f"{100 * share:.1f}\u202f%"


def _tables(data: ReportData) -> dict[str, Any]:
    classes = data.predicted.classes
    stages = counts.funnel(data.rows, data.detections)
    matrix = counts.confusion(counts.predicted_test_rows(data.rows, data.predicted), classes)
    n_val, n_test = (len(select_split(data.rows, split)) for split in ("val", "test"))
    per_class = counts.per_class(data.rows, classes)
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
        "leaks": data.leaks.head(_LEAKS_SHOWN).to_dict("records"),
        "n_leaks": len(data.leaks),
        "n_leak_groups": data.leaks["group"].nunique(),
        "ingest": data.ingest,
        "how_split": _HOW_SPLIT,
        "n_val": n_val,
        "n_test": n_test,
        "stages": stages,
        "funnel_chart": charts.funnel(stages),
        "class_chart": charts.per_class(per_class),
        "split_counts": per_class.sum().to_dict(),
        "confusion_chart": charts.confusion(matrix, classes) if n_test else None,
        "recalls": counts.recalls(matrix, classes) if n_test else [],
        "class_rejections": counts.class_rejections(data.crop, classes),
        "overrejected_classes": data.crop["overrejected_classes"],
        "threshold_charts": {name: charts.threshold(name, table) for name, table in data.thresholds.items()},
        "histograms": [charts.histogram(*shape) for shape in counts.shapes(data.rows)],
        "curve_charts": {name: charts.curves(name, tables) for name, tables in data.curves.items() if tables},
    }


def _choices(data: ReportData) -> dict[str, list[str]]:
    """The options of each filter."""
    names = {"class": "label", "split": "split", "outcome": "outcome"}
    return {name: sorted(set(data.rows[column]) - {""}) for name, column in names.items()}


def _galleries(data: ReportData, builder: GalleryBuilder) -> dict[str, Any]:
    rows = data.rows
    return {
        "detections": builder.detections(rows),
        "rejected": builder.rejected(rows),
        "masks": builder.masks(rows),
        "steps": builder.steps(rows),
        "duplicates": builder.duplicates(rows),
        "issues": builder.issues(rows, data.issues),
        "errors": builder.errors(counts.predicted_test_rows(rows, data.predicted)),
    }
