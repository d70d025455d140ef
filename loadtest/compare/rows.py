"""A row of the second table: one figure of this service, measured several times."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtest.compare.rounds import Pair


@dataclass(frozen=True)
class Row:
    """The figure's values and how to write them."""

    title: str
    unit: str
    digits: int
    """Decimals."""
    values: tuple[float, ...]
    fault: str = ""
    """Why there are no values."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with median and spread."""
        if not self.values:
            return asdict(self)
        spread = {"median": median(self.values), "lowest": min(self.values), "highest": max(self.values)}
        return {**asdict(self), **spread}


def ratio_row(title: str, pairs: list[Pair]) -> Row:
    """Requests a second as multiples of the pairs' reference."""
    faults = [pair.fault for pair in pairs if pair.fault is not None]
    ratios = tuple(round(pair.ratio, 4) for pair in pairs if pair.fault is None)
    return Row(title, "×", 2, ratios, faults[0] if faults else "")
