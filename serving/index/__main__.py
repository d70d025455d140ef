"""Work on the whole index, beside a running service or without one: `python -m serving.index --help`."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from models.manifest import INDEX, BundleError, Manifest
from models.names import shown
from models.pictures.preparation import preparation
from serving.decoder import Decoder
from serving.errors import ServiceError
from serving.index import bulk, export
from serving.index.folder import FolderError, read_folder
from serving.index.group import Bounds
from serving.index.line import Line, Tally
from serving.index.memory import NeighborIndex
from serving.index.store import Store, open_store
from serving.model import OnnxModel, load_model
from serving.quiet import mute_c_libraries
from serving.sessions import ProviderError
from serving.settings import PREFIX, Settings, mistaken_variables

PLACE = ["index", "model_dir"]
MODEL = [*PLACE, "provider", "inference_threads", "max_batch_size", "max_image_pixels", "request_timeout_s"]
PUTTING = [*MODEL, "max_upload_bytes", "index_max_items", "index_max_bytes"]
"""Settings of the service that commands take."""
AGAIN = "run the same command again to go on"
NAME = "{name}"
"""Stands for the bundle's name in the index's address."""


def parsed(arguments: list[str]) -> tuple[argparse.Namespace, Settings]:
    """What is to be done, and the settings: options over environment over defaults. Exits where something is wrong."""
    parser = argparse.ArgumentParser("python -m serving.index", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _command(commands, "add", "put every picture below a folder into the index; its id is its path there", PUTTING)
    _command(commands, "export", "write all images and labels.csv into a new folder, as training reads them", PLACE)
    _command(commands, "backup", "copy an SQLite index into a new file", PLACE)
    _command(commands, "rebuild", "embed again, from the kept images, what another model has embedded", MODEL)
    add, out, copy = (commands.choices[name] for name in ("add", "export", "backup"))
    add.add_argument("folder", type=Path, metavar="DIR")
    add.add_argument(
        "--labels", choices=["auto", "folders", "none"], default="auto",
        help="auto: labels.csv at the root of DIR, or else the names of folders; default %(default)s",
    )  # fmt: skip
    out.add_argument("folder", type=Path, metavar="DIR", help="new, or empty")
    copy.add_argument("file", type=Path, metavar="FILE", help="new")
    chosen = parser.parse_args(arguments)
    given = {name: value for name, value in vars(chosen).items() if name in Settings.model_fields and value is not None}
    mistakes = mistaken_variables(os.environ)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        mistakes += [f"{PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()]
    if mistakes:
        parser.exit(1, "\n".join([*mistakes, ""]))
    return chosen, settings


def _command(commands: Any, name: str, text: str, settings: list[str]) -> None:
    """A subcommand with some of the service's settings as options."""
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    options = command.add_argument_group("settings", f"each also as a variable: --index is {PREFIX}INDEX")
    for setting in settings:
        field = Settings.model_fields[setting]
        told = " ".join((field.description or "").split()).replace("%", "%%")
        options.add_argument(f"--{setting.replace('_', '-')}", metavar="VALUE", help=f"{told} Default {field.default}")


def opened(settings: Settings) -> Store:
    """The store that is set; raises StoreFailure, and BundleError where its address has a bundle's name."""
    address = settings.index
    if NAME in address:
        address = address.replace(NAME, Manifest.load(settings.model_dir).name)
    return open_store(address, Bounds(settings.index_max_items, settings.index_max_bytes))


def add(chosen: argparse.Namespace, settings: Settings, store: Store) -> int:
    """See `bulk.add`."""
    folder = read_folder(chosen.folder, chosen.labels)
    for problem in folder.problems:
        print(problem, file=sys.stderr)
    model = loaded(settings)
    bundled = frozenset(NeighborIndex.load(settings.model_dir / INDEX, model.dim, model.class_names).ids)
    size = settings.max_upload_bytes
    return embedding(
        settings,
        store,
        model,
        len(folder.files),
        lambda line, tally: bulk.add(line, folder.files, bundled, size, tally),
    )


def rebuild(_: argparse.Namespace, settings: Settings, store: Store) -> int:
    """See `bulk.rebuild`."""
    return embedding(settings, store, loaded(settings), None, bulk.rebuild)


def loaded(settings: Settings) -> OnnxModel:
    """The bundle's model; raises BundleError or ProviderError."""
    model = load_model(settings.model_dir, settings.provider, settings.inference_threads, settings.max_batch_size)
    preparation(model.input)
    return model


def embedding(
    settings: Settings,
    store: Store,
    model: OnnxModel,
    total: int | None,
    work: Callable[[Line, Tally], Coroutine[Any, Any, None]],
) -> int:
    """Does `work` with a progress bar; the exit code says whether there were bad files."""
    processes = os.cpu_count() or 1

    async def run(tally: Tally) -> None:
        decoder = Decoder(model.input, settings.max_image_pixels, settings.request_timeout_s, processes)
        decoder.start()
        try:
            await work(Line(store, model, decoder, processes, settings.max_batch_size), tally)
        finally:
            await decoder.stop()

    with tqdm(total=total, unit=" images", mininterval=0.5, disable=None) as bar:
        tally = Tally(bar.update, lambda own_id, reason: bar.write(f"{shown(own_id)}: {reason}", file=sys.stderr))
        try:
            asyncio.run(run(tally))
        except BaseException:
            bar.close()
            if tally.counts:
                print(f"{outcomes(tally)}; {AGAIN}", file=sys.stderr)
            raise
    print(outcomes(tally) or "nothing to do")
    return int(bool(tally.bad_ids))


def outcomes(tally: Tally) -> str:
    """`3 added, 1 bad`."""
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(tally.counts.items()))


def export_all(chosen: argparse.Namespace, _: Settings, store: Store) -> int:
    """See `export.export`."""
    with tqdm(total=store.totals().items, unit=" items", mininterval=0.5, disable=None) as bar:
        done = export.export(store, chosen.folder, bar.update, lambda line: bar.write(line, file=sys.stderr))
    print(f"{done.images:,} images, {done.labels:,} of them labelled, in {shown(chosen.folder)}")
    if done.bundled:
        print(f"{done.bundled:,} labels of the bundle's own images have no file here, and are not written")
    return 0


def backup(chosen: argparse.Namespace, _: Settings, store: Store) -> int:
    """See `Store.backup`."""
    items = store.totals().items
    store.backup(chosen.file)
    print(f"{items:,} items in {shown(chosen.file)}")
    return 0


COMMANDS = {"add": add, "export": export_all, "backup": backup, "rebuild": rebuild}


def main(arguments: list[str]) -> int:
    """Exit code 1 with a message where not everything could be done."""
    chosen, settings = parsed(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    mute_c_libraries()
    try:
        with closing(opened(settings)) as store:
            return COMMANDS[chosen.command](chosen, settings, store)
    except (BundleError, ProviderError, FolderError, ServiceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
