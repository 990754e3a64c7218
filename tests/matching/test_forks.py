"""A matcher in processes that fork: the children search, follow the list and end, whatever threads did at the fork."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Matcher, ReferenceList
from hashmatch.errors import ReferenceListError
from hashmatch.lists.file import forks
from support.followers import matches, until
from support.list_makers import made_list, made_up_entries

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

_SECONDS = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of 300 entries."""
    return made_list(tmp_path / "list", 300)


def in_child(does: Callable[[], None]) -> int:
    """Fork a process that does something; 0 where it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process:
        return process
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_SECONDS)  # a child that waits for ever is killed
    code = 1
    try:
        does()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def ended(process: int) -> int:
    """Wait for a child; its exit code, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@contextmanager
def busy(work: Callable[[], object], threads: int = 3) -> Iterator[None]:
    """Do something in threads all the time."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            work()

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()


@pytest.mark.parametrize("with_folder", [False, True])
def test_children_search_reload_and_watch(path: Path, tmp_path: Path, with_folder: bool) -> None:
    """A child of a watching matcher sees what is added after the fork, by itself; closing is of the child alone."""
    (tmp_path / "indexes").mkdir(mode=0o700)
    folder = tmp_path / "indexes" if with_folder else None
    with Matcher.open(path, index_folder=folder, reload_every=0.01) as matcher:

        def child() -> None:
            assert matches(matcher, 5)
            assert matcher.upkeep.watching
            assert until(lambda: matches(matcher, 1000), _SECONDS)
            matcher.close()
            assert not matcher.upkeep.watching
            with pytest.raises(ReferenceListError, match="closed"):
                matches(matcher, 5)

        children = [in_child(child) for _ in range(3)]
        time.sleep(0.1)
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many(made_up_entries(1, first=1000))
            assert [ended(process) for process in children] == [0, 0, 0]
        assert until(lambda: matches(matcher, 1000))
        assert matcher.upkeep.watching


def test_a_watch_of_the_parent_can_be_stopped_in_the_child(path: Path) -> None:
    """Before it began there and after; and another begun then."""
    with Matcher.open(path) as matcher, matcher.watch(0.01) as watch:

        def child() -> None:
            for use in (False, True):
                if use:
                    assert matcher.upkeep.watching
                watch.stop()
                assert not matcher.upkeep.watching
                if not use:
                    break
            with matcher.watch(0.01):
                assert matcher.upkeep.watching

        assert ended(in_child(child)) == 0


@pytest.mark.parametrize("held", ["_reloading", "counts", "keeper", "session"])
def test_a_lock_that_a_thread_held_at_the_fork(path: Path, held: str) -> None:
    """Every lock of a matcher is fresh in a child."""
    with Matcher.open(path, reload_every=0.01) as matcher:
        session = matcher._snapshots[0].reference._session
        lock: Any = {
            "_reloading": lambda: matcher._reloading,
            "counts": lambda: matcher._counts._change,
            "keeper": lambda: matcher._keeper._lock,
            "session": session._lock,
        }[held]()
        ready, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                ready.set()
                go_on.wait(_SECONDS)

        thread = threading.Thread(target=hold)
        thread.start()
        assert ready.wait(20)

        def child() -> None:
            assert matches(matcher, 5)
            matcher.reload()
            matcher.counts()
            matcher.close()

        process = in_child(child)
        go_on.set()
        thread.join()
        assert ended(process) == 0


def test_forks_amid_searches_and_reads(path: Path) -> None:
    """Many forks while threads search, read and pin the list: each child works, and so does the parent."""
    with Matcher.open(path) as matcher, ReferenceList.open(path) as ref:

        def read() -> None:
            matches(matcher, 7)
            assert ref.get("entry-8") is not None
            with ref.pinned() as pinned:
                pinned.rows("pdq")
            matcher.reload()

        def child() -> None:
            assert matches(matcher, 5)
            matcher.reload()
            read()

        with busy(read):
            for _ in range(25):
                assert ended(in_child(child)) == 0
        assert matches(matcher, 5)


def test_a_fork_within_a_long_call_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a thread does not come out of SQLite in time the child says so, and never waits for ever."""
    monkeypatch.setattr(forks, "_PATIENCE", 0.05)
    with Matcher.open(path) as matcher:
        connection: Any = matcher._snapshots[0].reference._session._connection
        ready, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with connection.calls:
                ready.set()
                go_on.wait(_SECONDS)

        thread = threading.Thread(target=hold)
        thread.start()
        assert ready.wait(20)

        def child() -> None:
            for use in (lambda: matches(matcher, 5), matcher.reload, lambda: Matcher.open(path)):
                with pytest.raises(ReferenceListError, match="forked"):
                    use()
            matcher.close()

        process = in_child(child)
        go_on.set()
        thread.join()
        assert ended(process) == 0
        assert ended(in_child(lambda: None)) == 0
        assert matches(matcher, 5)


def _in_pool(path: str, number: int) -> bool:
    with Matcher.open(path, reload_every=0.01) as matcher:
        return matches(matcher, number) and matcher.upkeep.watching


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_way_of_multiprocessing(path: Path, method: str) -> None:
    """A matcher opened in a process of any kind works while the parent has one that watches."""
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings(), Matcher.open(path, reload_every=0.01):
        warnings.simplefilter("ignore", DeprecationWarning)
        with context.Pool(2) as pool:
            assert pool.starmap_async(_in_pool, [(str(path), n) for n in range(4)]).get(_SECONDS) == [True] * 4
