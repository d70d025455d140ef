"""Settings → server: `python -m serving --help`."""

import os
import sys
from functools import partial

from pydantic import ValidationError
from pydantic_settings import CliApp

from models.manifest import BundleError
from serving import logs
from serving.app import create_app, load_bundle, run_worker, store_of
from serving.errors import StoreFailure
from serving.http import server
from serving.http.keys import Keys, KeysError
from serving.metrics import share_between_workers
from serving.sessions import ProviderError
from serving.settings import PREFIX, Settings, mistaken_variables
from serving.workers import StartupFailure, Workers


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
    listener = server.bind(settings.host, settings.port)
    # Loaded before the first worker, so that what is wrong with bundle, provider, keys or index is one clear message.
    model, index = load_bundle(settings)
    store_of(settings, model)
    if settings.workers == 1:
        server.serve(create_app(settings, model, index), settings, listener)
        return
    if settings.api_keys_file:
        Keys(settings.api_keys_file)
    del model, index
    with share_between_workers():
        Workers(partial(run_worker, settings), listener, settings.workers, 2 * server.stop_timeout_s(settings)).run()


def main() -> None:
    """Exit code 1 with a message when it cannot start; once it runs, uvicorn ends by the signal it got."""
    settings = read_settings(sys.argv[1:])
    logs.start(settings.log_format)
    try:
        serve(settings)
    except (
        BundleError, ProviderError, KeysError, StoreFailure, server.CannotListen, StartupFailure, OSError,
    ) as error:  # fmt: skip
        sys.exit(str(error))


if __name__ == "__main__":
    main()
