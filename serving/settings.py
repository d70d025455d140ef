"""Everything that can be set, in one place."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "DIGITS_"


class Settings(BaseSettings):
    """Answers uploaded images with digit predictions, embeddings and similar images.

    Each option can also be set as an environment variable: --port is DIGITS_PORT. Options win.
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
    """Images that may wait for the model; more are refused with 503."""
    request_timeout_s: float = Field(10.0, gt=0, le=3600)
    """Seconds that an upload may take to arrive (408 after them), to be decoded and to be answered (504)."""
    max_upload_bytes: int = Field(10_000_000, ge=1)
    """Largest request body, bytes."""
    max_image_pixels: int = Field(25_000_000, ge=784)
    """Largest image, width times height."""

    @model_validator(mode="after")
    def _one_batch_fits_the_queue(self) -> Self:
        if self.max_queue_size < self.max_batch_size:
            raise ValueError(
                f"{PREFIX}MAX_QUEUE_SIZE ({self.max_queue_size}) is smaller than "
                f"{PREFIX}MAX_BATCH_SIZE ({self.max_batch_size})"
            )
        return self

    def environment(self) -> dict[str, str]:
        """The variables that make a child process read these same settings."""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in self}


def unknown_variables(environment: dict[str, str]) -> list[str]:
    """Variables with our prefix that name no setting: a typing mistake, most likely."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
