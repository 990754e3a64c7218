"""List files.

Law: a file changed anywhere is refused by the full check, or says exactly what was written. Where rows were changed by
another program and every check value was made to fit, opening, reading and writing give typed errors and nothing else,
and what passes the full check can be read and copied entry by entry into a list that says the same.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fuzz.engine import Case, Wrong, check_message
from fuzz.formats import change_page
from fuzz.mutate import INTERESTING, mutated
from fuzz.targets.indexes import QuickFolder
from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.content_digest import CONTENT_MODULUS, role_element
from hashmatch.lists.entry import ROLES
from hashmatch.lists.file.checksums import mark_of_record, marks_of_rows, signed, sum_of_marks
from hashmatch.lists.file.entries import (
    RowCount,
    Source,
    State,
    StoredEntry,
    StoredHash,
    record_element,
    record_seal,
    store_state,
)
from hashmatch.lists.file.history import change_seal
from hashmatch.lists.file.sql_tables import ALGORITHM_NUMBERS, RECORD_NUMBERS
from support.fault_makers import everything, smallest_list
from support.list_makers import made_up, small_list

__all__ = ["DESCRIPTION", "case_runner", "reseal"]

DESCRIPTION = "list files -> open (every check), read, write; changed below and above the check values"

_TABLES: Final = {
    "state": ("uuid", "name", "version", "history_from", "next_entry", "next_hash", "n_entries", "seal_sum", "seal"),
    "tally": ("algorithm", "n_hashes", "mark_sum"),
    "source": ("id", "name", "n_entries"),
    "entry": ("key", "entry_id", "seal"),
    "hash": ("id", "entry", "source", "algorithm", "quality", "code", "mark"),
    "record": ("id", "entry", "source", "quality", "code", "mark"),
    "label": ("entry", "source", "name", "value"),
    "change": ("version", "next_hash", "seal"),
    "withdrawn": ("version", "hash", "algorithm"),
    "digest": ("version", "first", "content", "seal_sum", "seal"),
    "changed": ("entry", "version"),
}
_WORDS: Final = (
    "",
    "one",
    "two",
    "x" * 64,
    "y" * 256,
    "é",
    "\0",
    "a\0b",
    "\n",
    "\ud800",
    "‮",
    "entry-1",
    " pad ",
    "\x7f",
    "A1",
)
_PERSISTENT: Final = (2**31 - 1, 2**31, 2**62, 2**63 - 1, -1, 0, 1, 2, 3, 4, 5, -(2**63))


def seeds(folder: Path) -> list[tuple[bytes, object]]:
    """Small lists, and what they say."""
    found = []
    for number, make in enumerate((smallest_list, small_list)):
        path = folder / f"seed-{number}"
        make(path)
        found.append((path.read_bytes(), everything(path)))
    return found


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Open one changed list."""
    holder = QuickFolder()
    folder = Path(holder.name)
    known = seeds(folder)
    whole = [data for data, _ in known]
    said = [content for _, content in known]

    def case(rng: random.Random, number: int) -> str:
        path = folder / "case"
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        if number % 3:
            path.write_bytes(mutated(rng.choice(whole), rng, whole, (change_page,)))
            if rng.random() < 0.2:
                Path(f"{path}-wal").write_bytes(mutated(b"\x37\x7f\x06\x82" + bytes(600), rng, whole))
            elif rng.random() < 0.1:
                Path(f"{path}-journal").write_bytes(
                    mutated(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600), rng, whole)
                )
            return _changed_below(path, said, rng)
        path.write_bytes(rng.choice(whole))
        return _changed_above(path, folder / "copy", rng)

    case.holder = holder  # type: ignore[attr-defined]
    return case


def _changed_below(path: Path, said: list[object], rng: random.Random) -> str:
    try:
        content = everything(path)
    except ReferenceListError as error:
        check_message(error)
    else:
        if content not in said:
            raise Wrong("a changed list passed the full check and says something else")
        return "changed: says what was written"
    with contextlib.suppress(ReferenceListError):
        content = everything(path, "none")
        if content not in said:
            raise Wrong("a changed list handed out what was not written")
    if rng.random() < 0.3:
        _write(path)
    return "changed: refused"


