"""What can be set of a check; the command line derives from these fields and their docstrings."""

from dataclasses import dataclass
from pathlib import Path

from training.data.scan import CACHE


@dataclass(frozen=True)
class CheckSettings:
    """Looks at pictures and labels before a training: what cannot be read, copies, contradictions, labels that leak.

    Writes a page to open in a browser, and the same as JSON. Changes nothing in the folder of pictures.
    """

    data: Path
    """Folder of pictures, a zip of one, or a table of labels (.csv) among them."""
    output: Path = Path("runs/check")
    """Folder that receives index.html and report.json."""
    cache: Path = CACHE
    """Folder for what is known of files and their pixels, so that a second run starts at once."""
