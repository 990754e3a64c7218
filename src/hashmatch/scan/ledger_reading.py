"""`LedgerReading`: what scans, rescans and reports read of a ledger.

Floor: scan.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError
from hashmatch.hashes import Fingerprint
from hashmatch.matching import MatchReport, Outcome
from hashmatch.scan.ledger_file import damaged, translated_errors
from hashmatch.scan.ledger_rows import NOT_COMPARED, OUTCOMES, Basis, LedgerCounts, Stored, checked, list_from

__all__ = ["REMEMBERED", "LedgerReading"]

REMEMBERED: Final = 4_096
"""Reports that are held in memory, at most."""


def _check_ascending(last: int, rows: list[tuple[Any, ...]]) -> None:
    """Check that the numbers of rows go on from a number: a damaged one hides others, or comes again and again."""
    if any(after <= before for before, after in pairwise([last, *(row[0] for row in rows)])):
        raise damaged()


class LedgerReading:
    """The open file of a ledger, and everything that is read of it."""

    _connection: sqlite3.Connection
    _turn: threading.RLock
    _bases: dict[int, Basis]
    _reports: dict[int, MatchReport]

    @property
    def bases(self) -> tuple[Basis, ...]:
        """All that contents were compared by, in the order in which it began."""
        with self._turn, translated_errors():
            numbers = [number for (number,) in self._connection.execute("SELECT id FROM basis ORDER BY id")]
            return tuple(map(self._basis_of, numbers))

    def _basis_of(self, number: int) -> Basis:
        if number not in self._bases:
            row = self._connection.execute(
                "SELECT id, kind, at, policy, policy_name, decode, software, lists, algorithms, gap, mark"
                " FROM basis WHERE id = ?",
                (number,),
            ).fetchone()
            *plain, lists, algorithms, gap = checked(row)
            try:
                self._bases[number] = Basis(
                    **dict(
                        zip(("number", "kind", "at", "policy", "policy_name", "decode", "software"), plain, strict=True)
                    ),
                    lists=tuple(map(list_from, json.loads(lists))),
                    algorithms=frozenset(json.loads(algorithms)),
                    gap=tuple(json.loads(gap)),
                )
            except (ValueError, KeyError, TypeError):
                raise damaged() from None
        return self._bases[number]

    def _report(self, number: int) -> MatchReport:
        known = self._reports.get(number)
        if known is None:
            row = self._connection.execute("SELECT body, mark FROM report WHERE id = ?", (number,)).fetchone()
            if row is None or not isinstance(row[0], bytes) or zlib.crc32(row[0]) != row[1]:
                raise damaged()
            try:
                known = MatchReport.from_dict(json.loads(row[0]))
            except (HashFormatError, ValueError):
                raise damaged() from None
            if len(self._reports) >= REMEMBERED:
                self._reports.clear()
            self._reports[number] = known
        return known

    def _answer(self, content: int) -> tuple[int, int]:
        """Give the numbers of report and basis of a content, whose row is checked."""
        row = checked(self._connection.execute("SELECT * FROM content WHERE id = ?", (content,)).fetchone())
        return row[3], row[2]

    def _greatest(self, table: str) -> int:
        row = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608
        return int(row[0] or 0)

    def counts(self) -> LedgerCounts:
        """Count items and contents."""
        with self._turn, translated_errors():
            (items,) = self._connection.execute("SELECT count(*) FROM item").fetchone()
            by_basis = dict(self._connection.execute("SELECT basis, count(*) FROM content GROUP BY basis"))
            last = self.bases[-1].lists if self.bases else ()
            behind = sum(n for number, n in by_basis.items() if self._basis_of(number).lists != last)
            return LedgerCounts(items=items, contents=sum(by_basis.values()), behind=behind)

    def __iter__(self) -> Iterator[Stored]:
        """Iterate over the items in the order in which they were first done; a few hundred are read at a time.

        Raises
        ------
        LedgerError
            If what is read is damaged.
        """
        last = seen = 0
        while True:
            with self._turn, translated_errors():
                (there,) = self._connection.execute("SELECT count(*) FROM item").fetchone()
                rows = self._connection.execute(
                    "SELECT id, key, stamp, content, report, at, name, mark FROM item WHERE id > ?"
                    " ORDER BY id LIMIT 500",
                    (last,),
                ).fetchall()
                _check_ascending(last, rows)
                found = [self._stored(row) for row in rows]
            if not found:
                if seen < there:  # a damaged number hides the rows after it
                    raise damaged()
                return
            yield from found
            last, seen = found[-1].number, seen + len(found)

    def _stored(self, row: tuple[Any, ...]) -> Stored:
        number = row[0]
        key, _, content, own, at, name = checked(row[1:])
        answer, basis = (own, None) if content is None else self._answer(content)
        report = self._report(answer)
        hits = map(checked, self._connection.execute("SELECT * FROM hit WHERE content = ?", (content,)))
        withdrawn = [tuple(hit[2:5]) for hit in hits if hit[1] == "match" and hit[6] is not None]
        live = {(item.list_id, item.entry_id, item.algorithm) for item in report.matches}
        return Stored(
            number=number,
            key=key,
            name=name,
            at=at,
            content=content,
            report=report,
            basis=None if basis is None else self._basis_of(basis),
            withdrawn=tuple(sorted(set(withdrawn) - live)),
        )

    def digests_of(self, content: int) -> dict[str, bytes]:
        """Give the digests of a content, by algorithm."""
        return {
            item.value.algorithm: item.value.data
            for item in self.fingerprint(content).view_hashes
            if item.value.algorithm in ("md5", "sha1", "sha256")
        }

    def fingerprint(self, content: int) -> Fingerprint:
        """Read the fingerprint of a content.

        Raises
        ------
        LedgerError
            If it is damaged.
        """
        with self._turn, translated_errors():
            row = checked(self._connection.execute("SELECT * FROM content WHERE id = ?", (content,)).fetchone())
        try:
            return Fingerprint.from_bytes(row[-1])
        except HashFormatError:
            raise damaged() from None

    def blocks(self, algorithm: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Read the hashes of all views of all contents, in blocks: numbers of the contents, and (n, n_bytes) codes.

        Raises
        ------
        LedgerError
            If one is damaged.
        """
        n_bytes, last, seen = ALGORITHMS[algorithm].n_bytes, 0, 0
        while True:
            with self._turn, translated_errors():
                counted = self._connection.execute("SELECT count(*) FROM block WHERE algorithm = ?", (algorithm,))
                (there,) = counted.fetchone()
                rows = self._connection.execute(
                    "SELECT id, owners, codes, mark FROM block WHERE id > ? AND algorithm = ? ORDER BY id LIMIT 64",
                    (last, algorithm),
                ).fetchall()
                _check_ascending(last, rows)
            if not rows:
                if seen < there:
                    raise damaged()
                return
            seen += len(rows)
            for last, owners, codes, mark in rows:  # noqa: B007 - the last one is where the next step begins
                if not (isinstance(owners, bytes) and isinstance(codes, bytes)):
                    raise damaged()
                if zlib.crc32(codes, zlib.crc32(owners)) != mark or len(owners) * n_bytes != len(codes) * 8:
                    raise damaged()
                yield np.frombuffer(owners, "<i8"), np.frombuffer(codes, np.uint8).reshape(-1, n_bytes)

    def matched_entries(self, list_id: str) -> dict[str, list[int]]:
        """Give the contents of every entry of a list that reports name, by the entry's id."""
        found: dict[str, list[int]] = {}
        with self._turn, translated_errors():
            for row in self._connection.execute("SELECT * FROM hit WHERE list_id = ? AND until IS NULL", (list_id,)):
                content, _, _, entry_id, *_ = checked(row)
                found.setdefault(entry_id, []).append(content)
        return found

    def contents_of(
        self, basis: Basis, *, loose: bool = False, among: Iterable[int] | None = None, most: int = -1
    ) -> list[int]:
        """Give the numbers of the contents of a basis, ascending.

        Parameters
        ----------
        basis : Basis
            The basis.
        loose : bool
            Only those whose report may rest on entries that it does not name.
        among : iterable of int, optional
            Only those of these numbers.
        most : int
            How many at most; -1 for all.
        """
        with self._turn, translated_errors():
            if among is not None:
                asked = "SELECT 1 FROM content WHERE id = ? AND basis = ?"
                return [n for n in among if self._connection.execute(asked, (n, basis.number)).fetchone() is not None]
            rows = self._connection.execute(
                "SELECT id FROM content INDEXED BY content_of_basis WHERE basis = ? AND loose >= ? LIMIT ?",
                (basis.number, int(loose), most),
            )
            return sorted(number for (number,) in rows)

    def has_contents_of(self, list_id: str) -> bool:
        """Whether contents were compared with a list and it was not left out since."""
        return any(
            item.mark.list_id == list_id and self.contents_of(basis, most=1)
            for basis in self.bases
            for item in basis.lists
        )

    def not_compared(self) -> int:
        """Count the contents of which "no match" cannot be said, because views of them were not compared."""
        number = 0
        with self._turn, translated_errors():
            for basis in self.bases:
                if basis.gap:
                    row = self._connection.execute(
                        "SELECT count(*) FROM content WHERE basis = ? AND outcome = ?",
                        (basis.number, OUTCOMES.index(Outcome.NO_MATCH)),
                    ).fetchone()
                    number += int(row[0])
                undecidable = self._connection.execute(
                    "SELECT report, count(*) FROM content WHERE basis = ? AND outcome = ? GROUP BY report",
                    (basis.number, OUTCOMES.index(Outcome.UNDECIDABLE)),
                ).fetchall()
                number += sum(int(n) for report, n in undecidable if self._report(report).reason == NOT_COMPARED)
        return number

    def answer_of(self, content: int) -> tuple[MatchReport, int]:
        """Give the report of a content and the number of its basis."""
        with self._turn, translated_errors():
            report, basis = self._answer(content)
            return self._report(report), basis

    def items_of(self, content: int) -> tuple[tuple[bytes, bytes | None], ...]:
        """Give key and name of the items of a content."""
        with self._turn, translated_errors():
            return tuple(
                self._connection.execute("SELECT key, name FROM item WHERE content = ? ORDER BY id", (content,))
            )

    def verify(self) -> None:
        """Read the whole ledger and check it.

        Raises
        ------
        LedgerError
            If something in it is not as it was written.
        """
        with self._turn, translated_errors():
            (answer,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
            names = [name for (name,) in self._connection.execute("SELECT DISTINCT algorithm FROM block")]
        if answer != "ok" or not set(names) <= ALGORITHMS.keys():
            raise damaged()
        for name in names:
            for _ in self.blocks(name):
                pass
        for item in self:
            if item.content is not None:
                self.fingerprint(item.content)
        self.bases  # noqa: B018 - each is checked as it is read
        with self._turn, translated_errors():
            for row in self._connection.execute("SELECT * FROM hit"):
                checked(row)
