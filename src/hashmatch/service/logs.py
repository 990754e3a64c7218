"""What the service says while it runs: one JSON object a line, for requests and for the library's own records.

Floor: service. A line holds no body, hash, query, token, address or name of a file. Who starts the service says where
the lines go; nothing here sets up logging.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from hashmatch.service.service import Handled

__all__ = ["ACCESS", "AccessLog", "JsonFormatter"]

ACCESS: Final = "hashmatch.access"
"""Name of the logger of requests."""


class AccessLog:
    """Writes a line for every request, at the level ``INFO``; an observer of `Service`.

    A request that the service failed at (5xx) is a ``WARNING``.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(ACCESS)

    def __call__(self, handled: Handled) -> None:
        """Write the line of one request."""
        level = logging.WARNING if handled.status >= 500 else logging.INFO
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "request", extra={"handled": handled})


class JsonFormatter(logging.Formatter):
    """One JSON object a line, ASCII.

    Every line has ``time`` (UTC, ISO 8601, milliseconds), ``level``, ``logger`` and ``message``. That of a request has
    ``request_id``, ``method``, ``route``, ``caller``, ``status``, ``ms``, and, where the answer has them, ``code``,
    ``outcome`` and ``reason``. A record with an error has its type as ``error``: its text may quote what it was about.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        at = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        handled = getattr(record, "handled", None)
        if isinstance(handled, Handled):
            told |= {
                "request_id": handled.request_id,
                "method": handled.method,
                "route": handled.route,
                "caller": handled.caller,
                "status": handled.status,
                "ms": round(1000 * handled.seconds, 3),
            }
            more = {"code": handled.code, "outcome": handled.outcome, "reason": handled.reason}
            told |= {name: value for name, value in more.items() if value is not None}
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told, separators=(",", ":"))
