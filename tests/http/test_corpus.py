"""The corpus against the service itself: each case at both doors, as a connection's first request and as its second."""

import re
from collections.abc import Iterator

import pytest

from serving.http import passage
from tests.http.cases import CODING, DOORS, HIDDEN, LENGTH, POST, Case, Door
from tests.http.corpus import CASES, PARTS, RUNS
from tests.http.counting import RequestCount
from tests.http.exchange import Outcome, exchange
from tests.serving.fakes import FakeModel
from tests.serving.sockets import connect, responses, serving

MAX_PIECES = 300


@pytest.fixture(scope="module")
def counted() -> Iterator[RequestCount]:
    """The requests of a real server on the fake model, which does not wait long for bodies that it has refused."""
    with pytest.MonkeyPatch.context() as patch, serving(FakeModel()) as port:
        patch.setattr(passage, "LINGER_S", 0.05)
        counted = RequestCount(("127.0.0.1", port))
        counted.since_last_time()
        yield counted


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
def test_the_corpus(counted: RequestCount, name: str) -> None:
    case, door = RUNS[name]
    largest = max(map(len, case.pieces(door)), default=0)
    ways = {
        "first": exchange(counted.address, case, door),
        "in small pieces": exchange(counted.address, case, door, size=max(largest // MAX_PIECES, 1)),
        **{
            f"behind {one.name}": exchange(counted.address, case, door, before=[one.fill(POST + LENGTH)])
            for one in DOORS
        },
    }
    found = [f"{way}: {line}" for way, outcome in ways.items() for line in complaints(case, outcome)]
    answered, seen = len(DOORS) + sum(outcome.answered for outcome in ways.values()), counted.since_last_time()
    if seen != answered and not case.half_closes:  # half a request may be counted, and has no answer
        found.append(f"the service counts {seen} requests where {answered} are answered")
    assert not found, f"{name} (RFC {case.section})\n" + "\n".join(found)


def test_trailers_are_not_obeyed(counted: RequestCount) -> None:
    """A trailer cannot choose the form of the answer (RFC 9110, section 6.5.1)."""
    body = Door("", b"/embed", DOORS[0].body).fill(
        POST + CODING + b"<hex>\r\n<body>\r\n0\r\nAccept: application/octet-stream\r\n\r\n"
    )
    with connect(counted.address[1]) as connection:
        connection.sendall(body)
        ((status, headers, _),) = responses(connection, 1)
    assert (status, headers["content-type"]) == ("HTTP/1.1 200 OK", "application/json")


def test_each_case_has_a_name_of_its_own_and_a_section() -> None:
    assert len(CASES) == sum(len(part.CASES) for part in PARTS)
    assert all(re.fullmatch(r"(9110|9112|9113|7239) [\dC][\d.]*", case.section) for case in CASES.values())
