"""`ReferenceList`: a hash-only list in one SQLite file.

Floor: lists. SQLite gives the durability; this file gives the meaning: entries live until their last source withdraws
them, every transaction makes a new version, and nothing is handed out that does not carry the check value it was
written with. Reading is in `reader`, what the file can hold in `file.schema`, how rows are checked in `file.checksums`,
how changes are written in `file.editor`, what an index reads in `read.rows`, connections and transactions are in
`session`.

Over 400 lines because one class is the whole public face of a list, and most of it is documentation.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import traceback
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from hashmatch.errors import ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue
from hashmatch.lists.earlier import list_at, remove_file
from hashmatch.lists.entry import (
    LOCAL,
    MAX_ENTRY_ID,
    MAX_LIST_NAME,
    MAX_SOURCE,
    MAX_TERMS,
    Entry,
    Role,
    checked_labels,
    checked_role,
    checked_text,
)
from hashmatch.lists.file.beside import real_path, stands
from hashmatch.lists.file.editor import AddCounts, Editor, blocks_of
from hashmatch.lists.file.entries import State, load_state, store_state
from hashmatch.lists.file.past import forget_past, start_keeping, versions_at_hand
from hashmatch.lists.file.schema import connect, translated_errors, use_no_journal
from hashmatch.lists.file.sql_tables import FORMAT_VERSION, NEWEST_FORMAT, create_tables
from hashmatch.lists.reader import ListInfo, ListReader
from hashmatch.lists.replacing import recover_list, replace_list
from hashmatch.lists.session import Session

__all__ = ["ListInfo", "ReferenceList", "write_empty_list"]

_TIMEOUT: Final = 30.0


class ReferenceList(ListReader):
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

    _done: weakref.finalize[[Path, int], ReferenceList] | None = None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str,
        keep_history: bool = False,
        timeout: float = _TIMEOUT,
    ) -> ReferenceList:
        """Make an empty list and open it for writing.

        Parameters
        ----------
        path : path
            Path of the new list; no file may exist there. Only its owner can read the file.
        name : str
            Name of the list, 1 to 256 characters without control characters; match reports show it.
        keep_history : bool
            Keep what later versions withdraw or change, so that `at` can go back to any version. Withdrawn hashes then
            stay in the file, until `compact`. Such a file has format version 5, others have 4.
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
        try:
            write_empty_list(target, uuid.uuid4().bytes, name, keep_history=keep_history, timeout=timeout)
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

    def add(
        self,
        entry_id: str,
        *,
        hashes: Iterable[HashValue] = (),
        fingerprint: Fingerprint | None = None,
        source: str = LOCAL,
        labels: Mapping[str, str] | None = None,
        quality: int | None = None,
        role: Role = "alarm",
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
        role : {"alarm", "benign", "comparison"}
            What the source lists its entries for; the same for all that it lists in this list.

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
            entry_id, hashes=hashes, fingerprint=fingerprint, source=source, labels=labels, quality=quality, role=role
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

    def set_role(self, source: str, role: Role) -> bool:
        """Change what a source lists its entries for.

        Parameters
        ----------
        source : str
            Name of the source.
        role : {"alarm", "benign", "comparison"}
            The role.

        Returns
        -------
        bool
            Whether the list changed; matchers take the change up as any other.

        Raises
        ------
        ReferenceListError
            If the list has no such source, and as `add`.
        """
        checked_role(role)
        with self._session.step() as editor, translated_errors():
            return editor.set_role(source, role)

    def set_terms(self, source: str, terms: str) -> None:
        """Keep what the owner of a source allows, such as ``"no onward sharing"``; a list with terms is not exported.

        Parameters
        ----------
        source : str
            Name of the source.
        terms : str
            At most 1,024 characters of text without control characters; empty for none. Not part of the content.

        Raises
        ------
        ReferenceListError
            If the text is not acceptable, and as `add`.
        """
        checked_text(source, "the source", MAX_SOURCE)
        if terms:
            checked_text(terms, "the terms", MAX_TERMS)
        with self._session.step() as editor, translated_errors():
            editor.note(source, terms=terms)

    def versions(self) -> tuple[int, ...]:
        """Versions that `at` can go to, ascending; the last is the present one, and the only one without a history."""
        with self._session.reading() as connection:
            return versions_at_hand(connection, self._session.state(connection))

    def at(self, version: int, path: str | os.PathLike[str] | None = None) -> ReferenceList:
        """Open what the list was at a version, as a list of its own: the same list id, version, digest and entries.

        Parameters
        ----------
        version : int
            One of `versions`.
        path : path, optional
            Where that list is written, and stays. By default it is a passing file beside this list, gone when the
            returned list is closed.

        Returns
        -------
        ReferenceList
            Open for reading. `Matcher.open` takes its ``path``.

        Raises
        ------
        MissingVersionError
            If the version is not at hand; the error names those that are.
        ReferenceListError
            If the file cannot be made, or what is kept does not give the content that the version had.

        Notes
        -----
        Cost: a copy of the list, and its full check, about 12 seconds for a million entries. The terms of the
        sources are those of today, since they bind today; where feeds stood is not kept.
        """
        passing = path is None
        target = Path(path) if path is not None else self.path.with_name(f".{self.path.name}.{os.urandom(6).hex()}.new")
        list_at(self._session, version, target, timeout=_TIMEOUT)
        made = type(self).open(target, check="none")
        if passing:
            made._done = weakref.finalize(made, _remove_here, target, os.getpid())
        return made

    def close(self) -> None:
        """Close the file; a second call does nothing. A writer puts everything into the one file first."""
        super().close()
        if self._done is not None:
            self._done()

    @contextlib.contextmanager
    def editing(self) -> Iterator[Editor]:
        """Hold the editor of one change, for what imports: as one transaction, or within the one that runs."""
        with self._session.step() as editor:
            yield editor

    @contextlib.contextmanager
    def rewriting(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection of one transaction, for what writes rows and counters itself: all or nothing."""
        with self._session.writing_alone() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                _let_go(error)
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

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

        Afterwards `changes_since` returns None for every earlier version, and `at` goes to none. The version stays.
        Cost: the file is written anew; memory, up to the size of the file.
        """
        with self.rewriting() as connection:
            state = load_state(connection)
            state.history_from = state.version
            connection.execute("DELETE FROM change")
            connection.execute("DELETE FROM withdrawn")
            state.digest_from = state.version
            connection.execute("DELETE FROM digest WHERE version < ?", (state.version,))
            if state.format_version > FORMAT_VERSION:
                forget_past(connection)
            store_state(connection, state)
        with self._session.writing_alone() as connection:
            connection.execute("VACUUM")


def write_empty_list(
    path: Path, list_id: bytes, name: str, *, keep_history: bool, newest: bool = False, timeout: float = _TIMEOUT
) -> None:
    """Write an empty list into an empty file; ``newest``: of the newest format, also where no history is kept."""
    state = State(list_id, name, 0, 0, 1, 1, 0, 0)
    with translated_errors(), contextlib.closing(connect(path, writable=True, timeout=timeout)) as connection:
        use_no_journal(connection)
        connection.execute("BEGIN EXCLUSIVE")
        create_tables(connection, NEWEST_FORMAT if keep_history or newest else FORMAT_VERSION)
        if keep_history:
            start_keeping(connection)
        store_state(connection, state)
        connection.execute("COMMIT")


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold: a query that was left half read would keep the log beside the list."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _remove_here(path: Path, pid: int) -> None:
    """Remove a passing list, but not from a forked child, whose parent may be using it."""
    if os.getpid() == pid:
        remove_file(path)
