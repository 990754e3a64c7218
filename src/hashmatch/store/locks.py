"""A lock between processes, held on a file: two never make the same index file at once."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hashmatch.store.trust import flags_of, why_not_trusted

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["file_lock"]

_PATIENCE: Final = 600.0
_STEP: Final = 0.02


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a file that is made where it is missing; given free when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The file; nothing is written to it, and it stays.
    wait : bool
        Whether to wait for another holder, ten minutes at most: it may be a process that was stopped.

    Yields
    ------
    bool
        Whether the lock is held; False where another holds it and ``wait`` is not set.

    Raises
    ------
    OSError
        If the file cannot be made, is a link, no regular file or another user's, or the wait was too long.

    Notes
    -----
    Where the system has no such lock everybody holds it: a file may then be made twice, and the later one stays.
    """
    descriptor = os.open(path, flags_of(os.O_CREAT | os.O_RDWR), 0o600)
    try:
        why = why_not_trusted(os.fstat(descriptor), path.parent)
        if why is not None:
            raise PermissionError(errno.EPERM, f"its lock {why}, remove it")
        held = True
        if fcntl is not None:
            held = _taken(descriptor, _PATIENCE if wait else 0.0)
            if wait and not held:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock and does not go on, end that one")
        try:
            yield held
        finally:
            if held and fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor, too
    finally:
        os.close(descriptor)


def _taken(descriptor: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(_STEP)
