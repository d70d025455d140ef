"""`python -m tests.faults`: every row of the fault table, against a service of this checkout or of another one.

Prints each figure with its bound; the last line is one JSON document. Exit code 1 when a row is not held. It takes
about six minutes; `--save after` keeps the figures and renews the tables in serving/README.md and README.md.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.faults import table
from tests.faults.disks import DISKS
from tests.faults.models import MODELS
from tests.faults.partition import PARTITION
from tests.faults.rows import Check, Conditions, LeftOut, Row
from tests.faults.service import Checkout, allow_many_connections
from tests.faults.stops import STOPS
from tests.faults.stores import STORES
from tests.faults.streams import STREAMS
from tests.faults.uploads import UPLOADS

ROWS: dict[str, Row] = UPLOADS | STREAMS | STOPS | MODELS | STORES | PARTITION | DISKS


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="folder whose code is served")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter that serves")
    parser.add_argument("--only", default="", help="rows whose title holds this text")
    parser.add_argument("--whole", action="store_true", help="overload for 60 s instead of 10 s")
    parser.add_argument("--save", choices=table.COLUMNS, help="keep the figures as this column of the tables")
    return parser.parse_args(arguments)


def measure(title: str, row: Row, conditions: Conditions) -> dict[str, Any] | None:
    """One row, printed; what goes wrong with the measuring itself is a row that is not held. None if it is left out."""
    started = time.monotonic()
    try:
        checks = row(conditions)
    except LeftOut as reason:
        print(f"LEFT OUT  {title}: {reason}", flush=True)
        return None
    except Exception as error:
        traceback.print_exc()
        checks = [Check(f"not measured: {error!r}"[:100], math.inf, 0)]
    held = all(check.held for check in checks)
    print(f"{'held    ' if held else 'NOT HELD'}  {title} ({time.monotonic() - started:.0f} s)")
    for check in checks:
        print(f"    {'  ' if check.held else '! '}{check.what}: {table.figure(check.value, check.unit)}, ", end="")
        print(f"at most {table.figure(check.bound, check.unit)}", flush=True)
    return {
        "title": title,
        "held": held,
        "checks": [
            {"what": one.what, "value": one.value if math.isfinite(one.value) else None, "bound": one.bound,
             "unit": one.unit, "held": one.held} for one in checks
        ],
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    chosen = options(arguments)
    allow_many_connections()
    checkout = Checkout(chosen.checkout.resolve(), str(chosen.python.absolute()))
    conditions = Conditions(checkout, chosen.whole)
    started, load = time.monotonic(), os.getloadavg()[0]
    asked = [measure(title, row, conditions) for title, row in ROWS.items() if chosen.only in title]
    rows = [row for row in asked if row is not None]
    document = {
        "commit": checkout.commit(),
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - started),
        "overload_s": 60 if chosen.whole else 10,
        "held": all(row["held"] for row in rows),
        "left_out": len(asked) - len(rows),
        "rows": rows,
    }
    if chosen.save:
        table.save(chosen.save, document)
    print(json.dumps(document))
    return 0 if document["held"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
