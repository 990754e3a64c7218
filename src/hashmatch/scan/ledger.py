"""`Ledger`: what a scan did, so that it can go on where it was killed and be matched again without a picture.

Floor: scan. One row an item, one a content, by its SHA-256. No file name is kept unless it is asked for: an item is
known by a keyed hash of its name. The hashes of all views stand in blocks of a few hundred contents too, as arrays,
which is what new entries of a list are searched in. Over 400 lines because what is written is read beside it.

Every few hundred items are one transaction in a write-ahead log. A killed process loses at most the transaction it was
in, and a power cut what came after the last checkpoint (about 4 MB of the log); the file is whole after both.
"""

from __future__ import annotations

import hashlib
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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import HashFormatError, LedgerError
from hashmatch.hashes import Fingerprint
from hashmatch.lists import VersionMark
from hashmatch.matching import MatchReport, Outcome
from hashmatch.matching.kept_lists import SearchedList
from hashmatch.scan.ledger_file import check_structure, connect, create_tables, damaged, mark_of, translated_errors

if TYPE_CHECKING:
    from hashmatch.matching import Match, Matcher
    from hashmatch.policy import MatchPolicy

__all__ = ["KEPT", "NOT_COMPARED", "Basis", "Ledger", "LedgerCounts", "Stored"]

KEPT: Final = ("md5", "sha1", "sha256", "pdq")
"""Algorithms of which every fingerprint of a ledger has hashes, besides those that the lists hold."""

NOT_COMPARED: Final = "views-not-compared"
"""Reason of "no match" that cannot be said, because views were not compared."""

_BATCH: Final = 256
_SECONDS: Final = 1.0
_BLOCK_BYTES: Final = 2**20
_REMEMBERED: Final = 4_096
_PLAIN: Final = ("number", "kind", "at", "policy", "policy_name", "decode", "software")
_OUTCOMES: Final = tuple(Outcome)
_LOOSE: Final = frozenset({"unconfirmed", "held", "list-damaged", "nothing-to-compare"})
"""Reasons that may go with a change of a list that no match names."""

