"""Charts as inline SVG, with the font and text colour of the page, and without external resources."""

import io
import re
import warnings

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib import colors, style, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.report.counts import Stage
from stages.schemas.crops import REJECTION_REASONS

# A placeholder that becomes `currentColor`, the text colour of the page in its light or dark scheme.
_INK = "#010203"
_BLUE, _ORANGE, _GREEN = "#4a86c5", "#e08a3c", "#5aa469"
_SPLIT_COLOURS = {"train": _BLUE, "val": _ORANGE, "test": _GREEN}
_WIDTH_IN = 5.2
_MAX_TICK_CHARACTERS = 24
_BINS = 30
# Share of the largest value; on a narrower axis, rounding would look like variation.
_MIN_SPAN = 0.05
_UNITS = {
    "min_score": "score, 0 to 1",
    "min_area": "share of the photo",
    "min_aspect": "width / height",
    "max_runner_up_ratio": "share of the highest rank",
}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
} | dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor"), _INK
)


def funnel(stages: list[Stage]) -> Markup:
    """A bar chart of the number of files left after each stage."""
    names, counts = [stage.name for stage in stages], [stage.files for stage in stages]
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(0.5 + 0.34 * len(stages) + 0.4)
        axes.bar_label(axes.barh(names, counts, color=_BLUE), padding=4)
        axes.invert_yaxis()
        axes.set(xlabel="files (count)", ylabel="stage", xlim=(0, 1.12 * max([*counts, 1])))
        return _svg(figure, "funnel", f"Bar chart: files left after each stage, {_listed(names, counts)}.")


def per_class(counts: pd.DataFrame) -> Markup:
    """A stacked bar chart: a bar for each class (rows of `counts`), split by column."""
    names = [_short(name) for name in counts.index]
    places, start = np.arange(len(counts)), np.zeros(len(counts))
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(1.2 + 0.26 * len(counts))
        for split in counts.columns:
            axes.barh(places, counts[split], left=start, color=_SPLIT_COLOURS[split], label=split)
            start = start + counts[split].to_numpy()
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.margins(y=0.02)
        axes.set(xlabel="photos (count)", ylabel="class")
        figure.legend(loc="outside upper center", ncols=len(counts.columns))
        totals = _listed(list(counts.columns), counts.sum().tolist())
        return _svg(figure, "classes", f"Bar chart: photos of each class by split; in all {totals}.")


