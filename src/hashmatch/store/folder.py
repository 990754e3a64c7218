"""Where a list's index files are, and a layer from one: taken, brought up to date, or made anew."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import IndexFormatError, ReferenceListError
from hashmatch.index.calibration import saved_costs
from hashmatch.index.multi.out_of_core import DEFAULT_MEMORY
from hashmatch.lists import Content
from hashmatch.store.held import HeldFile
from hashmatch.store.index_file import (
    KeptIndex,
    build_kept,
    copy_of,
    crops_of,
    lock_of,
    open_crops,
    open_kept,
    write_crops,
)
from hashmatch.store.leftovers import remove_unused, sweep
from hashmatch.store.rows import Layer
from hashmatch.store.trust import check_folder

if TYPE_CHECKING:
    from hashmatch.index import Costs
    from hashmatch.index.probing import GuidedIndex
    from hashmatch.lists import PinnedVersion, ReferenceList
    from hashmatch.policy import MatchPolicy

__all__ = [
    "BuiltFile",
    "build_files",
    "has_crops",
    "index_file",
    "layer_of",
    "make_crops_file",
    "make_file",
    "own_place",
    "place_of",
    "remove_others",
    "taken_up",
    "translated_folder_errors",
]


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


def index_file(folder: Path | None, list_id: str, name: str, policy: MatchPolicy) -> Path | None:
    """Path of the index file of one algorithm of a list for a policy; None without a folder.

    What a file depends on stands in its name, so that policies do not replace each other's: the radius, or the key and
    the least quality of records.
    """
    if folder is None:
        return None
    rule = policy.rule_for(name)
    made_for = "" if rule is None else f"r{rule.threshold}."
    if name == "keypoint" and policy.keypoints is not None:
        from hashmatch.keypoints.record import key_check  # only such a policy loads the code for it

        key = policy.keypoints.key
        made_for = f"{'open' if key is None else key_check(key).hex()}-q{policy.keypoints.min_quality}."
    return folder / f"{list_id}.{made_for}{name}.index"


def layer_of(
    pinned: PinnedVersion, name: str, policy: MatchPolicy, costs: Costs, folder: Path | None, *, maps: bool = True
) -> Layer:
    """Index one algorithm of a list, or take the index from its file, which is made where there is none that serves.

    The file is mapped, or copied into memory.

    Raises
    ------
    ReferenceListError
        If the list is damaged.
    OSError
        If the file cannot be made.
    """
    file = index_file(folder, pinned.list_id, name, policy)
    if file is None:
        rule = policy.rule_for(name)
        radius = 0 if rule is None else rule.threshold
        rows, content = pinned.rows(name), pinned.contents[name]
        return Layer.build(
            ALGORITHMS[name],
            rows,
            radius,
            costs,
            pinned.list_id,
            content,
            crops=has_crops(name, policy),
            min_quality=0 if rule is None else rule.min_quality,
        )
    layer = taken_up(pinned, name, policy, costs, folder, maps=maps)
    if layer is None or layer.is_overgrown:
        try:
            # of many workers that start at once one makes the file, the others wait and take it
            with _locked_place(file, pinned, name, policy, costs) as place:
                layer = taken_up(pinned, name, policy, costs, folder, held=place, maps=maps)
                if layer is None or layer.is_overgrown:
                    make_file(place, pinned, name, policy, costs)
                    layer = taken_up(pinned, name, policy, costs, folder, held=place, maps=maps)
        except OSError:
            if layer is None:  # one that is far behind serves, where the folder cannot be written to
                raise
    if layer is None:
        raise ReferenceListError(
            "the index folder cannot be used: an index file that was just made cannot be read back"
        )
    return layer


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
            file, rule = index_file(folder, pinned.list_id, name, policy), policy.rule_for(name)
            if file is None or rule is None:
                continue
            began = time.perf_counter()
            with _locked_place(file, pinned, name, policy, costs) as place:
                made = again or not _is_current(place, pinned, name, policy, costs)
                if made:
                    make_file(place, pinned, name, policy, costs, memory=memory)
            spent = time.perf_counter() - began
            yield BuiltFile(algorithm=name, path=place, n_rows=content.n_rows, made=made, seconds=spent)


def remove_others(reference: ReferenceList, policy: MatchPolicy, folder: Path) -> Iterator[Path]:
    """Remove the index files of a list that a policy does not need and no process has mapped; errors as `build_files`.

    Yields
    ------
    Path
        Each file that was removed.
    """
    with translated_folder_errors(), reference.pinned() as pinned:
        check_folder(folder, reference.path)
        wanted = set()
        for name in pinned.contents:
            file = index_file(folder, pinned.list_id, name, policy)
            if file is not None and policy.rule_for(name) is not None:
                wanted.add(place_of(file, pinned, name, policy, saved_costs(folder)))
            elif file is not None and policy.keypoints is not None:
                wanted |= {file, own_place(file, pinned)}
        yield from remove_unused(folder, pinned.list_id, wanted)


def own_place(file: Path, pinned: PinnedVersion) -> Path:
    """Path of the index file of this copy of a list alone, where another copy has that for all."""
    return file.with_name(file.name.replace(pinned.list_id, f"{pinned.list_id}.c{copy_of(pinned)}", 1))


def place_of(file: Path, pinned: PinnedVersion, name: str, policy: MatchPolicy, costs: Costs) -> Path:
    """Choose where the index file of a list is made: for all copies, or its own where another copy's is there.

    Another copy's is one that this list's history does not lead from; it serves a service that is not to be disturbed.
    """
    rule = policy.rule_for(name)
    try:
        kept = open_kept(file, pinned.list_id, ALGORITHMS[name], 0 if rule is None else rule.threshold, costs)
    except (FileNotFoundError, IndexFormatError):
        return file
    if kept.copy in ("", copy_of(pinned)) or _from_file(file, pinned, name, policy, costs, crops=False) is not None:
        return file
    return own_place(file, pinned)


@contextlib.contextmanager
def _locked_place(file: Path, pinned: PinnedVersion, name: str, policy: MatchPolicy, costs: Costs) -> Iterator[Path]:
    """Hold the lock of `place_of`; another copy's file may come while it is waited for."""
    while True:
        place = place_of(file, pinned, name, policy, costs)
        with lock_of(place, wait=True):
            if place_of(file, pinned, name, policy, costs) == place:
                yield place
                return


