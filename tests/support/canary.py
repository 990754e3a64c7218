"""Whether a hash, or a name that a delivery holds, gets into an error, a log record or a command's standard error.

Every hash that a test makes is remembered by its first eight bytes, and everything that is said is searched for runs of
hexadecimal digits and base64 that begin with one. Names in made-up deliveries that nobody may see hold the word `NAME`.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from hashmatch.errors import HashmatchError
from hashmatch.hashes import HashValue

__all__ = ["OF_THE_RUN", "Canary"]

NAME: Final = "Canary"
"""What a name in a made-up delivery holds that must never be shown."""

_HEAD: Final = 8
_MOST: Final = 1_000_000
_HEX: Final = re.compile("[0-9a-fA-F]{16,}")
_BASE64: Final = re.compile("[A-Za-z0-9+/]{22,}")


class Canary(logging.Handler):
    """Listens to a whole test run."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: set[bytes] = set()
        self.leaks: list[str] = []

    def install(self) -> None:
        """Begin to listen in this process."""
        made, raised, invoke = HashValue.__post_init__, HashmatchError.__init__, CliRunner.invoke
        heads = self.heads

        def note_hash(value: HashValue) -> None:
            made(value)
            if len(heads) < _MOST and len(set(value.data)) > 4:
                heads.add(value.data[:_HEAD])

        def note_error(error: HashmatchError, *args: Any, **words: Any) -> None:
            raised(error, *args, **words)
            self.check(type(error).__name__, " ".join(map(str, args)))

        def note_command(runner: CliRunner, *args: Any, **words: Any) -> Any:
            result = invoke(runner, *args, **words)
            self.check("standard error of a command", result.stderr)
            return result

        HashValue.__post_init__ = note_hash  # type: ignore[method-assign]
        HashmatchError.__init__ = note_error  # type: ignore[method-assign]
        CliRunner.invoke = note_command  # type: ignore[method-assign]
        logging.getLogger("hashmatch").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record."""
        self.check("a log record", record.getMessage())

    def check(self, where: str, text: str) -> None:
        """Note a leak, without what leaked."""
        if NAME in text:
            self.leaks.append(f"{where} shows a name of a delivery")
        if any(bytes.fromhex(run[0][: 2 * _HEAD]) in self.heads for run in _HEX.finditer(text)) or any(
            self._is_base64(run[0]) for run in _BASE64.finditer(text)
        ):
            self.leaks.append(f"{where} shows a hash")

    def _is_base64(self, text: str) -> bool:
        try:
            return base64.b64decode(text[:12])[:_HEAD] in self.heads
        except binascii.Error:
            return False

    def drain(self) -> None:
        """Fail the test that is running if anything leaked in it."""
        leaks, self.leaks = self.leaks, []
        if leaks:
            pytest.fail("; ".join(dict.fromkeys(leaks)))


OF_THE_RUN: Final = Canary()
"""The one that listens to this run."""
