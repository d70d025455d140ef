"""The manifest of a bundle: what `models/<name>/` holds and how it was made.

The one module that training and serving share; standard library only.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

MANIFEST = "manifest.json"
MODEL = "model.onnx"
INDEX = "index.npz"
SCHEMA_VERSION = 3
"""Of the manifests that this version writes, and the only one that it reads."""


class BundleError(ValueError):
    """A bundle is missing, incomplete, altered or not what its manifest says."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of the graph; a `str` in `shape` names a dynamic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class InputSpec:
    """The pictures that the graph takes."""

    kind: str
    """How uploads become such pictures (`models.pictures.preparation`)."""
    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture in a batch: (channels, height, width)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Metric:
    """A measured share of `n` cases with its 95 % confidence interval, all in [0, 1]."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that is known about one bundle."""

    schema_version: int = SCHEMA_VERSION
    name: str
    created: str
    """UTC, ISO 8601."""
    git_commit: str | None
    protocol: str
    """How the metrics were measured, in one sentence."""
    knowledge: str
    """What the bundle holds besides what its images and labels taught it: "none", or whose weights and their data."""
    files: dict[str, str]
    """File name → SHA-256, hexadecimal."""
    input: InputSpec
    network: dict[str, Any]
    """What the export knows of it: name, widths, features, parameters."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    class_names: tuple[str, ...]
    """Distinct; none where the images had no labels: the graph then gives `embedding` and `novelty` alone."""
    novelty_threshold: float
    """The `novelty` in [0, 1] up to which an image is taken for one of the classes, or for one of its kind."""
    metrics: dict[str, Metric]
    training: dict[str, Any]
    """The settings of every stage."""
    packages: dict[str, str]
    """Distribution → version at training time."""

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the model's SHA-256."""
        return self.files[MODEL][:12]

    @property
    def model(self) -> str:
        """`name@version`, as every answer carries it."""
        return f"{self.name}@{self.version}"

    def save(self, folder: Path) -> None:
        """Writes `folder`/manifest.json, all or nothing."""
        partial = folder / f"{MANIFEST}.partial"
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / MANIFEST)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads `folder`/manifest.json and checks the hash of each file it lists; raises BundleError."""
        path = folder / MANIFEST
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            schema = fields.get("schema_version", "missing")
            if schema != SCHEMA_VERSION:
                known = f"this version knows {SCHEMA_VERSION} only; `make train-export` writes a new bundle"
                raise ValueError(f"its schema_version is {schema}, {known}")
            manifest = cls(**{**fields, **_typed(fields)})
            actual = {name: sha256(folder / name) for name in manifest.files}
        except OSError as error:
            unread = f"{error.filename}: cannot be read ({error.strerror})"
            raise BundleError(f"{unread}; `make train-export` writes one") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{path}: not a manifest ({error})") from error
        for name in (MODEL, INDEX):
            if name not in manifest.files:
                raise BundleError(f"{path}: lists no {name}")
        for name, expected in manifest.files.items():
            if actual[name] != expected:
                found = f"its SHA-256 is {actual[name][:12]}…, the manifest says {expected[:12]}…"
                raise BundleError(f"{folder / name}: {found}")
        return manifest


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    def specs(key: str) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(spec["name"], spec["dtype"], tuple(spec["shape"])) for spec in fields[key])

    threshold = float(fields["novelty_threshold"])
    if not 0 <= threshold <= 1:
        raise ValueError(f"novelty_threshold {threshold} is not in [0, 1]")
    return {
        **{key: _text(fields[key]) for key in ("name", "created", "protocol", "knowledge")},
        "input": InputSpec(**fields["input"]),
        "inputs": specs("inputs"),
        "outputs": specs("outputs"),
        "files": {str(name): str(digest) for name, digest in fields["files"].items()},
        "class_names": _names(fields["class_names"]),
        "novelty_threshold": threshold,
        "metrics": {name: Metric(**metric) for name, metric in fields["metrics"].items()},
    }


def _text(value: object) -> str:
    """`value`, if every reader of JSON takes it for a text; raises TypeError or ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # half a pair of surrogates cannot be
    return value


def _names(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("class_names is no list")
    names = tuple(map(_text, values))
    if len(set(names)) != len(names):
        raise ValueError("class_names holds a name twice")
    return names


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
