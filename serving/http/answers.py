"""What is answered to an image, and how it is written. Knows neither sockets nor the framework."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from models.pictures.png import as_png
from serving.errors import NoClasses
from serving.http.problems import document_of
from serving.http.replies import JSON, NPY, OCTETS, Reply
from serving.index.items import Source
from serving.index.memory import Neighbor
from serving.model import Model
from serving.service import NO_NEIGHBORS, Answer, Answers, Wanted

DEFAULT_NEIGHBORS, MAX_NEIGHBORS = 10, 100
Fields = dict[str, Any]
Render = Callable[[Answer, Model], Fields]


class Format(NamedTuple):
    """One way to answer an image."""

    route: str
    render: Callable[[Answer, Model], Fields | bytes]
    """JSON's fields, or the content itself."""
    media_type: str = JSON
    wanted: Wanted = NO_NEIGHBORS
    """Which similar images are asked for."""
    says_class: bool = False

    def check(self, model: Model) -> None:
        """Raises NoClasses where this format says a class and the model names none."""
        if self.says_class and not model.class_names:
            raise NoClasses(
                f"{model.name} has seen no labels, so that it names no classes; it answers /embed and /search. "
                "Label some of its images and train again"
            )

    def reply(self, answer: Answer, model: Model) -> Reply:
        """The answer, written in this format."""
        rendered = self.render(answer, model)
        content = rendered if isinstance(rendered, bytes) else to_json(rendered)
        return Reply(content, self.media_type, 200, (server_timing(answer),))


def _predicted(answer: Answer, model: Model) -> Fields:
    return {**prediction_of(answer, model), "model": model.name}


def _predicted_and_embedded(answer: Answer, model: Model) -> Fields:
    return {**_predicted(answer, model), "embedding": answer.prediction.embedding}


def _embedded(answer: Answer, model: Model) -> Fields:
    return {**embedding_of(answer, model), "dim": model.dim, "model": model.name}


def _embedded_octets(answer: Answer, _model: Model) -> bytes:
    return answer.prediction.embedding.astype("<f4").tobytes()


def _similar(answer: Answer, model: Model) -> Fields:
    return similar(answer.neighbors, model, answer.missing)


def debugging(fmt: Format) -> Format:
    """`fmt`, with what the model saw as a data URI (RFC 2397) that browsers show."""

    def render(answer: Answer, model: Model) -> Fields | bytes:
        fields = fmt.render(answer, model)
        assert isinstance(fields, dict)
        shown = base64.b64encode(as_png(answer.found.pixels)).decode()
        return {**fields, "seen": f"data:image/png;base64,{shown}"}

    return fmt._replace(render=render)


PREDICT = Format("/predict", _predicted, says_class=True)
PREDICT_AND_EMBED = Format("/predict", _predicted_and_embedded, says_class=True)
EMBED = Format("/embed", _embedded)
EMBED_OCTETS = Format("/embed", _embedded_octets, OCTETS)
SEARCH = {k: Format("/search", _similar, wanted=Wanted(k)) for k in range(1, MAX_NEIGHBORS + 1)}
FORMATS: Mapping[bytes, Format] = {
    b"/predict": PREDICT,
    b"/predict?embedding=true": PREDICT_AND_EMBED,
    b"/embed": EMBED,
    b"/search": SEARCH[DEFAULT_NEIGHBORS],
    **{b"/search?k=%d" % k: fmt for k, fmt in SEARCH.items()},
}
"""By request target, where that alone tells the format."""


def search_format(k: int, label: str | None, source: Source | None) -> Format:
    """With filters or without."""
    return SEARCH[k] if label is source is None else SEARCH[k]._replace(wanted=Wanted(k, label, source))


def embedding_format(accept: str) -> Format:
    """As JSON; as little-endian float32 for a client that accepts octets."""
    return EMBED_OCTETS if OCTETS in accept else EMBED


def prediction_of(answer: Answer, model: Model) -> Fields:
    """One image's prediction; digits have fields of their own."""
    index, probabilities, _, known, novelty = answer.prediction
    fields: Fields = {"label": model.class_names[index]}
    numbered = model.input.kind == "digit"
    if numbered:
        fields["digit"] = index
    fields |= {"confidence": probabilities[index], "known": known, "novelty": novelty}
    if numbered:
        fields["several"] = answer.found.several
    fields["probabilities"] = probabilities
    return fields


def embedding_of(answer: Answer, _model: Model) -> Fields:
    """One image's embedding."""
    return {"embedding": answer.prediction.embedding}


def similar(neighbors: list[Neighbor], model: Model, missing: int) -> Fields:
    """The most similar images, best first, and how many items were not searched, if there are any."""
    fields: Fields = {"neighbors": neighbors, "model": model.name}
    return {**fields, "missing": missing} if missing else fields


def description_of(model: Model) -> Fields:
    """The manifest as a client needs it."""
    manifest = model.manifest
    return {
        "model": model.name,
        "created": manifest.created,
        "knowledge": manifest.knowledge,
        "classes": model.class_names,
        "input": model.input,
        "dim": model.dim,
        "novelty_threshold": manifest.novelty_threshold,
        "metrics": manifest.metrics,
        "protocol": manifest.protocol,
    }


def batch_reply(answers: Answers, model: Model, render: Render, others: Fields) -> Reply:
    """One result for each image, in order: an answer, or what is wrong with it."""
    results = [render(one, model) if isinstance(one, Answer) else {"error": document_of(one)} for one in answers.each]
    return Reply(to_json({"results": results, **others, "model": model.name}), headers=(server_timing(answers),))


def rows_reply(answers: Answers) -> Reply:
    """The embeddings of all images as a file for `numpy.load`; raises what is wrong with the first bad one."""
    rows = []
    for number, one in enumerate(answers.each, 1):
        if not isinstance(one, Answer):
            raise type(one)(f"image {number} of {len(answers.each)}: {one}")
        rows.append(one.prediction.embedding)
    return Reply(b"".join((npy_header((len(rows), len(rows[0]))), *(row.astype("<f4").tobytes() for row in rows))), NPY)


def npy_header(shape: tuple[int, int]) -> bytes:
    """What a file for `numpy.load` begins with, before the rows in little-endian float32."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return head.getvalue()


def server_timing(spent: Answer | Answers) -> tuple[str, str]:
    """The W3C header with milliseconds in the queue and in the model."""
    return "server-timing", f"queue;dur={spent.queue_s * 1e3:.3f}, inference;dur={spent.run_s * 1e3:.3f}"


def to_json(fields: Fields | Sequence[Any] | NDArray[np.float32]) -> bytes:
    """JSON, numpy arrays and dataclasses too: float32 is written with as many digits as it has, not as a float64."""
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