def _write(path: Path) -> None:
    """Try to write to a damaged list: typed errors only."""
    try:
        with ReferenceList.open(path, writable=True, check="none", timeout=0.2) as ref:
            ref.add("more", hashes=[made_up(77)])
            ref.withdraw("entry-1", source="one")
            ref.compact()
    except ReferenceListError as error:
        check_message(error)


def _changed_above(path: Path, copy: Path, rng: random.Random) -> str:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        changes = 0
        for _ in range(rng.choice((1, 1, 2, 4))):
            with contextlib.suppress(sqlite3.Error, UnicodeEncodeError, OverflowError):
                _change_row(connection, rng)
                changes += 1
        with contextlib.suppress(
            sqlite3.Error, OverflowError, TypeError, ValueError, KeyError, AttributeError, struct.error
        ):
            reseal(connection, counters=rng.random() < 0.9)
    if not changes:
        return "resealed: nothing changed"
    try:
        content = everything(path)
    except ReferenceListError as error:
        check_message(error)
        with contextlib.suppress(ReferenceListError):
            everything(path, "none")
        _write(path)
        return "resealed: refused"
    outcome = _copied(path, copy)
    _write(path)
    if everything(path, "none") == content:
        return f"resealed: {outcome}, cannot be written"
    everything(path)
    return f"resealed: {outcome}"


def _copied(path: Path, copy: Path) -> str:
    """Copy entry by entry; the copy must say the same."""
    copy.unlink(missing_ok=True)
    with ReferenceList.open(path) as ref, ReferenceList.create(copy, name="copy") as other:
        entries = list(ref)
        try:
            other.add_many(entries)
        except (ReferenceListError, HashFormatError) as error:
            check_message(error)
            return "read, not taken by another list"
        if [(e.entry_id, sorted(e.labels), e.hashes) for e in other] != [
            (e.entry_id, sorted(e.labels), e.hashes) for e in entries
        ]:
            raise Wrong("a copy says something else")
    return "read and copied"


