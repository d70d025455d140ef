"""What servers answer, asked one image after another: nobody may be fast by being wrong."""

import http.client
import json
from typing import Any

from loadtest.compare.errors import CompareError
from loadtest.compare.servers import Server
from loadtest.compare.uploads import Upload

MIN_EQUAL = 0.999
"""Smallest share of digits that must equal this service's: decoders may differ in a pixel."""
LENGTH_BYTES = 4
"""Before each string in a binary answer."""


def ask(server: Server, uploads: list[Upload]) -> list[bytes]:
    """The bodies of the answers, all over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    answers = []
    try:
        for upload in uploads:
            headers = {"Content-Type": upload.content_type, **server.peer.headers}
            connection.request("POST", server.peer.path, upload.body, headers)
            response = connection.getresponse()
            answers.append(response.read())
            if response.status != 200:
                raise CompareError(f"{server.peer.name} answers {response.status}: {answers[-1][:500]!r}")
    finally:
        connection.close()
    return answers


def digit_of(answer: bytes) -> int:
    """The digit in this service's JSON, however the framework wraps it."""
    told = unwrap(answer)
    if not 0.999 < sum(told["probabilities"]) < 1.001:
        raise CompareError(f"probabilities that do not add up: {answer[:500]!r}")
    return int(told["digit"])


def unwrap(answer: bytes) -> dict[str, Any]:
    """The JSON object as it is, in a list of one, or as a string in an answer of the Open Inference Protocol.

    That protocol's binary form puts the string after its own JSON, behind four bytes of length.
    """
    told, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    if isinstance(told, list):
        told = told[0]
    if "outputs" in told:
        output = told["outputs"][0]
        told = json.loads(output["data"][0] if "data" in output else answer[end + LENGTH_BYTES :])
    unwrapped: dict[str, Any] = told
    return unwrapped


def equal_share(server: Server, uploads: list[Upload], reference: list[int]) -> float:
    """How many of the digits equal the reference's; an error when too few do."""
    digits = [digit_of(answer) for answer in ask(server, uploads)]
    share = sum(one == other for one, other in zip(digits, reference, strict=True)) / len(reference)
    if share < MIN_EQUAL:
        raise CompareError(f"only {share:.1%} of the digits that {server.peer.name} answers are this service's")
    return share
