"""The comparison's own arithmetic and housekeeping; no framework is needed, and wrk only where a test says so."""

import base64
import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare import processes, wrk
from loadtest.compare.answers import digit_of, equal_share
from loadtest.compare.environments import ensure_environment
from loadtest.compare.errors import CompareError
from loadtest.compare.peers import PEERS, Peer, load_peer, load_peers, own_service
from loadtest.compare.rounds import Pair, measure_all
from loadtest.compare.rows import ratio_row
from loadtest.compare.servers import Stage, running
from loadtest.compare.settings import CompareSettings, Heads, Load
from loadtest.compare.summary import reference_figures, summarise
from loadtest.compare.uploads import ENCODERS, form, http_request, raw, write_requests

SAMPLE = wrk.Sample(requests=1000, seconds=2.0, p50_ms=1.0, p99_ms=2.0, max_ms=3.0, bad_status=0, socket_errors=0)
PREDICTION = {"digit": 7, "confidence": 0.9, "probabilities": [0.0] * 7 + [0.9, 0.1, 0.0], "model": "digits@0"}
TEXT = json.dumps(PREDICTION)


def pair(
    rate: int, reference: int, *, number: int = 0, concurrency: int = 64, bad: int = 0, heads: Heads = "repeated"
) -> Pair:
    sample = replace(SAMPLE, requests=2 * rate, p99_ms=float(number), bad_status=bad)
    return Pair("fewlabel", Load(heads, concurrency), number, sample, replace(SAMPLE, requests=2 * reference))


def test_wrks_last_line_is_the_sample() -> None:
    printed = 'Running 2s test\n  2 threads\n\n{"requests": 9, "seconds": 2.0, "p50_ms": 1, "p99_ms": 2, "max_ms": 3,'
    sample = wrk.parse(printed + ' "bad_status": 0, "socket_errors": 0}\n')
    assert (sample.rate, sample.fault) == (4.5, None)


def test_wrk_gets_core_connections_requests_and_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "bin" / "wrk"
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path / 'arguments'}\necho '{json.dumps(vars(SAMPLE))}'\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=os.pathsep)
    write_requests(tmp_path / "requests", [raw(b"x")] * 3, 80, "/predict", {})
    core = min(os.sched_getaffinity(0))
    assert wrk.run_wrk(80, tmp_path / "requests", Load("ingress", 64), 2, core) == SAMPLE
    arguments = (tmp_path / "arguments").read_text().split()
    assert {"-t1", "-c64", "-d2s"} < set(arguments)
    assert arguments[-5:-1] == ["--", str(tmp_path / "requests"), "3", "ingress"]
    assert arguments[-1].isdigit()


@pytest.mark.parametrize("fault", [{"bad_status": 1}, {"socket_errors": 1}, {"requests": 0}])
def test_a_sample_with_any_error_counts_for_nothing(fault: dict[str, int]) -> None:
    assert replace(SAMPLE, **fault).fault


def test_what_is_missing_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CompareError, match="apt-get install wrk"):
        wrk.require_wrk()
    with pytest.raises(CompareError, match="a core each"):
        processes.require_cores(0, 0)


def test_the_figures_are_medians_of_the_sound_pairs_alone() -> None:
    pairs = [pair(100, 50, number=1), pair(300, 100, number=2), pair(90, 90, number=3), pair(999, 1, number=4, bad=5)]
    (figures,) = summarise(pairs)
    assert (figures.rate, figures.ratio, figures.ratio_min, figures.ratio_max) == (100, 2.0, 1.0, 3.0)
    assert (figures.samples, figures.faults, figures.p99_ms) == (3, 1, 2.0)
    assert summarise([pair(100, 50, bad=1)]) == []
    assert ratio_row("x", [pair(100, 50, bad=1)]).fault == "1 bad answers, 0 socket errors"


def test_the_references_own_figures_are_of_all_its_samples() -> None:
    pairs = [pair(1, 50), pair(1, 70), pair(1, 90), pair(1, 10, concurrency=1), pair(1, 30, heads="ingress")]
    many, one, ingress = reference_figures("yardstick", pairs)
    assert (one.concurrency, one.rate) == (1, 10)
    assert (ingress.heads, ingress.concurrency, ingress.rate) == ("ingress", 64, 30)
    assert (many.concurrency, many.rate, many.samples, many.ratio) == (64, 70, 3, 1.0)


