"""`Ledger`: what a scan did, so that it can go on where it was killed and be matched again without a picture.

Floor: scan. One row an item, one a content, by its SHA-256. No file name is kept unless it is asked for: an item is
known by a keyed hash of its name. The hashes of all views stand in blocks of a few hundred contents too, as arrays,
which is what new entries of a list are searched in. Over 400 lines because all that writes shares one
transaction.

Every few hundred items are one transaction in a write-ahead log. A killed process loses at most the transaction it was
in, and a power cut what came after the last checkpoint (about 4 MB of the log); the file is whole after both.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import LedgerError
from hashmatch.hashes import Fingerprint
from hashmatch.matching import MatchReport, Outcome
from hashmatch.matching.kept_lists import SearchedList
from hashmatch.scan.ledger_file import check_structure, connect, create_tables, damaged, mark_of, translated_errors
from hashmatch.scan.ledger_reading import REMEMBERED, LedgerReading
from hashmatch.scan.ledger_rows import (
    KEPT,
    NOT_COMPARED,
    OUTCOMES,
    Basis,
    brief_of,
    checked,
    hits_of,
    is_loose,
    list_form,
    lists_of,
    policy_digest,
)

if TYPE_CHECKING:
    from hashmatch.matching import Matcher

__all__ = ["Ledger"]

_BATCH: Final = 256
_SECONDS: Final = 1.0
_BLOCK_BYTES: Final = 2**20
_PLAIN: Final = ("number", "kind", "at", "policy", "policy_name", "decode", "software")


@dataclass(slots=True)
class _Pending:
    """What the next commit writes of the blocks: by algorithm, owners and codes."""

    owners: dict[str, list[int]] = field(default_factory=dict)
    codes: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, content: int, fingerprint: Fingerprint) -> None:
        for algorithm, data in {(item.value.algorithm, item.value.data) for item in fingerprint.view_hashes}:
            if ALGORITHMS[algorithm].n_bits:
                self.owners.setdefault(algorithm, []).append(content)
                self.codes.setdefault(algorithm, []).append(data)


class Ledger(LedgerReading):
    """The ledger of a scan; see the module. Processes and threads that write to it take turns.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Ledger.open(pathlib.Path(folder.name) / "disk.ledger") as ledger:
    ...     ledger.counts()
    LedgerCounts(items=0, contents=0, behind=0)
    >>> folder.cleanup()
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._turn = threading.RLock()
        self._is_closed = False
        self._path = path
        with translated_errors():
            identifier, self._salt, self._names = checked(
                connection.execute("SELECT uuid, salt, names, mark FROM state").fetchone()
            )
            self._next = self._greatest("content") + 1
            self._next_report = self._greatest("report") + 1
        self._seen = -1
        self._identifier = bytes(identifier).hex()
        self._bases: dict[int, Basis] = {}
        self._basis: Basis | None = None
        self._pending = _Pending()
        self._since = 0
        self._last_commit = time.monotonic()
        self._numbers: dict[object, int] = {}
        self._reports: dict[int, MatchReport] = {}

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        keep_names: bool | None = None,
        writable: bool = True,
        timeout: float = 5.0,
    ) -> Ledger:
        """Open a ledger; make it if there is none and it is to be written.

        Parameters
        ----------
        path : path
            Of the file. It holds hashes of all pictures that were scanned: keep it as safe as the medium.
        keep_names : bool, optional
            Whether file names are kept in it. Decided when the ledger is made, by default not; later the same must be
            asked or nothing.
        writable : bool
            False only reads, and makes nothing.
        timeout : float
            Seconds to wait for another scan that writes.

        Raises
        ------
        LedgerError
            If the file is missing, damaged, no ledger, of a newer version or in use, or cannot be written; the reason
            says which.
        """
        place = Path(path)
        if writable:
            try:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                pass
            except OSError as error:
                raise LedgerError(f"the ledger cannot be made: {error.strerror}", reason="unusable") from None
        with translated_errors():
            connection = connect(place, writable=writable, timeout=timeout)
            try:
                if (
                    writable
                    and place.stat().st_size == 0
                    and not connection.execute("PRAGMA schema_version").fetchone()[0]
                ):
                    create_tables(connection, secrets.token_bytes(32), uuid.uuid4().bytes, names=bool(keep_names))
                check_structure(connection)
                if writable:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = NORMAL")
                ledger = cls(connection, place)
            except BaseException:
                connection.close()
                raise
        if keep_names is not None and keep_names != ledger.keeps_names:
            ledger.close()
            kept = "keeps" if not keep_names else "does not keep"
            raise LedgerError(f"this ledger {kept} file names: that is decided when it is made", reason="other-names")
        return ledger

    def close(self) -> None:
        """Write what is still to be written, and close the file; a second call does nothing."""
        with self._turn:
            try:
                self.commit()
            finally:
                self._is_closed = True
                with suppress(sqlite3.Error):
                    self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LedgerError):
            self._forget()
        self.close()

    def __repr__(self) -> str:
        return f"<Ledger {self._identifier[:8]}>"

    @property
    def identifier(self) -> str:
        """Identifier that was drawn when the ledger was made, 32 hexadecimal digits."""
        return self._identifier

    @property
    def keeps_names(self) -> bool:
        """Whether names of items are kept."""
        return bool(self._names)

    def key_of(self, name: bytes) -> bytes:
        """Work out by which key an item of this name is known: 16 bytes, keyed with a secret of this ledger."""
        return hmac.digest(self._salt, name, "sha256")[:16]

    def begin(self, matcher: Matcher, kind: str = "scan") -> Basis:
        """Say by what the contents that are recorded from now on are compared; the last basis if it is the same.

        Raises
        ------
        LedgerError
            With the reason ``other-policy``, if a scan is to go on by another policy or pixel contract.
        """
        policy, decode, lists = policy_digest(matcher.policy), matcher.policy.decode.contract, lists_of(matcher)
        algorithms = frozenset(KEPT) | {name for item in lists for name in item.algorithms}
        with self._turn:
            last = self.bases[-1] if self.bases else None
            same = last is not None and (last.policy, last.decode) == (policy, decode)
            if last is not None and not same and kind == "scan":
                raise LedgerError(
                    f"this ledger was begun by the policy {last.policy_name!r}, which is another, or differs in what is"
                    " decoded: go on by that, bring it to the other by hashmatch rescan, or begin another ledger",
                    reason="other-policy",
                )
            if last is not None and same and (last.lists, last.gap) == (lists, ()) and algorithms <= last.algorithms:
                self._basis = last
            else:
                self._basis = self._new_basis(kind, policy, matcher.policy.name, decode, lists, algorithms)
                if kind == "scan":
                    self.commit()
            return self._basis

    def is_current(self, basis: Basis) -> bool:
        """Whether contents of a basis were compared by all that the basis which was begun compares by."""
        now = self._basis
        if now is None or basis.number == now.number:
            return now is not None
        asked = (basis.policy, basis.decode, basis.lists, basis.gap) == (now.policy, now.decode, now.lists, ())
        return asked and now.algorithms <= basis.algorithms

    def _new_basis(
        self,
        kind: str,
        policy: bytes,
        policy_name: str,
        decode: str,
        lists: tuple[SearchedList, ...],
        algorithms: frozenset[str],
    ) -> Basis:
        with self._writing() as connection:
            number = self._greatest("basis") + 1
            basis = Basis(
                number=number,
                kind=kind,
                at=int(time.time()),
                policy=policy,
                policy_name=policy_name,
                decode=decode,
                software=f"hashmatch {__version__}",
                lists=lists,
                algorithms=algorithms,
                gap=(),
            )
            self._write_basis(connection, basis)
        return basis

    def bring_up(self, basis: Basis, lists: tuple[SearchedList, ...], gap: Iterable[str]) -> None:
        """Say that the contents of a basis were compared up to these versions, but for some views."""
        with self._writing() as connection:
            self._write_basis(connection, replace(basis, lists=lists, gap=tuple(sorted({*basis.gap, *gap}))))

    def _write_basis(self, connection: sqlite3.Connection, basis: Basis) -> None:
        row = (
            *(getattr(basis, name) for name in _PLAIN),
            json.dumps([list_form(item) for item in basis.lists]),
            json.dumps(sorted(basis.algorithms)),
            json.dumps(basis.gap),
        )
        connection.execute("REPLACE INTO basis VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, mark_of(*row)))
        self._bases[basis.number] = basis

    # what a scan asks and records

    def done(self, name: bytes, stamp: bytes) -> MatchReport | None:
        """Give the answer of an item that was done before; None if it was not, or if it is another file by its stamp.

        Items whose bytes could not be read are to be tried again, and so are those that a rescan could not compare.
        """
        with self._turn, translated_errors():
            row = self._connection.execute(
                "SELECT key, stamp, content, report, at, name, mark FROM item WHERE key = ?", (self.key_of(name),)
            ).fetchone()
            if row is None or row[1] != stamp:
                return None
            content = checked(row)[2]
            return None if content is None else self._compared(*self._answer(content))

    def known(self, sha256: bytes) -> MatchReport | None:
        """Give the answer of a content that was compared by the basis that was begun; None if there is none."""
        with self._turn, translated_errors():
            row = self._connection.execute("SELECT id FROM content WHERE sha256 = ?", (sha256,)).fetchone()
            if row is None:
                return None
            report, basis = self._answer(row[0])
            return self._compared(report, basis) if self.is_current(self._basis_of(basis)) else None

    def _compared(self, report: int, basis: int) -> MatchReport | None:
        """Give a report, but of a content that is to be looked at again to say more."""
        found = self._report(report)
        gap = found.outcome is Outcome.NO_MATCH and self._basis_of(basis).gap
        return None if gap or (found.outcome, found.reason) == (Outcome.UNDECIDABLE, NOT_COMPARED) else found

    def record(
        self, name: bytes, stamp: bytes, sha256: bytes | None, fingerprint: Fingerprint | None, report: MatchReport
    ) -> None:
        """Write down an item; with a later commit, which follows by itself after some items or a second.

        Parameters
        ----------
        name : bytes
            Name of the item.
        stamp : bytes
            What tells the file from a later one of the same name.
        sha256 : bytes or None
            Of the content; None if its bytes could not be read.
        fingerprint : Fingerprint or None
            None for a content that is known.
        report : MatchReport
            The answer.
        """
        with self._writing() as connection:
            number = None
            if sha256 is not None:
                number = self._content(connection, sha256, fingerprint, report)
            said = None if number is not None else self._report_number(report)
            row = (self.key_of(name), stamp, number, said, int(time.time()), name if self._names else None)
            connection.execute(
                "INSERT INTO item VALUES (NULL, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                " stamp = excluded.stamp, content = excluded.content, report = excluded.report, at = excluded.at,"
                " mark = excluded.mark",
                (*row, mark_of(*row)),
            )
        if self._since >= _BATCH or time.monotonic() - self._last_commit > _SECONDS:
            self.commit()

    def _content(
        self, connection: sqlite3.Connection, sha256: bytes, fingerprint: Fingerprint | None, report: MatchReport
    ) -> int:
        row = connection.execute("SELECT id FROM content WHERE sha256 = ?", (sha256,)).fetchone()
        if fingerprint is None:
            if row is None:
                raise damaged()
            return int(row[0])
        if self._basis is None:
            raise ValueError("begin says by what contents are compared; call it before record")
        number = self._next if row is None else int(row[0])
        self._put(connection, number, sha256, self._basis, fingerprint.to_bytes(), report, is_new=row is None)
        self._next += row is None
        self._pending.add(number, fingerprint)
        return number

    def _put(
        self,
        connection: sqlite3.Connection,
        number: int,
        sha256: bytes,
        basis: Basis,
        fingerprint: bytes,
        report: MatchReport,
        *,
        is_new: bool,
    ) -> None:
        outcome, said = OUTCOMES.index(report.outcome), self._report_number(report)
        row = (number, sha256, basis.number, said, outcome, int(is_loose(report)), fingerprint)
        how = "INSERT" if is_new else "REPLACE"  # a new content never takes the place of another
        connection.execute(f"{how} INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, mark_of(*row)))
        found = hits_of(report)
        if not found and is_new:
            return
        before: dict[tuple[str, ...], tuple[int, int]] = {}
        for rowid, *hit, since in () if is_new else self._live_hits(connection, number):
            before[tuple(hit)] = rowid, since
        for gone in before.keys() - found:
            rowid, since = before[gone]
            mark = mark_of(number, *gone, since, basis.number)
            connection.execute("UPDATE hit SET until = ?, mark = ? WHERE rowid = ?", (basis.number, mark, rowid))
        rows = [(number, *hit, basis.number, None) for hit in sorted(found - before.keys())]
        connection.executemany(
            "INSERT INTO hit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(*row, mark_of(*row)) for row in rows]
        )

    @staticmethod
    def _live_hits(connection: sqlite3.Connection, number: int) -> list[tuple[Any, ...]]:
        return connection.execute(
            "SELECT rowid, kind, list_id, entry_id, algorithm, since FROM hit WHERE content = ? AND until IS NULL",
            (number,),
        ).fetchall()

    def _report_number(self, report: MatchReport) -> int:
        """Keep a report, and those that say the same of many pictures once."""
        brief = brief_of(report)
        number = None if brief is None else self._numbers.get(brief)
        if number is None:
            body = json.dumps(report.to_dict(), separators=(",", ":")).encode("ascii")
            number = self._next_report
            self._next_report += 1
            self._connection.execute("INSERT INTO report VALUES (?, ?, ?)", (number, body, zlib.crc32(body)))
            if brief is not None:
                if len(self._numbers) >= REMEMBERED:
                    self._numbers.clear()
                self._numbers[brief] = number
        return number

    def commit(self) -> None:
        """Make what was recorded last.

        Raises
        ------
        LedgerError
            If it cannot be written; what was recorded since the last commit is not in the ledger then.
        """
        with self._turn:
            if self._is_closed or not self._connection.in_transaction:
                return
            try:
                with translated_errors():
                    self._write_blocks()
                    self._connection.execute("COMMIT")
            except BaseException:
                self._forget()
                raise
            self._since, self._last_commit = 0, time.monotonic()

    def _write_blocks(self) -> None:
        for algorithm, codes in self._pending.codes.items():
            owners = np.array(self._pending.owners[algorithm], "<i8")
            step = max(1, _BLOCK_BYTES // ALGORITHMS[algorithm].n_bytes)
            for start in range(0, len(codes), step):
                named, data = owners[start : start + step].tobytes(), b"".join(codes[start : start + step])
                self._connection.execute(
                    "INSERT INTO block VALUES (NULL, ?, ?, ?, ?)",
                    (algorithm, named, data, zlib.crc32(data, zlib.crc32(named))),
                )
        self._pending = _Pending()

    def _forget(self) -> None:
        """Go back to what was committed."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._pending, self._since = _Pending(), 0
        with suppress(sqlite3.Error):
            self._forget_numbers()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within the transaction that the next commit ends; all of that is undone if it fails."""
        with self._turn:
            try:
                with translated_errors():
                    if not self._connection.in_transaction:
                        self._connection.execute("BEGIN IMMEDIATE")
                        self._take_up()
                    yield self._connection
            except BaseException:
                self._forget()
                raise
            self._since += 1

    def _take_up(self) -> None:
        """Take up what another process has committed since: no number that it gave is given again.

        Raises
        ------
        LedgerError
            If it says of the basis that was begun that its contents were compared with more than this one compares.
        """
        (seen,) = self._connection.execute("PRAGMA data_version").fetchone()
        if seen == self._seen:
            return
        self._forget_numbers()
        if self._basis is not None and self._basis_of(self._basis.number) != self._basis:
            raise LedgerError(
                "the ledger was matched again by another process meanwhile: run the same command again", reason="busy"
            )
        self._seen = seen

    def _forget_numbers(self) -> None:
        """Forget what was read before, and go on behind the last numbers of the file."""
        self._numbers.clear()
        self._reports.clear()
        self._bases.clear()
        self._next, self._next_report = self._greatest("content") + 1, self._greatest("report") + 1

    def answer_anew(self, content: int, basis: Basis, report: MatchReport) -> None:
        """Put another report in the place of a content's; with the next commit."""
        with self._writing() as connection:
            row = connection.execute("SELECT sha256, fingerprint FROM content WHERE id = ?", (content,)).fetchone()
            if row is None:
                raise damaged()
            self._put(connection, content, row[0], basis, row[1], report, is_new=False)

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Commit at the end of the block, or undo all of it; nobody else writes meanwhile."""
        self.commit()
        try:
            with self._writing():  # what is read in the block is what its writes build on
                pass
            yield
            self.commit()
        except BaseException:
            self._forget()
            raise
