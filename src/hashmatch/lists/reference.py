"""`ReferenceList`: a hash-only list in one SQLite file.

Floor: lists. SQLite gives the durability; this file gives the meaning: entries live until their last source withdraws
them, every transaction makes a new version, and nothing is handed out that does not carry the check value it was
written with. What the file can hold is in `schema`, how rows are checked in `seals`, how changes are written in
`editor`, what an index reads in `snapshot`, connections and transactions are in `session`.

Over 400 lines because one class is the whole public face of a list, and most of it is documentation.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

from hashmatch.algorithms import algorithm_named
from hashmatch.errors import ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue
from hashmatch.lists.entry import (
    LOCAL,
    MAX_ENTRY_ID,
    MAX_LIST_NAME,
    MAX_SOURCE,
    Entry,
    checked_labels,
    checked_text,
    is_name,
)
from hashmatch.lists.file.beside import real_path, stands
from hashmatch.lists.file.editor import AddCounts, blocks_of
from hashmatch.lists.file.entries import State, keys_after, load_records, load_state, store_state, to_entry
from hashmatch.lists.file.schema import connect, damaged, translated_errors, use_no_journal
from hashmatch.lists.file.sql_tables import (
    ALGORITHM_NAMES,
    ALGORITHM_NUMBERS,
    FORMAT_VERSION,
    RECORD_NUMBERS,
    create_tables,
    table_of,
)
from hashmatch.lists.read.content import Content
from hashmatch.lists.read.pinned import PinnedVersion, contents_of
from hashmatch.lists.read.record_stream import read_record
from hashmatch.lists.read.rows import Changes, Snapshot, read_changes, read_snapshot
from hashmatch.lists.replacing import recover_list, replace_list
from hashmatch.lists.session import Session
from hashmatch.lists.verify import verify_all

__all__ = ["ListInfo", "ReferenceList"]

_TIMEOUT: Final = 30.0
_ENTRIES_A_STEP: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInfo:
    """Figures of one version of a list.

    Parameters
    ----------
    list_id : str
        Identifier that `ReferenceList.create` draws, 32 hexadecimal digits; distinguishes two lists of one name.
    name : str
        The list's name.
    version : int
        Transactions that changed the list so far.
    digest : str
        Content digest, 64 hexadecimal digits: the same for the same entries with the same hashes, qualities, sources
        and labels, in every list; different for other contents.
    format_version : int
        Version of the file's format.
    entries : int
        Number of entries.
    hashes : mapping of str to int
        Number of hash rows by algorithm; a hash that two sources list for one entry counts twice.
    sources : mapping of str to int
        Number of entries by source. A source that withdrew everything stays, with 0.
    file_bytes : int
        Size of the file, bytes, without a log that a writer may keep beside it.
    """

    list_id: str
    name: str
    version: int
    digest: str
    format_version: int
    entries: int
    hashes: Mapping[str, int]
    sources: Mapping[str, int]
    file_bytes: int


class ReferenceList:
    """A hash-only list: entries with hashes, labels and sources, in one file.

    Make one with `create` or `open`; put another in its place with `replace`. Reading: ``len``, ``in``, ``iter``,
    `get`, `get_many`, `find`, `entry_by_key`, `info`, `verify`. Writing: `add`, `add_many`, `relabel`, `withdraw`,
    `withdraw_many`, `transaction`, `compact`. For indexes: `snapshot`, `changes_since`, `pinned`, `present`,
    `change_mark`.

    Notes
    -----
    Threads: every method may be called from any thread. Calls on one object take turns, except `snapshot`,
    `changes_since` and `verify`, which read through a connection of their own and delay nobody. While one
    thread is inside `transaction`, the others wait for it.

    Processes: any number may read beside one writer. Writers take turns by transaction, each waiting up to
    ``timeout`` seconds. A forked child may use a list that was opened for reading, but none that was opened for
    writing. A fork waits up to ten seconds until no thread is within a call of SQLite; if one still is, the
    child raises at every use of a list.

    Durability: when a method has returned, its changes are on disk (``synchronous = FULL``). A killed writer loses its
    open transaction and nothing else. While a writer is open, ``-wal``, ``-shm`` and ``-tie`` files stand beside the
    list; when it closes, everything is in the one file again. If others were reading then, an empty log may stay until
    the next writer closes. Such files of another list are refused; see `recover`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/demo.hashmatch"
    >>> with ReferenceList.create(path, name="demo") as ref:
    ...     ref.add("entry-1", hashes=[HashValue.parse("dhash:00ff00ff00ff00ff")], labels={"class": "A1"})
    True
    >>> with ReferenceList.open(path) as ref:
    ...     print(ref, ref.get("entry-1").labels)
    <ReferenceList 'demo', version 1, entries: 1> {'local': {'class': 'A1'}}
    >>> folder.cleanup()
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, name: str, timeout: float = _TIMEOUT) -> ReferenceList:
        """Make an empty list and open it for writing.

        Parameters
        ----------
        path : path
            Path of the new list; no file may exist there. Only its owner can read the file.
        name : str
            Name of the list, 1 to 256 characters without control characters; match reports show it.
        timeout : float
            Seconds to wait for others that use the file.

        Raises
        ------
        ReferenceListError
            If a file is there already, or the folder cannot be written.
        """
        checked_text(name, "the name of the list", MAX_LIST_NAME)
        target = Path(path)
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            raise ReferenceListError(
                "a file is already at this path: open it with ReferenceList.open, or choose another path"
            ) from None
        except (OSError, ValueError):
            raise ReferenceListError(
                "the list file cannot be made: check that its folder exists and is writable"
            ) from None
        if stands(real_path(target)):
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise ReferenceListError(
                "files of an earlier list stand beside this path (-wal, -shm or -journal): move them away, "
                "with that list if what they hold is wanted, or choose another path"
            )
        state = State(uuid.uuid4().bytes, name, 0, 0, 1, 1, 0, 0)
        try:
            with translated_errors(), contextlib.closing(connect(target, writable=True, timeout=timeout)) as connection:
                use_no_journal(connection)
                connection.execute("BEGIN EXCLUSIVE")
                create_tables(connection)
                store_state(connection, state)
                connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise
        return cls.open(target, writable=True, timeout=timeout)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        writable: bool = False,
        check: Literal["none", "pages", "full"] = "pages",
        timeout: float = _TIMEOUT,
    ) -> ReferenceList:
        """Open a list, for reading unless ``writable`` is set.

        Parameters
        ----------
        path : path
            Path of the list.
        writable : bool
            Open for reading and writing. Otherwise the file is opened read-only, also from read-only media.
        check : {"pages", "none", "full"}
            What to check beyond format, version, schema and counters, which are always checked. ``"pages"`` lets
            SQLite check every page (0.3 to 1 second for a million entries); ``"full"`` calls `verify`; ``"none"``
            checks nothing more: the reading methods check each row that they return, but may not find one by its id.
        timeout : float
            Seconds to wait for others that use the file.

        Raises
        ------
        ReferenceListError
            If there is no such file, or it is not a list, of another version, damaged, cut short, or cannot be read.
        """
        if check not in ("none", "pages", "full"):
            raise ValueError('check must be "none", "pages" or "full"')
        return cls(Session(Path(path), writable=writable, check=check, timeout=timeout))

    @classmethod
    def replace(
        cls,
        path: str | os.PathLike[str],
        new_path: str | os.PathLike[str],
        *,
        force: bool = False,
        timeout: float = _TIMEOUT,
    ) -> ListInfo:
        """Put a copy of a later version of a list in its place while others read or write the list.

        Parameters
        ----------
        path : path
            Path of the list that is replaced. Its permissions stay.
        new_path : path
            Path of the list that is copied; its file stays as it is.
        force : bool
            Replace the list also by another list, by an earlier version, or by a copy that was changed separately; and
            also if the old list cannot be opened.
        timeout : float
            Seconds to wait for a writer's transaction, or for readers.

        Returns
        -------
        ListInfo
            Of the list that is at the path now.

        Raises
        ------
        ReferenceListError
            If the new file is no sound list or not a later version of the old one, if the old list cannot be opened or
            is busy, or if the folder cannot be written. The old list then stays as it was.

        Notes
        -----
        The copy is made beside the list and verified in full before it takes the list's place, so the folder needs
        room for it. The renaming decides: a killed process or a power cut leaves the old list with its log or the new
        list without. A reader that has the old file open goes on reading it and finds `replaced` set; a writer raises
        at its next transaction. Matchers take the new file up at their next reload. A killed process may leave a file
        named ``.NAME.….new``, to be deleted.
        """
        replace_list(Path(path), Path(new_path), force=force, timeout=timeout)
        with cls.open(path, check="none", timeout=timeout) as now:
            return now.info()

    @classmethod
    def recover(cls, path: str | os.PathLike[str], *, keep_log: bool, timeout: float = _TIMEOUT) -> ListInfo:
        """Make a list usable again if files stand beside it that do not belong to it.

        `open` refuses such a list, because SQLite would replay these files. Without such files nothing is done.

        Parameters
        ----------
        path : path
            Path of the list.
        keep_log : bool
            False keeps the list as the file alone has it, and removes the files beside it. True brings in what the
            log holds: for a list and the log of its killed writer that were copied or restored together.
        timeout : float
            Seconds to wait for others that use the file.

        Returns
        -------
        ListInfo
            Of the list that is at the path now.

        Raises
        ------
        ReferenceListError
            If the result would be no sound list, or the log is another list's or older than the file. Everything then
            stays as it was.

        Notes
        -----
        The result is made beside the list, verified in full and put in place as `replace` does. No process should
        write to the list meanwhile: what it writes is lost, and its next transaction raises.
        """
        recover_list(Path(path), keep_log=keep_log, timeout=timeout)
        with cls.open(path, check="none", timeout=timeout) as now:
            return now.info()

    def close(self) -> None:
        """Close the file; a second call does nothing. A writer puts everything into the one file first."""
        self._session.close()

    def __enter__(self) -> ReferenceList:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Name of the list."""
        return self._session.seen.name

    @property
    def list_id(self) -> str:
        """The list's uuid, 32 hexadecimal digits."""
        return self._session.seen.uuid.hex()

    @property
    def uuid(self) -> uuid.UUID:
        """The list's uuid."""
        return uuid.UUID(bytes=self._session.seen.uuid)

    @property
    def path(self) -> Path:
        """Path the list was opened by."""
        return self._session.path

    @property
    def writable(self) -> bool:
        """Whether the list was opened for writing."""
        return self._session.writable

    @property
    def replaced(self) -> bool:
        """Whether the path now has another file, or none, so that the open file is no longer the one at the path."""
        return self._session.replaced

    @property
    def version(self) -> int:
        """Number of transactions that changed the list, read from the file at each call."""
        return self._state().version

    @property
    def digest(self) -> str:
        """Content digest as in `ListInfo`, read from the file at each call; see `content_digest`."""
        return self._state().digest

    def __len__(self) -> int:
        return self._state().n_entries

    def __bool__(self) -> bool:
        """Return True, also for an empty list."""
        return True

    def __repr__(self) -> str:
        seen, closed = self._session.seen, ", closed" if self._session.closed else ""
        return f"<ReferenceList {seen.name!r}, version {seen.version}, entries: {seen.n_entries}{closed}>"

    def info(self) -> ListInfo:
        """Return the figures of the list; cost: a few rows, whatever the size of the list."""
        state = self._state()
        try:
            size = os.stat(self._session.path).st_size
        except OSError:
            size = 0
        return ListInfo(
            list_id=self.list_id,
            name=state.name,
            version=state.version,
            digest=state.digest,
            format_version=FORMAT_VERSION,
            entries=state.n_entries,
            hashes={ALGORITHM_NAMES[n]: t.n_hashes for n, t in sorted(state.tallies.items()) if t.n_hashes},
            sources={name: source.n_entries for name, source in sorted(state.sources.items())},
            file_bytes=size,
        )

    def get(self, entry_id: str) -> Entry | None:
        """Find an entry by its id; None if the list does not have it.

        Raises
        ------
        ReferenceListError
            If what is stored of it is damaged.
        """
        if not isinstance(entry_id, str):
            raise TypeError(f"the entry id must be str, not {type(entry_id).__name__}")
        return self._find("entry_id", [entry_id]) if is_name(entry_id, MAX_ENTRY_ID) else None

    def get_many(self, entry_ids: Iterable[str]) -> dict[str, Entry]:
        """Find entries by their ids, each once, in no order; ids that the list does not have are left out.

        Parameters
        ----------
        entry_ids : iterable of str
            Ids, all held in memory at once; a few thousand at a time read most quickly.

        Raises
        ------
        ReferenceListError
            If what is stored of one is damaged.

        Notes
        -----
        Cost: about 20 microseconds an entry of one hash.
        """
        if isinstance(entry_ids, str):
            raise TypeError("entry_ids must be an iterable of str, not one str")
        wanted = [name for name in dict.fromkeys(entry_ids) if is_name(name, MAX_ENTRY_ID)]
        with self._session.reading() as connection:
            state = self._session.state(connection)
            names = state.names()
            found = (to_entry(record, names) for record in load_records(connection, state, "entry_id", wanted))
            return {entry.entry_id: entry for entry in found}

    def find(self, value: HashValue) -> tuple[Entry, ...]:
        """Find the entries that hold exactly this hash, in the order in which they were added.

        Parameters
        ----------
        value : HashValue
            The hash; `Matcher.match_hash` searches for hashes near it.

        Returns
        -------
        tuple of Entry
            The entries. It is empty only after the check value of every row of that algorithm was found right: a
            damaged row is an error, not an absent entry.

        Raises
        ------
        ReferenceListError
            If what is read is damaged.

        Notes
        -----
        Cost: one pass over the rows in the order of the file: for a million of 256 bits about 0.06 seconds where the
        hash is there, and about 1.5 seconds where it is not; calls from other threads wait meanwhile. The file has no
        index by hash, since every import would pay for it, so the cost grows with the list. Many
        look-ups are what `Matcher` is for.
        """
        if not isinstance(value, HashValue):
            raise TypeError(f"a HashValue is looked up, not {type(value).__name__}")
        number = ALGORITHM_NUMBERS[value.algorithm]
        with self._session.reading() as connection:
            state = self._session.state(connection)
            if number not in state.tallies or not state.tallies[number].n_hashes:
                return ()
            keyed = connection.execute(
                f"SELECT entry FROM {table_of(number)} NOT INDEXED WHERE code = ? AND algorithm = ?",  # noqa: S608
                (value.data, number),
            )
            keys = sorted({key for (key,) in keyed})  # DISTINCT would go by entry, a seek for each row
            names = state.names()
            found = tuple(to_entry(record, names) for record in load_records(connection, state, "key", keys))
            if len(found) != len(keys) or not all(value in entry.hashes for entry in found):
                raise damaged()
            if not found:
                rows = PinnedVersion(connection, state)
                for _ in rows.records(value.algorithm) if number in RECORD_NUMBERS else rows.blocks(value.algorithm):
                    pass
        return found

    def entry_by_key(self, key: int) -> Entry | None:
        """Find an entry by its number, as `Snapshot` gives it; None if it was withdrawn since.

        Raises
        ------
        ReferenceListError
            If what is stored of it is damaged.

        Notes
        -----
        Cost: five look-ups; about 60 microseconds with a keypoint record of 4 KB. May be called from many threads;
        calls take turns.
        """
        return self._find("key", [int(key)]) if 0 < key < 2**63 else None

    def record(self, hash_id: int) -> HashValue | None:
        """Read a hash that varies in length by its row's number, as `RecordRows` gives it; None if it was withdrawn.

        Raises
        ------
        ReferenceListError
            If the row is damaged.

        Notes
        -----
        Cost: one look-up, about 20 microseconds.
        """
        with self._session.reading() as connection:
            return read_record(connection, self._session.state(connection), int(hash_id))

    def __contains__(self, entry_id: object) -> bool:
        if not isinstance(entry_id, str) or not is_name(entry_id, MAX_ENTRY_ID):
            return False
        with self._session.reading() as connection:
            found = connection.execute("SELECT 1 FROM entry WHERE entry_id = ?", (entry_id,))
            return found.fetchone() is not None

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries in the order in which they were added.

        Reads 500 at a time and holds no lock in between, so nobody waits for a slow loop: an entry that is there
        throughout comes exactly once; one that is added or withdrawn meanwhile may come or not.

        Raises
        ------
        ReferenceListError
            If an entry is damaged, or at the end, if the list did not change meanwhile and an entry was missing.
        """
        last = n_seen = 0
        seen = set()
        while True:
            with self._session.reading() as connection:
                state = self._session.state(connection)
                seen.add((state.version, self._session.in_transaction))
                keys = keys_after(connection, last, _ENTRIES_A_STEP)
                names = state.names()
                entries = [to_entry(record, names) for record in load_records(connection, state, "key", keys)]
                n_entries = state.n_entries
            if not keys:
                break
            yield from entries
            last = keys[-1]
            n_seen += len(entries)
        if seen == {(state.version, False)} and n_seen != n_entries:
            raise damaged()

    def snapshot(self, algorithms: Iterable[str] | None = None) -> Snapshot:
        """Read the hashes of one version, for building an index: as arrays, and ``keypoint`` records as a stream.

        Parameters
        ----------
        algorithms : iterable of str, optional
            Algorithms to read; all by default.

        Returns
        -------
        Snapshot
            The hashes of the last committed version.

        Raises
        ------
        ReferenceListError
            If a row is missing, surplus or damaged; no row is silently left out.
        HashFormatError
            If an algorithm is unknown.

        Notes
        -----
        Cost: one pass over the hash rows for each algorithm, 1.5 to 2 seconds for a million rows; memory, the arrays
        twice. Keypoint records are read later, when their `RecordStream` is iterated over.
        """
        names = None if algorithms is None else {algorithm_named(name).name for name in algorithms}
        with self._session.reading_apart() as connection:
            return read_snapshot(connection, load_state(connection), names, self._session.reading_apart)

    def changes_since(self, version: int) -> Changes | None:
        """Read what changed since a version, for keeping an index up to date.

        Parameters
        ----------
        version : int
            Version of this list whose hashes the caller has, 0 or more.

        Returns
        -------
        Changes or None
            The changes; None if they are unknown, because the list was compacted since or never had that version. Then
            take a `snapshot`.

        Raises
        ------
        ReferenceListError
            If what is read is damaged.

        Notes
        -----
        Cost: proportional to the rows added and withdrawn since; keypoint records come as a stream, to be read when it
        is iterated over. A change of labels alone changes no hash row.
        """
        with self._session.reading_apart() as connection:
            return read_changes(connection, load_state(connection), version, self._session.reading_apart)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[PinnedVersion]:
        """Hold the last committed version still within the ``with`` block, to read several parts of it.

        Yields
        ------
        PinnedVersion
            Its counters, changes since an earlier version, and rows in blocks; of no use after the block.

        Raises
        ------
        ReferenceListError
            If the list cannot be read.

        Notes
        -----
        Others go on reading and writing. While it lasts a writer's log cannot be emptied and so grows.
        """
        with self._session.pinned() as (connection, state):
            yield PinnedVersion(connection, state)

    @contextlib.contextmanager
    def present(self) -> Iterator[PinnedVersion]:
        """Hold the last committed version still for a moment: as `pinned`, but on the list's own connection.

        Notes
        -----
        Cost: about 20 microseconds; `pinned` opens a connection instead. Calls from other threads wait meanwhile. Also
        works on a file whose place another file has taken.
        """
        with self._session.reading() as connection:
            yield PinnedVersion(connection, self._session.state(connection))

    @property
    def contents(self) -> Mapping[str, Content]:
        """Number and marks of the rows of each algorithm that has any, read from the file at each call."""
        return contents_of(self._state())

    @property
    def change_mark(self) -> tuple[int, int, bool]:
        """Mark to compare with an earlier one, to see at little cost whether the list may have changed.

        A number of this opening, SQLite's number of foreign changes to the open file, which each connection counts
        for itself, and `replaced`. Equal marks mean that nobody but this very
        object changed the list in between. Cost: a few microseconds, whatever the size of the list.
        """
        return self._session.number, self._session.data_version(), self._session.replaced

    def verify(self) -> ListInfo:
        """Check everything: every page, index, row, check value, count and reference.

        Returns
        -------
        ListInfo
            Figures of the version that was checked.

        Raises
        ------
        ReferenceListError
            If anything is not as it was written.

        Notes
        -----
        Cost: about 12 seconds for a million entries; readers and a writer go on meanwhile.
        """
        with self._session.reading_apart() as connection:
            verify_all(connection, load_state(connection))
        return self.info()

    def add(
        self,
        entry_id: str,
        *,
        hashes: Iterable[HashValue] = (),
        fingerprint: Fingerprint | None = None,
        source: str = LOCAL,
        labels: Mapping[str, str] | None = None,
        quality: int | None = None,
    ) -> bool:
        """Add an entry, or add to one: one transaction.

        Hashes and labels belong to the source that gives them. An existing entry gets the hashes that the source had
        not listed yet. A hash that it had listed stays, but a stated quality that differs replaces it by a new row.
        Labels of other names stay; labels of the same name are replaced. Data of other sources stays.

        Parameters
        ----------
        entry_id : str
            1 to 256 characters, none of them a control character. Never the name of an image file.
        hashes : iterable of HashValue
            Hashes of one or several algorithms; at least one here or in ``fingerprint``.
        fingerprint : Fingerprint, optional
            Fingerprint whose hashes are all taken, each with its quality. Its views must be upright.
        source : str
            Name of who lists the entry, 1 to 64 characters.
        labels : mapping of str to str, optional
            At most 64; names up to 64 and values up to 256 characters.
        quality : int, optional
            Quality of ``hashes``, 0 to 100.

        Returns
        -------
        bool
            Whether the list changed; if not, its version stays.

        Raises
        ------
        ReferenceListError
            If the list is read-only, closed or busy, or what is given cannot be stored.
        HashFormatError
            If a ``keypoint`` hash is no well-formed record.
        TypeError
            If something is not of the stated type.
        """
        entry = Entry.of(
            entry_id, hashes=hashes, fingerprint=fingerprint, source=source, labels=labels, quality=quality
        )
        return self.add_many([entry]).unchanged == 0

    def add_many(self, entries: Iterable[Entry]) -> AddCounts:
        """Add entries, each as `add` does, in one transaction: all or none.

        Parameters
        ----------
        entries : iterable of Entry
            Made by `Entry.of`, or read from a list. Taken as a stream; memory does not grow with its length.

        Raises
        ------
        ReferenceListError, HashFormatError, TypeError
            As `add`. Nothing is kept then, nor if the iterable itself raises.

        Notes
        -----
        Cost: about 16 microseconds an entry of one hash that is there, 20 a new one: 100,000 in two seconds; a keypoint
        record of 4 KB, about 90 microseconds.
        """
        with self._session.step() as editor:
            total = AddCounts()
            for block in blocks_of(entries):
                with translated_errors():
                    total += editor.add(block)
            return total

    def relabel(self, entry_id: str, *, source: str = LOCAL, labels: Mapping[str, str]) -> bool:
        """Replace all labels that a source gives an entry; an empty mapping removes them.

        Returns
        -------
        bool
            Whether the list changed.

        Raises
        ------
        ReferenceListError
            If the source does not list the entry, and as `add`.
        """
        checked_text(entry_id, "the entry id", MAX_ENTRY_ID)
        checked_text(source, "the source", MAX_SOURCE)
        wanted = dict(checked_labels(labels))
        with self._session.step() as editor, translated_errors():
            return editor.relabel(entry_id, source, wanted)

    def withdraw(self, entry_id: str, *, source: str = LOCAL) -> bool:
        """Withdraw an entry for one source, with its hashes and labels; the last source removes the entry.

        Returns
        -------
        bool
            Whether the source listed the entry. If not, nothing changes.

        Raises
        ------
        ReferenceListError
            If the list is read-only, closed or busy.

        Notes
        -----
        The bytes are overwritten in the file, at the latest when the writer closes.
        """
        return self.withdraw_many([entry_id], source=source) == 1

    def withdraw_many(self, entry_ids: Iterable[str], *, source: str = LOCAL) -> int:
        """Withdraw entries as `withdraw` does, in one transaction; return how many of them the source listed."""
        checked_text(source, "the source", MAX_SOURCE)
        if isinstance(entry_ids, str):
            raise TypeError("entry_ids must be an iterable of str, not one str")
        with self._session.step() as editor:
            total = 0
            for block in blocks_of(entry_ids):
                for item in block:
                    checked_text(item, "the entry id", MAX_ENTRY_ID)
                with translated_errors():
                    total += editor.withdraw(block, source)
            return total

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes within the ``with`` block one transaction: one version, all or none.

        Within the block ``len``, ``in``, ``iter``, `get` and `version` see the changes so far (the version number
        grows at the end); `snapshot`, `changes_since` and `verify` see what was last committed. An exception that
        leaves the block undoes everything, and so does one of a step that was caught within it.
        """
        with self._session.writing():
            yield

    def compact(self) -> None:
        """Release the space of withdrawn entries and forget which rows were withdrawn.

        Afterwards `changes_since` returns None for every earlier version. The version stays. Cost: the file is
        written anew; memory, up to the size of the file.
        """
        with self._session.writing_alone() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                state = load_state(connection)
                state.history_from = state.version
                connection.execute("DELETE FROM change")
                connection.execute("DELETE FROM withdrawn")
                state.digest_from = state.version
                connection.execute("DELETE FROM digest WHERE version < ?", (state.version,))
                store_state(connection, state)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("VACUUM")

    def _state(self) -> State:
        with self._session.reading() as connection:
            return self._session.state(connection)

    def _find(self, column: str, values: list[str] | list[int]) -> Entry | None:
        with self._session.reading() as connection:
            state = self._session.state(connection)
            for record in load_records(connection, state, column, values):
                return to_entry(record, state.names())
        return None
