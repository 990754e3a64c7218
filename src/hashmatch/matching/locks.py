"""A lock between processes, held on a file: two never make the same index file at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["file_lock"]


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a file that is made where it is missing; given free when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The file; nothing is written to it, and it stays.
    wait : bool
        Whether to wait for another holder.

    Yields
    ------
    bool
        Whether the lock is held; False where another holds it and ``wait`` is not set.

    Raises
    ------
    OSError
        If the file cannot be made.

    Notes
    -----
    Where the system has no such lock everybody holds it: a file may then be made twice, and the later one stays.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        held = True
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                held = False
        yield held
    finally:
        os.close(descriptor)
