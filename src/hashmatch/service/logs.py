"""What the service says while it runs: one JSON object a line, for requests and for the library's own records.

Floor: service. A line holds no body, hash, query, token, address or name of a file. Who starts the service says where
the lines go; nothing here sets up logging.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from hashmatch.service.service import Handled

__all__ = ["ACCESS", "AccessLog", "JsonFormatter", "LineWriter"]

ACCESS: Final = "hashmatch.access"
"""Name of the logger of requests."""

_PATIENCE: Final = 1.0


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


class LineWriter(logging.Handler):
    """Writes records to a stream from a thread of its own, so that a reader that stops stops nothing else.

    Parameters
    ----------
    stream : text file
        Where lines go.
    most : int
        Records that are kept while the stream takes none; later ones are lost, and their number is told.
    """

    def __init__(self, stream: TextIO, most: int = 10_000) -> None:
        super().__init__()
        self._stream, self._lost = stream, 0
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._write, name="hashmatch-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                words = (logging.WARNING, __file__, 0, "%d lines were lost: nobody read them", (lost,), None)
                self._put(logging.LogRecord("hashmatch.service", *words))
            self._put(record)

    def _put(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._lost += 1  # nobody reads any more

    def close(self) -> None:
        """Write what is there, within a second."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_PATIENCE)
        self._thread.join(_PATIENCE)
        super().close()
