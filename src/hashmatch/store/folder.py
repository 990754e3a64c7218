"""Where a list's index files are, and searchable rows from one: taken up, brought up to date, or made anew.

The logger ``hashmatch.store`` says which files are made, and which cannot be used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from hashmatch.errors import IndexFormatError, ReferenceListError
from hashmatch.index.calibration import saved_costs
from hashmatch.index.multi.out_of_core import DEFAULT_MEMORY
from hashmatch.lists import Content
from hashmatch.store.hash_rows import HashFiles
from hashmatch.store.index_file import copy_of, lock_of
from hashmatch.store.leftovers import remove_unused, sweep
from hashmatch.store.listed import AnyRows, Named, Second
from hashmatch.store.trust import check_folder

if TYPE_CHECKING:
    from hashmatch.index import Costs
    from hashmatch.lists import PinnedVersion, ReferenceList
    from hashmatch.policy import MatchPolicy

__all__ = [
    "BuiltFile",
    "Files",
    "build_files",
    "files_of",
    "index_file",
    "made",
    "own_place",
    "place_of",
    "remove_others",
    "rows_of",
    "taken_up",
    "translated_folder_errors",
]

_LOG: Final = logging.getLogger("hashmatch.store")

R_co = TypeVar("R_co", bound=AnyRows, covariant=True)
R = TypeVar("R", bound=AnyRows)


class Files(Named, Protocol[R_co]):
    """How the index files of one algorithm are made and read, for a policy.

    ``made_for`` is what a file depends on, for its name: policies do not replace each other's files.
    """

    @property
    def made_for(self) -> str:
        """What a file depends on."""

    def in_memory(self, pinned: PinnedVersion) -> R_co:
        """Index all hashes of a list without a file."""

    def read(self, path: Path, list_id: str, *, second: Second, maps: bool) -> R_co:
        """Take all hashes of the version that a file was made at from it, mapped or copied into memory.

        A second file that belongs to it is left alone, opened, or also made where it alone is missing. Raises
        FileNotFoundError or IndexFormatError where there is no file of that list that serves, else OSError.
        """

    def make(self, path: Path, pinned: PinnedVersion, *, memory: int, stopped: Callable[[], bool]) -> None:
        """Make the file of a version of a list and what belongs to it; the caller holds its lock."""


def files_of(name: str, policy: MatchPolicy, costs: Costs) -> Files[AnyRows] | None:
    """Give the files of an algorithm for a policy; None where the policy has no rule for it."""
    if name == "keypoint":
        if policy.keypoints is None:
            return None
        from hashmatch.store.keypoint_rows import KeypointFiles  # only such a policy loads the code for it

        return KeypointFiles(policy.keypoints)
    rule = policy.rule_for(name)
    crops = name == "pdq" and (policy.crops is not None or policy.rotations)
    return None if rule is None else HashFiles(rule, costs, crops)


@contextlib.contextmanager
def translated_folder_errors() -> Iterator[None]:
    """Turn an error of the system into one that names the index folder; it is the only thing used here that way."""
    try:
        yield
    except PermissionError as error:
        user = f" (uid {os.geteuid()})" if hasattr(os, "geteuid") else ""
        raise ReferenceListError(
            f"the index folder cannot be used: {error.strerror or 'not permitted'} for this user{user}; let the user"
            " whose files these are share them with its group (folder 2750), or make them there with"
            " hashmatch index build, see docs/how-to/services.md"
        ) from error
    except OSError as error:
        raise ReferenceListError(
            f"the index folder cannot be used: {error.strerror or 'input/output error'};"
            " name an existing folder that can be written"
        ) from error


def index_file(folder: Path, list_id: str, files: Files[AnyRows]) -> Path:
    """Path of an index file of a list."""
    return folder / f"{list_id}.{files.made_for}.{files.name}.index"


def rows_of(pinned: PinnedVersion, files: Files[R], folder: Path | None, *, maps: bool = True) -> R:
    """Index one algorithm of a list, or take the index from its file, which is made where there is none that serves.

    The file is mapped, or copied into memory.

    Raises
    ------
    ReferenceListError
        If the list is damaged.
    OSError
        If the file cannot be made.
    """
    if folder is None:
        return files.in_memory(pinned)
    rows = taken_up(pinned, files, folder, maps=maps)
    if rows is None or rows.is_overgrown:
        try:
            # of many workers that start at once one makes the file, the others wait and take it
            with _locked_place(index_file(folder, pinned.list_id, files), pinned, files) as place:
                rows = taken_up(pinned, files, folder, held=place, maps=maps)
                if rows is None or rows.is_overgrown:
                    made(files, place, pinned)
                    rows = taken_up(pinned, files, folder, held=place, maps=maps)
        except OSError:
            if rows is None:  # one that is far behind serves, where the folder cannot be written to
                raise
    if rows is None:
        raise ReferenceListError(
            "the index folder cannot be used: an index file that was just made cannot be read back"
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """What became of one index file.

    Parameters
    ----------
    algorithm : str
        Of its hashes.
    path : Path
        Of the file.
    n_rows : int
        Hashes in it.
    made : bool
        False where a file was there that holds just what the list does.
    seconds : float
        Time it took.
    """

    algorithm: str
    path: Path
    n_rows: int
    made: bool
    seconds: float


def build_files(
    reference: ReferenceList,
    policy: MatchPolicy,
    folder: Path,
    *,
    memory: int = DEFAULT_MEMORY,
    again: bool = False,
) -> Iterator[BuiltFile]:
    """Make the index files that a policy needs of a list, where there are none of its present version.

    Parameters
    ----------
    reference : ReferenceList
        The list.
    policy : MatchPolicy
        Says which algorithms are searched, and at which radius.
    folder : Path
        An existing folder; matchers that use it take the new files up at their next reload.
    memory : int
        As for `hashmatch.index.MultiIndex.build_file`.
    again : bool
        Make them even where they are up to date.

    Yields
    ------
    BuiltFile
        One for each algorithm.

    Raises
    ------
    ReferenceListError
        If the list is damaged, or the folder cannot be used.
    """
    costs = saved_costs(folder)
    with translated_folder_errors(), reference.pinned() as pinned:
        check_folder(folder, reference.path)
        sweep(folder, pinned.list_id)
        for name, content in pinned.contents.items():
            files = files_of(name, policy, costs)
            if files is None:
                continue
            began = time.perf_counter()
            with _locked_place(index_file(folder, pinned.list_id, files), pinned, files) as place:
                is_made = again or not _is_current(place, pinned, files)
                if is_made:
                    made(files, place, pinned, memory=memory)
            spent = time.perf_counter() - began
            yield BuiltFile(algorithm=name, path=place, n_rows=content.n_rows, made=is_made, seconds=spent)


def made(
    files: Files[AnyRows],
    place: Path,
    pinned: PinnedVersion,
    *,
    memory: int = DEFAULT_MEMORY,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make an index file, as `Files.make`, and say so."""
    began = time.perf_counter()
    files.make(place, pinned, memory=memory, stopped=stopped)
    _LOG.info(
        "an index file of the list %r (%s) was made at version %d: %d hashes in %.0f ms",
        pinned.name,
        files.name,
        pinned.version,
        pinned.contents[files.name].n_rows,
        1000 * (time.perf_counter() - began),
    )


