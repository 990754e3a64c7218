"""Ctrl-C between two steps, never in the middle of one: what was counted is what was shown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts", "ended_by_sigterm"]


class Interrupts:
    """Within the block Ctrl-C raises `KeyboardInterrupt` at once, but within `held` only at its end.

    Outside of the main thread, where Python delivers no signal, and where Ctrl-C is ignored, nothing changes.
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._is_held = False
        self._is_waiting = False

    def __enter__(self) -> Interrupts:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._arrived)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end before an interrupt counts."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_waiting:
            raise KeyboardInterrupt

    def _arrived(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._is_held:
            self._is_waiting = True
        else:
            raise KeyboardInterrupt


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Within the block SIGTERM raises `SystemExit` of 143, so that what was begun is taken away; else as before."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise SystemExit(128 + number)
