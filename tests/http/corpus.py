"""All cases, each with the part of the corpus that it belongs to."""

from tests.http import chunks, codings, connections, fields, hosts, lengths, request_lines
from tests.http.cases import Case, Door

PARTS = (request_lines, hosts, fields, lengths, codings, chunks, connections)
CASES: dict[str, Case] = {
    f"{part.__name__.rpartition('.')[2]}: {case.name}": case for part in PARTS for case in part.CASES
}
"""Name → case."""
RUNS: dict[str, tuple[Case, Door]] = {
    f"{name} ({door.name})": (case, door) for name, case in CASES.items() for door in case.doors
}
"""Every case at each of its doors."""
