"""The compiled kernels in many threads: they share nothing, and let other threads run while they work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from hashmatch.hashers.tent import taps_of
from hashmatch.index import BKTree, MultiIndex
from hashmatch.kernels import codes, compiled, guided, pack_words, pixels, points

needs_native = pytest.mark.skipif(not all(compiled().values()), reason="the compiled kernels were not built")
THREADS = 8


def _guided_table(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    words = rng.integers(0, 1 << 63, (n, 4)).astype(np.uint64)
    keys = (words[:, 0] & np.uint64(255)).astype(np.int64)
    ends = np.cumsum(np.bincount(keys, minlength=256))
    return words, np.r_[0, ends].astype(np.int32), np.argsort(keys, kind="stable").astype(np.int32)


def works(scale: int) -> dict[str, Callable[[], Any]]:
    """Make calls of kernels over data that all threads share, larger with ``scale``."""
    rng = np.random.default_rng(5)
    stored = pack_words(rng.integers(0, 256, (1_000 * scale, 32), dtype=np.uint8))
    query = stored[:, 3].copy()
    picture = rng.integers(0, 256, (70 * scale, 640, 3), dtype=np.uint8)
    tents = (taps_of(70 * scale),), (taps_of(640),)
    levels = rng.integers(0, 255, (5, 8 * scale, 90)).astype(np.float32)
    table = _guided_table(800 * scale, rng)
    keys = rng.integers(0, 256, (40, scale)).astype(np.uint32)
    asked = rng.integers(0, 1 << 63, (scale, 4)).astype(np.uint64)
    near = (*table, keys, np.zeros(keys.shape, np.float32), -1.0, asked, 10**6, 100)
    found = rng.integers(0, 256, (2_000, 8), dtype=np.uint8)
    index, tree = MultiIndex.build(found, radius=4, pending_limit=1), BKTree.build(found, pending_limit=1)
    queries = found[: 4 * scale]
    return {
        "scan": lambda: codes.hamming_scan(stored, query, 100),
        "tents": lambda: pixels.tent_averages(picture, *tents),
        "cells": lambda: pixels.opponent_cells(picture, 3, 3),
        "blur": lambda: pixels.blur_float32(picture),
        "peaks": lambda: points.peaks(levels, 0.5, 1),
        "guided": lambda: guided.near_by_keys(*near),
        "tables": lambda: index.search_batch(queries, 4),
        "tree": lambda: tree.search_batch(queries, 2),
    }


def bits(answer: Any) -> list[bytes]:
    """Bytes of everything in an answer."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    return [np.asarray(part).tobytes() for part in parts]


@pytest.mark.parametrize("name", works(1))
def test_threads_get_the_answers_of_one(name: str) -> None:
    """Eight threads at the same kernel and the same data have every answer right, compiled or not."""
    work = works(4)[name]
    expected = bits(work())
    start = threading.Barrier(THREADS)

    def ask(_: int) -> bool:
        start.wait()
        return all(bits(work()) == expected for _ in range(20))

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(ask, range(THREADS)))


@contextmanager
def never_forced() -> Iterator[None]:
    """Let no thread be made to hand over the interpreter: it runs until it does so itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def lets_others_run(work: Callable[[], Any]) -> bool:
    """Whether this thread gets to run while another does the work a hundred times."""
    begun, ended = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        for _ in range(100):
            work()
        ended.set()

    with never_forced():
        other = threading.Thread(target=run)
        other.start()
        begun.wait()
        overtaken = not ended.is_set()
        other.join()
    return overtaken


@needs_native
@pytest.mark.parametrize("name", ["scan", "tents", "cells", "blur", "peaks", "guided"])
def test_a_kernel_works_without_the_lock(name: str) -> None:
    """While a kernel runs in one thread, another runs Python."""
    work = works(40)[name]
    assert any(lets_others_run(work) for _ in range(5))


def test_work_with_the_lock_is_told_apart() -> None:
    """The test above can fail: Python's own arithmetic is overtaken by nobody."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("this interpreter has no lock")
    assert not any(lets_others_run(lambda: sum(range(3_000))) for _ in range(5))


@needs_native
def test_the_kernels_leave_a_free_threaded_interpreter_free() -> None:
    """Where Python runs without the lock, importing the kernels does not bring it back."""
    if "free-threading" not in sys.version:
        pytest.skip("this interpreter is not free-threaded")
    assert not sys._is_gil_enabled()
