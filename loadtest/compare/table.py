"""compare.json → Markdown. Knows nothing about how the figures came about."""

import re
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

MARKERS = "<!-- compare -->", "<!-- /compare -->"
OWN = "fewlabel"
HEADS = {"repeated": "heads that repeat", "ingress": "ingress heads"}
Figures = dict[str, Any]


def figures_at(results: dict[str, Any], heads: str, concurrency: int) -> dict[str, Figures]:
    """By target."""
    return {
        one["target"]: one for one in results["figures"] if one["heads"] == heads and one["concurrency"] == concurrency
    }


def most(results: dict[str, Any]) -> int:
    """The highest concurrency that was measured."""
    return int(max(one["concurrency"] for one in results["figures"]))


def at_most(results: dict[str, Any]) -> dict[str, dict[str, Figures]]:
    """The figures at the highest concurrency: by heads, then by target."""
    measured = dict.fromkeys(one["heads"] for one in results["figures"])
    return {heads: figures_at(results, heads, most(results)) for heads in measured}


def ranking(results: dict[str, Any]) -> list[str]:
    """The targets at the highest concurrency, the fastest first under the first load that has figures for them."""
    ratios: dict[str, float] = {}
    for figures in at_most(results).values():
        ratios = {target: one["ratio"] for target, one in figures.items()} | ratios
    return sorted(ratios, key=lambda target: -ratios[target])


def table(results: dict[str, Any]) -> str:
    """Everybody beside the yardstick, then what else was measured of this service, then the conditions."""
    blocks = [comparison(results)]
    if results["extra"]:
        blocks.append(extra(results["extra"]))
    return "\n\n".join([*blocks, conditions(results)])


def beside(results: dict[str, Any], one: str, other: str, heads: str) -> list[float]:
    """Requests a second of `one` as multiples of `other`'s, in each round in which both were measured without error.

    At the highest concurrency. They stand a minute apart, not side by side, but need no third server to be compared by.
    """
    rates = {
        (sample["target"], sample["round"]): sample["sample"]["rate"]
        for sample in results["samples"]
        if (sample["heads"], sample["concurrency"]) == (heads, most(results)) and not sample["sample"]["fault"]
    }
    rounds = sorted(number for target, number in rates if target == one and (other, number) in rates)
    return [rates[one, number] / rates[other, number] for number in rounds]


def comparison(results: dict[str, Any]) -> str:
    """One line a server; where there are two loads, a cell has a figure for each or each has a column."""
    high, low = most(results), min(one["concurrency"] for one in results["figures"])
    by_heads = at_most(results)
    alone = figures_at(results, next(iter(by_heads)), low)
    columns = [f"× yardstick, {HEADS[heads]}" for heads in by_heads]
    columns += [f"fewlabel × this, {HEADS[heads]}" for heads in by_heads]
    columns += ["requests/s", "p99", f"p50, {low} connection"]
    lines = [f"| {high} connections | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for target in ranking(results):
        title = results["titles"][target]
        found = [figures.get(target) for figures in by_heads.values()]
        cells = [
            f"**{title}**" if target == OWN else title,
            *(spread(one["ratio"], one["ratio_min"], one["ratio_max"]) if one else "" for one in found),
            *(own_ratio(results, target, heads) for heads in by_heads),
            " / ".join(f"{one['rate']:,.0f}" if one else "–" for one in found),
            " / ".join(f"{one['p99_ms']:.1f}" if one else "–" for one in found) + " ms",
            f"{alone[target]['p50_ms']:.2f} ms" if target in alone else "",
        ]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines)


def own_ratio(results: dict[str, Any], target: str, heads: str) -> str:
    """Requests a second as multiples of the target's; empty for itself and where no round counts for both."""
    ratios = beside(results, OWN, target, heads) if target != OWN else []
    return spread(median(ratios), min(ratios), max(ratios)) if ratios else ""


def spread(middle: float, lowest: float, highest: float) -> str:
    """One cell."""
    return f"{middle:.2f} ({lowest:.2f} to {highest:.2f})"


def extra(rows: list[dict[str, Any]]) -> str:
    """What else was measured of this service."""
    lines = ["| this service | median | lowest to highest | n |", "|---|---|---|---|"]
    for row in rows:
        if row["values"]:
            cells = [f"{row[key]:.{row['digits']}f}" for key in ("median", "lowest", "highest")]
            lines.append(
                f"| {row['title']} | {cells[0]} {row['unit']} | {cells[1]} to {cells[2]} | {len(row['values'])} |"
            )
        else:
            lines.append(f"| {row['title']} | not measured: {row['fault']} | | 0 |")
    return "\n".join(lines)


def conditions(results: dict[str, Any]) -> str:
    """One paragraph: model, machine, load and number of measurements."""
    context = results["conditions"]
    settings = context["settings"]
    warmup = f"after {settings['warmup']} s of warm-up" if settings["warmup"] else "without warm-up"
    faults = Counter[str]()
    for one in results["figures"]:
        faults[one["target"]] += one["faults"] if one["target"] != "yardstick" else 0
    lost = [f"{count} of {results['titles'][target]}" for target, count in faults.items() if count]
    return (
        f"All with {context['model']}, one after another on one core of {context['cpu']}, loaded by wrk from another "
        f"core with {context['images']:,} distinct PNG files; medians (lowest to highest) of n = {settings['rounds']} "
        f"measurements of {settings['seconds']} s {warmup}, each beside one of the yardstick under the same load; "
        f"thrown away for errors: {', '.join(lost) or 'none'}. Python {context['python']}, {context['date']}."
    )


def replace_between(document: Path, text: str) -> None:
    """Writes `text` between the two markers of `document`."""
    begin, end = MARKERS
    found = re.compile(f"{begin}.*{end}", re.DOTALL)
    document.write_text(found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", document.read_text()))
