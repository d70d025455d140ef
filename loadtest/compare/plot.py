"""compare.json → picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.compare.table import HEADS, OWN, at_most, most, ranking

COLOURS = {"repeated": ("#1b7837", "#909090"), "ingress": ("#7fbf7b", "#cfcfcf")}
"""Of this service and of the others."""


def draw(results: dict[str, Any], file: Path) -> None:
    """Requests a second as multiples of the yardstick with their spread, and 99th percentiles beside them."""
    by_heads, targets = at_most(results), ranking(results)[::-1]
    with mpl.rc_context({"svg.hashsalt": "fewlabel", "font.size": 10}):
        figure = Figure(figsize=(11, 0.2 * (1 + len(by_heads)) * len(targets) + 1), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for number, (heads, figures) in enumerate(by_heads.items()):
            height = 0.8 / len(by_heads)
            found = {0.4 - (number + 0.5) * height + y: figures[one] for y, one in enumerate(targets) if one in figures}
            rows = list(found.values())
            reach = [
                [row["ratio"] - row["ratio_min"] for row in rows],
                [row["ratio_max"] - row["ratio"] for row in rows],
            ]
            bars(left, found, heads, "ratio", "{:.2f}", height, xerr=reach, error_kw={"lw": 1, "capsize": 2})
            bars(right, found, heads, "p99_ms", "{:.1f}", height)
        left.set_yticks(range(len(targets)), [results["titles"][target] for target in targets])
        left.axvline(1, color="black", lw=0.8, ls=":")
        left.margins(x=0.15, y=0.01)
        left.set_title(f"requests/s × yardstick, {most(results)} connections")
        left.legend(loc="lower right", frameon=False)
        right.set_xscale("log")
        right.margins(x=0.2)
        right.set_title(f"99th percentile, ms (logarithmic), {most(results)} connections")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, dpi=110, metadata={"Software": None})


def bars(
    axes: Axes, found: dict[float, dict[str, Any]], heads: str, key: str, form: str, height: float, **options: Any
) -> None:
    """One bar for each target's figure `key` at its height on the axis."""
    own, other = COLOURS[heads]
    colours = [own if row["target"] == OWN else other for row in found.values()]
    values = [row[key] for row in found.values()]
    drawn = axes.barh(list(found), values, height, color=colours, label=HEADS[heads], **options)
    axes.bar_label(drawn, [form.format(value) for value in values], padding=5, fontsize=8)
