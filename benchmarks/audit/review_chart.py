"""The chart of a simulated review, in the colours and with the fonts of the report's charts."""

import io

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

_INK, _PAGE = "#1d2126", "#ffffff"
_COLOURS = {"listed": "#4a86c5", "random": "#e08a3c"}
_BEST = "#5aa469"
_PERCENT = PercentFormatter(1, decimals=0, symbol=" %")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "review",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
} | dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor"), _INK
)


def draw(table: pd.DataFrame, ceiling: float, swapped: float) -> str:
    """An SVG file of a table of `simulated_review.summarise`: swaps found, and accuracy, by share looked at.

    `ceiling` is the accuracy with all labels correct, `swapped` the share of labels that were swapped.
    """
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(9.2, 3.6), layout="constrained", facecolor=_PAGE)
        finds, scores = figure.subplots(1, 2)
        _draw_finds(finds, table, swapped)
        _draw_scores(scores, table, ceiling)
        for axes in (finds, scores):
            axes.set(xlabel="share of photos looked at", xlim=(0, 1.02 * table["share"].max()))
            axes.xaxis.set_major_formatter(_PERCENT)
            axes.set_xticks(sorted(table["share"].unique()))
        figure.legend(*finds.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    # Git reports the spaces that matplotlib leaves at the ends of lines.
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def _draw_finds(axes: Axes, table: pd.DataFrame, swapped: float) -> None:
    shares = table["share"].drop_duplicates().sort_values()
    places = sorted({*shares, min(swapped, shares.max())})
    axes.plot(places, [min(1, place / swapped) for place in places], color=_BEST, label="best order")
    for order, colour in _COLOURS.items():
        rows = table[table["order"] == order]
        axes.fill_between(rows["share"], rows["least"], rows["most"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(rows["share"], rows["found"], marker="o", color=colour, label=f"{order} order")
    axes.set(ylabel="share of wrong labels found", ylim=(-0.02, 1.03))
    axes.yaxis.set_major_formatter(_PERCENT)


def _draw_scores(axes: Axes, table: pd.DataFrame, ceiling: float) -> None:
    floor, middle = table.loc[table["share"] == 0, "accuracy"].iloc[0], table["share"].max() / 2
    for place, text, points in ((ceiling, "all corrected", 4), (floor, "nothing corrected", -12)):
        axes.axhline(place, color=_INK, linewidth=0.8, linestyle=":")
        axes.annotate(text, (middle, place), (0, points), textcoords="offset points", ha="center", fontsize=9)
    for order, colour in _COLOURS.items():
        rows = table[table["order"] == order]
        axes.plot(rows["share"], rows["accuracy"], marker="o", color=colour)
    axes.set(ylabel="accuracy on test (0 to 1)")
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
