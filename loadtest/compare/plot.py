"""compare.json → picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from loadtest.compare.table import most, ranking

OURS, OTHERS = "#1b7837", "#b0b0b0"


def draw(results: dict[str, Any], file: Path) -> None:
    """Requests a second as multiples of the yardstick with their spread, and 99th percentiles beside them."""
    rows = ranking(results)[::-1]
    titles = [results["titles"][row["target"]] for row in rows]
    colours = [OURS if row["target"] == "fewlabel" else OTHERS for row in rows]
    ratios = [row["ratio"] for row in rows]
    reach = [[row["ratio"] - row["ratio_min"] for row in rows], [row["ratio_max"] - row["ratio"] for row in rows]]
    with mpl.rc_context({"svg.hashsalt": "fewlabel", "font.size": 10}):
        figure = Figure(figsize=(11, 0.4 * len(rows) + 1.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        bars = left.barh(titles, ratios, xerr=reach, color=colours, error_kw={"lw": 1, "capsize": 2})
        left.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=6)
        left.axvline(1, color="black", lw=0.8, ls=":")
        left.set_xlim(0, 1.2 * max(row["ratio_max"] for row in rows))
        left.set_title(f"requests/s × yardstick, {most(results)} connections")
        bars = right.barh(titles, [row["p99_ms"] for row in rows], color=colours)
        right.bar_label(bars, [f"{row['p99_ms']:.1f}" for row in rows], padding=4)
        right.set_xscale("log")
        right.margins(x=0.2)
        right.set_title(f"99th percentile, ms (logarithmic), {most(results)} connections")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, dpi=110, metadata={"Software": None})