def remove_others(reference: ReferenceList, policy: MatchPolicy, folder: Path) -> Iterator[Path]:
    """Remove the index files of a list that a policy does not need and no process has mapped; errors as `build_files`.

    Yields
    ------
    Path
        Each file that was removed.
    """
    with translated_folder_errors(), reference.pinned() as pinned:
        check_folder(folder, reference.path)
        wanted, costs = set(), saved_costs(folder)
        for name in pinned.contents:
            files = files_of(name, policy, costs)
            if files is not None:
                wanted.add(place_of(index_file(folder, pinned.list_id, files), pinned, files))
        yield from remove_unused(folder, pinned.list_id, wanted)


def own_place(file: Path, pinned: PinnedVersion) -> Path:
    """Path of the index file of this copy of a list alone, where another copy has that for all."""
    return file.with_name(file.name.replace(pinned.list_id, f"{pinned.list_id}.c{copy_of(pinned)}", 1))


def place_of(file: Path, pinned: PinnedVersion, files: Files[AnyRows]) -> Path:
    """Choose where the index file of a list is made: for all copies, or its own where another copy's is there.

    Another copy's is one that this list's history does not lead from; it serves a service that is not to be disturbed.
    """
    try:
        rows = files.read(file, pinned.list_id, second="leave", maps=True)
    except (FileNotFoundError, IndexFormatError):
        return file
    if rows.kept is None or rows.kept.copy in ("", copy_of(pinned)) or _brought_to(pinned, rows) is not None:
        return file
    return own_place(file, pinned)


@contextlib.contextmanager
def _locked_place(file: Path, pinned: PinnedVersion, files: Files[AnyRows]) -> Iterator[Path]:
    """Hold the lock of `place_of`; another copy's file may come while it is waited for."""
    while True:
        place = place_of(file, pinned, files)
        with lock_of(place, wait=True):
            if place_of(file, pinned, files) == place:
                yield place
                return


def _is_current(file: Path, pinned: PinnedVersion, files: Files[AnyRows]) -> bool:
    try:
        rows = files.read(file, pinned.list_id, second="open", maps=True)
    except (FileNotFoundError, IndexFormatError):
        return False
    return rows.content == pinned.contents[files.name]


def taken_up(
    pinned: PinnedVersion, files: Files[R], folder: Path, *, held: Path | None = None, maps: bool = True
) -> R | None:
    """Take an index from its file and bring it to the pinned version; None where that cannot be done.

    The file is that for all copies of the list, or that of this copy. Of the one whose lock the caller holds, if any,
    a second file is made where it alone is missing.

    Raises
    ------
    ReferenceListError
        If the list is damaged.
    OSError
        If the file cannot be read.
    """
    file, grown = index_file(folder, pinned.list_id, files), None
    for place in (file, own_place(file, pinned)):
        try:
            read = files.read(place, pinned.list_id, second="make" if place == held else "open", maps=maps)
        except FileNotFoundError:
            continue
        except IndexFormatError as error:
            if held is None:  # whoever makes it anew has looked before
                _LOG.warning("an index file of the list %r (%s) is not used: %s", pinned.name, files.name, error)
            continue
        rows = _brought_to(pinned, read)
        if rows is not None and not rows.is_overgrown:
            return rows
        grown = grown or rows
    return grown


def _brought_to(pinned: PinnedVersion, rows: R) -> R | None:
    """Bring rows from an index file to the pinned version; None where what changed since does not lead there."""
    content = pinned.contents.get(rows.files.name, Content(0, 0))
    if rows.content == content:
        return rows
    changes = None if rows.kept is None else pinned.changes_since(rows.kept.version)
    return None if changes is None else rows.updated(changes, content)
