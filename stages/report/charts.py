"""Charts as SVG to stand inside the page: they take its font and text colour, and name no other resource."""

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

# Stands for "the colour of the page's text" while matplotlib draws, light or dark as the page is.
_INK = "#010203"
_BLUE, _ORANGE, _GREEN = "#4a86c5", "#e08a3c", "#5aa469"
_SPLIT_COLOURS = {"train": _BLUE, "val": _ORANGE, "test": _GREEN}
_WIDTH_IN = 5.2
_MAX_TICK_CHARACTERS = 24
# With more classes a matrix of names and numbers cannot be read.
_MAX_NAMED_CLASSES = 40
_MAX_COUNTED_CLASSES = 25
_BINS = 30
# Of the largest value: on a narrower axis, rounding would look like a spread.
_LEAST_SPAN = 0.05
_UNITS = {
    "min_score": "score, 0 to 1",
    "min_area": "share of the photo",
    "min_aspect": "width / height",
    "max_runner_up_ratio": "share of the best rank",
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
    """One bar per stage, as long as the number of files that came through."""
    names, counts = [stage.name for stage in stages], [stage.files for stage in stages]
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(0.5 + 0.34 * len(stages) + 0.4)
        axes.bar_label(axes.barh(names, counts, color=_BLUE), padding=4)
        axes.invert_yaxis()
        axes.set(xlabel="files (count)", ylabel="stage", xlim=(0, 1.12 * max([*counts, 1])))
        return _svg(figure, "funnel", f"Bar chart: files left after each stage, {_listed(names, counts)}.")


def per_class(counts: pd.DataFrame) -> Markup:
    """One bar per class (rows of `counts`), its parts the splits (columns)."""
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
    """The counts `(C, C)` of test photos by true (row) and predicted (column) class, darker for a larger share."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    red_green_blue = np.broadcast_to(np.array(colors.to_rgb(_BLUE)), (*share.shape, 3))
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(_WIDTH_IN)
        axes.imshow(np.dstack([red_green_blue, 0.75 * share]), interpolation="none")
        axes.set(xlabel="predicted class", ylabel="true class")
        _name_classes(axes, classes)
        for row, column in np.argwhere(matrix) if len(classes) <= _MAX_COUNTED_CLASSES else ():
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=9)
        right, total = int(np.trace(matrix)), int(matrix.sum())
        return _svg(figure, "confusion", f"Confusion matrix: {right} of {total} test photos lie on the diagonal.")


def _name_classes(axes: Axes, classes: list[str]) -> None:
    if len(classes) > _MAX_NAMED_CLASSES:
        axes.set(xlabel="predicted class (number in the list)", ylabel="true class (number in the list)")
        return
    names = [_short(name) for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90)
    axes.set_yticks(range(len(classes)), names)


def curves(name: str, tables: dict[str, pd.DataFrame]) -> Markup:
    """Loss and accuracy of one model by epoch, from tables with `step` and a value; epoch 0 is the linear start."""
    looks = {
        "train/loss": (0, "loss on train", _BLUE),
        "val/log_loss": (0, "log loss on val", _ORANGE),
        "val/accuracy": (1, "accuracy on val", _ORANGE),
    }
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(_WIDTH_IN, 4.4), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        for figure_name, table in tables.items():
            panel, label, colour = looks[figure_name]
            values = table.drop(columns="step").iloc[:, 0]
            panels[panel].plot(table["step"], values, marker=".", color=colour, label=label)
        panels[0].set_ylabel("loss (nats)")
        panels[1].set(xlabel="epoch (passes over the training photos)", ylabel="share right (0 to 1)")
        panels[1].xaxis.get_major_locator().set_params(integer=True)
        for axes in panels:
            if axes.lines:
                axes.legend()
        return _svg(figure, f"curves-{name}", f"Line chart: loss and accuracy of {name} by epoch.")


def reliability(name: str, table: pd.DataFrame) -> Markup:
    """Accuracy against mean confidence in bins, before and after tempering; dots are as large as bins have photos."""
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(3.4)
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
        for (title, found), colour in zip(table.groupby("model", sort=False), (_ORANGE, _BLUE)):
            sizes = 400 * found["photos"] / found["photos"].sum()
            axes.scatter(found["confidence"], found["accuracy"], s=sizes, color=colour, alpha=0.75, label=title)
        axes.set(xlabel="mean confidence, 0 to 1", ylabel="share that is right, 0 to 1", xlim=(0, 1.05), ylim=(0, 1.05))
        axes.legend(loc="upper left", markerscale=0.5)
        return _svg(figure, f"reliability-{name}", f"Scatter chart: accuracy of {name} on test by its confidence.")


def histogram(name: str, values: pd.Series, label: str, unit: str) -> Markup:
    """How often which of `values` occurs; missing ones are left out. `label` and `unit` name the axis."""
    known = values.dropna()
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(2.6)
        if len(known):
            axes.hist(known, bins=_BINS, range=_ends(known), color=_BLUE)
        axes.set(xlabel=f"{label} ({unit})", ylabel="photos (count)")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(nbins=6))
        axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        middle = f", the middle one {known.median():.2f}" if len(known) else ""
        return _svg(figure, f"histogram-{name}", f"Histogram: {label} of {len(known)} photos{middle}.")


def _ends(values: pd.Series) -> tuple[float, float]:
    """Where the bins begin and end: apart even where all values are nearly the same."""
    low, high = float(values.min()), float(values.max())
    apart = _LEAST_SPAN * max(abs(high), 1e-6)
    return (low, high) if high - low >= apart else (low - apart, high + apart)


def threshold(name: str, moved: pd.DataFrame) -> Markup:
    """The share of photos with a chosen car, and of each reason for none, at each value of one threshold.

    `moved` is a table of metrics/crop/thresholds; the value in force is marked.
    """
    reasons = [column for column in REJECTION_REASONS if moved[column].any()]
    current = float(moved.loc[moved["is_current"], "value"].iloc[0])
    with style.context(["default", _STYLE]):
        figure, axes = _canvas(3.2)
        axes.plot(moved["value"], moved["share_cropped"], marker=".", color=_BLUE, label="chosen car")
        for number, column in enumerate(reasons, 1):  # C0 is a blue too
            share = moved[column] / moved["photos"].clip(lower=1)
            axes.plot(moved["value"], share, marker=".", color=f"C{number}", label=column)
        axes.axvline(current, color=_INK, linestyle=":", label="in force")
        axes.set(xlabel=f"crop.{name} ({_UNITS[name]})", ylabel="share of photos (0 to 1)", ylim=(-0.03, 1.03))
        figure.legend(loc="outside right upper", fontsize=9)
        return _svg(figure, f"threshold-{name}", f"Line chart: photos with a chosen car by {name}, now {current:g}.")


def _canvas(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots()


def _short(name: str) -> str:
    return name if len(name) <= _MAX_TICK_CHARACTERS else name[: _MAX_TICK_CHARACTERS - 1] + "…"


def _listed(names: list[str], counts: list[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(names, counts))


def _svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element; ids begin with `name`, which only one chart of a page may have."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings(), style.context({"svg.hashsalt": name}):
        # The browser draws the text, with fonts of its own for what the measuring font lacks.
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
