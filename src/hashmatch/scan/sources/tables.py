"""Items from the columns of tables and from file systems that are not mounted: both are named by whoever scans.

Floor: scan. Arrow's reader of Parquet is a large parser in C++ that runs in the host: so a table that is met on a
medium is a flaw, and only one that a caller names is read. The same holds for the client of a storage service.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from hashmatch.errors import ReferenceListError
from hashmatch.foreign_errors import is_interruption, let_through
from hashmatch.jail import Isolation
from hashmatch.scan.items import Found, shown_name
from hashmatch.scan.sources.expand import Expander, Named, SourceCounts
from hashmatch.scan.sources.jailed import JailedReaders
from hashmatch.scan.sources.limits import Limits

__all__ = ["filesystem_items", "table_items"]

_ROWS: Final = 16
"""Rows that are read of a table at a time: each can be a picture."""


def table_items(
    path: str | os.PathLike[str],
    column: str,
    *,
    names: str | None = None,
    limits: Limits | None = None,
    counts: SourceCounts | None = None,
    isolation: Isolation | None = None,
) -> Iterator[Found]:
    """Give the values of a column of bytes of a Parquet or Arrow file, and everything inside those.

    Parameters
    ----------
    path : path
        A file that the caller trusts to be one of these: its structure is read in this process.
    column : str
        Column of type binary, or a column of structs with a field ``bytes``, as data sets of pictures have it.
    names : str, optional
        Column whose values name the items; else the number of the row does.
    limits, counts, isolation
        As for `items`.

    Yields
    ------
    Item or Flaw
        In the order of the rows. A null is passed over, as there is nothing.

    Raises
    ------
    ReferenceListError
        If pyarrow is not installed (``hashmatch[arrow]``), the file is neither, or it has no such column of bytes.
    """
    _module("pyarrow", "arrow")
    counts = SourceCounts() if counts is None else counts
    limits = Limits() if limits is None else limits
    shown, key = shown_name(path), os.fsencode(path)
    with closing(JailedReaders(limits, isolation)) as jailed:
        expander = Expander(limits, counts, jailed)
        try:
            for number, (value, name) in enumerate(_values(path, column, names)):
                if value is None:
                    continue
                label = f"row-{number}" if name is None else shown_name(str(name))
                named = Named(f"{shown}!{label}", b"%s\0table:%d" % (key, number), "table")
                yield from expander.file(named, io.BytesIO(value), len(value))
        except (ReferenceListError, GeneratorExit):
            raise
        except Exception as error:
            if is_interruption(error) or not type(error).__module__.startswith(("pyarrow", "builtins")):
                raise
            yield expander.flaw(Named(shown, key, "folder"), "damaged")
        counts.walk.ended = True


def _values(path: str | os.PathLike[str], column: str, names: str | None) -> Iterator[tuple[Any, Any]]:
    """Give value and name of each row, some rows at a time."""
    pyarrow = importlib.import_module("pyarrow")
    wanted = [column] if names is None else [column, names]
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(0)
        if head.startswith(b"PAR1"):
            table = importlib.import_module("pyarrow.parquet").ParquetFile(file)
            schema, batches = table.schema_arrow, table.iter_batches(_ROWS, columns=wanted, use_threads=False)
        elif head.startswith(b"ARROW1"):
            table = pyarrow.ipc.open_file(file)
            schema = table.schema
            batches = (table.get_batch(k) for k in range(table.num_record_batches))
        else:
            raise ReferenceListError("the file is neither Parquet nor Arrow")
        if missing := [name for name in wanted if name not in schema.names]:
            raise ReferenceListError(f"the table has no column {missing[0]!r}")
        kind = schema.field(column).type
        is_struct = pyarrow.types.is_struct(kind)
        if is_struct:
            field = kind.get_field_index("bytes")
            kind = kind.field(field).type if field >= 0 else kind
        if not (pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)):
            raise ReferenceListError("the column does not hold bytes")
        for batch in batches:
            values = batch.column(column)
            labels = None if names is None else batch.column(names)
            for k in range(len(values)):
                value = values[k].as_py()
                if is_struct and value is not None:
                    value = value["bytes"]
                yield value, None if labels is None else labels[k].as_py()


def filesystem_items(
    url: str,
    *,
    options: dict[str, Any] | None = None,
    limits: Limits | None = None,
    counts: SourceCounts | None = None,
    isolation: Isolation | None = None,
) -> Iterator[Found]:
    """Give every file below an address of a storage service, and everything inside those that are containers.

    Parameters
    ----------
    url : str
        As fsspec takes it, such as ``s3://bucket/folder``; the service's own package must be installed.
    options : dict, optional
        For the file system: credentials, endpoint.
    limits, counts, isolation
        As for `items`.

    Yields
    ------
    Item or Flaw
        Folder by folder, by name. A folder or file that the service refuses is a flaw.

    Raises
    ------
    ReferenceListError
        If fsspec or the service's package is not installed (``hashmatch[fsspec]``), or the address is none.

    Notes
    -----
    Memory: the list of one folder at a time, as the service gives it, and the folders that wait.
    """
    fsspec = _module("fsspec", "fsspec")
    counts = SourceCounts() if counts is None else counts
    limits = Limits() if limits is None else limits
    try:
        system, root = fsspec.core.url_to_fs(url, **(options or {}))
    except (ImportError, ValueError) as error:
        let_through(error)
        raise ReferenceListError("the address is none that the installed packages of fsspec can open") from None
    protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    with closing(JailedReaders(limits, isolation)) as jailed:
        expander = Expander(limits, counts, jailed)
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            listed = _named(protocol, folder)
            try:
                entries = sorted(system.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
            except Exception as error:  # each service has errors of its own
                if is_interruption(error):
                    raise
                counts.walk.folders_unreadable += 1
                yield expander.flaw(listed, "not-found" if isinstance(error, FileNotFoundError) else "read-failed")
                continue
            counts.walk.folders += 1
            below = []
            for entry in entries:
                if entry["type"] == "directory":
                    if str(entry["name"]).rstrip("/") != str(folder).rstrip("/"):
                        below.append(entry["name"])
                else:
                    counts.walk.found += 1
                    yield from _remote(system, entry, _named(protocol, entry["name"]), expander)
            waiting += reversed(below)
        counts.walk.ended = True


def _named(protocol: str, path: str) -> Named:
    text = f"{protocol}://{path.lstrip('/')}"
    return Named(shown_name(text), text.encode("utf-8", "surrogatepass"), "folder")


def _remote(system: Any, entry: dict[str, Any], named: Named, expander: Expander) -> Iterator[Found]:
    try:
        file = system.open(entry["name"], "rb")
        size = entry.get("size")
        size = file.seek(0, io.SEEK_END) if size is None else int(size)
    except Exception as error:  # each service has errors of its own
        if is_interruption(error):
            raise
        yield expander.flaw(named, "not-found" if isinstance(error, FileNotFoundError) else "read-failed")
        return
    with file:
        yield from expander.file(named, file, size)


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ReferenceListError(f"this source needs {name}: run pip install 'hashmatch[{extra}]'") from None
