"""What of an index folder is believed: regular files of users that are trusted, which nobody else may write.

Whoever can write an index file decides what matches. Trusted are this user, root, and of a folder its owner, who must
be one of the two or the owner of the list itself: whoever owns the list decides what matches anyway.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from hashmatch.errors import IndexFormatError, ReferenceListError

__all__ = ["check_folder", "flags_of", "open_trusted", "why_not_trusted"]

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_POSIX: Final = os.name == "posix"


def flags_of(flags: int) -> int:
    """Add what keeps an opening from following a link or waiting for a FIFO."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return flags


def why_not_trusted(status: os.stat_result, folder: Path) -> str | None:
    """Say why a file of a folder is not believed; None where it is."""
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if not _POSIX:
        return None
    if status.st_uid not in (os.geteuid(), 0, os.stat(folder).st_uid):
        return f"belongs to another user (uid {status.st_uid})"
    return "may be written by other users" if status.st_mode & _OTHERS else None


def open_trusted(path: Path) -> BinaryIO:
    """Open a file of an index folder for reading.

    Raises
    ------
    FileNotFoundError
        If there is none.
    IndexFormatError
        If it is a link or no regular file, belongs to a user that is not trusted, or may be written by others.
    OSError
        If it cannot be opened.
    """
    if path.is_symlink():
        raise IndexFormatError("the index file is a link; remove it, and rebuild it from the list")
    descriptor = os.open(path, flags_of(os.O_RDONLY))
    stream = os.fdopen(descriptor, "rb")
    why = why_not_trusted(os.fstat(descriptor), path.parent)
    if why is not None:
        stream.close()
        raise IndexFormatError(f"the index file {why}; remove it, and rebuild it from the list")
    return stream


def check_folder(folder: Path, reference: Path) -> None:
    """Check that an index folder is of this user, of root or of the list's owner, and that nobody else may write it.

    Raises
    ------
    ReferenceListError
        If it is not; says what to do.
    OSError
        If it cannot be looked at.
    """
    status = os.stat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise ReferenceListError("the index folder is no folder; name an existing one")
    if not _POSIX:
        return
    owners = {os.geteuid(), 0, os.stat(reference).st_uid}
    for found in (status, os.lstat(folder)):
        if found.st_uid not in owners:
            raise ReferenceListError(
                f"the index folder belongs to another user (uid {found.st_uid}), who is neither root nor the owner of"
                " the list: use a folder of your own, or let the owner of the list make it"
            )
    if status.st_mode & _OTHERS:
        raise ReferenceListError(
            "other users may write to the index folder, and so decide what matches: take that right away (chmod go-w)"
        )
