"""A list, or the difference between two of its versions, written as a signed bundle: `write_bundle`.

Floor: lists.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from hashmatch.errors import BundleError, ReferenceListError
from hashmatch.lists.bundles.manifest import Chunk, Manifest, Sink, VersionBase, write_head
from hashmatch.lists.bundles.rows import ENTRIES_A_CHUNK, pack, pack_entries, read_block
from hashmatch.lists.content_digest import CONTENT_BYTES
from hashmatch.lists.earlier import make_file
from hashmatch.lists.entry import ROLES
from hashmatch.lists.file.editor import blocks_of
from hashmatch.lists.file.entries import State, keys_after, mark_of
from hashmatch.lists.file.history import check_history
from hashmatch.lists.file.schema import translated_errors
from hashmatch.lists.file.sql_tables import ALGORITHM_NAMES
from hashmatch.lists.reader import ListReader
from hashmatch.signing import SigningKey
from hashmatch.signing.sealing import SealedWriter, check_recipient

__all__ = ["write_bundle"]

_DAY: Final = 86_400
_MOST_DAYS: Final = 3_650
_LINES_A_CHUNK: Final = 20_000


def write_bundle(
    ref: ListReader,
    path: str | os.PathLike[str],
    key: SigningKey,
    *,
    since: int | None = None,
    recipients: Sequence[str] = (),
    days: int = 30,
    despite_terms: Iterable[str] = (),
    now: int | None = None,
) -> Manifest:
    """Write the present version of a list as one signed file.

    Parameters
    ----------
    ref : ReferenceList
        Open; others may go on changing it.
    path : path
        Where no file may be. Only its owner can read the file.
    key : SigningKey
        Who signs: whoever takes the bundle has to trust it.
    since : int, optional
        Version that the takers have: only what changed after it is written. By default the whole list.
    recipients : sequence of str
        ``age1…``: only they can read the file. By default it is as readable as the list.
    days : int
        How long it may be taken, 1 to 3,650; a list whose bundles stopped is so noticed.
    despite_terms : iterable of str
        Sources that are written although they have terms, which go with the list.
    now : int, optional
        Seconds since 1970; by default the present time.

    Returns
    -------
    Manifest
        What the bundle says.

    Raises
    ------
    BundleError
        ``"no-history"`` if the list does not remember what changed after ``since``; ``"nothing-new"`` if nothing did;
        ``"terms"`` if a source has terms and is not named; ``"too-large"`` if an entry has more than 64 MiB.
    SignatureError
        If a recipient is none.
    ReferenceListError
        If the list is damaged, or the file cannot be written.

    Notes
    -----
    Cost: about 8 seconds for a million entries of one hash; memory does not grow with the list. Meanwhile a nameless
    file beside the list holds what is written.
    """
    for recipient in recipients:
        check_recipient(recipient)
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError(f"days must be 1 to {_MOST_DAYS}")
    issued = int(time.time()) if now is None else now
    with ref.pinned_rows() as (connection, state):
        _check_terms(state, set(despite_terms))
        previous = None if since is None else _base(connection, state, since)
        with _spool(ref.path) as spool:
            chunks = []
            with translated_errors():
                for data in _chunks(connection, state, since):
                    spool.write(data)
                    chunks.append(Chunk(len(data), hashlib.sha256(data).hexdigest()))
            manifest = Manifest(
                list_id=state.uuid.hex(),
                name=state.name,
                version=state.version,
                digest=state.digest,
                seal_sum=state.seal_sum,
                previous=previous,
                entries=state.n_entries,
                hashes={ALGORITHM_NAMES[n]: t.n_hashes for n, t in sorted(state.tallies.items()) if t.n_hashes},
                terms={source.name: source.terms for source in state.sources.values() if source.terms},
                issued=issued,
                expires=issued + days * _DAY,
                chunks=tuple(chunks),
                rotations=key.rotations,
            )

            def fill(part: Path) -> None:
                spool.seek(0)
                with part.open("wb") as stream:
                    _write(stream, manifest, key, spool, recipients)

            make_file(Path(path), fill, "the bundle")
    return manifest


def _write(stream: BinaryIO, manifest: Manifest, key: SigningKey, spool: BinaryIO, recipients: Sequence[str]) -> None:
    sealed = SealedWriter(stream, recipients) if recipients else None
    sink: Sink = sealed or stream
    write_head(sink, manifest, key)
    while data := spool.read(1 << 20):
        sink.write(data)
    if sealed is not None:
        sealed.close()


def _spool(path: Path) -> BinaryIO:
    """Open a file without a name in the list's folder: what it holds goes nowhere that the list is not."""
    try:
        return tempfile.TemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError:
        raise ReferenceListError("a bundle needs room in the folder of the list: check that it is writable") from None


