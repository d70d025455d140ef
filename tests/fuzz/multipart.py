"""Mutated multipart bodies, split in this process: nothing but a refusal may come of them, and soon."""

import time
from random import Random

from serving.errors import ServiceError
from serving.http.uploads import many_images, one_image
from tests.fuzz.findings import Findings
from tests.fuzz.mutations import mutated
from tests.serving.http.forms import FORMS, OTHER, TYPE, USUAL

MAX_CPU_S = 0.1
"""What 300 kB may take, many times over."""
PIECES: tuple[bytes, ...] = (
    b"\r\n",
    b"\r\n\r\n",
    b"--b",
    b"--",
    b"\r\n--b",
    b"\r\n--b--",
    b'"',
    b";",
    b"\\",
    b"\0",
    b" ",
    b"\r\n ",
    b"=",
)
PIECES += (
    USUAL,
    OTHER,
    TYPE,
    b'; name="files"',
    b'; filename="',
    b";a=b",
    b"Content-Disposition:",
    b"\r\n--b\r\n" + USUAL,
)


def run(seed: int, number: int, findings: Findings) -> None:
    """Splits one body, as the routes for one image and for many do."""
    random = Random(f"multipart {seed} {number}")
    bodies = [form.body for form in FORMS]
    body = mutated(random.choice(bodies), bodies, random, PIECES)
    for split in (many_images, one_image):
        complaints = []
        started = time.thread_time()
        try:
            found = split(body)
        except ServiceError:
            findings.count("refused")
        except Exception as error:
            complaints.append(f"{split.__name__}: {error!r}")
        else:
            findings.count("read")
            contents = found if isinstance(found, list) else [found]
            if not all(content in body for content in contents):
                complaints.append(f"{split.__name__}: contents that the body does not hold")
        took = time.thread_time() - started
        findings.took(took)
        if took > MAX_CPU_S:
            complaints.append(f"{split.__name__}: {took:.2f} s")
        findings.fail(number, complaints, body)
