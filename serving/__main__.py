"""Settings → server: `python -m serving --help`."""

import math
import os
import sys
from typing import Any

import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp

from models.manifest import BundleError
from serving import logs
from serving.app import create_app, load_bundle
from serving.http.front import Front
from serving.metrics import share_between_workers
from serving.sessions import ProviderError
from serving.settings import PREFIX, Settings, mistaken_variables

LIMITS_PER_REQUEST = 3
"""A request may take one timeout to arrive, one to be decoded and one to be answered."""
STOP_GRACE_S = 5
"""How much longer than that the server waits for its last requests when it stops."""


def read_settings(arguments: list[str]) -> Settings:
    """Command line over environment over defaults; exits with a message that names the variable."""
    mistakes = mistaken_variables(os.environ)
    try:
        settings = CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        mistakes += [describe(one["loc"], one["msg"], one["input"]) for one in error.errors()]
    if mistakes:
        sys.exit("\n".join([*mistakes, "`python -m serving --help` lists every setting"]))
    return settings


def describe(location: tuple[int | str, ...], message: str, given: object) -> str:
    """One mistake in one line."""
    if not location:
        return message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {message}, not {given!r}"


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT; what was accepted by then is answered."""
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "access_log": False,
        "log_config": None,  # one form for all lines: serving/logs.py
        "server_header": False,
        "proxy_headers": False,  # the client's address is not used
        "http": Front,
        "ws": "none",
        "timeout_graceful_shutdown": math.ceil(LIMITS_PER_REQUEST * settings.request_timeout_s) + STOP_GRACE_S,
    }
    # Loaded before the first worker, so that a bad bundle or provider is one clear message.
    model, index = load_bundle(settings)
    if settings.workers == 1:
        uvicorn.run(create_app(settings, model, index), **options)
        return
    os.environ.update(settings.environment())
    with share_between_workers():
        uvicorn.run("serving.app:create_app_from_environment", factory=True, workers=settings.workers, **options)


def main() -> None:
    """Exit code 1 with a message when it cannot start; once it runs, uvicorn ends by the signal it got."""
    settings = read_settings(sys.argv[1:])
    logs.start(settings.log_format)
    try:
        serve(settings)
    except (BundleError, ProviderError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