def _check_terms(state: State, despite: set[str]) -> None:
    listing = [source.name for source in state.sources.values() if source.n_entries]
    for source in state.sources.values():
        bound = any(name == source.name or name.startswith(f"{source.name}/") for name in listing)
        if source.terms and bound and source.name not in despite:
            raise BundleError(
                f"no bundle was made, because the source {source.name!r} has terms: {source.terms!r}; name it with "
                "--despite-terms if they allow this: they go with the list",
                reason="terms",
            )


def _base(connection: sqlite3.Connection, state: State, since: int) -> VersionBase:
    """Find the version that a difference is to."""
    with translated_errors():
        mark = mark_of(connection, state, since) if 0 <= since <= state.version else None
    if mark is None or since < state.history_from:
        raise BundleError(
            f"the list does not remember what changed after version {since}: make a bundle of the whole list",
            reason="no-history",
        )
    if since == state.version:
        raise BundleError(f"the list has not changed since version {since}", reason="nothing-new")
    return VersionBase(mark.version, mark.digest, mark.seal_sum)


def _chunks(connection: sqlite3.Connection, state: State, since: int | None) -> Iterator[bytes]:
    """Make the chunks: counters, rows that are gone, entries, history."""
    sources = [
        [source.number, source.name, source.n_entries, ROLES.index(source.role), source.terms]
        for source in state.by_number().values()
    ]
    tallies = [[number, tally.n_hashes, tally.mark_sum] for number, tally in sorted(state.tallies.items())]
    numbers = {name: getattr(state, name) for name in ("history_from", "digest_from", "next_entry", "next_hash")}
    content = state.content.to_bytes(CONTENT_BYTES, "little").hex()
    yield pack("state", {**numbers, "content": content, "tallies": tallies, "sources": sources})
    if since is None:
        keys = _all_keys(connection)
    else:
        first_new, gone = check_history(connection, state, since)
        for rows in blocks_of(sorted(chain.from_iterable(gone.values())), _LINES_A_CHUNK):
            yield pack("gone", {"rows": rows})
        keys = _changed_keys(connection, since, first_new)
    for block in blocks_of(keys, ENTRIES_A_CHUNK):
        yield pack_entries(list(read_block(connection, state, block)))
    yield from _history(connection, state, -1 if since is None else since)


def _all_keys(connection: sqlite3.Connection) -> Iterator[int]:
    last = 0
    while keys := keys_after(connection, last, 10 * ENTRIES_A_CHUNK):
        yield from keys
        last = keys[-1]


def _changed_keys(connection: sqlite3.Connection, since: int, first_new: int) -> Iterator[int]:
    """Keys of the entries that are new or other than at a version, ascending."""
    found = connection.execute(
        "SELECT entry FROM changed WHERE version > ? UNION SELECT entry FROM hash WHERE id >= ?"
        " UNION SELECT entry FROM record WHERE id >= ? ORDER BY 1",
        (since, first_new, first_new),
    )
    return (key for (key,) in found)


def _history(connection: sqlite3.Connection, state: State, since: int) -> Iterator[bytes]:
    """Make the chunks of what the list remembers of its versions: numbers alone, no hash."""
    columns = {"change": "version, next_hash", "withdrawn": "version, hash, algorithm"}
    for table, names in columns.items():
        lines = connection.execute(f"SELECT {names} FROM {table} WHERE version > ? ORDER BY {names}", (since,))  # noqa: S608
        for rows in blocks_of(lines, _LINES_A_CHUNK):
            yield pack(table, {"rows": rows})
    digests = connection.execute(
        "SELECT version, content, seal_sum FROM digest WHERE version >= ? AND version < ? ORDER BY version",
        (max(since, state.digest_from), state.version),
    )
    for rows in blocks_of(digests, _LINES_A_CHUNK):
        yield pack("digest", {"rows": [(version, data.hex(), total) for version, data, total in rows]})
