"""Figures of trials → a table in Markdown: a column for each number of labels a class, means over the draws."""

import statistics
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
"""One trial, as `pictures` keeps it."""
Figure = Callable[[Row], float | None]
NETWORKS = {"student": "student", "encoder": "encoder with a linear head"}
SOURCES = {"served": "", "head": NETWORKS["encoder"], "regression": "logistic regression"}
"""Key of a trial → whose accuracies stand there; a served network's name is the trial's."""
SCORES = {"accuracy": "accuracy", "balanced": "balanced accuracy"}
Form = tuple[str, str]
"""Of a number, and its unit."""
PERCENT: Form = "{:.1f}", " %"
POINTS: Form = "{:+.1f}", " points"
WHOLE, FINE, FINER = ("{:,.0f}", ""), ("{:.2f}", ""), ("{:.3f}", "")


def table(trials: list[Row]) -> str:
    """Mean (least to most) of each figure that trials have, then what they were measured on."""
    counts = sorted({trial["labels"] for trial in trials})
    columns = [[trial for trial in trials if trial["labels"] == count] for count in counts]
    heads = [
        f"{count} label{'s' * (count > 1)} a class, n = {len(one)}" for count, one in zip(counts, columns, strict=True)
    ]
    lines = [f"| mean (range) over draws | {' | '.join(heads)} |", "|---" * (1 + len(columns)) + "|"]
    for title, figure, form in figures(trials[0]):
        cells = [cell([value for one in column if (value := figure(one)) is not None], form) for column in columns]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *measured_on(trials)])


def figures(trial: Row) -> list[tuple[str, Figure, Form]]:
    """Title, value and form of each line; all trials have the same ones."""
    titles = SOURCES | {"served": NETWORKS[trial["serve"]]}
    lines: list[tuple[str, Figure, Form]] = [
        (f"{title}, {score}", percent(source, key), PERCENT)
        for source, title in titles.items()
        for key, score in SCORES.items()
    ]
    lines += [
        (f"{titles[source]} − {titles['regression']}, {score}", difference(source, key), POINTS)
        for source in ("served", "head")
        for key, score in SCORES.items()
    ]
    lines += [
        ("a training, s", lambda row: row["seconds"], WHOLE),
        ("… its peak memory, MB", lambda row: row["peak_memory_mb"], WHOLE),
        (f"{titles['served']}, ms a picture on one core", lambda row: row["served_ms"], FINE),
        ("encoder, ms a picture on one core", lambda row: row["encoder_ms"], FINE),
        ("test pictures that novelty refuses", lambda row: 100 * row["refused"], PERCENT),
    ]
    for place, one in enumerate(trial["foreign"]):
        about = f"{one['name']} ({one['n']:,})"
        lines += [
            (f"{about}: area under the ROC of novelty", of_foreign(place, "area", 1), FINER),
            (f"{about}: refused", of_foreign(place, "refused", 100), PERCENT),
        ]
    return lines


def percent(source: str, key: str) -> Figure:
    """An accuracy in percent, None where there is no such source."""
    return lambda row: 100 * row[source][key] if row[source] else None


def difference(source: str, key: str) -> Figure:
    """What it is above logistic regression's, in points of percent."""
    return lambda row: 100 * (row[source][key] - row["regression"][key]) if row[source] and row["regression"] else None


def of_foreign(place: int, key: str, scale: float) -> Figure:
    """A figure of the foreign pictures at that place in the list."""
    return lambda row: scale * row["foreign"][place][key]


def cell(values: list[float], form: Form) -> str:
    """Mean (least to most); nothing without values, the value itself where there is one."""
    if not values:
        return ""
    mean, least, most = (form[0].format(value) for value in (statistics.mean(values), min(values), max(values)))
    return f"{mean}{form[1]}" + (f" ({least} to {most})" if len(values) > 1 else "")


def measured_on(trials: list[Row]) -> list[str]:
    """Pictures and machine, a line each; a value that differs between trials is told as often as it occurs."""

    def told(value: Callable[[Row], object]) -> str:
        return ", ".join(dict.fromkeys(str(value(trial)) for trial in trials))

    def condition(name: str) -> str:
        return told(lambda trial: trial["conditions"][name])

    first = trials[0]
    found = "Times are without decoding and encoding, whose results were in the cache."
    if first["regression"] is None:
        found = "Trainings but the first found their pretrained network in the cache."
    return [
        f"{first['classes']} classes; {first['training']:,} pictures to train on, {first['test']:,} to test with, "
        f"of which {first['copies']:,} have the same pixels as one to train on. "
        f"Encoder: {told(lambda trial: trial['encoder'])}. "
        f"Input: {told(lambda trial: '{kind} {height} × {width} × {channels}'.format(**trial['input']))}.",
        "",
        f"{condition('cores')} cores of {condition('cpu')}, {condition('device')}, {condition('precision')}, "
        f"threads of torch: {condition('threads')}; commit {condition('commit')}. {found}",
    ]
