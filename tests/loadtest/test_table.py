"""What readers see of a comparison."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtest.compare.plot import draw
from loadtest.compare.rows import Row
from loadtest.compare.summary import reference_figures, summarise
from loadtest.compare.table import beside, replace_between, table
from tests.loadtest.test_compare import SAMPLE, pair


def results() -> dict[str, Any]:
    pairs = [pair(150, 100, number=number, concurrency=concurrency) for number in range(3) for concurrency in (1, 64)]
    slow = [replace(one, target="slow", sample=SAMPLE, reference=replace(SAMPLE, requests=9999)) for one in pairs]
    everything = [*summarise(pairs + slow), *reference_figures("yardstick", pairs)]
    told = {"model": "digits@0", "cpu": "some CPU", "images": 1000, "python": "3.11", "date": "2026-01-01"}
    return {
        "conditions": {**told, "settings": {"rounds": 3, "seconds": 2, "warmup": 1}},
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


def test_the_table_replaces_what_stood_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("a\n<!-- compare -->\nold\n<!-- /compare -->\nb\n")
    replace_between(document, r"new \1")
    assert document.read_text() == "a\n<!-- compare -->\n\nnew \\1\n\n<!-- /compare -->\nb\n"


def test_a_server_is_compared_round_by_round() -> None:
    told = results()
    assert beside(told, "fewlabel", "slow", 64) == [0.3, 0.3, 0.3]
    first = next(one for one in told["samples"] if one["target"] == "slow" and one["concurrency"] == 64)
    first["sample"]["fault"] = "1 bad answers"
    assert beside(told, "fewlabel", "slow", 64) == [0.3, 0.3]
    assert beside(told, "fewlabel", "yardstick", 64) == []
