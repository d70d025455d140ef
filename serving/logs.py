"""How log lines look: for people or for programs, with the id of the request that they are about."""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

REQUEST_ID = "request_id"
"""Attribute of a log record."""


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


def start(log_format: Literal["human", "json"]) -> None:
    """Sends the lines of all loggers to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(Json() if log_format == "json" else Human())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
