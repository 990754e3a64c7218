"""One version of one list, ready to be searched; what a `Matcher` swaps when a list has changed.

Over 400 lines because a list's state is built, brought up to date, held still and told about in one place.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from hashmatch.algorithms import ALGORITHMS, Metric
from hashmatch.errors import ReferenceListError
from hashmatch.index import Costs
from hashmatch.index.calibration import saved_costs
from hashmatch.index.costs import MEASURED
from hashmatch.lists import Changes, Content, Entry, PinnedVersion, ReferenceList, VersionMark
from hashmatch.policy import MatchPolicy
from hashmatch.store.coverage import uncovered_rows
from hashmatch.store.folder import (
    files_of,
    index_file,
    made,
    place_of,
    rows_of,
    taken_up,
    translated_folder_errors,
)
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import identity_of, lock_of
from hashmatch.store.leftovers import sweep
from hashmatch.store.listed import AnyRows
from hashmatch.store.trust import check_folder

if TYPE_CHECKING:
    from hashmatch.hashes import HashValue
    from hashmatch.lists.entry import Role
    from hashmatch.store.hash_rows import SearchableHashes
    from hashmatch.store.keypoint_rows import SearchableRecords

__all__ = ["ListState", "MovedOn"]

_STORED_ONLY: Final = frozenset(name for name, algorithm in ALGORITHMS.items() if not algorithm.version)


class _Use:
    """Held by all snapshots that read from one open file; gone when the last of them is."""

    __slots__ = ("__weakref__",)


class MovedOn(Exception):
    """What a snapshot found cannot be explained any longer: the list was changed there, or in a way not remembered.

    No error: the matcher answers by a later version then, see `Matcher.reload`.

    Parameters
    ----------
    snapshot : ListState
        Of the version that the list has left.
    """

    def __init__(self, snapshot: ListState) -> None:
        super().__init__("the list has moved on")
        self.snapshot = snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """A list at one version; immutable.

    Parameters
    ----------
    reference : ReferenceList
        The open list, read-only; entries are looked up in it when they match.
    name : str
        Name of the list.
    mark : VersionMark
        What tells the version that the rows belong to from any other.
    n_entries : int
        Entries at that version.
    rows : mapping of str to ListedRows
        Searchable hashes, by algorithm; those that the policy has a rule for.
    unsearched : mapping of str to int
        Hashes of algorithms that the policy has no rule for.
    index_folder : Path or None
        Where index files are kept between runs; None to keep none.
    maps : bool
        Whether index files are mapped, or copied into memory.
    roles : mapping of str to str
        Role of each source that lists something and does not list for alarm.
    uncovered : mapping of str to int
        Hashes that no selection of the policy compares, by algorithm.
    contents : mapping of str to Content
        Number and marks of the rows of each algorithm.
    costs : Costs
        By which indexes are chosen.
    view : PinnedVersion or None
        Where entries are looked up instead, for as long as the version is held still for one answer.
    use : _Use
        Shared by the snapshots of one open file.
    counted : dict of str to int
        Counts that cost a look at every row, once they are known.
    sizes : mapping of str to int
        Hashes that can be searched, by algorithm; worked out from the rows.
    """

    reference: ReferenceList
    name: str
    mark: VersionMark
    n_entries: int
    rows: Mapping[str, AnyRows]
    unsearched: Mapping[str, int]
    index_folder: Path | None
    maps: bool
    contents: Mapping[str, Content]
    costs: Costs
    roles: Mapping[str, Role] = field(default_factory=dict)
    uncovered: Mapping[str, int] = field(default_factory=dict)
    view: PinnedVersion | None = field(default=None, compare=False, repr=False)
    use: _Use = field(default_factory=_Use, compare=False, repr=False)
    counted: dict[str, int] = field(default_factory=dict, compare=False, repr=False)
    sizes: Mapping[str, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        uncovered = self.uncovered
        found = {name: len(rows) - rows.n_left_out - uncovered.get(name, 0) for name, rows in self.rows.items()}
        object.__setattr__(self, "sizes", MappingProxyType({name: n for name, n in found.items() if n > 0}))

    @classmethod
    def of(
        cls, reference: ReferenceList, policy: MatchPolicy, index_folder: Path | None = None, *, maps: bool = True
    ) -> ListState:
        """Index a whole list, or take its indexes from their files.

        Raises
        ------
        ReferenceListError
            If the list cannot be read, or the index folder cannot be used.
        """
        with reference.pinned() as pinned:
            return cls._at(reference, pinned, policy, index_folder, maps)

    @classmethod
    def _at(
        cls,
        reference: ReferenceList,
        pinned: PinnedVersion,
        policy: MatchPolicy,
        index_folder: Path | None,
        maps: bool,
    ) -> ListState:
        costs = MEASURED if index_folder is None else saved_costs(index_folder)
        rows: dict[str, AnyRows] = {}
        unsearched = {}
        with translated_folder_errors():
            if index_folder is not None:
                check_folder(index_folder, reference.path)
                sweep(index_folder, pinned.list_id)
            for name, content in pinned.contents.items():
                files = files_of(name, policy, costs)
                if files is None:
                    unsearched[name] = content.n_rows
                else:
                    rows[name] = rows_of(pinned, files, index_folder, maps=maps)
        return cls(
            reference=reference,
            name=pinned.name,
            mark=pinned.mark,
            n_entries=pinned.n_entries,
            rows=MappingProxyType(rows),
            unsearched=MappingProxyType(unsearched),
            index_folder=index_folder,
            maps=maps,
            contents=pinned.contents,
            costs=costs,
            roles=pinned.roles,
            uncovered=uncovered_rows(pinned, policy),
        )

    def refreshed(self, policy: MatchPolicy) -> ListState:
        """Return the list's present version: this object when nothing changed, else a new one.

        Changes are laid over the existing indexes. A list whose history does not lead from there to what it holds, or
        that no longer remembers, is indexed anew, and so is one without index files once a tenth of it has changed. An
        index file that took the place of the one in use is taken up; one that was changed in place is made anew. A list
        whose file was replaced by another is opened, the old one stays open until `close_after_use`.
        """
        if self.reference.replaced:
            return self._reopened(policy)
        newer = self._newer_files()
        try:
            with self.reference.present() as now:
                same = now.mark == self.mark and now.contents == self.contents
            if same and not newer and not self.is_spoilt:
                return self
            with self.reference.pinned() as pinned:
                return self._brought_to(pinned, policy, newer)
        except ReferenceListError:
            if not self.reference.replaced:
                raise
            return self._reopened(policy)

    def held(self, policy: MatchPolicy, held: ExitStack) -> ListState:
        """Return the list's present version, which is held still until the stack is closed.

        Whatever that finds can be explained, whoever writes meanwhile. The errors are those of `refreshed`.
        """
        try:
            pinned = None if self.reference.replaced else held.enter_context(self.reference.pinned())
        except ReferenceListError:
            if not self.reference.replaced:
                raise
            pinned = None
        if pinned is None:
            reference = self._opened_anew()
            try:
                pinned = held.enter_context(reference.pinned())
                after = self._at(reference, pinned, policy, self.index_folder, self.maps)
            except BaseException:
                reference.close()
                raise
        else:
            after = self if pinned.mark == self.mark else self._brought_to(pinned, policy, set())
        return replace(after, view=pinned)

    def _brought_to(self, pinned: PinnedVersion, policy: MatchPolicy, newer: set[str]) -> ListState:
        found = None
        # another list may have been copied into the file, or another course of this one
        if pinned.came_from(self.mark):
            changes = pinned.changes_since(self.version)
            with translated_folder_errors():
                found = None if changes is None else self._with(changes, pinned, policy, newer)
        return found or replace(self._at(self.reference, pinned, policy, self.index_folder, self.maps), use=self.use)

    def _newer_files(self) -> set[str]:
        """Give the algorithms whose index file is another than the one in use."""
        newer = set()
        for name, rows in self.rows.items():
            if rows.kept is not None and identity_of(rows.kept.path) not in (None, rows.kept.identity):
                newer.add(name)
        return newer

    def _opened_anew(self) -> ReferenceList:
        return ReferenceList.open(self.reference.path, check="pages" if self.index_folder is None else "none")

    def _reopened(self, policy: MatchPolicy) -> ListState:
        reference = self._opened_anew()
        try:
            return self.of(reference, policy, self.index_folder, maps=self.maps)
        except BaseException:
            reference.close()
            raise

    def emptied(self) -> ListState:
        """Give what is known of the list without its indexes, so that their files are unmapped."""
        left = replace(self, rows=MappingProxyType({}))
        object.__setattr__(left, "sizes", self.sizes)
        return left

    def close_after_use(self) -> None:
        """Close the list once no snapshot of it is left, so that searches that run in it end well."""
        weakref.finalize(self.use, self.reference.close).atexit = False

    def _with(self, changes: Changes, pinned: PinnedVersion, policy: MatchPolicy, newer: set[str]) -> ListState | None:
        rows, unsearched = dict(self.rows), dict(self.unsearched)
        for name in sorted(pinned.contents.keys() | rows.keys() | unsearched.keys()):
            content, files = pinned.contents.get(name, Content(0, 0)), files_of(name, policy, self.costs)
            if files is None:
                unsearched[name] = content.n_rows
                continue
            if name not in rows:
                rows[name] = rows_of(pinned, files, self.index_folder, maps=self.maps)
                continue
            found = None
            if name in newer and self.index_folder is not None:
                with suppress(OSError):  # the old one is still mapped
                    found = taken_up(pinned, files, self.index_folder, maps=self.maps)
            if found is None:
                found = None if rows[name].is_spoilt else rows[name].updated(changes, content)
            if found is None or (found.is_overgrown and self.index_folder is None):
                return None
            rows[name] = found
        return replace(
            self,
            name=pinned.name,
            mark=pinned.mark,
            n_entries=changes.n_entries,
            rows=MappingProxyType(rows),
            unsearched=MappingProxyType(unsearched),
            contents=pinned.contents,
            roles=pinned.roles,
            uncovered=uncovered_rows(pinned, policy),
            counted={},
        )

    @property
    def change_mark(self) -> object:
        """Differs from an earlier one when the list or an index file in use may have changed; cheap."""
        kept = [rows.kept for rows in self.rows.values() if rows.kept is not None]
        return self.reference.change_mark, [identity_of(item.path) for item in kept], self.is_spoilt

    @property
    def held_files(self) -> tuple[HeldFile, ...]:
        """The mapped files."""
        return tuple(held for rows in self.rows.values() for held in rows.held)

    @property
    def is_spoilt(self) -> bool:
        """Whether a mapped file is no longer what was checked."""
        return any(held.is_spoilt for held in self.held_files)

    def due(self) -> tuple[str, ...]:
        """Give the algorithms whose index file is so far behind that it is time for another.

        Or that another process has made anew in a way that this policy could not take up, for want of a file for crops.
        """
        newer = self._newer_files()
        grown = {name for name, rows in self.rows.items() if rows.kept is not None and rows.is_overgrown}
        return tuple(sorted(grown | newer))

    def compact(self, policy: MatchPolicy, stopped: Callable[[], bool]) -> int:
        """Make the index files that are due, but those that another process is making; how many were made.

        Raises
        ------
        ReferenceListError, IndexFormatError, OSError
            As `build_index_file`.
        """
        n_made = 0
        for name in self.due():
            files = files_of(name, policy, self.costs)
            if files is None or self.index_folder is None:
                continue
            with self.reference.pinned() as pinned:
                if pinned.list_id != self.list_id or name not in pinned.contents:
                    continue
                place = place_of(index_file(self.index_folder, self.list_id, files), pinned, files)
                with lock_of(place, wait=False) as held:
                    if not held:
                        continue
                    if name in self._newer_files():
                        # another process made it; at most the file for crops is wanting
                        taken = taken_up(pinned, files, self.index_folder, held=place)
                        if taken is not None and not taken.is_overgrown:
                            continue
                        rows = self.rows[name]
                        if taken is None and not (rows.is_overgrown or rows.is_spoilt):
                            continue  # it is another copy's, and this one's map serves as long as it is held
                    made(files, place, pinned, stopped=stopped)
                    n_made += 1
        return n_made

    def hashes(self, algorithm: str) -> SearchableHashes | None:
        """Searchable hashes of a fixed length; None where the list or the policy has none."""
        return cast("SearchableHashes | None", self.rows.get(algorithm))

    @property
    def keypoints(self) -> SearchableRecords | None:
        """Searchable keypoint records; None where the list or the policy has none."""
        return cast("SearchableRecords | None", self.rows.get("keypoint"))

    @property
    def list_id(self) -> str:
        """Identifier of the list."""
        return self.mark.list_id

    @property
    def version(self) -> int:
        """Version that the rows belong to."""
        return self.mark.version

    def entry(self, key: int) -> Entry:
        """Look up an entry that was found, as it is in the version that the rows belong to.

        Raises
        ------
        MovedOn
            If that cannot be told, because the entry was changed or withdrawn since.
        ReferenceListError
            If the list is closed or damaged.
        """
        with self._present() as view:
            self._check_course(view)
            found = view.entry(key, since=self.version)
            if found is None or (view.version != self.version and view.roles != self.roles):
                raise self._gone(view)
            return found

    def records(self, hash_ids: Iterable[int]) -> list[HashValue]:
        """Read keypoint records that an index proposes; the errors are those of `entry`."""
        values = []
        with self._present() as view:
            self._check_course(view)
            for hash_id in hash_ids:
                value = view.record(hash_id)
                if value is None:
                    raise self._gone(view)
                values.append(value)
        return values

    def _present(self) -> AbstractContextManager[PinnedVersion]:
        return self._looked_into() if self.view is None else nullcontext(self.view)

    @contextmanager
    def _looked_into(self) -> Iterator[PinnedVersion]:
        """Hold the open file's present version; where another took its place, it may be readable no longer."""
        try:
            with self.reference.present() as view:
                yield view
        except ReferenceListError:
            if self.reference.replaced:
                raise MovedOn(self) from None
            raise

    def _check_course(self, view: PinnedVersion) -> None:
        if not view.came_from(self.mark):
            raise MovedOn(self)

    def _gone(self, view: PinnedVersion) -> Exception:
        return self.spoilt() if view.mark == self.mark else MovedOn(self)

    @staticmethod
    def spoilt() -> ReferenceListError:
        """Make the error for a hash that was found and is not in the version that it was found in."""
        return ReferenceListError(
            "a hash that was found is not in the list, though none was withdrawn: the list or its index file is "
            "damaged (hashmatch list verify and hashmatch index verify show which)"
        )

    @property
    def computable(self) -> bool:
        """Whether it has a hash to compare with one that can be computed from a file."""
        return any(ALGORITHMS[name].version for name in self.sizes)

    @property
    def is_closed_to_pictures(self) -> bool:
        """Whether the policy searches hashes of pictures here, and all are of algorithms that are only stored."""
        pictures = [name for name in self.sizes if ALGORITHMS[name].metric is not Metric.EXACT]
        return bool(pictures) and all(name in _STORED_ONLY for name in pictures)

    def n_closed_entries(self, searched: Set[str]) -> int:
        """Count entries whose only hashes of pictures are stored and never searched; kept once counted."""
        if searched & _STORED_ONLY:
            return 0
        stored = [name for name in self.rows if name in _STORED_ONLY and len(self.rows[name])]
        if not stored:
            return 0
        if "stored" not in self.counted:
            of_stored = [self.rows[name].entry_keys() for name in stored]
            of_others = [
                rows.entry_keys()
                for name, rows in self.rows.items()
                if name not in _STORED_ONLY and ALGORITHMS[name].metric is not Metric.EXACT
            ]
            closed = np.unique(np.concatenate(of_stored))
            self.counted["stored"] = len(np.setdiff1d(closed, np.concatenate(of_others) if of_others else []))
        return self.counted["stored"]

    def n_left_out(self, searched: Set[str]) -> dict[str, int]:
        """Count the hashes that a picture was not compared with, by algorithm, when these algorithms were searched."""
        left_out = {name: n for name, n in self.unsearched.items() if n}
        left_out |= {name: rows.n_left_out for name, rows in self.rows.items() if rows.n_left_out}
        for name, n in self.uncovered.items():
            left_out[name] = min(left_out.get(name, 0) + n, len(self.rows[name]))  # plain ones may be among them
        for name, n in self.sizes.items():
            if name not in searched:
                left_out[name] = left_out.get(name, 0) + n
        return left_out
