"""Walk folders: every regular file once a way to it, and a count of everything that was passed over or not reached."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["WalkCounts", "iter_files"]

_WINDOW: Final = 16_384
"""Entries of one folder that are held and sorted at a time."""


@dataclass(slots=True)
class WalkCounts:
    """What a walk met; `iter_files` fills it as it goes on.

    Parameters
    ----------
    found : int
        Files that were yielded.
    folders : int
        Folders that were listed, roots included.
    folders_empty : int
        Listed folders that hold nothing.
    folders_unreadable : int
        Folders that could not be entered, or not be listed to their end.
    unreachable : int
        Roots that are no file and no folder, and names that were gone or refused before they could be looked at.
    links : int
        Symbolic links that were passed over.
    links_followed : int
        Symbolic links inside folders that were followed.
    links_outside : int
        Followed links that lead out of all roots.
    special : int
        Pipes, sockets and devices inside folders, which are passed over, because opening one could wait for ever.
    repeated : int
        Files and folders that were reached before by another path, while links are followed.
    ended : bool
        Whether the walk has come to its end.
    """

    found: int = 0
    folders: int = 0
    folders_empty: int = 0
    folders_unreadable: int = 0
    unreachable: int = 0
    links: int = 0
    links_followed: int = 0
    links_outside: int = 0
    special: int = 0
    repeated: int = 0
    ended: bool = False

    @property
    def complete(self) -> bool:
        """Whether the walk has ended, and reached everything that the roots hold except what its rules pass over."""
        return self.ended and not self.folders_unreadable and not self.unreachable

    def to_dict(self) -> dict[str, int]:
        """JSON-ready form: all the counts."""
        counts = asdict(self)
        del counts["ended"]
        return counts


def iter_files(
    roots: Iterable[str | os.PathLike[str]],
    *,
    on_error: Callable[[OSError], None] | None = None,
    follow_links: bool = False,
    counts: WalkCounts | None = None,
    order: Literal["name", "disk"] = "name",
) -> Iterator[Path]:
    """List every regular file under the roots, in a fixed order.

    Parameters
    ----------
    roots : iterable of path
        Files and folders, taken one by one as the walk reaches them. A root that is a symbolic link is always followed.
    on_error : callable, optional
        Called with the error of every folder that cannot be read, of every root that is neither a file nor a folder,
        and of every name that is gone before it is looked at; the walk goes on. Without it the error is raised.
    follow_links : bool
        Whether symbolic links inside folders are followed, also out of the roots. Each real file and folder then comes
        once, identified by device and number, so that no loop is entered; a link that leads nowhere is passed over.
    counts : WalkCounts, optional
        A new object, which the walk fills: what was met, passed over and not reached.
    order : "name" or "disk"
        How entries of a folder are sorted: by name, or by the number of their inode, which is near the order in which
        most file systems lay files down.

    Yields
    ------
    Path
        Path of each file. The files of a folder come before its folders.

    Notes
    -----
    A folder is listed and sorted 16,384 entries at a time: a larger one comes in such windows, in the order in which
    the system lists it, each with its folders. As long as the medium does not change every walk has the same order.
    Memory: one window of each folder on the way down. With ``follow_links`` all roots, which are taken at once, and
    about 100 bytes for each file.
    """
    if order not in ("name", "disk"):
        raise ValueError('order must be "name" or "disk"')
    if follow_links:
        roots = list(roots)
    walk = _Walk(roots, on_error, follow_links, WalkCounts() if counts is None else counts, order == "disk")
    yield from walk.files(roots)


class _Walk:
    """One walk, without recursion: `os.walk` fails in folders nested a thousand deep, which hostile media have."""

    def __init__(
        self,
        roots: Iterable[str | os.PathLike[str]],
        on_error: Callable[[OSError], None] | None,
        follow_links: bool,
        counts: WalkCounts,
        by_inode: bool,
    ) -> None:
        self._on_error = on_error
        self._seen: set[tuple[int, int]] | None = set() if follow_links else None
        self._inside = tuple(os.path.realpath(root) for root in roots) if follow_links else ()
        self._counts = counts
        self._by_inode = by_inode

    def files(self, roots: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
        for root in roots:
            try:
                status = os.stat(root)
            except OSError as error:
                self._unreachable(error)
                continue
            except ValueError:  # a zero byte or a lone surrogate, which no path has
                self._unreachable(OSError(errno.ENOENT, "no path", os.fspath(root)))
                continue
            if stat.S_ISDIR(status.st_mode):
                if self._is_new(status):
                    yield from self._files_below(os.fspath(root))
            elif not stat.S_ISREG(status.st_mode):
                self._unreachable(OSError(errno.EINVAL, "neither a file nor a folder", os.fspath(root)))
            elif self._is_new(status):
                self._counts.found += 1
                yield Path(root)
        self._counts.ended = True

    def _files_below(self, root: str) -> Iterator[Path]:
        waiting: list[Iterator[list[os.DirEntry[str]]]] = [self._windows(root)]
        while waiting:
            window = next(waiting[-1], None)
            if window is None:
                waiting.pop()
                continue
            below = []
            for entry in window:
                try:
                    mode = self._mode_of(entry)
                except OSError as error:
                    self._unreachable(error)
                    continue
                if mode is None:
                    continue
                if stat.S_ISDIR(mode):
                    below.append(entry.path)
                elif stat.S_ISREG(mode):
                    self._counts.found += 1
                    yield Path(entry.path)
                else:
                    self._counts.special += 1
            waiting += (self._windows(path) for path in reversed(below))

    def _windows(self, folder: str) -> Iterator[list[os.DirEntry[str]]]:
        """List a folder, some entries at a time; what came before an error counts."""
        entries: list[os.DirEntry[str]] = []
        is_empty, failure = True, None
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    is_empty = False
                    entries.append(entry)
                    if len(entries) == _WINDOW:
                        yield self._sorted(entries)
                        entries = []
        except OSError as error:
            failure = error
        if failure is not None:
            self._counts.folders_unreadable += 1
            self._complain(failure)
        else:
            self._counts.folders += 1
            self._counts.folders_empty += is_empty
        if entries:
            yield self._sorted(entries)

    def _sorted(self, entries: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
        if self._by_inode:
            return sorted(entries, key=lambda entry: (entry.inode(), entry.name))
        return sorted(entries, key=lambda entry: entry.name)

    def _mode_of(self, entry: os.DirEntry[str]) -> int | None:
        """Kind of an entry as `stat` writes it; None where it is passed over, and counted."""
        if not _is_link(entry):
            if self._seen is not None:
                status = os.lstat(entry.path)
                return status.st_mode if self._is_new(status) else None
            if entry.is_dir(follow_symlinks=False):
                return stat.S_IFDIR
            # `is_file` takes what is gone for no file
            return stat.S_IFREG if entry.is_file(follow_symlinks=False) else os.lstat(entry.path).st_mode
        if self._seen is None:
            self._counts.links += 1
            return None
        try:
            status = os.stat(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            self._counts.links += 1
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            self._counts.links += 1
            return None
        self._counts.links_followed += 1
        real = os.path.realpath(entry.path)
        self._counts.links_outside += not any(_is_within(real, root) for root in self._inside)
        return status.st_mode if self._is_new(status) else None

    def _is_new(self, status: os.stat_result) -> bool:
        """Remember a file or folder while links are followed; count it where it was met before."""
        if self._seen is None:
            return True
        identity = status.st_dev, status.st_ino
        if identity in self._seen:
            self._counts.repeated += 1
            return False
        self._seen.add(identity)
        return True

    def _unreachable(self, error: OSError) -> None:
        self._counts.unreachable += 1
        self._complain(error)

    def _complain(self, error: OSError) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)


def _is_link(entry: os.DirEntry[str]) -> bool:
    is_junction = getattr(entry, "is_junction", None)  # Windows has them, Python tells them from 3.12 on
    return entry.is_symlink() or (is_junction is not None and bool(is_junction()))


def _is_within(path: str, root: str) -> bool:
    try:
        return os.path.commonpath((path, root)) == root
    except ValueError:  # another drive
        return False
