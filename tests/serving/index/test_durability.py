"""What was acknowledged is there, whole, after processes were killed in the middle of writing."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.index.items import Delete, Label, Write
from serving.index.store import Store, open_store
from serving.index.writer import Writer
from tests.conftest import ROOT
from tests.serving.index.given import put, vector

RUNS = 4
"""Of each store; `make faults` has more."""
PUT, LABELLED, DELETED = "put", "labelled", "deleted"


def write_for_ever(address: str, name: str) -> None:
    """Writes, labels and deletes items, and prints each step before it is begun and when it is acknowledged."""
    writer = Writer(open_store(address))
    writer.start()
    for number in range(1_000_000):
        own_id = f"{name}/{number}"
        image = own_id.encode() * (1 + number % 500)
        steps: list[tuple[str, Write]] = [
            (PUT, put(own_id, number, image=image)),
            (LABELLED, Label(id=own_id, label=own_id)),
            (DELETED, Delete(own_id)),
        ]
        for state, write in steps[: 1 + number % 3]:
            print(json.dumps([own_id, state, "begun"]), flush=True)
            writer.add([write]).result()
            print(json.dumps([own_id, state, "done"]), flush=True)


def killed(address: str, names: list[str], seconds: float) -> list[tuple[str, str, str]]:
    """What several processes told before they were killed, all at the same moment."""
    code = "import sys; from tests.serving.index.test_durability import write_for_ever; write_for_ever(*sys.argv[1:])"
    commands = [[sys.executable, "-c", code, address, name] for name in names]
    children = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands]
    told: list[tuple[str, str, str]] = []
    for child in children:  # each has begun
        assert child.stdout
        told.append(tuple(json.loads(child.stdout.readline())))
    time.sleep(seconds)
    for child in children:
        child.send_signal(signal.SIGKILL)
    for child in children:
        assert child.stdout
        lines = [line for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("]\n")]
        told += [tuple(json.loads(line)) for line in lines]
    return told


def check(store: Store, told: list[tuple[str, str, str]]) -> None:
    """Each item is as its last acknowledged step left it, or as the step under way would."""
    last: dict[str, tuple[str | None, str | None]] = {}
    for own_id, state, how in told:
        done = last.get(own_id, (None, None))[0]
        last[own_id] = (state, None) if how == "done" else (done, state)
    for own_id, states in last.items():
        item = store.get([own_id]).get(own_id)
        if item is None:
            assert DELETED in states or states[0] is None, (own_id, states)
            assert store.image(own_id) is None
            continue
        number = int(own_id.split("/")[1])
        assert states[0] != DELETED
        assert store.image(own_id) == own_id.encode() * (1 + number % 500)
        assert store.thumbnail(own_id)
        assert item.vector is not None
        assert item.vector.tobytes() == vector(number).tobytes()
        assert item.label in ([own_id] if states[0] == LABELLED else [None, own_id] if LABELLED in states else [None])
    held = store.page(1_000_000)
    assert {one.id for one in held} <= last.keys()
    assert (store.totals().items, store.totals().bytes) == (len(held), sum(one.size for one in held))


@pytest.mark.parametrize("names", [["one"], ["one", "two"]])
def test_what_was_acknowledged_outlives_sigkill(address: str, store: Store, names: list[str]) -> None:
    told: list[tuple[str, str, str]] = []
    pause = random.Random(0)
    for run in range(RUNS):
        told += killed(address, [f"{name} {run}" for name in names], pause.uniform(0.05, 0.6))
        check(store, told)
    assert sum(how == "done" for _, _, how in told) > 10


def test_processes_that_begin_at_once_make_one_store(address: str, store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from serving.index.store import open_store; from tests.serving.index.given import put, written;"
        "store = open_store(sys.argv[1]); sys.stdin.read(1);"
        "[written(store.write([put(f'{sys.argv[2]}/{n}')])[0]) for n in range(20)]; store.close()"
    )
    commands = [[sys.executable, "-c", code, address, f"{number}"] for number in range(6)]
    children = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) for command in commands]
    time.sleep(1)  # all have imported what they need
    for child in children:
        assert child.stdin
        child.stdin.write(b"x")
        child.stdin.close()
    assert [child.wait() for child in children] == [0] * 6
    assert store.totals().items == 120
    assert [one.sequence for one in store.changes_since(0, 500).each] == list(range(1, 121))
