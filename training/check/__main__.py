"""`python -m training.check --data photos/`: what is wrong with pictures and labels, before a training."""

import sys
from pathlib import Path

import tyro

from models.names import counted
from training.check.checks import check
from training.check.copies import THUMBNAIL
from training.check.page import write
from training.check.report import Report
from training.check.settings import CheckSettings
from training.data.collection import collect
from training.data.errors import DataError
from training.data.scan import prepared, scan

INTERRUPTED = 130


def run(settings: CheckSettings) -> Report:
    """Folder → report, page and JSON; raises DataError where there is no picture to check."""
    for folder in (settings.output, settings.cache):
        if settings.data.is_dir() and folder.resolve().is_relative_to(settings.data.resolve()):
            raise DataError(f"{folder}: lies in the folder of pictures, where nothing is written: give another one")
    collection = collect(settings.data, labels_needed=False)
    infos = scan(collection, settings.cache, [THUMBNAIL])
    (thumbnails,) = prepared(collection, infos, [THUMBNAIL], settings.cache)
    report = check(collection, infos, thumbnails, settings.cache)
    page = write(report, settings.output)
    tell(report, page)
    return report


def tell(report: Report, page: Path) -> None:
    """Says in a few lines on stderr what was found, warnings first."""
    counts = report.counts
    usable = f"{counts.good:,} of {counted(counts.files, 'file')} can be used"
    split = f"{counts.labelled:,} labels, {counts.unlabelled:,} unlabelled, {counts.held_out:,} held out"
    say(f"{report.source}: {usable}; {counted(len(report.classes), 'class', 'classes')}, {split}")
    for one in report.findings:
        say(f"{one.level}: {one.title}. {one.text} {one.advice}".rstrip())
    say(f"to see it: {page}")


def say(line: str) -> None:
    """Writes a line to stderr."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Returns the exit code: 0, with warnings too; 1 where no training is possible, after saying why; 130 at Ctrl-C."""
    settings = tyro.cli(CheckSettings, prog="python -m training.check")
    try:
        report = run(settings)
    except (DataError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; what was looked at is remembered")
        return INTERRUPTED
    return 1 if report.impossible else 0


if __name__ == "__main__":
    sys.exit(main())
