"""What readers see of a comparison."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtest.compare.plot import draw
from loadtest.compare.rows import Row
from loadtest.compare.summary import reference_figures, summarise
from loadtest.compare.table import beside, replace_between, table
from tests.loadtest.test_compare import SAMPLE, pair


def results(*, ingress: bool = False) -> dict[str, Any]:
    pairs = [pair(150, 100, number=number, concurrency=concurrency) for number in range(3) for concurrency in (1, 64)]
    pairs += [pair(number, 2, number=number, heads="ingress") for number in (1, 2, 4)] if ingress else []
    slow = [replace(one, target="slow", sample=SAMPLE, reference=replace(SAMPLE, requests=9999)) for one in pairs]
    everything = [*summarise(pairs + slow), *reference_figures("yardstick", pairs)]
    context = {"model": "digits@0", "cpu": "some CPU", "images": 1000, "python": "3.11", "date": "2026-01-01"}
    return {
        "conditions": {**context, "settings": {"rounds": 3, "seconds": 2, "warmup": 1}},
        "titles": {"fewlabel": "fewlabel", "slow": "a slow one", "yardstick": "yardstick"},
        "figures": [vars(one) for one in everything],
        "samples": [one.as_dict() for one in (*pairs, *slow)],
        "extra": [Row("start", "s", 2, (0.5, 0.7, 0.6)).as_dict(), Row("batch", "×", 2, (), "3 bad answers").as_dict()],
    }


def test_table_and_plot_show_the_fastest_first(tmp_path: Path) -> None:
    draw(results(), tmp_path / "compare.png")
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    lines = table(results()).splitlines()
    assert lines[2] == "| **fewlabel** | 1.50 (1.50 to 1.50) | | 150 | 1.0 ms | 1.00 ms |"
    assert lines[4] == "| a slow one | 0.10 (0.10 to 0.10) | 0.30 (0.30 to 0.30) | 500 | 2.0 ms | 1.00 ms |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| **fewlabel**", "| yardstick", "| a slow one"]
    assert {"| start | 0.60 s | 0.50 to 0.70 | 3 |", "| batch | not measured: 3 bad answers | | 0 |"} <= set(lines)
    assert "n = 3 measurements of 2 s after 1 s of warm-up" in lines[-1]
    lost = [{**results()["figures"][0], "faults": 2}]
    assert "thrown away for errors: 2 of fewlabel." in table({**results(), "figures": lost})


def test_both_loads_stand_in_one_line(tmp_path: Path) -> None:
    both = results(ingress=True)
    draw(both, tmp_path / "compare.png")
    lines = table(both).splitlines()
    assert lines[0].split(" | ")[1:5] == [
        "× yardstick, heads that repeat",
        "× yardstick, ingress heads",
        "fewlabel × this, heads that repeat",
        "fewlabel × this, ingress heads",
    ]
    assert lines[1].count("|") == lines[0].count("|")
    spread, slower = "1.00 (0.50 to 2.00)", "0.00 (0.00 to 0.01)"
    assert lines[2] == f"| **fewlabel** | 1.50 (1.50 to 1.50) | {spread} | | | 150 / 2 | 1.0 / 2.0 ms | 1.00 ms |"
    assert lines[4].startswith(
        f"| a slow one | 0.10 (0.10 to 0.10) | 0.10 (0.10 to 0.10) | 0.30 (0.30 to 0.30) | {slower}"
    )


def test_a_server_without_figures_under_one_load_keeps_its_line() -> None:
    both = results(ingress=True)
    both["figures"] = [one for one in both["figures"] if (one["target"], one["heads"]) != ("slow", "ingress")]
    (line,) = [line for line in table(both).splitlines() if "a slow one" in line]
    assert line.startswith("| a slow one | 0.10 (0.10 to 0.10) | | 0.30 (0.30 to 0.30) |")
    assert "| 500 / – | 2.0 / – ms |" in line


def test_the_table_replaces_what_stood_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("a\n<!-- compare -->\nold\n<!-- /compare -->\nb\n")
    replace_between(document, r"new \1")
    assert document.read_text() == "a\n<!-- compare -->\n\nnew \\1\n\n<!-- /compare -->\nb\n"


def test_a_server_is_compared_round_by_round() -> None:
    everything = results()
    assert beside(everything, "fewlabel", "slow", "repeated") == [0.3, 0.3, 0.3]
    first = next(one for one in everything["samples"] if one["target"] == "slow" and one["concurrency"] == 64)
    first["sample"]["fault"] = "1 bad answers"
    assert beside(everything, "fewlabel", "slow", "repeated") == [0.3, 0.3]
    assert beside(everything, "fewlabel", "yardstick", "repeated") == []
