"""How fast a real service and the command write, and what neighbours are worth: `python -m tests.reports.writes`.

Single writes: PUT of one digit after another by 64 connections, each answered when it is durable and found; clients are
a process of their own. Bulk: `python -m serving.index add` of the 60,000 training digits as PNG files, from its start
to its end. Neighbours: of the 10,000 test digits, the share of the 10 nearest among the bundle's own 10,000 images that
have the same label. The last line is JSON. Needs data/ (`make train-export` fetches it).
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.manifest import INDEX
from models.pictures.png import as_png
from serving.index.memory import NeighborIndex, Query
from serving.index.store import open_store
from serving.model import load_model
from tests.conftest import BUNDLE, ROOT
from tests.faults.service import Checkout
from tests.faults.stores import item, postgres_store, sqlite_store
from tests.servers import clean_environment

CLIENTS = 64
SECONDS = 5
K = 10
Figures = dict[str, float]


def data() -> tuple[tuple[NDArray[np.uint8], list[str]], tuple[NDArray[np.uint8], list[str]]]:
    """Training and test digits, (n, 28, 28), and their labels."""
    from training.data.mnist import load

    train, test = (
        (one.images[:, 0].numpy(), [one.class_names[label] for label in one.labels.tolist()])
        for one in load(ROOT / "data")
    )
    return train, test


def single(checkout: Checkout, address: str) -> Figures:
    """Durable writes a second over HTTP."""
    with checkout.serving(index=address) as service:
        command = [sys.executable, "-m", "tests.reports.writes", "--client", *map(str, service.address())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        with closing(open_store(address)) as store:
            assert store.totals().items == int(done)
    return {"single_writes_s": round(int(done) / SECONDS)}


async def write_for_a_while(host: str, port: int) -> int:
    """How many writes were acknowledged; each connection puts one digit after another."""
    with np.load(ROOT / "examples" / "digits.npz") as arrays:
        images = [as_png(image) for image in arrays["images"]]
    until = time.perf_counter() + SECONDS

    async def client(number: int) -> int:
        reader, writer = await asyncio.open_connection(host, port)
        written = 0
        while time.perf_counter() < until:
            writer.write(item("PUT", f"{number}/{written}.png", images[(number * 97 + written) % len(images)]))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201"), head
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            written += 1
        writer.close()
        return written

    return sum(await asyncio.gather(*map(client, range(CLIENTS))))


def bulk(checkout: Checkout, address: str, folder: Path, count: int) -> Figures:
    """Images a second that the command adds, and that it skips when it is run again."""
    command = [checkout.python, "-m", "serving.index", "add", str(folder), "--index", address]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(command, cwd=checkout.folder, env=clean_environment(), check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    with closing(open_store(address)) as store:
        assert store.totals().items == count
    return {"bulk_images_s": round(count / seconds[0]), "bulk_skipped_s": round(count / seconds[1])}


def neighbours(images: NDArray[np.uint8], labels: list[str]) -> Figures:
    """Share of the neighbours of test digits with the digit's label, and of the digits with such neighbours alone."""
    model = load_model(BUNDLE, "auto", 1, 256)
    index = NeighborIndex.load(BUNDLE / INDEX, model.dim, model.class_names)
    same = []
    for first in range(0, len(images), 256):
        queries = [Query(one.embedding, K) for one in model.run_batch(images[first : first + 256, None])]
        found = index.search(queries)
        same += [
            [one["label"] == label for one in near]
            for near, label in zip(found, labels[first : first + 256], strict=True)
        ]
    rows = np.array(same)
    return {"queries": len(rows), "same_label": float(rows.mean()), "all_ten_same": float(rows.all(axis=1).mean())}


def main() -> None:
    """Everything, as one JSON document."""
    parser = argparse.ArgumentParser("python -m tests.reports.writes", description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter that serves")
    parser.add_argument("--client", nargs=2, metavar=("HOST", "PORT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        print(asyncio.run(write_for_a_while(chosen.client[0], int(chosen.client[1]))))
        return
    checkout = Checkout(ROOT, str(chosen.python.absolute()))
    (images, labels), test = data()
    figures: dict[str, Figures] = {"neighbours": neighbours(*test)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label in set(labels):
            (folder / label).mkdir()
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            (folder / label / f"{number:05}.png").write_bytes(as_png(image))
        for kind, new in (("sqlite", sqlite_store), ("postgres", postgres_store)):
            with new() as address:
                figures[kind] = single(checkout, address)
            with new() as address:
                figures[kind] |= bulk(checkout, address, folder, len(images))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