def _is_current(file: Path, pinned: PinnedVersion, name: str, policy: MatchPolicy, costs: Costs) -> bool:
    rule = policy.rule_for(name)
    try:
        kept = open_kept(file, pinned.list_id, ALGORITHMS[name], 0 if rule is None else rule.threshold, costs)
        if has_crops(name, policy):
            open_crops(crops_of(file, kept.content), kept)
    except (FileNotFoundError, IndexFormatError):
        return False
    return kept.content == pinned.contents[name]


def make_file(
    file: Path,
    pinned: PinnedVersion,
    name: str,
    policy: MatchPolicy,
    costs: Costs,
    *,
    memory: int = DEFAULT_MEMORY,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make the index file of one algorithm of a list for a policy, and that for crops; the caller holds its lock."""
    rule = policy.rule_for(name)
    radius = 0 if rule is None else rule.threshold
    build_kept(file, pinned, ALGORITHMS[name], radius, costs, memory=memory, stopped=stopped)
    if has_crops(name, policy):
        make_crops_file(file, open_kept(file, pinned.list_id, ALGORITHMS[name], radius, costs))


def make_crops_file(file: Path, kept: KeptIndex) -> None:
    """Make the file for crops that belongs to an index file, whose lock the caller holds; older ones go."""
    wanted = crops_of(file, kept.content)
    write_crops(wanted, kept)
    for other in [*file.parent.glob(f"{file.stem}.*.crops"), *file.parent.glob(f".{file.stem}.*.crops.*")]:
        if not other.name.lstrip(".").startswith(wanted.name):
            with contextlib.suppress(OSError):
                other.unlink()


def taken_up(
    pinned: PinnedVersion,
    name: str,
    policy: MatchPolicy,
    costs: Costs,
    folder: Path | None,
    *,
    held: Path | None = None,
    maps: bool = True,
) -> Layer | None:
    """Take an index from its file and bring it to the pinned version; None where that cannot be done.

    The file is that for all copies of the list, or that of this copy. Of the one whose lock the caller holds, if any,
    the file for crops is made where it alone is missing.

    Raises
    ------
    ReferenceListError
        If the list is damaged.
    OSError
        If the file cannot be read.
    """
    file, rule = index_file(folder, pinned.list_id, name, policy), policy.rule_for(name)
    if file is None or rule is None:
        return None
    grown = None
    for place in (file, own_place(file, pinned)):
        crops = has_crops(name, policy)
        layer = _from_file(place, pinned, name, policy, costs, crops=crops, make=place == held, maps=maps)
        if layer is not None and not layer.is_overgrown:
            return layer
        grown = grown or layer
    return grown


def _from_file(
    file: Path,
    pinned: PinnedVersion,
    name: str,
    policy: MatchPolicy,
    costs: Costs,
    *,
    crops: bool,
    make: bool = False,
    maps: bool = True,
) -> Layer | None:
    rule = policy.rule_for(name)
    if rule is None:
        return None
    algorithm, content = ALGORITHMS[name], pinned.contents.get(name, Content(0, 0))
    try:
        kept = open_kept(file, pinned.list_id, algorithm, rule.threshold, costs, maps=maps)
        changes = None if kept.content == content else pinned.changes_since(kept.version)
        if changes is None and kept.content != content:
            return None
        guided, more = _opened_crops(file, kept, make=make, maps=maps) if crops else (None, None)
    except (FileNotFoundError, IndexFormatError):
        return None
    layer = Layer.mapped(algorithm, kept, rule.threshold, costs, pinned.list_id, guided, rule.min_quality)
    layer = replace(layer, held=tuple(held for held in (kept.held, more) if held is not None))
    if changes is None:
        return layer
    return layer.updated(changes.added.get(name), changes.withdrawn.get(name, np.empty(0, np.int64)), content)


def _opened_crops(file: Path, kept: KeptIndex, *, make: bool, maps: bool) -> tuple[GuidedIndex, HeldFile | None]:
    try:
        return open_crops(crops_of(file, kept.content), kept, maps=maps)
    except (FileNotFoundError, IndexFormatError):
        if not make:
            raise
    make_crops_file(file, kept)
    return open_crops(crops_of(file, kept.content), kept, maps=maps)


def has_crops(name: str, policy: MatchPolicy) -> bool:
    """Whether a policy searches the hashes of an algorithm for crops too, or for rotated pictures, in the same way."""
    return name == "pdq" and (policy.crops is not None or policy.rotations)
