"""The rest of this service under load: multipart, search and batches, each beside what it is judged by."""

import json
import subprocess
import sys
from pathlib import Path

from loadtest.compare import uploads
from loadtest.compare.peers import PEERS
from loadtest.compare.rounds import measure_pair
from loadtest.compare.rows import Row, ratio_row
from loadtest.compare.servers import Server
from loadtest.compare.settings import ROOT, CompareSettings, Load
from loadtest.compare.targets import Target, aim

MODEL = ROOT / "models" / "digits" / "model.onnx"
BARE = PEERS / "bare.py"
BATCH = 256
"""Images in a request to /predict/batch."""
BATCH_LOAD = Load("repeated", 2)
"""Enough to keep the service busy: one request is decoded while the other's answer travels."""
BATCH_REQUESTS = 40
"""Distinct ones."""


def under_load(server: Server, digits: list[bytes], folder: Path, settings: CompareSettings) -> list[Row]:
    """All rows that need load on the running service."""
    load = Load("repeated", settings.most)
    raw = aim("raw", server, [uploads.raw(png) for png in digits], folder)
    rows = []
    for title, target in others(server, digits, folder).items():
        pairs = [measure_pair(target, raw, load, number, settings) for number in range(settings.rounds)]
        rows.append(ratio_row(f"{title}, {settings.most} connections", pairs))
    return [*rows, batch_row(aim_at_batches(server, digits, folder), settings)]


def others(server: Server, digits: list[bytes], folder: Path) -> dict[str, Target]:
    """What is judged by `/predict` with the image as the body."""
    forms = [uploads.multipart(png) for png in digits]
    return {
        "multipart against raw": aim("multipart", server, forms, folder),
        "`/search` against `/predict`": aim("search", server, [uploads.raw(png) for png in digits], folder, "/search"),
    }


def aim_at_batches(server: Server, digits: list[bytes], folder: Path) -> Target:
    """Forms of 256 images each; no two forms are the same."""
    turned = [digits[start:] + digits[:start] for start in range(0, len(digits), len(digits) // BATCH_REQUESTS)]
    forms = [uploads.form("files", images[:BATCH]) for images in turned]
    return aim("batch", server, forms, folder, "/predict/batch")


def batch_row(target: Target, settings: CompareSettings) -> Row:
    """Images a second of `/predict/batch` as multiples of onnxruntime's alone."""
    title = f"`/predict/batch`, {BATCH} PNG files a request, images/s against bare onnxruntime"
    ratios = []
    for number in range(settings.rounds):
        bare = bare_rate(settings)
        sample = target.measure(BATCH_LOAD, settings)
        if sample.fault:
            return Row(title, "×", 2, (), sample.fault)
        ratios.append(round(sample.rate * BATCH / bare, 4))
        print(f"round {number + 1}, batches: {sample.rate * BATCH:,.0f} images/s, bare {bare:,.0f}", file=sys.stderr)
    return Row(title, "×", 2, tuple(ratios))


def bare_rate(settings: CompareSettings) -> float:
    """Images a second by onnxruntime alone on the servers' core, in batches of 64."""
    command = ["taskset", "-c", str(settings.server_core), str(settings.server_python), str(BARE), str(MODEL)]
    printed = subprocess.run([*command, str(settings.seconds)], capture_output=True, text=True, check=True).stdout
    return float(json.loads(printed)["images_per_second"])
