"""`items`: everything under some roots, and inside the containers there; `path_list`: roots from a list of paths."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

from hashmatch.jail import Isolation
from hashmatch.picture.source import open_without_waiting, path_error
from hashmatch.scan.items import REASONS, Flaw, Found, shown_name
from hashmatch.scan.sources.expand import Expander, Named, SourceCounts
from hashmatch.scan.sources.jailed import JailedReaders
from hashmatch.scan.sources.limits import Limits
from hashmatch.scan.walk import iter_files

__all__ = ["items", "path_list"]

_CHUNK: Final = 2**20
_LONGEST_PATH: Final = 65_536


def items(
    roots: Iterable[str | os.PathLike[str]],
    *,
    limits: Limits | None = None,
    follow_links: bool = False,
    counts: SourceCounts | None = None,
    done: Callable[[bytes], bool] | None = None,
    isolation: Isolation | None = None,
) -> Iterator[Found]:
    """Give every file under the roots, and everything inside those that are containers.

    Parameters
    ----------
    roots : iterable of path
        Files and folders, taken one by one: those of another program's own walk, or of `path_list`.
    limits : Limits, optional
        How far containers are followed.
    follow_links : bool
        As for `hashmatch.scan.iter_files`.
    counts : SourceCounts, optional
        A new object, which is filled.
    done : callable, optional
        Takes the key of a file and tells whether it is done: it is then not opened. As a container is an item after all
        that is in it, a container that was written down is done with its members.
    isolation : Isolation, optional
        How the worker process is shut in that reads 7z archives and PDF files. It is started when the first one comes.

    Yields
    ------
    Item or Flaw
        In the order of the disk, see `hashmatch.scan.iter_files`; in a container in its own order. Read an item before
        the next is asked for.

    Notes
    -----
    Memory: a window of each folder on the way, and what `Limits.held` allows. A file is opened once; the bytes of an
    item are read once, those of a container again for the item that it is itself.
    """
    counts = SourceCounts() if counts is None else counts
    limits = Limits() if limits is None else limits
    jailed = JailedReaders(limits, isolation)
    expander = Expander(limits, counts, jailed)
    errors: list[OSError] = []
    walk = iter_files(roots, on_error=errors.append, follow_links=follow_links, counts=counts.walk, order="disk")
    try:
        for path in walk:
            yield from _flaws(errors, expander)
            named = Named(shown_name(path), os.fsencode(path), "folder")
            if done is not None and done(named.key):
                counts.skipped += 1
            else:
                yield from _file(path, named, expander)
        yield from _flaws(errors, expander)
    finally:
        jailed.close()


def _file(path: os.PathLike[str], named: Named, expander: Expander) -> Iterator[Found]:
    try:
        file = open(path, "rb", buffering=0, opener=open_without_waiting)  # noqa: SIM115 - closed below
    except OSError as error:
        yield _refused(error, named, expander)
        return
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            yield expander.flaw(named, "not-a-file")
            return
        yield from expander.file(named, file, status.st_size)
        after = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            yield expander.flaw(named, "changed")


def _flaws(errors: list[OSError], expander: Expander) -> Iterator[Flaw]:
    while errors:
        error = errors.pop(0)
        name = error.filename if isinstance(error.filename, str | bytes) else ""
        yield _refused(error, Named(shown_name(name), os.fsencode(name), "folder"), expander)


def _refused(error: OSError, named: Named, expander: Expander) -> Flaw:
    reason = "not-a-file" if error.errno == errno.EINVAL else path_error(error).reason
    return expander.flaw(named, reason if reason in REASONS else "read-failed")


def path_list(file: BinaryIO, *, separator: bytes | None = None) -> Iterator[str]:
    r"""Read paths from a list, as ``find -print0`` writes it, or with one path on a line.

    Parameters
    ----------
    file : binary file
        Read as the paths are asked for; it may be a pipe.
    separator : bytes, optional
        ``b"\0"`` or ``b"\n"``. None takes ``b"\0"`` if one is in the first part of the list.

    Yields
    ------
    str
        Each path, also of bytes that are no UTF-8, as Python's own functions give it. Empty ones are passed over.

    Raises
    ------
    ValueError
        If the separator is another.
    """
    if separator not in (None, b"\0", b"\n"):
        raise ValueError(r'separator must be b"\0" or b"\n"')
    rest = b""
    while data := file.read(_CHUNK):
        if separator is None:
            data = data.removeprefix(b"\xef\xbb\xbf")
            separator = b"\0" if b"\0" in data else b"\n"
        *paths, rest = (rest + data).split(separator)
        yield from _paths(paths, separator)
        if len(rest) > _LONGEST_PATH:  # no system has such a path: it is told as one that is not there
            yield from _paths([rest[:_LONGEST_PATH]], separator)
            rest = b""
    yield from _paths([rest], separator or b"\n")


def _paths(paths: list[bytes], separator: bytes) -> Iterator[str]:
    for path in paths:
        text = path.removesuffix(b"\r") if separator == b"\n" else path
        if text:
            yield os.fsdecode(text)
