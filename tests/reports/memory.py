"""How much memory the service takes for large pictures: `python -m tests.reports.memory`.

1,000 coloured pictures of 12 megapixels, JPEG and PNG in turn, 8 at a time, beside the fault table's probe. Memory is
that of all processes together: pages that they share count once for each, the system's page cache does not.
"""

import argparse
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT
from tests.faults.files import photo
from tests.faults.rows import beside_a_probe
from tests.faults.service import Address, Checkout, ask, post
from tests.pictures.uploads import encoded

PICTURES, AT_ONCE = 1000, 8


def answered(address: Address) -> int:
    """How many pictures get 200."""
    coloured = Image.open(io.BytesIO(photo())).convert("RGB")
    requests = [post(encoded(coloured, form)) for form in ("JPEG", "PNG")]
    with ThreadPoolExecutor(AT_ONCE) as clients:
        return sum(status == 200 for status, _ in clients.map(partial(ask, address), requests * (PICTURES // 2)))


def main() -> None:
    """A line for one worker, and one for two."""
    parser = argparse.ArgumentParser("python -m tests.reports.memory", description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter that serves")
    checkout = Checkout(ROOT, str(parser.parse_args().python.absolute()))
    for workers in (1, 2):
        with checkout.serving(workers=workers) as service:
            seen = beside_a_probe(service, answered)
        figures = f"{seen.base_mb:.0f} MB before, at most {seen.peak_mb:.0f} MB"
        print(f"workers {workers}: {figures}; {seen.result:,} of {PICTURES:,} pictures answered", flush=True)


if __name__ == "__main__":
    main()