Hits = frozenset[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What contents of a ledger were compared by.

    Parameters
    ----------
    number : int
        Of the basis in its ledger, ascending.
    kind : str
        ``"scan"`` or ``"rescan"``.
    at : int
        When it began, seconds since 1970.
    policy : bytes
        SHA-256 of the policy.
    policy_name : str
        Its name.
    decode : str
        Version of the pixel contract, as `MatchReport.decode`.
    software : str
        ``"hashmatch <version>"``.
    lists : tuple of SearchedList
        The lists, at the versions up to which the contents were compared.
    algorithms : frozenset of str
        Algorithms of which fingerprints were made.
    gap : tuple of str
        Views that the policy asks for and in which entries added since were not compared.
    """

    number: int
    kind: str
    at: int
    policy: bytes
    policy_name: str
    decode: str
    software: str
    lists: tuple[SearchedList, ...]
    algorithms: frozenset[str]
    gap: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One item of a ledger.

    Parameters
    ----------
    number : int
        Of the item, ascending in the order in which items were done.
    key : bytes
        Keyed hash of its name, 16 bytes; see `Ledger.key_of`.
    name : bytes or None
        Its name, if the ledger keeps names.
    at : int
        When it was done, seconds since 1970.
    content : int or None
        Number of its content; None if its bytes could not be read.
    report : MatchReport
        The answer, as it was made.
    basis : Basis or None
        What it was compared by since; None without a content.
    withdrawn : tuple of (str, str, str)
        List, entry and algorithm of matches that were taken back.
    """

    number: int
    key: bytes
    name: bytes | None
    at: int
    content: int | None
    report: MatchReport
    basis: Basis | None
    withdrawn: tuple[tuple[str, str, str], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The answer as of now: "no match" is undecidable where entries were added since that could not be compared."""
        gap = self.basis is not None and bool(self.basis.gap)
        return Outcome.UNDECIDABLE if gap and self.report.outcome is Outcome.NO_MATCH else self.report.outcome

    @property
    def reason(self) -> str | None:
        """The reason as of now."""
        return self.report.reason if self.outcome is self.report.outcome else NOT_COMPARED


@dataclass(slots=True)
class LedgerCounts:
    """What a ledger holds.

    Parameters
    ----------
    items, contents : int
        Items, and different contents among them.
    behind : int
        Contents that were compared with other versions of the lists than the last ones.
    """

    items: int
    contents: int
    behind: int


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


class Ledger:
    """The ledger of a scan; see the module. Used by one process at a time; its methods take turns.

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
            identifier, self._salt, self._names = _checked(
                connection.execute("SELECT uuid, salt, names, mark FROM state").fetchone()
            )
            self._next = self._greatest("content") + 1
            self._next_report = self._greatest("report") + 1
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

    # what was compared by what

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
            *plain, lists, algorithms, gap = _checked(row)
            try:
                self._bases[number] = Basis(
                    **dict(
                        zip(("number", "kind", "at", "policy", "policy_name", "decode", "software"), plain, strict=True)
                    ),
                    lists=tuple(map(_list_from, json.loads(lists))),
                    algorithms=frozenset(json.loads(algorithms)),
                    gap=tuple(json.loads(gap)),
                )
            except (ValueError, KeyError, TypeError):
                raise damaged() from None
        return self._bases[number]

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
            json.dumps([_list_form(item) for item in basis.lists]),
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
                "SELECT item.stamp, content.report, content.basis FROM item JOIN content ON content.id = item.content"
                " WHERE key = ?",
                (self.key_of(name),),
            ).fetchone()
            return None if row is None or row[0] != stamp else self._compared(row[1], row[2])

    def known(self, sha256: bytes) -> MatchReport | None:
        """Give the answer of a content that was compared by the basis that was begun; None if there is none."""
        with self._turn, translated_errors():
            row = self._connection.execute("SELECT report, basis FROM content WHERE sha256 = ?", (sha256,)).fetchone()
            current = row is not None and self.is_current(self._basis_of(row[1]))
            return self._compared(row[0], row[1]) if current else None

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
        outcome, said = _OUTCOMES.index(report.outcome), self._report_number(report)
        row = (number, sha256, basis.number, said, outcome, int(is_loose(report)), fingerprint)
        connection.execute("REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, mark_of(*row)))
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
                if len(self._numbers) >= _REMEMBERED:
                    self._numbers.clear()
                self._numbers[brief] = number
        return number

    def _report(self, number: int) -> MatchReport:
        known = self._reports.get(number)
        if known is None:
            row = self._connection.execute("SELECT body, mark FROM report WHERE id = ?", (number,)).fetchone()
            if row is None or zlib.crc32(row[0]) != row[1]:
                raise damaged()
            try:
                known = MatchReport.from_dict(json.loads(row[0]))
            except (HashFormatError, ValueError):
                raise damaged() from None
            if len(self._reports) >= _REMEMBERED:
                self._reports.clear()
            self._reports[number] = known
        return known

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
        self._numbers.clear()
        self._reports.clear()
        self._bases.clear()
        with suppress(sqlite3.Error):
            self._next, self._next_report = self._greatest("content") + 1, self._greatest("report") + 1

    def _greatest(self, table: str) -> int:
        row = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608
        return int(row[0] or 0)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within the transaction that the next commit ends; all of that is undone if it fails."""
        with self._turn:
            try:
                with translated_errors():
                    if not self._connection.in_transaction:
                        self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
            except BaseException:
                self._forget()
                raise
            self._since += 1

    # what reports and rescans read

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
        last = 0
        while True:
            with self._turn, translated_errors():
                rows = self._connection.execute(
                    "SELECT item.id, content.id, content.report, content.basis, key, stamp, item.content, item.report,"
                    " at, name, item.mark FROM item LEFT JOIN content ON content.id = item.content WHERE item.id > ?"
                    " ORDER BY item.id LIMIT 500",
                    (last,),
                ).fetchall()
                found = [self._stored(row) for row in rows]
            if not found:
                return
            yield from found
            last = found[-1].number

    def _stored(self, row: tuple[Any, ...]) -> Stored:
        number, there, answer, basis = row[:4]
        key, _, content, own, at, name = _checked(row[4:])
        if content != there:
            raise damaged()
        report = self._report(own if content is None else answer)
        withdrawn = self._connection.execute(
            "SELECT list_id, entry_id, algorithm FROM hit WHERE content = ? AND until IS NOT NULL AND kind = 'match'",
            (content,),
        )
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
            row = _checked(self._connection.execute("SELECT * FROM content WHERE id = ?", (content,)).fetchone())
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
        n_bytes, last = ALGORITHMS[algorithm].n_bytes, 0
        while True:
            with self._turn, translated_errors():
                rows = self._connection.execute(
                    "SELECT id, owners, codes, mark FROM block WHERE id > ? AND algorithm = ? ORDER BY id LIMIT 64",
                    (last, algorithm),
                ).fetchall()
            if not rows:
                return
            for last, owners, codes, mark in rows:  # noqa: B007 - the last one is where the next step begins
                if zlib.crc32(codes, zlib.crc32(owners)) != mark or len(owners) * n_bytes != len(codes) * 8:
                    raise damaged()
                yield np.frombuffer(owners, "<i8"), np.frombuffer(codes, np.uint8).reshape(-1, n_bytes)

    def matched_entries(self, list_id: str) -> dict[str, list[int]]:
        """Give the contents of every entry of a list that reports name, by the entry's id."""
        found: dict[str, list[int]] = {}
        with self._turn, translated_errors():
            for entry_id, content in self._connection.execute(
                "SELECT DISTINCT entry_id, content FROM hit WHERE list_id = ? AND until IS NULL", (list_id,)
            ):
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
                        (basis.number, _OUTCOMES.index(Outcome.NO_MATCH)),
                    ).fetchone()
                    number += int(row[0])
                undecidable = self._connection.execute(
                    "SELECT report, count(*) FROM content WHERE basis = ? AND outcome = ? GROUP BY report",
                    (basis.number, _OUTCOMES.index(Outcome.UNDECIDABLE)),
                ).fetchall()
                number += sum(int(n) for report, n in undecidable if self._report(report).reason == NOT_COMPARED)
        return number

    def answer_of(self, content: int) -> tuple[MatchReport, int] | None:
        """Give the report of a content and the number of its basis; None if there is no such content."""
        with self._turn, translated_errors():
            row = self._connection.execute("SELECT report, basis FROM content WHERE id = ?", (content,)).fetchone()
            return None if row is None else (self._report(row[0]), row[1])

    def items_of(self, content: int) -> tuple[tuple[bytes, bytes | None], ...]:
        """Give key and name of the items of a content."""
        with self._turn, translated_errors():
            return tuple(
                self._connection.execute("SELECT key, name FROM item WHERE content = ? ORDER BY id", (content,))
            )

    def answer_anew(self, content: int, basis: Basis, report: MatchReport) -> None:
        """Put another report in the place of a content's; with the next commit."""
        with self._writing() as connection:
            row = connection.execute("SELECT sha256, fingerprint FROM content WHERE id = ?", (content,)).fetchone()
            if row is None:
                raise damaged()
            self._put(connection, content, row[0], basis, row[1], report, is_new=False)

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Commit at the end of the block, or undo all of it."""
        self.commit()
        try:
            yield
            self.commit()
        except BaseException:
            self._forget()
            raise

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
                _checked(row)


def _checked(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """Give a row without its check value, which comes last and must be right."""
    if row is None or mark_of(*row[:-1]) != row[-1]:
        raise damaged()
    return row[:-1]


def policy_digest(policy: MatchPolicy) -> bytes:
    """SHA-256 of all that a policy asks, its secret key included."""
    key = None if policy.keypoints is None else policy.keypoints.key
    text = json.dumps(policy.to_dict(), sort_keys=True).encode()
    return hashlib.sha256(text + b"\0" + (b"" if key is None else hashlib.sha256(key).digest())).digest()


def lists_of(matcher: Matcher) -> tuple[SearchedList, ...]:
    """Give the lists of a matcher in the order in which a ledger remembers them."""
    return tuple(sorted(matcher.states, key=lambda item: item.mark.list_id))


def _list_form(item: SearchedList) -> dict[str, Any]:
    """JSON-ready form; holds no hash."""
    return asdict(item) | {"algorithms": sorted(item.algorithms)}


def _list_from(form: Any) -> SearchedList:
    return SearchedList(**(form | {"mark": VersionMark(**form["mark"]), "algorithms": frozenset(form["algorithms"])}))


def hits_of(report: MatchReport) -> Hits:
    """Give kind, list, entry and algorithm of everything that a report names."""
    kinds: tuple[tuple[str, Iterable[Match]], ...] = (
        ("match", report.matches),
        ("suppressed", (pair.match for pair in report.suppressed)),
        ("by", (pair.by for pair in report.suppressed)),
        ("comparison", report.comparisons),
        ("held", report.held),
    )
    return frozenset((kind, item.list_id, item.entry_id, item.algorithm) for kind, matches in kinds for item in matches)


def is_loose(report: MatchReport) -> bool:
    """Whether a report may rest on entries that it does not name."""
    cut = (
        report.n_matches > len(report.matches)
        or report.n_suppressed > len(report.suppressed)
        or report.n_comparisons > len(report.comparisons)
        or report.n_held > len(report.held)
    )
    return cut or report.reason in _LOOSE


def brief_of(report: MatchReport) -> object:
    """Give a key that is equal for reports that say the same; None for those that name an entry."""
    if report.matches or report.suppressed or report.comparisons or report.held:
        return None
    lists = tuple(
        (item.list_id, item.digest, item.n_entries, *item.compared.items(), *item.not_compared.items())
        for item in report.lists
    )
    return (
        report.outcome,
        report.reason,
        report.format,
        report.quality,
        report.policy,
        report.decode,
        report.protection,
        report.views_compared,
        report.views_not_compared,
        report.frames,
        lists,
        report.software,
    )
