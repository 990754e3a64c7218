"""One or several files as one delivery, each read by the format that was named or that its first bytes tell.

Floor: lists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from hashmatch.errors import ReferenceListError
from hashmatch.lists.formats.decoding import opened
from hashmatch.lists.formats.misdelivered import is_json, refuse_table
from hashmatch.lists.formats.operations import Operation, SnapshotEnd
from hashmatch.lists.formats.registry import Delivery, Format, format_named, reader_of, recognised
from hashmatch.lists.formats.unpacking import beginning, unpacked

__all__ = ["read_deliveries"]


def read_deliveries(
    files: Sequence[str | os.PathLike[str] | BinaryIO],
    delivery: Delivery,
    kind: Format | None = None,
    *,
    replace: bool = False,
    on_file: Callable[[int, Format | None], None] | None = None,
) -> Iterator[Operation]:
    """Read files as one delivery.

    Parameters
    ----------
    files : sequence of path or binary file
        Files of one format, or of several; a release in parts is given whole.
    delivery : Delivery
        What the person who imports says of them.
    kind : Format, optional
        Format of every file. By default what the first bytes of each tell for certain; else a table where the delivery
        has a mapping, or NDJSON if it is JSON, and plain text where it has none.
    replace : bool
        Whether the delivery is all that its source lists: it then ends with a `SnapshotEnd`.
    on_file : callable, optional
        Called with the place of each file in ``files`` and None before it is opened, then with its format.

    Yields
    ------
    Operation
        Of the files in their order.

    Raises
    ------
    HashFormatError
        If a file is not of its format, or is cut short; or if none was named and the first bytes tell none.
    ReferenceListError
        If a file cannot be read; if a format is told what it does not take, or not told what it needs; if ``replace``
        is asked of a feed, which says only what changed.
    """
    for place, file in enumerate(files):
        if on_file is not None:
            on_file(place, None)
        with opened(file) as stream:
            whole = unpacked(stream)
            found = kind or _format_of(whole, delivery)
            if replace and not found.is_snapshot:
                raise ReferenceListError(
                    f"the format {found.name} says what changed, not all that a source lists: leave --replace out"
                )
            if on_file is not None:
                on_file(place, found)
            yield from reader_of(found, whole, delivery)
    if replace and delivery.source_column is None:
        yield SnapshotEnd(delivery.source)


def _format_of(stream: BinaryIO, delivery: Delivery) -> Format:
    head = beginning(stream)
    if delivery.mapping is not None:
        return format_named("ndjson" if is_json(head) else "csv")
    found = recognised(head)
    if found is None and delivery.algorithm is None:
        refuse_table(head)
    return found or format_named("text")
