"""Rows of the fault table that are short, and what makes the table."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from serving.index.items import Put
from serving.index.store import open_store
from tests.conftest import ROOT
from tests.faults import files, table
from tests.faults.disks import DISKS
from tests.faults.load import Answered, OpenLoop
from tests.faults.models import garbage_among_others
from tests.faults.partition import partitioned
from tests.faults.probe import all_waits, percentile
from tests.faults.rows import Check, Conditions, LeftOut
from tests.faults.service import PREDICT, Checkout, resident_mb
from tests.faults.soak import Minute, Record, judged
from tests.faults.stores import Servers, away, killed, postgres_store, replicas, sqlite_store
from tests.faults.streams import PIPELINED, send_all
from tests.faults.writers import GONE, Damage, State, Told, damage, images, vectors
from tests.servers import Service
from tests.serving.index.postgres import postgres

CHECKOUT = Checkout(ROOT, sys.executable)
CONDITIONS = Conditions(CHECKOUT)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with CHECKOUT.serving() as service:
        yield service


def test_garbage_spoils_no_other_image(service: Service) -> None:
    assert asyncio.run(garbage_among_others(service.address(), rounds=100)) == 0


def test_answers_that_nobody_reads_take_no_memory(service: Service) -> None:
    before_mb = resident_mb(service.process.pid)
    with send_all(service.address(), PIPELINED, give_up_s=1):
        assert resident_mb(service.process.pid) - before_mb < 30


def test_all_are_answered_when_too_many_ask() -> None:
    answers: list[Answered] = []
    with CHECKOUT.serving(fault="slow 100", max_queue_size=64) as service:
        load = OpenLoop(service.address(), [PREDICT], 300, lambda _, answer: answers.append(answer))
        asyncio.run(load.run(1.5))
    kinds = Counter(503 if answer.busy else answer.status for answer in answers)
    assert kinds.keys() == {200, 503}
    assert kinds.total() == 450


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """One server for all rows."""
    with postgres() as server:
        yield lambda: nullcontext(server)


def test_what_a_service_acknowledged_before_it_was_killed_is_there(servers: Servers) -> None:
    for new in (sqlite_store, partial(postgres_store, servers)):
        assert_held(killed(3, new, CONDITIONS))


def test_searches_go_on_while_postgresql_is_away(servers: Servers) -> None:
    assert_held(away(2, servers, CONDITIONS))


def test_what_one_service_writes_another_finds(servers: Servers) -> None:
    assert_held(replicas(servers, CONDITIONS))


def test_a_service_that_is_cut_off_answers_and_agrees_afterwards(servers: Servers) -> None:
    try:
        assert_held(partitioned(3, servers, CONDITIONS))
    except LeftOut as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("row", ["the index's disk is full", "the index's file is damaged"])
def test_an_index_that_cannot_be_written_is_one_clear_error(row: str) -> None:
    assert_held(DISKS[row](CONDITIONS))


def assert_held(checks: list[Check]) -> None:
    """But for figures that depend on how busy the machine is."""
    assert [one for one in checks if not one.held and one.unit not in ("ms", "s")] == []
    assert all(one.value < float("inf") for one in checks)


def test_lost_and_half_written_items_are_noticed(tmp_path: Path) -> None:
    told = Told({own_id: {State(0, "x")} for own_id in ("good", "lost", "relabelled", "mixed", "cut")})
    told.possible["gone"] = {GONE}
    with closing(open_store(str(tmp_path / "index.sqlite"))) as store:
        names = {"good": "x", "relabelled": "y", "mixed": "x", "cut": "x", "gone": "x", "unknown": "x"}
        store.write(
            [
                Put(
                    id=own_id,
                    image=images()[0][: 60 if own_id == "cut" else None],
                    thumbnail=b"small",
                    vector=vectors()[int(own_id == "mixed")],
                    model="m@1",
                    label=label,
                )
                for own_id, label in names.items()
            ]
        )
        assert damage(store, told) == Damage(lost=5, half_written=2)


def test_hostile_files_are_what_they_say() -> None:
    assert len(files.bomb(10_000 * files.MB)) < 10_000_000
    assert max(map(len, [*files.small_bombs(), *files.damaged()])) <= files.INLINE_BYTES
    assert len(files.run_length_bmp()) == 1082
    assert len(files.flat_webp()) == 28
    assert files.jpeg_of_scans(990).count(b"\xff\xda") == 990


def test_a_long_wait_counts_for_those_that_it_hid() -> None:
    waits = sorted(wait for one in [0.001] * 900 + [1.0] for wait in all_waits(one, 0.005))
    assert len(waits) == pytest.approx(900 + 200, abs=1)
    assert percentile(waits, 0.99) == pytest.approx(0.945, abs=0.01)
    assert percentile([1.0, 2.0], 0.5) == 1
    assert percentile([3.0], 0.99) == 3


def row(title: str, value: float | None, held: bool) -> dict[str, Any]:
    checks = [
        {"what": "failed", "value": 0, "bound": 0, "unit": "", "held": True},
        {"what": "longest", "value": value, "bound": 50, "unit": "ms", "held": held},
    ]
    return {"title": title, "checks": checks, "held": held}


def test_figures_become_tables(tmp_path: Path) -> None:
    common = {"commit": "abc", "date": "today", "cores": 2, "load_before": 0, "python": "3", "overload_s": 10}
    documents = {
        "before": common | {"rows": [row(table.SHORT[0], None, False)]},
        "after": common | {"rows": [row(table.SHORT[0], 1234.5, False), row("another", 2.5, True)]},
    }
    assert table.whole_table(documents).splitlines()[2:6] == [
        f"| {table.SHORT[0]} | failed | 0 | 0 | 0 |",
        "|  | longest | 50 ms | **never** | **1,234 ms** |",
        "| another | failed | 0 | – | 0 |",
        "|  | longest | 50 ms | – | 2.50 ms |",
    ]
    assert table.short_table(documents).splitlines()[2:] == [
        f"| {table.SHORT[0]} | longest | 50 ms | **never** | **1,234 ms** |"
    ]


def test_the_documents_hold_the_figures_that_are_kept(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    for name in ("README.md", "serving/README.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    table.renew(table.RESULTS, tmp_path)
    for name in ("README.md", "serving/README.md"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()


def test_a_soak_whose_memory_or_waits_grow_is_not_held() -> None:
    def held(memory_mb: float, wait_ms: float, wrong: int) -> list[bool]:
        record = Record(9)
        for number, minute in enumerate(record.minutes):
            minute.memory_mb.append(200 + memory_mb * number)
            minute.took_ms.extend([1 + wait_ms * number] * 10)
        record.minutes[-2] = Minute(record.minutes[-2].took_ms, record.minutes[-2].memory_mb, wrong)
        return [check.held for check in judged(record)[0]]

    assert held(1, 0, 0) == [True, True, True]
    assert held(2, 0.5, 1) == [False, False, False]