def confusion(matrix: np.ndarray, classes: list[str]) -> Markup:
    """The confusion matrix `(C, C)`, counts by true (row) and predicted (column) class; darker for a larger share."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    red_green_blue = np.broadcast_to(np.array(colors.to_rgb(_BLUE)), (*share.shape, 3))
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(_WIDTH_IN)
        axes.imshow(np.dstack([red_green_blue, 0.75 * share]), interpolation="none")
        axes.set(xlabel="predicted class", ylabel="true class")
        names = [_short(name) for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=90)
        axes.set_yticks(range(len(classes)), names)
        for row, column in np.argwhere(matrix):
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=9)
        correct, total = int(np.trace(matrix)), int(matrix.sum())
        return _svg(figure, "confusion", f"Confusion matrix: {correct} of its {total} test photos lie on the diagonal.")


def curves(name: str, tables: dict[str, pd.DataFrame]) -> Markup:
    """Loss and accuracy of one model by epoch, from tables with `step` and a value; epoch 0 is the linear head."""
    lines = {
        "train/loss": (0, "loss on train", _BLUE),
        "val/log_loss": (0, "log loss on val", _ORANGE),
        "val/accuracy": (1, "accuracy on val", _ORANGE),
    }
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(_WIDTH_IN, 4.4), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        for figure_name, table in tables.items():
            panel, label, colour = lines[figure_name]
            values = table.drop(columns="step").iloc[:, 0]
            panels[panel].plot(table["step"], values, marker=".", color=colour, label=label)
        panels[0].set_ylabel("loss (nats)")
        panels[1].set(xlabel="epoch (passes over the training photos)", ylabel="accuracy (0 to 1)")
        panels[1].xaxis.get_major_locator().set_params(integer=True)
        for axes in panels:
            if axes.lines:
                axes.legend()
        return _svg(figure, f"curves-{name}", f"Line chart: loss and accuracy of {name} by epoch.")


def reliability(name: str, table: pd.DataFrame) -> Markup:
    """Accuracy against mean confidence by bin, uncalibrated and calibrated; dot areas are numbers of photos."""
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(3.4)
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
        for (title, bins), colour in zip(table.groupby("model", sort=False), (_ORANGE, _BLUE)):
            sizes = 400 * bins["photos"] / bins["photos"].sum()
            axes.scatter(bins["confidence"], bins["accuracy"], s=sizes, color=colour, alpha=0.75, label=title)
        axes.set(xlabel="mean confidence, 0 to 1", ylabel="accuracy, 0 to 1", xlim=(0, 1.05), ylim=(0, 1.05))
        axes.legend(loc="upper left", markerscale=0.5)
        return _svg(figure, f"reliability-{name}", f"Scatter chart: accuracy of {name} on test by its confidence.")


def risk_coverage(table: pd.DataFrame, threshold: float | None) -> Markup:
    """The share of wrong predictions among those that the ensemble is surest of, by their share, on val and on test.

    `table` has `split`, `threshold`, `coverage` and `risk`. A dot marks what is sure at `threshold` and above.
    """
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(3.0)
        for split in table["split"].unique():
            rows = table[table["split"] == split]
            axes.plot(rows["coverage"], rows["risk"], color=_SPLIT_COLOURS[split], label=split)
            sure = rows[rows["threshold"] >= threshold] if threshold is not None else rows.head(0)
            axes.plot(sure["coverage"].tail(1), sure["risk"].tail(1), "o", color=_SPLIT_COLOURS[split])
        axes.set(xlabel="coverage: share predicted, the surest first", ylabel="risk: share wrong", xlim=(0, 1.02))
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left")
        return _svg(figure, "risk-coverage", "Line chart: share of wrong predictions by the share of photos predicted.")


def histogram(name: str, values: pd.Series, label: str, unit: str) -> Markup:
    """A histogram of `values` without missing ones; `label` and `unit` name the axis."""
    known = values.dropna()
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(2.6)
        if len(known):
            axes.hist(known, bins=_BINS, range=_ends(known), color=_BLUE)
        axes.set(xlabel=f"{label} ({unit})", ylabel="photos (count)")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(nbins=6))
        axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        median = f", median {known.median():.2f}" if len(known) else ""
        return _svg(figure, f"histogram-{name}", f"Histogram: {label} of {len(known)} photos{median}.")


def _ends(values: pd.Series) -> tuple[float, float]:
    """The range of the bins, at least _MIN_SPAN wide."""
    low, high = float(values.min()), float(values.max())
    margin = _MIN_SPAN * max(abs(high), 1e-6)
    return (low, high) if high - low >= margin else (low - margin, high + margin)


def threshold(name: str, table: pd.DataFrame) -> Markup:
    """The share of photos with a main car, and of each rejection reason, at each value of one threshold.

    `table` is one of metrics/crop/thresholds; the current value is marked.
    """
    reasons = [column for column in REJECTION_REASONS if table[column].any()]
    current = float(table.loc[table["is_current"], "value"].iloc[0])
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(3.2)
        axes.plot(table["value"], table["share_cropped"], marker=".", color=_BLUE, label="main car")
        for number, column in enumerate(reasons, 1):  # C0 is a blue too
            share = table[column] / table["photos"].clip(lower=1)
            axes.plot(table["value"], share, marker=".", color=f"C{number}", label=column)
        axes.axvline(current, color=_INK, linestyle=":", label="current")
        axes.set(xlabel=f"crop.{name} ({_UNITS[name]})", ylabel="share of photos (0 to 1)", ylim=(-0.03, 1.03))
        figure.legend(loc="outside right upper", fontsize=9)
        return _svg(
            figure,
            f"threshold-{name}",
            f"Line chart: share of photos with a main car by {name}, currently {current:g}.",
        )


def _canvas(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots()


def _short(name: str) -> str:
    return name if len(name) <= _MAX_TICK_CHARACTERS else name[: _MAX_TICK_CHARACTERS - 1] + "…"


def _listed(names: list[str], counts: list[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(names, counts))


def _svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element; ids begin with `name`, which must be unique on the page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings(), style.context({"svg.hashsalt": name}):
        # The browser draws the text, and has fonts for glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace(_INK, "currentColor")
    drawing = re.sub(r"<style.*?</style>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    view_box = re.search(r'viewBox="[^"]*"', drawing)
    body = drawing[drawing.index(">") + 1 :]
    prefix = re.sub(r"[^a-z0-9-]", "-", name.lower())
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", body)
    opening = f'<svg role="img" aria-label="{escape(description)}" {view_box.group() if view_box else ""}>'
    return Markup(opening + body)
