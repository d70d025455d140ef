"""How log lines look: for people or for programs, with the id of the request that they are about."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

REQUEST_ID = "request_id"
"""Attribute of a log record."""
MAX_DETAIL = 200
"""Characters of a failure's text in a log line."""
LINES_PER_S = 100
"""Failed requests that are logged in each second, at most."""
logger = logging.getLogger("serving")


class Human(logging.Formatter):
    """`LEVEL:    message (request id)`, as uvicorn's own lines begin."""

    def format(self, record: logging.LogRecord) -> str:
        own_id = getattr(record, REQUEST_ID, None)
        text = f"{record.levelname + ':':<10}{record.getMessage()}{f' (request {own_id})' if own_id else ''}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Json(logging.Formatter):
    """One JSON document a line: time (UTC, ISO 8601), level, logger, message, and what there is of id and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if own_id := getattr(record, REQUEST_ID, None):
            fields[REQUEST_ID] = own_id
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class ToStderr(logging.StreamHandler[TextIO]):
    """Survives that nothing can be written (a full disk, a reader that has gone), and tells how often it failed."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        if lost := self._lost:
            self._lost = 0
            text = f"writing the log had failed for {lost} lines"
            super().emit(logging.LogRecord(logger.name, logging.WARNING, __file__, 0, text, None, None))
            if self._lost:
                self._lost += lost  # the first of them is this record
                return
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called by `emit` in the exception's handler."""
        if isinstance(sys.exception(), OSError):
            self._lost += 1
        else:
            super().handleError(record)


class Bounded:
    """Logs at most `per_s` lines in each second, and says with the first one after them how many were left out."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._since = -1.0
        self._lines = 0

    def log(self, level: int, text: str, own_id: str | None = None, error: BaseException | None = None) -> None:
        """One line about request `own_id`, with the traceback of `error` below it."""
        now = self._clock()
        if now - self._since >= 1:
            if self._lines > self._per_s:
                logger.warning("%d more lines like these were not logged", self._lines - self._per_s)
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= self._per_s:
            logger.log(level, "%s", text, exc_info=error, extra={REQUEST_ID: own_id})


_FAILURES = Bounded(LINES_PER_S)


def log_failure(status: int, detail: str, own_id: str) -> None:
    """One line for a request that was answered with 4xx (INFO) or 5xx (WARNING), as long as there are not too many."""
    _FAILURES.log(logging.INFO if status < 500 else logging.WARNING, f"{status} {one_line(detail)}", own_id)


def one_line(text: str) -> str:
    """At most `MAX_DETAIL` characters, all printable: what a client sent must not look like lines of the log."""
    start = text[:MAX_DETAIL]
    if not start.isprintable():
        start = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in start)
    return start if len(text) <= MAX_DETAIL >= len(start) else f"{start[: MAX_DETAIL - 1]}…"


def start(log_format: Literal["human", "json"]) -> None:
    """Sends the lines of all loggers to stderr."""
    handler = ToStderr()
    handler.setFormatter(Json() if log_format == "json" else Human())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
