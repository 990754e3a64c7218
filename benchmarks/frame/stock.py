"""What list benchmarks share: unrelated pictures and their hashes, made on several cores, and a `Matcher` on a list."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.frame.runner import ONE_THREAD
from hashmatch import Matcher, MatchPolicy, ReferenceList
from hashmatch.hashers import ClassicHasher, PDQHasher
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry
from hashmatch.synthetic import picture

T = TypeVar("T")
R = TypeVar("R")

FILLER_KINDS = ("photo", "photo", "photo", "portrait", "comic", "document", "screenshot", "meme", "card", "photo")
FILLER_SIZES = ((192, 192), (176, 224), (224, 176))


def spread(function: Callable[[T], R], items: Sequence[T], processes: int) -> list[R]:
    """Do the same to every item, in order, in fresh single-threaded processes."""
    if processes <= 1 or len(items) < 2:
        return [function(item) for item in items]
    kept = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read by the libraries of the child when it starts
    try:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            return list(pool.map(function, items, chunksize=max(1, min(25, len(items) // (4 * processes)))))
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def filler_hashes(seed: int) -> list[tuple[bytes, bytes]]:
    """Hash one picture nobody looks for in its eight turns, by PDQ and pHash; nothing where it is too plain."""
    pixels = picture(FILLER_KINDS[seed % len(FILLER_KINDS)], seed, FILLER_SIZES[seed % 3])
    pdq = PDQHasher().hash_turns(pixels)
    if min(quality for _, quality in pdq.values()) < 50:
        return []
    phash = ClassicHasher("phash").hash_turns(pixels)
    return [(value.data, phash[turn][0].data) for turn, (value, _) in pdq.items()]


def fillers(pictures: int, seed: int, processes: int) -> dict[str, np.ndarray]:
    """Hashes of many unrelated pictures in eight turns each: real hashes, which random bits are not."""
    made = [pair for pairs in spread(filler_hashes, range(seed, seed + pictures), processes) for pair in pairs]
    codes = {name: b"".join(pair[place] for pair in made) for place, name in enumerate(("pdq", "phash"))}
    return {name: np.frombuffer(data, np.uint8).reshape(len(made), -1) for name, data in codes.items()}


def filler_entries(codes: np.ndarray, algorithm: str = "pdq") -> Iterator[Entry]:
    """One entry a hash."""
    for number, code in enumerate(codes):
        yield Entry.of(f"filler-{number}", hashes=[HashValue(algorithm, code.tobytes())], quality=100)


@contextmanager
def opened(policy: MatchPolicy, entries: Iterable[Entry]) -> Iterator[Matcher]:
    """Put entries on a list in a temporary folder and open a matcher on it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.hashmatch"
        with ReferenceList.create(path, name="benchmark") as reference:
            reference.add_many(entries)
        with Matcher.open(path, policy=policy) as matcher:
            yield matcher


def upper_bound(events: int, trials: int) -> float | None:
    """Upper 95 % bound of a rate by Clopper and Pearson; about 3 / n for no event. Assumes independent trials."""
    from scipy.stats import beta

    if not trials:
        return None
    return 1.0 if events >= trials else float(beta.ppf(0.95, events + 1, trials - events))


def lower_bound(found: int, trials: int) -> float | None:
    """Lower 95 % bound of a rate, likewise."""
    from scipy.stats import beta

    if not trials:
        return None
    return 0.0 if not found else float(beta.ppf(0.05, found, trials - found + 1))


def rate(found: Any, trials: int) -> float | None:
    """Share, or None of nothing."""
    return None if not trials else float(found) / trials