def _change_row(connection: sqlite3.Connection, rng: random.Random) -> None:
    """Change, drop or double a row of any table."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    table = rng.choice([name for name in _TABLES if name in tables])
    column = rng.choice(_TABLES[table])
    where = f"rowid = (SELECT rowid FROM {table} ORDER BY random() LIMIT 1)"
    keys = {"label": "(entry, source, name)", "withdrawn": "(version, hash)"}
    if table in keys:
        where = f"{keys[table]} = (SELECT {keys[table][1:-1]} FROM {table} LIMIT 1 OFFSET {rng.randrange(3)})"
    elif table != "state":
        where = f"rowid = (SELECT rowid FROM {table} LIMIT 1 OFFSET {rng.randrange(6)})"
    kind = rng.randrange(8)
    if rng.random() < 0.2:
        connection.execute("PRAGMA ignore_check_constraints = ON")
    if kind == 0:
        connection.execute(f"DELETE FROM {table} WHERE {where}")
    elif kind == 1:
        names = ", ".join(_TABLES[table][1:])
        key = _TABLES[table][0]
        connection.execute(
            f"INSERT INTO {table} ({key}, {names}{', algorithm' if table == 'record' else ''})"
            f" SELECT {key} + 100, {names}{', algorithm' if table == 'record' else ''} FROM {table} WHERE {where}"
        )
    elif kind < 4:
        connection.execute(f"UPDATE {table} SET {column} = {column} + ? WHERE {where}", (rng.choice((-1, 1, 7)),))
    else:
        value: Any = rng.choice(
            (
                None,
                rng.choice(_PERSISTENT),
                rng.choice(INTERESTING[:44]),
                1.5,
                rng.choice(_WORDS),
                rng.choice(_WORDS),
                rng.randbytes(rng.choice((0, 1, 8, 16, 20, 32, 32, 144, 4096, 5000))),
                made_up(rng.randrange(9), "keypoint").data,
            )
        )
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))


def reseal(connection: sqlite3.Connection, *, counters: bool = True) -> None:
    """Write every check value anew, as one who can compute them would; ``counters`` also the figures of the state."""
    row = connection.execute(
        "SELECT uuid, name, version, history_from, next_entry, next_hash, n_entries, seal_sum FROM state"
    ).fetchone()
    state = State(*row)
    state.tallies = {}
    for number in sorted(ALGORITHM_NUMBERS.values()):
        table = "record" if number in RECORD_NUMBERS else "hash"
        rows = connection.execute(
            f"SELECT id, entry, source, ifnull(quality, -1), code FROM {table} WHERE algorithm = ? ORDER BY id",
            (number,),
        ).fetchall()
        if not rows:
            continue
        if table == "record":
            marks = np.array(
                [mark_of_record(state.uuid, number, i, e, s, None if q < 0 else q, c) for i, e, s, q, c in rows],
                np.int64,
            )
        else:
            ids, entries, sources, quality = np.array([item[:4] for item in rows], np.int64).T
            codes = np.frombuffer(b"".join(item[4] for item in rows), np.uint8).reshape(len(rows), -1)
            marks = marks_of_rows(
                state.uuid, number, ids.copy(), entries.copy(), sources.copy(), quality.astype(np.int16), codes
            )
        connection.executemany(
            f"UPDATE {table} SET mark = ? WHERE id = ?", [(m, r[0]) for m, r in zip(marks.tolist(), rows, strict=True)]
        )
        state.tallies[number] = RowCount(len(rows), sum_of_marks(marks))
    records = _reseal_entries(connection, state)
    for version, next_hash in connection.execute("SELECT version, next_hash FROM change").fetchall():
        gone = connection.execute(
            "SELECT hash, algorithm FROM withdrawn WHERE version = ? ORDER BY hash", (version,)
        ).fetchall()
        connection.execute(
            "UPDATE change SET seal = ? WHERE version = ?", (change_seal(state.uuid, version, next_hash, gone), version)
        )
    sources = "SELECT id, name, n_entries, role, terms, checkpoint, heard FROM source"
    for number, name, n_entries, role, *rest in connection.execute(sources).fetchall():
        role_of = ROLES[role] if isinstance(role, int) and 0 <= role < len(ROLES) else "alarm"
        state.sources[name] = Source(number, name, n_entries, role_of, *rest)
    if counters:
        owners: dict[int, set[int]] = {}
        for table in ("hash", "record"):
            for source, entry in connection.execute(f"SELECT source, entry FROM {table}"):
                owners.setdefault(source, set()).add(entry)
        for name, source in state.sources.items():
            state.sources[name] = replace(source, n_entries=len(owners.get(source.number, ())))
        elements = [record_element(record, state.by_number()) for record in records]
        elements += [role_element(item.name, item.role) for item in state.sources.values() if item.n_entries]
        state.content = sum(elements) % CONTENT_MODULUS
    state.digest_from = connection.execute("SELECT min(version) FROM digest").fetchone()[0]
    connection.execute("DELETE FROM tally")
    store_state(connection, state)


def _reseal_entries(connection: sqlite3.Connection, state: State) -> list[StoredEntry]:
    heads = connection.execute(
        "SELECT key, entry_id, version FROM entry LEFT JOIN changed ON changed.entry = entry.key"
    ).fetchall()
    records = {key: StoredEntry(key, entry_id, changed=changed) for key, entry_id, changed in heads}
    for table in ("hash", "record"):
        for entry, source, algorithm, code, row, quality, mark in connection.execute(
            f"SELECT entry, source, algorithm, code, id, quality, mark FROM {table} ORDER BY id"
        ):
            if entry in records:
                records[entry].hashes[source, algorithm, code] = StoredHash(row, quality, mark)
    for entry, source, name, value in connection.execute("SELECT * FROM label"):
        if entry in records:
            records[entry].labels[source, name] = value
    seals = [(record_seal(state.uuid, record), key) for key, record in records.items()]
    connection.executemany("UPDATE entry SET seal = ? WHERE key = ?", seals)
    state.n_entries, state.seal_sum = len(seals), signed(sum(number for number, _ in seals))
    return list(records.values())
    state.seal_sum = signed(sum(seal for seal, _ in seals))
