"""compare.json → Markdown. Knows nothing about how the figures came about."""

import re
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

MARKERS = "<!-- compare -->", "<!-- /compare -->"
OWN = "fewlabel"
Figures = dict[str, Any]


def figures_at(results: dict[str, Any], concurrency: int) -> dict[str, Figures]:
    """By target."""
    return {one["target"]: one for one in results["figures"] if one["concurrency"] == concurrency}


def most(results: dict[str, Any]) -> int:
    """The highest concurrency that was measured."""
    return int(max(one["concurrency"] for one in results["figures"]))


def ranking(results: dict[str, Any]) -> list[Figures]:
    """The targets at the highest concurrency, the fastest first."""
    return sorted(figures_at(results, most(results)).values(), key=lambda one: -one["ratio"])


def table(results: dict[str, Any]) -> str:
    """Everybody beside the yardstick, then what else was measured of this service, then the conditions."""
    blocks = [comparison(results)]
    if results["extra"]:
        blocks.append(extra(results["extra"]))
    return "\n\n".join([*blocks, conditions(results)])


def beside(results: dict[str, Any], one: str, other: str, concurrency: int) -> list[float]:
    """Requests a second of `one` as multiples of `other`'s, in each round in which both were measured without error.

    They stand a minute apart, not side by side, but need no third server to be compared by.
    """
    rates = {
        (sample["target"], sample["round"]): sample["sample"]["rate"]
        for sample in results["samples"]
        if sample["concurrency"] == concurrency and not sample["sample"]["fault"]
    }
    rounds = sorted(number for target, number in rates if target == one and (other, number) in rates)
    return [rates[one, number] / rates[other, number] for number in rounds]


def comparison(results: dict[str, Any]) -> str:
    """One line a server."""
    high, low = most(results), min(one["concurrency"] for one in results["figures"])
    alone = figures_at(results, low)
    lines = [
        f"| server | × yardstick, {high} connections (lowest to highest) | fewlabel × this, round by round "
        f"| requests/s | p99 | p50, {low} connection |",
        "|---|---|---|---|---|---|",
    ]
    for one in ranking(results):
        title = results["titles"][one["target"]]
        name = f"**{title}**" if one["target"] == OWN else title
        spread = f"{one['ratio']:.2f} ({one['ratio_min']:.2f} to {one['ratio_max']:.2f})"
        ratios = beside(results, OWN, one["target"], high) if one["target"] != OWN else []
        own = f" {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
        p50 = f"{alone[one['target']]['p50_ms']:.2f} ms" if one["target"] in alone else ""
        lines.append(f"| {name} | {spread} |{own} | {one['rate']:,.0f} | {one['p99_ms']:.1f} ms | {p50} |")
    return "\n".join(lines)


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
    """One paragraph that tells what the figures stand under."""
    said = results["conditions"]
    settings = said["settings"]
    warmup = f"after {settings['warmup']} s of warm-up" if settings["warmup"] else "without warm-up"
    faults = Counter[str]()
    for one in results["figures"]:
        faults[one["target"]] += one["faults"] if one["target"] != "yardstick" else 0
    lost = [f"{count} of {results['titles'][target]}" for target, count in faults.items() if count]
    return (
        f"All with {said['model']}, one after another on one core of {said['cpu']}, loaded by wrk from another core "
        f"with {said['images']:,} distinct PNG files; medians of n = {settings['rounds']} measurements of "
        f"{settings['seconds']} s {warmup}, each beside one of the yardstick; thrown away for errors: "
        f"{', '.join(lost) or 'none'}. "
        f"Python {said['python']}, {said['date']}."
    )


def replace_between(document: Path, text: str) -> None:
    """Writes `text` between the two markers of `document`."""
    begin, end = MARKERS
    found = re.compile(f"{begin}.*{end}", re.DOTALL)
    document.write_text(found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", document.read_text()))
