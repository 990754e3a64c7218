"""`AtomicFile`: files appear in an index folder whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

__all__ = ["AtomicFile"]


class AtomicFile:
    """A file that is written beside its path and renamed into place by `finish`.

    A context manager that returns the open stream. Leaving it before `finish`, also by an error, removes the unfinished
    part; the old file stays. The name of the part is that of the file with a dot before it (once) and 16 hex digits and
    ``.part`` behind it.

    Parameters
    ----------
    path : Path
        The final file.
    mode : int
        Permissions of the file, whatever the umask. Only the owner may read hashes and the files that decide how they
        are searched.

    Raises
    ------
    OSError
        If the file cannot be written; the old file, if any, is untouched.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self._path, self._mode = path, mode
        self.part = path.with_name(f".{path.name.removeprefix('.')}.{secrets.token_hex(8)}.part")
        self._undo = ExitStack()

    def __enter__(self) -> BinaryIO:
        with ExitStack() as undo:
            undo.callback(self._remove)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
            self._stream: BinaryIO = undo.enter_context(os.fdopen(os.open(self.part, flags, 0o600), "wb"))
            if self._mode != 0o600:
                os.chmod(self.part, self._mode)
            self._undo = undo.pop_all()
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self.part)

    def finish(self, *, read_only: bool = False, durable: bool = True) -> None:
        """Close the stream and rename the file into place.

        Parameters
        ----------
        read_only : bool
            Whether the file loses its write permission.
        durable : bool
            Whether the file and its name are flushed to disk first.
        """
        self._stream.flush()
        if read_only and os.name == "posix":
            os.fchmod(self._stream.fileno(), self._mode & 0o444)
        if durable:
            os.fsync(self._stream.fileno())
        self._stream.close()
        os.replace(self.part, self._path)
        self._undo.pop_all()
        if durable and os.name == "posix":
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
