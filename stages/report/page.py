"""The page: evidence in, one HTML text out."""

import base64
import hashlib
from typing import Any

import jinja2
from markupsafe import Markup

from stages.report import charts, counts, results
from stages.report.galleries import GalleryBuilder
from stages.report.report_data import ReportData, of_split
from stages.schemas import flags


def render(evidence: ReportData, curator: GalleryBuilder) -> str:
    """Return the whole page; it names no resource outside itself, and equal evidence gives equal text.

    Its only script is allowed by its hash.
    """
    loader = jinja2.PackageLoader("stages.report")
    jinja = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.filters |= {"percent": percent, "sentence": flags.sentence}
    script = loader.get_source(jinja, "filters.js")[0]
    jinja.globals |= {"seed": curator.seed, "script": Markup(script), "script_hash": _sha256(script)}
    tables = _tables(evidence) | {"choices": _choices(evidence)}
    return jinja.get_template("report.html.j2").render(**tables, **_galleries(evidence, curator))


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def percent(share: float) -> str:
    """A share of 0..1 in percent with one digit, a narrow space before the sign."""
    return f"{100 * share:.1f}\u202f%"


def _tables(evidence: ReportData) -> dict[str, Any]:
    classes = evidence.predicted.classes
    stages = counts.funnel(evidence.rows, evidence.detections)
    matrix = counts.confusion(counts.judged_test_rows(evidence.rows, evidence.predicted), classes)
    n_val, n_test = (len(of_split(evidence.rows, split)) for split in ("val", "test"))
    per_class = counts.per_class(evidence.rows, classes)
    return {
        "results": results.headline(evidence.ensemble, evidence.models),
        "probes": evidence.probes,
        "flags": flags.from_metrics(evidence.audit["flags"]),
        "usual_suspects": flags.LIKELY_CAUSES,
        "blend": evidence.ensemble,
        "views": results.views(evidence.models),
        "reliability_charts": {n: charts.reliability(n, t) for n, t in evidence.reliability.items() if len(t)},
        "n_val": n_val,
        "n_test": n_test,
        "stages": stages,
        "funnel_chart": charts.funnel(stages),
        "class_chart": charts.per_class(per_class),
        "split_counts": per_class.sum().to_dict(),
        "confusion_chart": charts.confusion(matrix, classes) if n_test else None,
        "recalls": counts.recalls(matrix, classes) if n_test else [],
        "refusals": counts.class_rejections(evidence.rule, classes),
        "uneven": evidence.rule["uneven"],
        "threshold_charts": {name: charts.threshold(name, moved) for name, moved in evidence.thresholds.items()},
        "histograms": [charts.histogram(*shape) for shape in counts.shapes(evidence.rows)],
        "curve_charts": {name: charts.curves(name, tables) for name, tables in evidence.curves.items() if tables},
    }


def _choices(evidence: ReportData) -> dict[str, list[str]]:
    """What the filters offer, each in the words of the cards' marks."""
    names = {"class": "label", "split": "split", "outcome": "outcome"}
    return {name: sorted(set(evidence.rows[column]) - {""}) for name, column in names.items()}


def _galleries(evidence: ReportData, curator: GalleryBuilder) -> dict[str, Any]:
    rows = evidence.rows
    return {
        "detections": curator.detections(rows),
        "rejects": curator.rejects(rows),
        "masks": curator.masks(rows),
        "steps": curator.steps(rows),
        "duplicates": curator.duplicates(rows),
        "suspects": curator.suspects(rows, evidence.suspects),
        "errors": curator.errors(counts.judged_test_rows(rows, evidence.predicted)),
    }
