"""Everything that can be set, in one place."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "FEWLABEL_"
OLD_PREFIX = "DIGITS_"
"""Before version 0.2.0."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
"""No page can have one of these names, so that they are safe to allow (DNS rebinding)."""
HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


class Settings(BaseSettings):
    """Answers uploaded images with predictions, embeddings and similar images.

    Each option can also be set as an environment variable: --port is FEWLABEL_PORT. Options win.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        use_attribute_docstrings=True,
        cli_prog_name="python -m serving",
        cli_kebab_case=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: int = Field(8000, ge=0, le=65535)
    """TCP port to listen on; 0 takes a free one."""
    workers: int = Field(1, ge=1, le=256)
    """Processes that answer requests, each with its own copy of the model."""
    model_dir: Path = Path("models/digits")
    """Folder of the bundle to serve."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; `auto` takes CUDA when it really works, `cuda` fails at start when it does not."""
    inference_threads: int = Field(1, ge=1, le=256)
    """Threads that compute one batch on the CPU, per worker."""
    max_batch_size: int = Field(64, ge=1, le=4096)
    """Images that the model answers at once, at most."""
    max_queue_size: int = Field(1024, ge=1, le=1_000_000)
    """Images that may wait for the model, or be in it; more are refused with 503."""
    request_timeout_s: float = Field(10.0, gt=0, le=3600)
    """Seconds that an upload may take to arrive (408 after them), to be decoded and to be answered (504)."""
    client_timeout_s: float = Field(10.0, gt=0, le=3600)
    """Seconds that a connection may stay silent, take to send the head of a request, or leave an answer unread."""
    max_connections: int = Field(1024, ge=1, le=1_000_000)
    """Connections at once, per worker; at that number the one that has been idle longest makes room for a new one."""
    max_bodies_bytes: int = Field(256_000_000, ge=1)
    """Bytes of all request bodies that are held at once, per worker, and as many of files and vectors that are being
    sent; what comes on top is refused with 503."""
    allowed_hosts: str = "auto"
    """Names without a port, with commas between, that requests may give as their Host, besides those of this machine
    (localhost, 127.0.0.1, [::1]); `*` allows any. `auto` allows any unless `host` is one of this machine's own."""
    api_keys_file: Path | None = None
    """File of API keys, one a line behind its name; read again when it changes. Without it everybody may ask, and what
    changes the index is refused unless only this machine's own programs can ask."""
    index: str = "index/{name}.sqlite"
    """Where users' images and labels are kept: an SQLite file, made when something is first written, or
    postgresql://… for several machines; {name} is the bundle's name."""
    index_max_items: int = Field(1_000_000, ge=1)
    """Users' images, and labels over the bundle's own, that the index may hold; more are refused with 507."""
    index_max_bytes: int = Field(20_000_000_000, ge=1)
    """Bytes that they may take; what comes on top is refused with 507."""
    hang_timeout_s: float = Field(30.0, gt=0, le=3600)
    """Seconds that a batch, or the event loop's turn, may take before the process ends, to be started again."""
    max_upload_bytes: int = Field(10_000_000, ge=1)
    """Largest request body, bytes."""
    max_image_pixels: int = Field(25_000_000, ge=1)
    """Largest image, width times height."""
    log_format: Literal["human", "json"] = "human"
    """How log lines are written: for people, or one JSON document a line."""

    @model_validator(mode="after")
    def _one_batch_fits_the_queue(self) -> Self:
        if self.max_queue_size < self.max_batch_size:
            raise ValueError(
                f"{PREFIX}MAX_QUEUE_SIZE ({self.max_queue_size}) is smaller than "
                f"{PREFIX}MAX_BATCH_SIZE ({self.max_batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _callers_are_answered_before_the_process_ends(self) -> Self:
        if self.hang_timeout_s < self.request_timeout_s:
            raise ValueError(
                f"{PREFIX}HANG_TIMEOUT_S ({self.hang_timeout_s:g}) is smaller than "
                f"{PREFIX}REQUEST_TIMEOUT_S ({self.request_timeout_s:g})"
            )
        return self

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: str) -> str:
        for name in map(str.strip, value.split(",")):
            if name != "*" and not HOST_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no host's name: write names alone, without a port, with commas between")
        return value

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names that requests may give as their Host, in lower case; None for any."""
        if self.allowed_hosts == "auto":
            return LOOPBACK if self.host in LOOPBACK else None
        names = frozenset(name.strip().lower() for name in self.allowed_hosts.split(","))
        return None if "*" in names else names | LOOPBACK

    @property
    def local(self) -> bool:
        """Whether only this machine's own programs can ask: it listens there alone, and no proxy's name is allowed."""
        return self.host in LOOPBACK and self.hosts is not None and self.hosts <= LOOPBACK


def mistaken_variables(environment: Iterable[str]) -> list[str]:
    """What is wrong with the names of variables: one line for each that looks like ours and names no setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    mistakes = []
    for name in sorted(environment):
        new = name.upper().replace(OLD_PREFIX, PREFIX, 1)
        if name.upper().startswith(OLD_PREFIX) and new in known:
            mistakes.append(f"{name}: this setting is called {new} now")
        elif name.upper().startswith(PREFIX) and name.upper() not in known:
            mistakes.append(f"{name}: there is no such setting")
    return mistakes
