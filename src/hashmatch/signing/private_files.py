"""Files that hold secrets: made for their owner alone, and read only while nobody else can read them.

Floor: signing.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from hashmatch.errors import SignatureError

__all__ = ["read_private_file", "read_text_file", "write_private_file"]

_MOST: Final = 1 << 20


def write_private_file(path: str | os.PathLike[str], text: str) -> None:
    """Make a file that only its owner can read, flushed to the disk.

    Parameters
    ----------
    path : path
        Where nothing stands yet: a key is never written over.
    text : str
        Content.

    Raises
    ------
    SignatureError
        If something stands there, or the folder cannot be written.
    """
    target = Path(path)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SignatureError("a file of that name exists: a key is never written over", reason="exists") from None
    except (OSError, ValueError):
        raise SignatureError("the key file cannot be made: check its folder", reason="no-file") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        with contextlib.suppress(OSError):
            target.unlink()
        if isinstance(error, OSError):
            raise SignatureError("the key file cannot be written: check the disk's space", reason="no-file") from None
        raise


def read_private_file(path: str | os.PathLike[str]) -> str:
    """Read a file of secrets.

    Parameters
    ----------
    path : path
        A file that nobody but its owner may read or write, owned by the caller or by root; or a pipe.

    Raises
    ------
    SignatureError
        If others may read or change the file, if it is larger than 1 MiB, or cannot be read.
    """
    return _read(path, private=True)


def read_text_file(path: str | os.PathLike[str]) -> str:
    """Read a small text file that is no secret, such as one of verifier keys; errors as `read_private_file`."""
    return _read(path, private=False)


def _read(path: str | os.PathLike[str], *, private: bool) -> str:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            if private and stat.S_ISREG(found.st_mode) and os.name == "posix":
                if found.st_mode & 0o077:
                    raise SignatureError(
                        "others can read or change the key file: 'chmod 600' it, and make a new key if others could",
                        reason="open-to-others",
                    )
                if found.st_uid not in (os.geteuid(), 0):
                    raise SignatureError("the key file belongs to another user", reason="open-to-others")
            data = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError("the key file cannot be read: check its path and permissions", reason="no-file") from None
    try:
        if len(data) > _MOST:
            raise ValueError
        return data.decode()
    except ValueError:
        raise SignatureError("the file holds no keys", reason="bad-key") from None
