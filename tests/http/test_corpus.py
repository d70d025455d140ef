"""The corpus against the service itself: each case at both doors, as a connection's first request and as its second."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.http.cases import CODING, DOORS, GET, HIDDEN, LENGTH, POST, Case, Door
from tests.http.corpus import CASES, PARTS, RUNS
from tests.http.exchange import Address, Outcome, exchange
from tests.serving.fakes import FakeModel
from tests.serving.sockets import connect, responses, serving

MAX_PIECES = 300


@dataclass
class Service:
    """A real server on the fake model, and how many requests it had counted when it was last asked."""

    address: Address
    counted: int = 0

    def requests_since_last_time(self) -> int:
        """Those that its metrics count; the one that asks for them is left out."""
        with connect(self.address[1]) as connection:
            connection.sendall(GET.replace(b"/health/live", b"/metrics") + b"Connection: close\r\n\r\n")
            ((_, _, body),) = responses(connection, 1)
        counts = re.findall(r"^fewlabel_requests_total\{.*\} (\S+)$", body.decode(), re.MULTILINE)
        before, self.counted = self.counted, sum(int(float(count)) for count in counts) + 1
        return self.counted - before - 1


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(FakeModel()) as port:
        service = Service(("127.0.0.1", port))
        service.requests_since_last_time()
        yield service


def complaints(case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with what came back: a line each."""
    found = []
    if not re.fullmatch(case.answers, outcome.statuses):
        found.append(f"answers {outcome.statuses or 'none'}, not {case.answers}")
    if outcome.end == "silent" or (case.closes is not None and (outcome.end == "closed") != case.closes):
        found.append(f"the connection is {outcome.end}")
    for answer in outcome.answers:
        if answer.request_id == HIDDEN.decode():
            found.append(f"a hidden request is answered with {answer.status}")
        if answer.status >= 200 and not answer.request_id:
            found.append(f"{answer.status} has no request id")
        if answer.status >= 400 and answer.headers.get("content-type") != "application/problem+json":
            found.append(f"{answer.status} is no problem document")
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_corpus(service: Service, name: str) -> None:
    case, door = RUNS[name]
    largest = max(map(len, case.pieces(door)), default=0)
    ways = {
        "first": exchange(service.address, case, door),
        "in small pieces": exchange(service.address, case, door, size=max(largest // MAX_PIECES, 1)),
        **{
            f"behind {one.name}": exchange(service.address, case, door, before=[one.fill(POST + LENGTH)])
            for one in DOORS
        },
    }
    found = [f"{way}: {line}" for way, outcome in ways.items() for line in complaints(case, outcome)]
    answered, seen = len(DOORS) + sum(outcome.answered for outcome in ways.values()), service.requests_since_last_time()
    if seen != answered and not case.half_closes:  # half a request may be counted, and has no answer
        found.append(f"the service counts {seen} requests where {answered} are answered")
    assert not found, f"{name} (RFC {case.section})\n" + "\n".join(found)


def test_trailers_are_not_obeyed(service: Service) -> None:
    """A trailer cannot choose the form of the answer (RFC 9110, section 6.5.1)."""
    body = Door("", b"/embed", DOORS[0].body).fill(
        POST + CODING + b"<hex>\r\n<body>\r\n0\r\nAccept: application/octet-stream\r\n\r\n"
    )
    with connect(service.address[1]) as connection:
        connection.sendall(body)
        ((status, headers, _),) = responses(connection, 1)
    assert (status, headers["content-type"]) == ("HTTP/1.1 200 OK", "application/json")


def test_each_case_has_a_name_of_its_own_and_a_section() -> None:
    assert len(CASES) == sum(len(part.CASES) for part in PARTS)
    assert all(re.fullmatch(r"(9110|9112|9113|7239) [\dC][\d.]*", case.section) for case in CASES.values())
