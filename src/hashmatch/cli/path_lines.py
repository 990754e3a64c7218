"""Paths that another program hands over, one JSON value a line, and the answers, one JSON object a line."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from hashmatch.cli.console import emit
from hashmatch.scan import ScanItem

__all__ = ["PathLines"]

_LONGEST: Final = 2**20
_AHEAD: Final = 1_024


class PathLines:
    """Lines of standard input; every line is answered by one line, in order.

    A line is read in a thread of its own, so that what is under way can be answered while no line comes.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self.n_refused = 0
        self._stream = sys.stdin.buffer if stream is None else stream
        self._lines: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._open: deque[dict[str, Any] | str] = deque()
        self._thread = threading.Thread(target=self._read, name="hashmatch-lines", daemon=True)

    def __enter__(self) -> PathLines:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refuse()

    def _read(self) -> None:
        while line := self._stream.readline(_LONGEST + 1):
            self._lines.put(line)
            while len(line) > _LONGEST and not line.endswith(b"\n"):  # the rest of what is refused
                line = self._stream.readline(_LONGEST + 1)
        self._lines.put(None)

    def __iter__(self) -> Iterator[Path | None]:
        """Give the paths; None where the next line may be long in coming."""
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                yield None
                self._refuse()
                line = self._lines.get()
            if line is None:
                return
            if not line.strip():
                continue
            found = _record(line)
            self._open.append(found)
            if isinstance(found, dict):
                yield Path(found["path"])

    def answer(self, item: ScanItem) -> None:
        """Write the answer of the next path, and before it those of lines that named none."""
        self._refuse()
        record = self._open.popleft()
        more = record if isinstance(record, dict) else {}
        emit(more | {"source": str(item.path), "known": item.known} | item.report.to_dict())
        self._refuse()

    def _refuse(self) -> None:
        while self._open and isinstance(self._open[0], str):
            self.n_refused += 1
            emit({"error": self._open.popleft()})


def _record(line: bytes) -> dict[str, Any] | str:
    """Read a line; what is wrong with it if it names no path."""
    if len(line) > _LONGEST:
        return f"the line is longer than {_LONGEST} bytes"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "the line is no JSON"
    if isinstance(found, str):
        found = {"path": found}
    if not isinstance(found, dict) or not isinstance(found.get("path"), str):
        return 'the line is neither a string nor an object with a string as "path"'
    if not found["path"] or "\0" in found["path"]:
        return "the path is empty or has U+0000 in it"
    try:
        found["path"].encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    except UnicodeEncodeError:
        return "the path has characters that no path of this system can have"
    return found
