"""Index files of every kind.

Law: a file that was changed under its checksums is refused by the full check. With checksums made to fit, or without a
full check, opening and searching give a typed error or answers within the index: no crash, no hang, no memory that the
file's length does not cover. What opens saves to a file that answers the same.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Final

import numpy as np

from fuzz.engine import Case, Wrong, check_message
from fuzz.formats import change_index_header, change_index_section
from fuzz.mutate import mutated
from hashmatch.errors import IndexFormatError
from hashmatch.index import KeypointIndex
from support.fault_makers import INDEX_KINDS, index_answers, open_index, save_index

__all__ = ["DESCRIPTION", "case_runner"]

DESCRIPTION = "index files -> load (full and header), search, save again"

_SIZES: Final = ((9, 2), (40, 8), (1, 2), (60, 2))
_QUICK: Final = "/dev/shm"  # noqa: S108 - files that live for one case


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Index files of every kind in several sizes."""
    found = []
    for kind in INDEX_KINDS:
        for n, n_bytes in _SIZES:
            save_index(kind, folder / "seed", n=n, n_bytes=n_bytes, tag={"list": "ä", "version": "3"})
            found.append((kind, (folder / "seed").read_bytes()))
    return found


class QuickFolder:
    """A folder, in memory where the system has one, that goes when the last case has let go of it."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(dir=_QUICK if Path(_QUICK).is_dir() else None)
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


def case_runner(options: argparse.Namespace) -> Case:  # noqa: ARG001
    """Open and search one mutated file."""
    holder = QuickFolder()
    folder = Path(holder.name)
    known = seeds(folder)
    whole = [data for _, data in known]
    originals = set(whole)

    def case(rng: random.Random, number: int) -> str:
        kind, seed = rng.choice(known)
        way = number % 4
        if way == 0:
            data, verify = mutated(seed, rng, whole), "full"
        elif way == 1:
            data, verify = mutated(seed, rng, whole), "header"
        else:
            special = (change_index_header,) if rng.random() < 0.4 else (change_index_section,)
            changed = bytearray(seed)
            for _ in range(rng.choice((1, 1, 2, 4))):
                special[0](changed, rng, whole)
            data, verify = bytes(changed), ("header", "full")[way - 2]
        path = folder / f"case-{kind}"
        path.unlink(missing_ok=True)  # an earlier case may still have the old one mapped
        path.write_bytes(data)
        try:
            index = open_index(path, verify)
        except IndexFormatError as error:
            check_message(error)
            return f"{_WAYS[way]}: refused"
        if way == 0 and data not in originals:
            raise Wrong("a changed file passed the full check")
        try:
            answers = _searched(index)
        except IndexFormatError as error:
            check_message(error)
            return f"{_WAYS[way]}: refused by a search"
        _again(index, answers, folder, forged=way > 0)
        return f"{_WAYS[way]}: opened"

    case.holder = holder  # type: ignore[attr-defined]
    return case


_WAYS: Final = ("changed, full check", "changed, header check", "forged, header check", "forged, full check")


def _searched(index: Any) -> object:
    answers = index_answers(index)
    if isinstance(index, KeypointIndex):
        return answers
    query = np.zeros(index.n_bits // 8, np.uint8)
    positions, distances = index.search(query, index.max_distance)
    if positions.shape != distances.shape or (len(distances) and int(distances.max()) > index.max_distance):
        raise Wrong("an answer beyond the radius")
    if len(distances) and int(distances.min()) < 0:
        raise Wrong("a distance below 0")
    return answers


def _again(index: Any, answers: object, folder: Path, *, forged: bool) -> None:
    """Save what opened; it must open again, and answer the same unless the file was forged."""
    path = folder / "again"
    path.unlink(missing_ok=True)
    try:
        index.save(path, tag=dict(index.tag))
        found = _searched(open_index(path))
    except (IndexFormatError, IndexError, ValueError):
        if forged:
            return
        raise
    if not forged and found != answers:
        raise Wrong("saved and loaded again it answers otherwise")