class Recorder:
    """A target that notes who is measured when."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self.order = name, order

    def measure(self, load: Load, _settings: CompareSettings) -> wrk.Sample:
        self.order.append(f"{self.name}{load.connections}{load.heads[0]}")
        return SAMPLE


def test_every_measurement_stands_beside_one_of_the_reference() -> None:
    order: list[str] = []
    targets: list[Any] = [Recorder(name, order) for name in "ab"]
    reference: Any = Recorder("r", order)
    pairs = measure_all(targets, reference, CompareSettings(rounds=2, concurrency=(1, 64)))
    assert order[:12] == [f"{name}{load}" for other in "ab" for load in ("1r", "64r", "64i") for name in ("r", other)]
    assert order[12:] == [f"{name}{load}" for other in "ab" for load in ("1r", "64r", "64i") for name in (other, "r")]
    assert [(one.target, str(one.load), one.round) for one in pairs[-2:]] == [
        ("b", "repeated heads, 64 connections", 1),
        ("b", "ingress heads, 64 connections", 1),
    ]


def test_either_load_may_be_left_out() -> None:
    assert CompareSettings(heads=("ingress",)).loads == [Load("ingress", 64)]
    assert CompareSettings(heads=("repeated",), concurrency=(4,)).loads == [Load("repeated", 4)]


@pytest.mark.parametrize(
    "answer",
    [
        TEXT.encode(),
        json.dumps([PREDICTION]).encode(),
        json.dumps({"outputs": [{"name": "prediction", "data": [TEXT]}]}).encode(),
        b'{"outputs":[{"name":"prediction"}]}' + len(TEXT).to_bytes(4, "little") + TEXT.encode(),
    ],
)
def test_a_digit_is_found_in_every_frameworks_answer(answer: bytes) -> None:
    assert digit_of(answer) == 7


def test_probabilities_must_add_up() -> None:
    with pytest.raises(CompareError, match="add up"):
        digit_of(json.dumps({**PREDICTION, "probabilities": [0.1] * 9}).encode())


def test_uploads_carry_the_file() -> None:
    png = b"\x89PNG\x00\xff"
    assert ENCODERS["raw"](png).body == ENCODERS["octets"](png).body == png
    assert png in ENCODERS["multipart"](png).body
    told = json.loads(ENCODERS["v2-base64"](png).body)["inputs"][0]
    assert base64.b64decode(told["data"][0]) == png
    assert form("files", [png, png]).body.count(png) == 2


def test_requests_are_complete(tmp_path: Path) -> None:
    write_requests(tmp_path / "requests", [raw(b"one"), raw(b"three")], 80, "/predict", {"X-Extra": "1"})
    assert sorted(path.name for path in (tmp_path / "requests").iterdir()) == ["0", "1"]
    request = (tmp_path / "requests" / "1").read_bytes()
    assert request == http_request(raw(b"three"), 80, "/predict", {"X-Extra": "1"})
    assert request.startswith(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert b"X-Extra: 1\r\nContent-Length: 5\r\n\r\nthree" in request


def test_every_peer_is_complete_and_pinned() -> None:
    for peer in [*load_peers(()), load_peer(PEERS / "yardstick")]:
        assert peer.body in ENCODERS
        lines = (PEERS / peer.venv / "requirements.txt").read_text().splitlines()
        assert lines
        assert all(re.fullmatch(r"[\w.\-\[\]]+==[\w.]+", line) for line in lines), peer.name
        text = "".join(path.read_text() for path in PEERS.joinpath(peer.name).rglob("*") if path.is_file())
        assert "0.0.0.0" not in text, peer.name
    with pytest.raises(CompareError, match="there is no nobody, only bentoml"):
        load_peers(("nobody",))


def test_the_service_is_measured_on_the_cpu() -> None:
    assert own_service(Path("python")).command[1:5] == ("-m", "serving", "--provider", "cpu")


def test_a_venv_is_made_again_only_when_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def install(folder: Path, _requirements: Path, _python: Path) -> None:
        made.append(folder.name)
        folder.mkdir(exist_ok=True)

    monkeypatch.setattr("loadtest.compare.environments.VENVS", tmp_path)
    monkeypatch.setattr("loadtest.compare.environments.install", install)
    peer = load_peer(PEERS / "naive")
    folders = [ensure_environment(peer, Path(sys.executable)) for _ in range(2)]
    assert folders == [tmp_path / "naive" / "bin"] * 2
    assert made == ["naive"]
    (tmp_path / "naive" / ".ready").write_text("other")
    ensure_environment(peer, Path(sys.executable))
    assert made == ["naive", "naive"]


SERVER = """
import sys, subprocess, http.server
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)
    do_POST = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Peer:
    script = tmp_path / "stand-in.py"
    script.write_text(SERVER.replace("ANSWER", repr(TEXT.encode())))
    return Peer(name="stand-in", title="stand-in", command=(sys.executable, str(script), "{port}"))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("loadtest.compare.servers.STOP_TIMEOUT_S", 0.5)
    return Stage(tmp_path, min(os.sched_getaffinity(0)), 30, {})


def test_a_server_keeps_to_its_core_sleeps_and_leaves_nobody_behind(stand_in: Peer, stage: Stage) -> None:
    with running(stand_in, None, stage) as server:
        family = server.pids()
        assert len(family) == 2, "the child has a session of its own and still belongs to it"
        assert processes.cores(family) == {stage.core}
        assert processes.pss_bytes(family) > 1_000_000
        server.pause()
        deadline = time.monotonic() + 5  # a busy machine stops them a little later
        while not all(processes.stats()[pid][0] == "T" for pid in family):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.resume()
        assert equal_share(server, [raw(b"x")] * 10, [7] * 10) == 1.0
        with pytest.raises(CompareError, match=r"only 90.0% of the digits"):
            equal_share(server, [raw(b"x")] * 10, [7] * 9 + [1])
    assert not family & {pid for pid, fields in processes.stats().items() if fields[0] != "Z"}


def test_a_server_that_does_not_start_is_one_clear_message(stand_in: Peer, stage: Stage) -> None:
    broken = replace(stand_in, command=(sys.executable, "-c", "raise SystemExit('no such model')"))
    with pytest.raises(CompareError, match="no such model"), running(broken, None, stage):
        pass
