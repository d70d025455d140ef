"""The figures of `python -m tests.faults` → the tables in serving/README.md and README.md."""

import json
import re
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

COLUMNS = "before", "after"
RESULTS = Path(__file__).parent / "results"
MARKERS = "<!-- faults -->", "<!-- /faults -->"
SHORT = (
    "PNG of 28×28, 9.7 MB, inflates to 10 GB",
    "18 batches of 64 run-length BMP, 1,082 bytes and 25 megapixels each",
    "62 MB of pipelined requests, no answer read",
    "SIGTERM under load, 2 workers",
    "600 requests/s for a model of 200, queue of 512",
    "SIGKILL 50 times under writes, SQLite",
    "SIGKILL 50 times under writes, PostgreSQL",
)
"""The rows that README.md shows, each with its first check that did not hold before."""


def figure(value: float | None, unit: str) -> str:
    if value is None or value == float("inf"):
        return "never"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def save(column: str, document: dict[str, Any]) -> None:
    """Keeps one column's figures and renews both documents."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{column}.json").write_text(json.dumps(document, indent=1) + "\n")
    renew(RESULTS, ROOT)


def renew(results: Path, root: Path) -> None:
    """Writes the tables between the markers of both documents; a column that was not measured is empty."""
    documents = {name: json.loads(path.read_text()) for name in COLUMNS if (path := results / f"{name}.json").exists()}
    put(root / "serving" / "README.md", whole_table(documents))
    put(root / "README.md", short_table(documents))


def put(document: Path, text: str) -> None:
    begin, end = MARKERS
    found = re.compile(f"{begin}.*{end}", re.DOTALL)
    document.write_text(found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", document.read_text()))


def by_title(document: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Title → what was measured → check."""
    return {row["title"]: {check["what"]: check for check in row["checks"]} for row in document["rows"]}


def cell(check: dict[str, Any] | None) -> str:
    """A figure, in bold where it is above its bound."""
    if check is None:
        return "–"
    text = figure(check["value"], check["unit"])
    return text if check["held"] else f"**{text}**"


def line(title: str, what: str, columns: list[dict[str, Any] | None]) -> str:
    known = next(check for check in reversed(columns) if check)
    bound = figure(known["bound"], known["unit"])
    return f"| {' | '.join([title, what, bound, *map(cell, columns)])} |"


def header(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def whole_table(documents: dict[str, dict[str, Any]]) -> str:
    """A line a check; then the conditions."""
    found = {column: by_title(documents[column]) if column in documents else {} for column in COLUMNS}
    lines = header("fault", "figure", "at most", *COLUMNS)
    for title in dict.fromkeys(title for column in reversed(COLUMNS) for title in found[column]):
        rows = [found[column].get(title, {}) for column in COLUMNS]
        for number, what in enumerate(dict.fromkeys(what for row in reversed(rows) for what in row)):
            lines.append(line("" if number else title, what, [row.get(what) for row in rows]))
    return "\n".join([*lines, "", *(conditions(name, one) for name, one in documents.items())])


def short_table(documents: dict[str, dict[str, Any]]) -> str:
    """One figure for each of the rows in SHORT."""
    found = {column: by_title(documents[column]) if column in documents else {} for column in COLUMNS}
    lines = header("fault", "figure", "at most", *COLUMNS)
    for title in SHORT:
        rows = [found[column].get(title, {}) for column in COLUMNS]
        every = list(dict.fromkeys(what for row in reversed(rows) for what in row))
        if every:
            what = next((what for what in every if what in rows[0] and not rows[0][what]["held"]), every[0])
            lines.append(line(title, what, [row.get(what) for row in rows]))
    return "\n".join(lines)


def conditions(column: str, document: dict[str, Any]) -> str:
    return (
        f"{column.capitalize()}: commit {document['commit']}, {document['date']}, {document['cores']} cores "
        f"shared with the clients, load {document['load_before']} before, Python {document['python']}, "
        f"n = 1; overload for {document['overload_s']} s. "
    )
