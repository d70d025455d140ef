"""The corpus of HTTP messages through reverse proxies: proxy and service count the same requests."""

import socket
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.http.cases import CHUNKS, CODING, DOORS, GET, LENGTH, POST
from tests.http.corpus import PARTS, RUNS
from tests.http.counting import RequestCount
from tests.http.exchange import SILENCE_S, Address, exchange, read_answer
from tests.system.proxies import NAMES, Proxy, proxying

SETTLE_S = 0.3
"""How late a proxy may write its log, and the service may count a request that broke off."""
NUMBERS = count()


@pytest.fixture(scope="module", params=NAMES)
def proxy(
    request: pytest.FixtureRequest, service: Address, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with proxying(request.param, service, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


def stranger_is_answered(proxy: Proxy) -> bool:
    """Whether another client, whose request may share a connection to the service, gets its own answer."""
    own = f"stranger-{next(NUMBERS)}"
    with socket.create_connection(proxy.address, timeout=SILENCE_S) as connection, connection.makefile("rb") as file:
        connection.sendall(GET + f"X-Request-ID: {own}\r\nConnection: close\r\n\r\n".encode())
        answer = read_answer(file)
    return answer is not None and (answer.status, answer.request_id) == (200, own)


def difference(proxy: Proxy, counted: RequestCount) -> str:
    """How proxy and service differ since both were asked last; nothing where they do not.

    They should agree. A request that breaks off may be sent and not be counted, but the service counts each one that it
    answers, and never more than the proxy sent. What is counted later falls to the next comparison.
    """
    seen = sent = answered = 0
    deadline = time.monotonic() + SETTLE_S
    while True:
        new = proxy.requests_since_last_time()
        seen, sent, answered = seen + counted.since_last_time(), sent + new[0], answered + new[1]
        if seen == sent or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    agreed = answered <= seen <= sent
    return "" if agreed else f"the proxy sent {sent}, the service counted {seen}, and {answered} were answered"


@pytest.mark.parametrize("part", [part.__name__.rpartition(".")[2] for part in PARTS])
def test_no_request_hides_in_another(proxy: Proxy, service: Address, part: str) -> None:
    counted, found = RequestCount(service), []
    counted.since_last_time()
    proxy.requests_since_last_time()
    for name, (case, door) in RUNS.items():
        if name.startswith(f"{part}: "):
            exchange(proxy.address, case, door)
            if not stranger_is_answered(proxy):
                found.append(f"{name}: the next client gets no answer, or another's")
            if differs := difference(proxy, counted):
                found.append(f"{name}: {differs}")
    assert not found, "\n".join(found)


def test_pipelining_clients_get_their_own_answers(proxy: Proxy, service: Address) -> None:
    """20 connections at once, 40 requests of four kinds on each."""
    starts = [POST + b"<id>" + LENGTH, GET + b"<id>\r\n", POST + b"<id>" + CODING + CHUNKS, POST + b"<id>" + LENGTH]
    counted = RequestCount(service)
    counted.since_last_time()
    proxy.requests_since_last_time()
    connections = [socket.create_connection(proxy.address, timeout=30) for _ in range(20)]
    for number, connection in enumerate(connections):
        sent = (
            DOORS[one % 3 == 0].fill(starts[one % 4].replace(b"<id>", b"X-Request-ID: %d-%d\r\n" % (number, one)))
            for one in range(40)
        )
        connection.sendall(b"".join(sent))
    for number, connection in enumerate(connections):
        with connection, connection.makefile("rb") as file:
            for one in range(40):
                answer = read_answer(file)
                assert answer is not None
                assert (answer.status, answer.request_id) == (200, f"{number}-{one}")
    assert difference(proxy, counted) == ""
