"""What an argument of a command names: a hash, a file, a pipe, or standard input."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

from hashmatch.algorithms import ALGORITHMS
from hashmatch.cli.console import fail, in_commands, warn
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.hashes import HashValue
from hashmatch.lists import ReferenceList

__all__ = [
    "STDIN",
    "check_list",
    "check_once",
    "hash_from",
    "named",
    "open_list",
    "opened",
    "standard_input",
    "warn_of_hashlike",
]

STDIN: Final = "-"
"""Names standard input; a file of that name is ``./-``."""

_HASHLIKE: Final = re.compile(r"(?:[\w-]{1,20}:)?[0-9a-fA-F]{16,}")


def hash_from(text: str) -> HashValue | None:
    """Read a hash where the text is one: no file is there, and it begins with the name of an algorithm and a colon.

    Returns
    -------
    HashValue or None
        None where the text names a file, also one that is not there.

    Raises
    ------
    typer.Exit
        If it begins so and is neither a file nor a hash.
    """
    name, colon, _ = text.partition(":")
    # not Path.exists: that raises where the name is too long, as a PhotoDNA hash is, or a folder may not be read
    if not colon or name.strip().lower() not in ALGORITHMS or os.path.lexists(text):
        return None
    try:
        return HashValue.parse(text)
    except HashFormatError as error:
        raise fail(f"neither a file nor a hash: {error}") from error


def warn_of_hashlike(text: str) -> None:
    """Say of a file that is not there, and whose name looks like a hash, how a hash is written."""
    if _HASHLIKE.fullmatch(text.strip()):
        warn(f"if this is a hash, write ALGORITHM:HEX with one of: {', '.join(ALGORITHMS)}")


def check_once(sources: Iterable[str]) -> None:
    """Refuse standard input where it is named twice: it can be read once."""
    if sum(text == STDIN for text in sources) > 1:
        raise fail(f"{STDIN} is standard input, which can be read only once: name it once")


def standard_input() -> BinaryIO:
    """Give the bytes of standard input; an error where it is closed."""
    if sys.stdin is None:
        raise fail(f"{STDIN} is standard input, and that is closed")
    return sys.stdin.buffer


@contextmanager
def opened(text: str) -> Iterator[str | BinaryIO]:
    """Give what is to be read as a picture: a stream for standard input and pipes, else the path itself.

    A pipe that a person names, as a shell does with ``<(...)``, is waited for; a scan never opens one.
    """
    if text == STDIN:
        yield standard_input()
    elif _is_pipe(text):
        try:
            stream = Path(text).open("rb")  # noqa: SIM115 - only opening may fail here, not what is done with it
        except OSError:
            yield text  # the reader says why
            return
        with stream:
            yield stream
    else:
        yield text


@contextmanager
def open_list(
    path: Path, *, writable: bool = False, check: Literal["none", "pages", "full"] = "pages"
) -> Iterator[ReferenceList]:
    """Open a list; an error of it, then or while it is used, names the path, since several lists may be given."""
    check_list(path)
    with named(path), ReferenceList.open(path, writable=writable, check=check) as ref:
        yield ref


@contextmanager
def named(path: Path, *others: Path) -> Iterator[None]:
    """End the command where something is wrong with a list, or with one of several things, and name them."""
    try:
        yield
    except ReferenceListError as error:
        what = ", ".join(map(str, (path, *others)))
        raise fail(f"{what}: {in_commands(str(error), path)}") from error


def check_list(path: Path) -> None:
    """Refuse a list on standard input or in a pipe."""
    if (str(path) == STDIN and not path.exists()) or _is_pipe(str(path)):
        raise fail(
            f"{path}: a list cannot come through a pipe, because it is read at any place and more than once: write it "
            "to a file and name that"
        )


def _is_pipe(text: str) -> bool:
    """Whether a pipe is at this path."""
    try:
        return stat.S_ISFIFO(os.stat(text).st_mode)
    except (OSError, ValueError):
        return False
