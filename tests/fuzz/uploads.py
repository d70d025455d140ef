"""Mutated pictures over real connections, clean digits between them."""

import base64
import io
import time
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from models.pictures.ink import digit_of
from tests.fuzz.client import Client, NoAnswer, fields_of, post, same
from tests.fuzz.findings import Findings
from tests.fuzz.mutations import mutated
from tests.fuzz.originals import PLAIN_HEADER, in_a_form, originals, plain_files, seen_by_pillow
from tests.http.exchange import Answer

DEBUG, BATCH = "/predict?debug=true", "/predict/batch"
TARGETS = ("/predict", DEBUG, DEBUG, DEBUG, "/predict?embedding=true", "/embed", "/search", BATCH)
ALLOWED = {200, 400, 413, 415, 422}
CLEAN_SHARE, PLAIN_SHARE = 0.15, 0.4
"""Of all requests, and of the mutated ones: how many are whole digits, and how many start from a plain 28×28 PNG."""
FORM_SHARE = 0.25


class Uploads:
    """Cases by number: each is drawn from the seed and its number alone, whoever sends it when."""

    def __init__(self, seed: int, findings: Findings) -> None:
        self._seed = seed
        self._findings = findings
        self._plain = plain_files(50)
        self._originals = originals(seed)
        self._known: dict[tuple[str, int], Any] = {}

    def learn(self, client: Client) -> None:
        """Asks for every clean digit at every target, one after the other."""
        for number, body in enumerate(self._plain):
            for target in TARGETS:
                if target != BATCH:
                    answer = client.ask(target, body)
                    assert answer.status == 200, answer
                    self._known[target, number] = fields_of(answer)

    def known(self) -> list[tuple[bytes, Any]]:
        """Bodies, and what `/predict` says of each."""
        return [(body, self._known["/predict", number]) for number, body in enumerate(self._plain)]

    def run(self, number: int, client: Client) -> None:
        """Sends one case."""
        random = Random(f"uploads {self._seed} {number}")
        target, digit = random.choice(TARGETS), random.randrange(len(self._plain))
        clean = random.random() < CLEAN_SHARE and target != BATCH
        content = self._plain[digit] if clean else self._mutated(random)
        body = self._body(target, digit, content, random)
        started = time.perf_counter()
        try:
            answer = client.ask(target, body)
        except NoAnswer as error:
            self._findings.fail(number, [str(error)], post(target, body))
            return
        self._findings.took(time.perf_counter() - started)
        self._findings.count("clean" if clean else f"mutated, {answer.status}")
        if clean:
            complaints = self._differences(answer, self._known[target, digit])
        elif answer.status not in ALLOWED:
            complaints = [f"{answer.status}: {answer.body[:300]!r}"]
        elif answer.status == 200 and target == BATCH:
            complaints = self._neighbour_differs(answer, digit)
        elif answer.status == 200 and target == DEBUG:
            complaints = self._wrong_pixels(answer, content) + self._differences(
                client.ask(target, body), fields_of(answer)
            )
        else:
            complaints = []
        self._findings.fail(number, complaints, post(target, body))

    def _mutated(self, random: Random) -> bytes:
        source = self._plain if random.random() < PLAIN_SHARE else self._originals
        return mutated(random.choice(source), self._originals, random)

    def _body(self, target: str, digit: int, content: bytes, random: Random) -> bytes:
        if target == BATCH:  # a clean digit between two mutated ones
            return in_a_form([content, self._plain[digit], self._mutated(random)], b"files", random)
        return in_a_form([content], b"file", random) if random.random() < FORM_SHARE else content

    def _differences(self, answer: Answer, known: Any) -> list[str]:
        """What is wrong with an answer that should be as before."""
        if answer.status == 200 and same(fields_of(answer), known):
            return []
        return [f"{answer.status} {answer.body!r}, where alone it is {known}"]

    def _neighbour_differs(self, answer: Answer, digit: int) -> list[str]:
        results = fields_of(answer)["results"]
        known = {name: value for name, value in self._known["/predict", digit].items() if name != "model"}
        return [] if len(results) == 3 and same(results[1], known) else [f"the clean digit in a batch: {results}"]

    def _wrong_pixels(self, answer: Answer, content: bytes) -> list[str]:
        """What the model saw of a plain 28×28 PNG must be what Pillow, here, reads from it."""
        if not content.startswith(PLAIN_HEADER):
            return []
        image = seen_by_pillow(content)
        if image is None:
            return ["a picture is seen where Pillow decodes none"]
        if image.has_transparency_data or image.getexif():
            return []
        self._findings.count("compared with Pillow")
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(fields_of(answer)["seen"].partition(",")[2]))))
        return [] if np.array_equal(seen, digit_of(np.asarray(image))[0]) else ["other pixels than Pillow's are seen"]
