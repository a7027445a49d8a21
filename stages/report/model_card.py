"""The model card of a trained ensemble in Markdown (Mitchell et al. 2019, arXiv 1810.03993)."""

import re
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from stages.report import licences
from stages.report import model_card_data as card_data
from stages.report.model_card_data import CardData

# What Markdown or HTML would read as markup within a line or a cell of a table; `_` only at the edge of a word.
_MARKUP = re.compile(r"([\\`*\[\]<>|~&]|^[#+-]|(?<!\w)_|_(?!\w))")
_NOT_MEASURED = "not measured"
# Listed pairs of classes.
_PAIRS = 10


def render(data: CardData) -> str:
    """Return the card. Equal data give equal text; what was not measured is said to be so."""
    jinja = jinja2.Environment(
        loader=jinja2.PackageLoader("stages.report"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters |= {"md": escape, "code": code, "percent": _percent}
    return jinja.get_template("model_card.md.j2").render(**_context(data))


def to_html(card: str) -> Markup:
    """Render a card as HTML within a section of a page: without its title, headings two levels lower."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(card)[3:]
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))


def escape(text: object) -> str:
    """Return a text as Markdown that shows it as it is, in one line."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def code(text: object) -> str:
    """Return a name as a code span of Markdown, in one line, fit for a cell of a table."""
    plain = " ".join(str(text).split()).replace("|", "\\|")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _context(data: CardData) -> dict[str, Any]:
    settings, metrics = data.settings, data.metrics
    figures = card_data.test_figures(data)
    used = {name: weight for name, weight in sorted(data.weights.items()) if weight > 0}
    sections = {name: settings.get(name) or {} for name in ("models", "inputs", "segmenters", "detect", "crop", "tta")}
    source = (settings.get("ingest") or {}).get("source")
    inputs = {str(sections["models"].get(name, {}).get("input", "")) for name in used}
    return {
        "unmeasured": _NOT_MEASURED,
        "classes": data.classes,
        "weights": used,
        "is_student": data.is_student,
        "kind": "student" if data.is_student else "ensemble",
        "own_scores": data.own_scores,
        "temperature": data.temperature,
        "settings": sections,
        "inputs": {name: item for name, item in sorted(sections["inputs"].items()) if name in inputs},
        "source": card_data.source_name(str(source)) if source else None,
        "metrics": metrics,
        "scores": _scores(data),
        "log_loss": figures.log_loss if figures else None,
        "class_rows": card_data.class_rows(data, figures),
        "pairs": figures.pairs[:_PAIRS] if figures else None,
        "n_pairs": len(figures.pairs) if figures else 0,
        "licences": licences.of_run(settings, used),
        "provenance": data.provenance,
    }


def _scores(data: CardData) -> list[tuple[str, dict[str, Any]]]:
    """The scores on test by name: of an ensemble also those of equal weights, the best single model and each alone."""
    if data.is_student:
        return [(f"student {next(iter(data.weights))}", data.own_scores)]
    ensemble = data.metrics.ensemble or {}
    best = ensemble.get("best_single", {})
    rows = [("ensemble", data.own_scores), ("equal weights", ensemble.get("equal_weights"))]
    rows += [(f"best single model: {best['name']}", best)] if best else []
    rows += [(name, (scores or {}).get("test")) for name, scores in sorted(data.metrics.models.items())]
    return [(name, figures or {"n": 0}) for name, figures in rows]
