"""What is taken away from an index folder: what ended makers left, and on demand files that nobody uses."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, Final

from hashmatch.store.locks import file_lock
from hashmatch.store.trust import flags_of, why_not_trusted

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["remove_unused", "sweep"]

_PART: Final = re.compile(r"\.(?P<file>.+?)(?:\.checked)?\.[0-9a-f]{16}\.part")
_NOTE: Final = re.compile(r"\.(?P<file>.+)\.checked")


def sweep(folder: Path, list_id: str) -> None:
    """Take away parts of a list's files whose maker has ended, and notes of files that are gone; of any name.

    A maker holds the lock of the index file that it makes, so a part whose lock is free is nobody's. What cannot be
    taken away stays.
    """
    with contextlib.suppress(OSError):
        for found in list(folder.glob(f".{list_id}.*")):
            part, note = _PART.fullmatch(found.name), _NOTE.fullmatch(found.name)
            if part is not None:
                _remove_unlocked(found, folder / part["file"])
            elif note is not None and not (folder / note["file"]).exists():
                _remove(found)


def _remove_unlocked(part: Path, file: Path) -> None:
    index = file.name.rsplit(".", 2)[0] + ".index" if file.suffix == ".crops" else file.name
    lock = file.with_name(f".{index}.lock")
    if not lock.exists():
        _remove(part)
        return
    with contextlib.suppress(OSError), file_lock(lock, wait=False) as held:
        if held:
            _remove(part)


def remove_unused(folder: Path, list_id: str, wanted: Set[Path]) -> Iterator[Path]:
    """Remove the index files of a list that no process has mapped, but those that are wanted and what belongs to them.

    Parameters
    ----------
    folder : Path
        The index folder.
    list_id : str
        The list.
    wanted : set of Path
        Index files that stay.

    Yields
    ------
    Path
        Each file that was removed: of other radii or former names, or of another copy of the list.

    Notes
    -----
    Whoever maps a file holds a shared lock on it (`HeldFile`). Where the system has none nothing is removed.
    """
    stems = tuple(f"{path.stem}." for path in wanted)
    for found in sorted(folder.glob(f"{list_id}.*")):
        belongs = found in wanted or (found.suffix == ".crops" and found.name.startswith(stems))
        if found.suffix not in {".index", ".crops"} or belongs or not _is_unused(found):
            continue
        if _remove(found):
            yield found
    sweep(folder, list_id)


def _is_unused(file: Path) -> bool:
    if fcntl is None:
        return False
    with contextlib.suppress(OSError):
        descriptor = os.open(file, flags_of(os.O_RDONLY))
        try:
            if why_not_trusted(os.fstat(descriptor), file.parent) is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        finally:
            os.close(descriptor)
    return False


def _remove(file: Path) -> bool:
    with contextlib.suppress(OSError):
        file.unlink()
        return True
    return False
