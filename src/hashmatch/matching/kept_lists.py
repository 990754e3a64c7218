"""`KeptLists`: the lists of a matcher, each at one version, kept up to date while searches run in them.

Floor: matching. `hashmatch.matching.Matcher` adds what is asked of them. The logger ``hashmatch.matching``
says which version of which list is searched from now on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList, VersionMark
from hashmatch.policy import MatchPolicy
from hashmatch.store.held import HeldFile, recheck
from hashmatch.store.index_file import distrust
from hashmatch.store.state import ListState, MovedOn
from hashmatch.store.upkeep import DEFAULT_RECHECK_RATE, Keeper, Upkeep, Watch

if TYPE_CHECKING:
    from hashmatch.features.query import Query
    from hashmatch.lists.entry import Role
    from hashmatch.matching.report import MatchReport

__all__ = ["KeptLists", "ListStatus", "SearchedList"]

_LOG: Final = logging.getLogger("hashmatch.matching")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListStatus:
    """A list as it is searched now, and when somebody last heard of its sources.

    Parameters
    ----------
    name, list_id : str
        Name and identifier.
    version : int
        Version that is searched.
    digest : str
        Content digest of that version.
    n_entries : int
        Number of entries.
    heard : mapping of str to int
        When each source was last imported, seconds since 1970; sources that never were are left out.
    changed : float or None
        When the file was last changed, seconds since 1970; None if it is gone.
    """

    name: str
    list_id: str
    version: int
    digest: str
    n_entries: int
    heard: Mapping[str, int]
    changed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedList:
    """What is searched of a list at one version.

    Parameters
    ----------
    name : str
        Name of the list.
    mark : VersionMark
        What tells the version from any other.
    algorithms : frozenset of str
        Algorithms of the hashes that are searched.
    roles : mapping of str to str
        Role of each source that does not list for alarm.
    closed : bool
        Whether no hash of a picture in it can be computed here.
    """

    name: str
    mark: VersionMark
    algorithms: frozenset[str]
    roles: Mapping[str, Role]
    closed: bool


class KeptLists:
    """Lists that are searched by one policy; a search sees one version of each."""

    def __init__(
        self, lists: Iterable[ReferenceList], policy: MatchPolicy, index_folder: Path | None, *, maps: bool
    ) -> None:
        self._policy = policy
        self._closed = False
        self._reloading = threading.Lock()
        self._moved_on = False
        self._snapshots = tuple(_opened(item, policy, index_folder, maps) for item in lists)
        self._keeper = Keeper(self._change_mark, self.reload, self._compact, self._recheck)

    @property
    def lists(self) -> tuple[tuple[str, int, int], ...]:
        """Name, version and number of entries of each list, as they are searched now."""
        return tuple((item.name, item.version, item.n_entries) for item in self._snapshots)

    @property
    def digests(self) -> tuple[str, ...]:
        """Content digest of each list of `lists`, as `Match.list_digest`."""
        return tuple(item.mark.digest for item in self._snapshots)

    @property
    def list_ids(self) -> tuple[str, ...]:
        """Identifier of each list of `lists`."""
        return tuple(item.mark.list_id for item in self._snapshots)

    @property
    def searched_hashes(self) -> dict[str, int]:
        """Number of hashes of all lists that can be searched, by algorithm, where there are any."""
        return dict(sum((Counter(item.sizes) for item in self._snapshots), Counter()))

    def list_statuses(self) -> tuple[ListStatus, ...]:
        """Say of each list what is searched, and when its sources were last imported, which is read from its file.

        Raises
        ------
        ReferenceListError
            If a list can no longer be read.
        """
        return tuple(
            ListStatus(
                name=item.name,
                list_id=item.mark.list_id,
                version=item.version,
                digest=item.mark.digest,
                n_entries=item.n_entries,
                heard={source.name: source.heard for source in item.reference.sources() if source.heard is not None},
                changed=_changed(item.reference.path),
            )
            for item in self._open_snapshots()
        )

    @property
    def states(self) -> tuple[SearchedList, ...]:
        """What is searched of each list of `lists`: enough to tell later whether an answer may have changed."""
        return tuple(
            SearchedList(
                name=item.name,
                mark=item.mark,
                algorithms=frozenset(item.sizes),
                roles=dict(item.roles),
                closed=item.is_closed_to_pictures,
            )
            for item in self._open_snapshots()
        )

    @property
    def idle_lists(self) -> tuple[str, ...]:
        """Names of the lists that have no hash to compare with a picture; with one of them no answer is "no match".

        Such a list is empty, or holds only hashes that the policy has no rule for or that hashmatch cannot compute.
        """
        return tuple(item.name for item in self._snapshots if not item.computable)

    @property
    def upkeep(self) -> Upkeep:
        """Reloads and compactions in the background so far, and the errors of the last ones."""
        if self._keeper.is_asleep:
            self._keeper.wake()
        return self._keeper.upkeep

    def reload(self) -> bool:
        """Take up the changes of the lists.

        Returns
        -------
        bool
            Whether a list had a new version or a new index file since the last reload. A list file that was replaced,
            for example by a finished download, is opened anew.

        Raises
        ------
        ReferenceListError
            If a list is gone or can no longer be read; the matcher goes on answering from what it had.

        Notes
        -----
        The new state is built beside the old and swapped in at once: a search sees all of one or all of the other,
        and none fails. Cost: what changed, whatever the size of the list. Once over a tenth of a list has changed since
        its index file was made, a new file is made in the background, beside the old one, and taken up when it is done;
        without an index folder the list is indexed anew within this call.

        Until a reload answers come from the version that the last one took up, and every report is true of the versions
        it names. One thing is taken up without it: when a match turns out to be with an entry that was changed or
        withdrawn since, what the list said of it then is nowhere any longer, so the list's present version is taken up
        and answered by, also for what is asked next.
        """
        taken = self._reload()
        if any(item.due() for item in self._snapshots):
            self._keeper.compact_soon()
        return taken

    def _reload(self) -> bool:
        with self._reloading:
            old = self._open_snapshots()
            new: list[ListState] = []
            spent: list[float] = []
            try:
                for item in old:
                    began = time.perf_counter()
                    new.append(item.refreshed(self._policy))
                    spent.append(time.perf_counter() - began)
            except BaseException:
                for before, after in zip(old, new, strict=False):
                    if after.reference is not before.reference:
                        after.reference.close()
                raise
            self._snapshots = tuple(new)
            for before, after in zip(old, new, strict=True):
                if after.reference is not before.reference:
                    before.close_after_use()
            moved_on, self._moved_on = self._moved_on, False
        for before, after, seconds in zip(old, new, spent, strict=True):
            _say_taken_up(before, after, seconds)
        return moved_on or any(before is not after for before, after in zip(old, new, strict=True))

    def _answered(
        self, ask: Callable[[Sequence[ListState]], tuple[MatchReport, Query]], *, waits: bool = True
    ) -> tuple[MatchReport, Query]:
        """Answer by the versions that are searched now; where one cannot explain what it found, by a later one.

        A version that is taken up so is held still until the answer is there, so each list moves on once at most.
        Who may not wait for that gets `MovedOn`.
        """
        with ExitStack() as held:
            snapshots = self._open_snapshots()
            while True:
                try:
                    return ask(snapshots)
                except MovedOn as moved:
                    if not waits:
                        raise
                    place = next(i for i, item in enumerate(snapshots) if item is moved.snapshot)
                snapshots = (*snapshots[:place], self._moved(place, held), *snapshots[place + 1 :])

    def _moved(self, place: int, held: ExitStack) -> ListState:
        """Take up the present version of one list, and hold it still."""
        with self._reloading:
            old = self._open_snapshots()
            before, began = old[place], time.perf_counter()
            after = before.held(self._policy, held)
            spent = time.perf_counter() - began
            is_other = after.mark != before.mark or after.reference is not before.reference
            if is_other:
                self._snapshots = (*old[:place], replace(after, view=None), *old[place + 1 :])
                self._moved_on = True
            if after.reference is not before.reference:
                before.close_after_use()
        if is_other:
            _say_taken_up(before, after, spent)
        return after

    def watch(self, interval: float = 1.0, *, recheck_rate: int = DEFAULT_RECHECK_RATE) -> Watch:
        """Take up changes of the lists by itself from now on, until the watch is stopped or the matcher closed.

        Parameters
        ----------
        interval : float
            Seconds between two looks, 0.001 or more. A look asks SQLite whether somebody changed the file, and the
            system whether another took its place or that of an index file: about 20 microseconds a list.
        recheck_rate : int
            Bytes a second of mapped index files that are read again and compared with the checksums that they had when
            they were opened; 4 MiB costs about half a percent of a core. One that differs is answered from no more, and
            made anew. 0 for none.

        Returns
        -------
        Watch
            To stop it; also a context manager.

        Raises
        ------
        ValueError
            If the interval is too small, the rate negative, or a watch runs already.
        ReferenceListError
            If the matcher is closed.

        Notes
        -----
        One thread, which searches do not wait for. A reload that fails is tried again at the next look; until one
        succeeds `upkeep` has the error, and the matcher answers from what it had. In a forked child another thread
        begins when the matcher is first used there.
        """
        self._open_snapshots()
        return self._keeper.watch(interval, recheck_rate)

    def _recheck(self) -> Iterator[int]:
        return recheck(lambda: [held for item in self._snapshots for held in item.held_files], self._damaged)

    def _damaged(self, held: HeldFile) -> None:
        distrust(held.path)
        self._keeper.damaged()

    def _change_mark(self) -> object:
        return tuple(item.change_mark for item in self._open_snapshots())

    def _compact(self, stopped: Callable[[], bool]) -> int:
        made = 0
        for item in self._open_snapshots():
            made += item.compact(self._policy, stopped)
        return made

    def _open_snapshots(self) -> tuple[ListState, ...]:
        if self._closed:
            raise ReferenceListError("the matcher is closed: open the lists again with Matcher.open")
        if self._keeper.is_asleep:
            self._keeper.wake()
        return self._snapshots


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _opened(reference: ReferenceList, policy: MatchPolicy, folder: Path | None, maps: bool) -> ListState:
    began = time.perf_counter()
    state = ListState.of(reference, policy, folder, maps=maps)
    _LOG.info(
        "list %r: version %d with %d entries is searched, ready in %.0f ms",
        state.name,
        state.version,
        state.n_entries,
        1000 * (time.perf_counter() - began),
    )
    return state


def _say_taken_up(before: ListState, after: ListState, seconds: float) -> None:
    if after is before:
        return
    if after.mark == before.mark:
        _LOG.info("list %r: indexes were renewed at version %d in %.0f ms", after.name, after.version, 1000 * seconds)
        return
    _LOG.info(
        "list %r: version %d took the place of version %d in %.0f ms, %d entries%s",
        after.name,
        after.version,
        before.version,
        1000 * seconds,
        after.n_entries,
        ", from another file" if after.reference is not before.reference else "",
    )
