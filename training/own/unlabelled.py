"""A bundle before there is any label: it embeds and searches, and names nothing."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.manifest import INDEX, MODEL, BundleError, InputSpec, Manifest
from models.pictures.preparation import as_input
from training import export
from training.encoders import Encoder
from training.graphs import FEATURES, IMAGE, graph_of, on_top
from training.networks import NeighbourNovelty, PictureBackbone
from training.own.bundle import REFUSED, move, plain
from training.own.pipeline import Features, Work, input_of, tensor_of
from training.own.served import divided
from training.own.verification import ask_for_embeddings
from training.provenance import conditions, git_commit

OUTPUTS = ("embedding", "novelty")
ASKED = 100
"""Files whose embeddings a running service must answer as they were computed here, at most."""
BATCH_SIZE = 32
THUMBNAIL = 64
"""Pixels along each side of the index's thumbnails."""
PROTOCOL = "Nothing was measured: there is no label yet. The bundle embeds pictures and searches among {images:,}."
CARD = """# {manifest.model}

Embeds pictures and searches for similar ones among {images:,}; it names no classes, since no picture had a label when
it was made. Outside knowledge: {manifest.knowledge}. Label some pictures (`make next` says which), then train:
`make train-export DATA=… NAME={manifest.name}`.
"""


class Embedder(nn.Module):
    """Features of an encoder, or a backbone's images, → embedding and novelty.

    Args:
        mean: (dim,), taken off the features. bank: (m, dim) unit vectors that novelty is measured by.
    """

    def __init__(self, mean: Tensor, bank: Tensor, backbone: PictureBackbone | None) -> None:
        super().__init__()
        self.mean: Tensor = nn.Buffer(mean)
        self.novelty = NeighbourNovelty(bank)
        self.backbone = backbone

    def forward(self, taken: Tensor) -> tuple[Tensor, Tensor]:
        """(n, …) → embedding (n, dim), unit norm, and novelty (n,)."""
        features = taken if self.backbone is None else self.backbone(taken)
        embedding = F.normalize(features - self.mean, dim=1, eps=1e-6)
        return embedding, self.novelty(features, embedding)


def write_unlabelled(name: str, work: Work, encoder: Encoder | None, features: Features) -> Manifest:
    """Makes models/<name>/; raises BundleError where a running service answers otherwise."""
    settings, pictures = work.settings, work.pictures
    spec = encoder.input(features.resize) if encoder else input_of(work, features.resize)
    settings.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=settings.models) as partial:
        folder = Path(partial)
        (folder / MODEL).write_bytes(_graph(work, encoder, features, spec).SerializeToString())
        embeddings, novelty = _embedded(folder / MODEL, work, spec)
        _, others = divided(pictures, settings.seed)
        threshold = float(np.quantile(novelty[np.searchsorted(pictures.training, others)], 1 - REFUSED))
        _write_index(folder / INDEX, work, embeddings, spec)
        described = export.Described(
            name=name,
            git_commit=git_commit(),
            protocol=PROTOCOL.format(images=len(embeddings)),
            knowledge=features.knowledge,
            input=spec,
            network={"name": "encoder" if encoder else "PictureBackbone", "features": embeddings.shape[1]},
            class_names=(),
            novelty_threshold=threshold,
            metrics={},
            training={**plain(settings), **conditions(work.run.device)},
        )
        manifest = export.write_manifest(folder, described)
        (folder / "README.md").write_text(CARD.format(manifest=manifest, images=len(embeddings)), encoding="utf-8")
        asked = {pictures.names[place]: embeddings[row] for row, place in enumerate(pictures.training[:ASKED])}
        if wrong := ask_for_embeddings(folder, pictures.collection, asked):
            raise BundleError(
                f"the service answers otherwise for {len(wrong)} of {len(asked)} files, such as {wrong[0]}"
            )
        move(folder, settings.models / name)
    return manifest


@torch.no_grad()
def _graph(work: Work, encoder: Encoder | None, features: Features, spec: InputSpec) -> onnx.ModelProto:
    """The encoder or the pretrained backbone, and what is above it."""
    bank, _ = divided(work.pictures, work.settings.seed)
    if encoder:
        values, backbone = torch.from_numpy(features.values), None
    else:
        assert features.backbone is not None
        backbone = features.backbone.cpu().eval()
        images = tensor_of(work.pictures.seen(spec)[work.pictures.training])
        values = torch.cat([backbone(batch) for batch in torch.split(images, BATCH_SIZE)])
    mean = values.mean(dim=0)
    chosen = F.normalize(values[np.searchsorted(work.pictures.training, bank)] - mean, dim=1, eps=1e-6)
    embedder = Embedder(mean, chosen, backbone)
    if not encoder:
        return graph_of(embedder, spec.shape, OUTPUTS)
    above = graph_of(embedder, (values.shape[1],), OUTPUTS, FEATURES, torch.float32)
    return on_top(onnx.load(encoder.path), above)


def _embedded(path: Path, work: Work, spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings (n, dim) and novelty (n,) of the images to train on, by the file itself."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = [
        session.run(OUTPUTS, {IMAGE: as_input(list(pixels))})
        for _, pixels in work.pictures.batches(spec, BATCH_SIZE, work.pictures.training.tolist())
    ]
    embeddings, novelty = (np.concatenate(part) for part in zip(*found, strict=True))
    return embeddings, novelty


def _write_index(path: Path, work: Work, embeddings: NDArray[np.float32], spec: InputSpec) -> None:
    """Of images drawn at random where there are too many."""
    pictures, settings = work.pictures, work.settings
    rows = np.sort(np.random.default_rng(settings.seed).permutation(len(embeddings))[: settings.index_size])
    places = pictures.training[rows]
    small = pictures.seen(InputSpec(spec.kind, THUMBNAIL, THUMBNAIL, 3))[places]
    unknown = export.Known(np.full(len(rows), -1), np.zeros(len(rows), np.bool_))
    export.write_index(path, [pictures.names[place] for place in places], small, embeddings[rows], unknown)
