"""Two versions of the service side by side; wrk is replaced."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from loadtest.compare.rounds import Pair
from loadtest.compare.settings import Load
from loadtest.compare.versions import commit, summarise, table, values_of
from tests.conftest import ROOT
from tests.loadtest.test_compare import SAMPLE
from tests.servers import clean_environment


def test_a_round_tells_rate_and_cpu_time_or_latency() -> None:
    this, other = replace(SAMPLE, cpu_s=0.05), replace(SAMPLE, requests=500, cpu_s=0.05, p50_ms=2.0)
    many, one = (Pair("this", Load("ingress", connections), 0, this, other) for connections in (64, 1))
    assert values_of([many, one]) == {
        "requests/s, ingress heads, 64 connections": (500, 250),
        "CPU µs a request, ingress heads, 64 connections": (50, 100),
        "p50, ingress heads, 1 connection, ms": (1.0, 2.0),
    }
    assert values_of([replace(one, reference=replace(other, bad_status=1))]) == {}


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    rounds = [{"x": (1.0, 2.0), "y": (1.0, 1.0)}, {"x": (9.0, 3.0)}, {"x": (8.0, 8.0)}]
    rows = summarise(rounds)
    assert rows[0] == {"title": "x", "this": 8, "other": 3, "ratio": 1, "lowest": 0.5, "highest": 3, "n": 3}
    assert (rows[1]["title"], rows[1]["n"]) == ("y", 1)
    lines = table({"this": "abc", "other": "def", "figures": rows}).splitlines()
    assert lines[2] == "| x | 8 | 3 | 1.00 (0.50 to 3.00) | 3 |"


def test_a_checkout_is_named_by_its_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) == tmp_path.name
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    author = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run(["git", "-C", tmp_path, *author, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert head.stdout.startswith(commit(tmp_path))


WRK = f"""#!{sys.executable}
import socket, sys
from pathlib import Path
address, _, folder = sys.argv[sys.argv.index("--") - 1 :][:3]
with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
    for request in Path(folder).iterdir():
        connection.sendall(request.read_bytes())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
print({json.dumps(vars(SAMPLE))!r})
"""
"""Posts every request of the folder once, for the CPU time to be measurable; its figures are made up."""


def test_this_checkout_against_itself(tmp_path: Path) -> None:
    stand_in = tmp_path / "wrk"
    stand_in.write_text(WRK)
    stand_in.chmod(0o755)
    environment = clean_environment()
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    options = ["--other", str(ROOT), "--rounds", "1", "--warmup", "0", "--server-python", sys.executable]
    command = [sys.executable, "-m", "loadtest.compare.versions", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert results["this"] == results["other"]
    assert [row["n"] for row in results["figures"]] == [1] * 7
    figures = {row["title"]: row for row in results["figures"]}
    assert figures["requests/s, repeated heads, 64 connections"]["ratio"] == 1
    assert 1e1 < figures["CPU µs a request, repeated heads, 64 connections"]["this"] < 1e5
    assert 0.1 < figures["start to ready, s"]["this"] < 60
    assert 20 < figures["memory (PSS) after the loads, MB"]["this"] < 2000
