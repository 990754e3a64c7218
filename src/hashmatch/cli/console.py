"""What all commands share: exit codes, consoles, error messages and labels; loads nothing of what commands do."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any, Final
from unicodedata import category

import typer
from rich.console import Console, ConsoleDimensions
from rich.text import Text

__all__ = [
    "ERRORS",
    "OUT",
    "WARNINGS",
    "Exit",
    "emit",
    "fail",
    "in_commands",
    "labels_from",
    "safe",
    "stopped_reading",
    "warn",
]


class Exit(IntEnum):
    """Exit codes, for scripts: like grep's, with one more for pictures that allow no answer."""

    FOUND = 0
    NONE = 1
    ERROR = 2
    UNDECIDED = 3
    INTERRUPTED = 130


class _Console(Console):
    """A console for people and programs: nothing is wrapped or cut but on a terminal.

    A reader that goes away is an error; Rich's own exit code would mean "none found".
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal; where there is none, so wide that every line and table fits."""
        # not is_terminal: that may be forced, for colours in a pipe
        return super().size if self.file.isatty() else ConsoleDimensions(_WIDEST, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def on_broken_pipe(self) -> None:
        """End quietly."""
        _drop_output()
        raise SystemExit(Exit.ERROR)


def _drop_output() -> None:
    # without this the interpreter complains once more when it flushes on its way out
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


OUT: Final = _Console()
"""Standard output: answers."""

ERRORS: Final = _Console(stderr=True)
"""Standard error: messages and progress."""

WARNINGS: Final = "hashmatch-warnings"
"""Name of the handler that shows what the library warns of."""

_WIDEST: Final = 2**20  # columns
_MARKS: Final = "\xad\u061c\u200c\u200d\u200e\u200f"  # soft hyphen, joiners and their like, marks of direction
_IN_COMMANDS: Final = (
    (r"a DecodePolicy with a (larger|smaller) max_(bytes|pixels)\b", r"a \1 --max-\2, or max_\2 in a policy file,"),
    (r"a DecodePolicy with a (larger|smaller) (max_\w+)", r"a policy file (--policy FILE.toml) with a \1 \2"),
    (r"a DecodePolicy with '?(\w+)'? among its formats", r"--formats with \1, or formats in a policy file,"),
    (r"open it with ReferenceList\.open, or choose", "use it as it is, or choose"),
    (r"ReferenceList\.create\b", "hashmatch list create LIST"),
    (r"force=True, --force,", "--force"),
    (r", or raise timeout=", ""),
)
"""What messages of the library say, as a pattern, and how the command line says it."""


def stopped_reading() -> typer.Exit:
    """End quietly, with the error code, after whoever read the output has gone away."""
    _drop_output()
    return typer.Exit(Exit.ERROR)


def emit(record: dict[str, Any]) -> None:
    """Write one JSON line to standard output.

    Raises
    ------
    typer.Exit
        With the error code, when whoever read the output has gone away.
    """
    try:
        OUT.file.write(json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n")
        OUT.file.flush()
    except BrokenPipeError:
        raise stopped_reading() from None


def safe(text: str) -> str:
    """Make text from outside fit for a terminal.

    Control characters, overrides of the direction, line ends, unpaired surrogates and what shows nothing become
    escapes; spaces of every script and the marks by which scripts join and order their letters stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in _MARKS or category(c) == "Zs"
        else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )


def in_commands(message: str, path: Path | None = None) -> str:
    """Say a message of the library, which names its classes and parameters, in commands and options.

    Commands that are named are of the list at the path, so that they can be copied.
    """
    for pattern, words in _IN_COMMANDS:
        message = re.sub(pattern, words, message)
    return message if path is None else message.replace(" LIST", f" {shlex.quote(str(path))}")


def fail(message: str) -> typer.Exit:
    """Print an error for people and return the exception that ends the command."""
    ERRORS.print(Text.assemble(("error: ", "bold red"), safe(in_commands(message))), soft_wrap=True)
    return typer.Exit(Exit.ERROR)


def warn(message: str) -> None:
    """Print a warning for people."""
    ERRORS.print(Text.assemble(("warning: ", "bold yellow"), safe(message)), soft_wrap=True)


def labels_from(pairs: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` options.

    Raises
    ------
    typer.BadParameter
        If one has no name or no ``=``, or a name comes twice.
    """
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"write NAME=VALUE, not {safe(pair[:40])!r}")
        if name in labels:
            raise typer.BadParameter(f"{safe(name[:40])!r} is given twice")
        labels[name] = value
    return labels
