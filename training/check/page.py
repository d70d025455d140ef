"""A report as one page of HTML that needs nothing else, and as JSON."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

from models.names import shown
from training.check.checks import GROUPS, MEMBERS
from training.check.report import ClassCount, Finding, Report, Shown
from training.check.style import CSS

LINES = 60
"""Files that a finding lists by name where there is no picture of them."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>Check</title>
<style>{CSS}</style>
</head>
"""


def write(report: Report, folder: Path) -> Path:
    """Writes index.html and report.json into `folder`; returns the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report.plain(), indent=1) + "\n", encoding="utf-8")
    page = folder / "index.html"
    page.write_text("".join(_page(report)), encoding="utf-8")
    return page


def _page(report: Report) -> Iterator[str]:
    counts = report.counts
    figures = {
        "files": counts.files,
        "can be used": counts.good,
        "classes": len(report.classes),
        "labels to train on": counts.labelled,
        "without a label": counts.unlabelled,
        "held out as test": counts.held_out,
    }
    yield HEAD
    yield f'<body><main><h1>{_text(report.source)}</h1><p class="faint">{_verdict(report)}</p><dl class="figures">'
    yield from (f"<div><dt>{name}</dt><dd>{number:,}</dd></div>" for name, number in figures.items())
    yield "</dl><h2>What was found</h2>"
    yield from (_finding(one, report.pictures) for one in report.findings)
    yield "" if report.findings else "<p>Nothing to complain about.</p>"
    yield from _classes(report)
    yield '<h2>Files</h2><div class="tables">'
    sizes = {**report.counts.sizes, **({"others": counts.other_sizes} if counts.other_sizes else {})}
    colours = {"gray": counts.gray, "coloured": counts.good - counts.gray}
    for title, table in (
        ("Format", counts.formats),
        ("Colour mode", counts.modes),
        ("Colour", colours),
        ("Size", sizes),
    ):
        yield _table(title, table)
    yield '</div><p class="faint">All names are in report.json. Nothing was changed or deleted.</p>'
    yield "</main></body></html>\n"


def _text(text: str) -> str:
    return escape(shown(text))


def _verdict(report: Report) -> str:
    if report.impossible:
        return "No training is possible yet."
    warnings = sum(one.level == "warning" for one in report.findings)
    return f"A training is possible; {warnings or 'no'} warning{'' if warnings == 1 else 's'}."


def _finding(one: Finding, pictures: Mapping[str, bytes]) -> str:
    advice = f'<p class="advice">{_text(one.advice)}</p>' if one.advice else ""
    return (
        f'<section class="finding {one.level}"><span class="badge">{one.level}</span><h3>{_text(one.title)}</h3>'
        f"<p>{_text(one.text)}</p>{advice}{''.join(_groups(one.groups, pictures))}</section>"
    )


def _groups(groups: tuple[tuple[Shown, ...], ...], pictures: Mapping[str, bytes]) -> Iterator[str]:
    if not groups:
        return
    drawn = groups[0][0].name in pictures
    most = GROUPS if drawn else LINES
    if drawn:
        boxes = ("".join(_figure(member, pictures) for member in group[:MEMBERS]) for group in groups[:most])
        yield f'<div class="groups">{"".join(f"<div class=group>{box}</div>" for box in boxes)}</div>'
    else:
        lines = (f"<li>{_text(one.name)}: {_text(one.note)}</li>" for group in groups[:most] for one in group)
        yield f'<ul class="files">{"".join(lines)}</ul>'
    if len(groups) > most:
        yield f'<p class="faint">and {len(groups) - most:,} more</p>'


def _figure(member: Shown, pictures: Mapping[str, bytes]) -> str:
    name = _text(member.name)
    return (
        f'<figure title="{name}">{_image(member.name, pictures)}<figcaption><span class="name"><bdi>{name}</bdi></span>'
        f"<span><b>{_text(member.note)}</b></span></figcaption></figure>"
    )


def _image(name: str, pictures: Mapping[str, bytes]) -> str:
    if name not in pictures:
        return ""
    content = base64.b64encode(pictures[name]).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{content}">'


def _classes(report: Report) -> Iterator[str]:
    most = max((one.labelled + one.held_out for one in report.classes), default=1) or 1
    yield '<h2>Classes</h2><div class="scroll"><table><tr><th>class<th class="number">labels<th class="number">test'
    yield "<th>share<th>some of its pictures</tr>"
    for one in report.classes:
        images = "".join(_image(name, report.pictures) for name in report.examples.get(one.name, ()))
        yield (
            f'<tr><td class="class">{_text(one.name)}<td class="number">{one.labelled:,}<td class="number">'
            f'{one.held_out:,}<td class="share">{_bar(one, most)}<td class="examples">{images}</tr>'
        )
    yield "</table></div>"


def _bar(one: ClassCount, most: int) -> str:
    train, test = 100 * one.labelled / most, 100 * one.held_out / most
    return (
        f'<div><span class="bar" style="width:{train:.1f}%"></span>'
        f'<span class="bar test" style="width:{test:.1f}%"></span></div>'
    )


def _table(title: str, counts: Mapping[str, int]) -> str:
    rows = "".join(_rows(counts.items()))
    return f'<div class="scroll"><table><tr><th>{title}<th class="number">files</tr>{rows}</table></div>'


def _rows(counts: Iterable[tuple[str, int]]) -> Iterator[str]:
    yield from (f'<tr><td>{_text(name)}<td class="number">{number:,}</tr>' for name, number in counts if number)
