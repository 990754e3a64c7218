"""An earlier version of a list as a list of its own: `list_at`.

Floor: lists. The version is made in a copy, which is verified in full, so that what it answers is what the list would
have answered then, byte for byte.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from hashmatch.errors import HashmatchError, ReferenceListError
from hashmatch.lists.file.beside import SIDE_FILES, real_path, stands
from hashmatch.lists.file.past import go_back
from hashmatch.lists.file.schema import connect, leave_wal, translated_errors, use_no_journal
from hashmatch.lists.replacing import copy_list
from hashmatch.lists.session import Session

__all__ = ["list_at", "make_file", "remove_file"]


def list_at(session: Session, version: int, path: Path, *, timeout: float) -> None:
    """Write what a list was at a version into a new file.

    Parameters
    ----------
    session : Session
        Of the list.
    version : int
        The version.
    path : Path
        Where no file stands.
    timeout : float
        Seconds to wait for locks.

    Raises
    ------
    MissingVersionError
        If the version is not at hand; the error names those that are.
    ReferenceListError
        If the file cannot be made, or what is kept does not give the content that the version had. Nothing is left.
    """

    def fill(part: Path) -> None:
        with session.reading_apart() as source:
            copy_list(source, part, timeout)
        with translated_errors(), contextlib.closing(connect(part, writable=True, timeout=timeout)) as made:
            use_no_journal(made)
            made.execute("BEGIN EXCLUSIVE")
            go_back(made, version)
            made.execute("COMMIT")
            leave_wal(made)
        Session(part, writable=False, check="full", timeout=timeout).close()

    make_file(path, fill)


def make_file(path: Path, fill: Callable[[Path], None], what: str = "the list file") -> None:
    """Let a file come into being at once: it is filled under another name and gets its own when it is whole.

    Parameters
    ----------
    path : Path
        Where no file may stand.
    fill : callable
        Fills the empty file that it is given, and closes it.
    what : str
        What it is, for messages.

    Raises
    ------
    ReferenceListError
        If a file stands there, or the folder cannot be written; and what ``fill`` raises. Nothing is left behind then.
    """
    target = real_path(path)
    part = target.with_name(f".{target.name}.{os.urandom(6).hex()}.new")
    try:
        if os.path.lexists(target) or stands(target):
            raise FileExistsError
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        fill(part)
        descriptor = os.open(part, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(part, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            os.rename(part, target)
    except FileExistsError:
        raise ReferenceListError(f"a file is already at the path of {what}: choose another path") from None
    except (OSError, ValueError) as error:
        if isinstance(error, HashmatchError):
            raise
        raise ReferenceListError(
            f"{what} cannot be made: check that its folder exists and is writable, and the space on its disk"
        ) from None
    finally:
        remove_file(part)


def remove_file(path: Path) -> None:
    """Remove a list that served for a while, with what stands beside it."""
    for ending in ("", *SIDE_FILES, "-tie"):
        with contextlib.suppress(OSError, ValueError):
            os.unlink(f"{path}{ending}")
