"""Laws of the workers' life: nobody waits for ever, and no task pays for what it has not done."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import BusyError, IsolationError
from hashmatch.jail.memory import KEPT_BYTES
from hashmatch.jail.pool import Pool
from support.jail_makers import LINUX, POSIX, WORDS, answer, has_gone, make_pool

pytestmark = POSIX
ECHOED = ([b"x", b"", b"x"], "")
PATIENCE = 120.0


def in_threads(count: int, do: Callable[[], Any]) -> list[threading.Thread]:
    """Start threads."""
    threads = [threading.Thread(target=do) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def ended(threads: list[threading.Thread]) -> bool:
    """Whether all of them end."""
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


def number_of(pool: Pool) -> int:
    """Give the number of the only worker."""
    (worker,) = pool._all
    return worker.pid


def wait_for_task(pool: Pool, before: int = 0) -> int:
    """Wait until a worker has a task; its number."""
    while True:
        for worker in list(pool._all):
            if worker.tasks > 0 and worker.protection is not None and worker.pid != before:
                return worker.pid
        time.sleep(0.01)


@pytest.fixture(name="pool")
def _pool() -> Iterator[Pool]:
    made = make_pool()
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("when", ["before", "later"])
@pytest.mark.parametrize("seconds", [0.0, 0.05, 30.0])
def test_the_hosts_default_timeout_is_its_own(when: str, seconds: float) -> None:
    """Both ends of the line wait as they are meant to, whatever `socket.setdefaulttimeout` says."""
    made = make_pool(recycle=2)
    try:
        if when == "later":
            assert answer(made, "echo x") == ECHOED
        socket.setdefaulttimeout(seconds)
        for _ in range(5):
            assert answer(made, "pause 0.1") == ([b"before", b"after"], "")
            time.sleep(0.1)  # an idle worker waits for its next task
    finally:
        socket.setdefaulttimeout(None)
        made.close()
    assert "lost" not in made.counts()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_worker_that_died_idle_costs_nothing(pool: Pool, name: str) -> None:
    """The next task goes to a fresh one, and is not charged with the death."""
    process = number_of(pool)
    os.kill(process, getattr(signal, name))
    assert has_gone(process)
    assert answer(pool, "echo x") == ECHOED
    assert pool.counts() == {"ended-idle": 1, "lost": 1, "started": 2, "tasks": 1}


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGBUS"])
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_death_costs_a_retry_and_a_second_one_the_task(pool: Pool, name: str, deaths: int) -> None:
    """What was answered before is not given twice."""
    found: list[Any] = []
    threads = in_threads(1, lambda: found.append(answer(pool, "pause 1.5")))
    process = 0
    for _ in range(deaths):
        process = wait_for_task(pool, process)
        time.sleep(0.3)
        os.kill(process, getattr(signal, name))
    assert ended(threads)
    whole = ([b"before", b"after"], "")
    assert found == [whole if deaths == 1 else ([b"before"], f"(crashed-{name.lower()})")]
    assert pool.counts()["retried"] == 1
    assert answer(pool, "echo x") == ECHOED


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_for_the_whole_service_lets_workers_finish(pool: Pool, name: str) -> None:
    """A worker is ended by its host alone: a service that is asked to stop still answers what it has in hand."""
    found: list[Any] = []
    threads = in_threads(1, lambda: found.append(answer(pool, "pause 0.5")))
    os.kill(wait_for_task(pool), getattr(signal, name))
    assert ended(threads)
    assert found == [([b"before", b"after"], "")]
    assert "lost" not in pool.counts()


def test_closing_answers_all_who_wait(pool: Pool) -> None:
    """The task at work and those in the queue end with a reason of their own."""
    found: list[str] = []
    threads = in_threads(6, lambda: found.append(answer(pool, "hang")[1]))
    wait_for_task(pool)
    while len(pool._turns._cheap) < 5:
        time.sleep(0.01)
    pool.close()
    assert ended(threads)
    assert found == ["(closed)"] * 6
    with pytest.raises(IsolationError) as caught:
        pool.start()
    assert caught.value.reason == "closed"


def out_of_descriptors() -> contextlib.ExitStack:
    """Take all descriptors of this process until the stack is closed."""
    stack = contextlib.ExitStack()
    gc.collect()
    gc.disable()  # what other tests left behind must not give descriptors back meanwhile
    stack.callback(gc.enable)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64 + len(os.listdir("/dev/fd")), hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.suppress(OSError):
        while True:
            stack.callback(os.close, os.dup(0))
    return stack


def refusing(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, code: int) -> contextlib.ExitStack:
    """Let a call fail until the stack is closed."""
    stack = contextlib.ExitStack()
    patch = stack.enter_context(monkeypatch.context())

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    patch.setattr(where, name, fail)
    return stack


def cause(name: str, monkeypatch: pytest.MonkeyPatch, python: Path) -> contextlib.ExitStack:
    """Make that no worker can be started until the stack is closed."""
    if name == "descriptors":
        return out_of_descriptors()
    if name == "pairs":
        return refusing(monkeypatch, socket, "socketpair", errno.EMFILE)
    if name == "processes":
        return refusing(monkeypatch, subprocess, "Popen", errno.EAGAIN)
    stack = contextlib.ExitStack()
    elsewhere = python.with_name("elsewhere")
    python.rename(elsewhere)
    stack.callback(elsewhere.rename, python)
    return stack


@pytest.mark.parametrize("name", ["descriptors", "pairs", "processes", "interpreter"])
@pytest.mark.parametrize("is_short", [True, False])
def test_nobody_waits_for_ever(name: str, is_short: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the only worker dies while none can be started all threads get an answer, and it heals by itself."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = make_pool(python=str(python))
    made.start()
    number = number_of(made)
    found: list[Any] = []
    with cause(name, monkeypatch, python) as stack:
        os.kill(number, signal.SIGKILL)
        threads = in_threads(8, lambda: found.append(answer(made, "echo x")))
        if is_short:
            time.sleep(0.3)
            stack.close()
        assert ended(threads)
    if is_short:
        assert found == [ECHOED] * 8
    else:
        assert found == [([], "(no-worker)")] * 8
        assert made.counts()["no-worker"] == 8
    assert answer(made, "echo x") == ECHOED
    assert len(made._all) == 1
    made.close()


def test_a_full_queue_and_a_deadline_say_busy() -> None:
    """With one more waiting than may, or when the time is over, the caller knows at once, and others are not hurt."""
    made = make_pool(queue=1)
    made.start()
    found: list[Any] = []
    at_work = in_threads(1, lambda: found.append(answer(made, "pause 1")))
    wait_for_task(made)
    waiting = in_threads(1, lambda: found.append(answer(made, "echo x")))
    while not made._turns._cheap:
        time.sleep(0.01)
    with pytest.raises(BusyError) as caught:
        list(made.run(b"echo x", words=WORDS, wait=False))
    assert caught.value.reason == "queue-full"
    with pytest.raises(BusyError) as caught:
        list(made.run(b"echo x", words=WORDS, until=time.monotonic() + 0.05))
    assert caught.value.reason == "timeout"
    assert ended([*at_work, *waiting])
    assert ECHOED in found
    with pytest.raises(BusyError) as caught:
        list(made.run(b"hang", words=WORDS, until=time.monotonic() + 0.2))
    assert caught.value.reason == "timeout"
    assert made.counts()["busy"] == 3
    assert answer(made, "echo x") == ECHOED
    made.close()


def test_a_worker_that_starts_too_slowly_for_one_serves_the_next() -> None:
    """Who has no time to wait for a start leaves the worker to those who have."""
    made = make_pool()
    with pytest.raises(BusyError):
        list(made.run(b"echo x", words=WORDS, until=time.monotonic() + 0.001))
    assert answer(made, "echo x") == ECHOED
    assert made.counts() == {"busy": 1, "started": 1, "tasks": 1 + (made.counts()["tasks"] == 2)}
    made.close()


def test_the_successor_is_there_before_the_old_one_goes() -> None:
    """The last task of a worker's share starts the next worker."""
    made = make_pool(recycle=3)
    first = [answer(made, "number")[0][0] for _ in range(2)]
    assert made.counts()["started"] == 1
    run = made.run(b"number", words=WORDS)
    first.append(bytes(next(run)))
    assert made.counts()["started"] == 2
    assert made._spare is not None
    spare = made._spare.pid
    list(run)
    assert len(set(first)) == 1
    assert int(answer(made, "number")[0][0]) == spare
    assert made.counts() == {"replaced": 1, "started": 2, "tasks": 4}
    made.close()


def test_warm_starts_all() -> None:
    """After it every worker is ready, and none is started for the first tasks."""
    made = make_pool(workers=3)
    for _ in range(2):
        made.warm()
        assert made.counts() == {"started": 3}
        assert all(worker.protection is not None for worker in made._idle)
    made.close()
    weak = make_pool("jail_nowhere", workers=2)
    with pytest.raises(IsolationError):
        weak.warm()
    weak.close()


def test_a_worker_outlives_the_thread_that_started_it(pool: Pool) -> None:
    """A request's thread comes and goes; its workers serve the next one."""
    os.kill(number_of(pool), signal.SIGKILL)
    found: list[Any] = []
    for _ in range(3):
        assert ended(in_threads(1, lambda: found.append(answer(pool, "number"))))
        time.sleep(0.05)
    assert len({parts[0] for parts, _ in found}) == 1
    assert pool.counts()["lost"] == 1


def test_a_fork_while_the_pool_is_in_use(pool: Pool) -> None:
    """Locks that other threads hold at the fork do not hold the child up."""
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with pool._lock, pool._turns._lock:
            held.set()
            leave.wait(PATIENCE)

    threads = in_threads(1, hold)
    held.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os._exit(0 if answer(pool, "echo x") == ECHOED and pool.counts()["started"] == 1 else 1)
        os._exit(2)
    leave.set()
    assert ended(threads)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert answer(pool, "echo x") == ECHOED


def test_variables_that_the_interpreter_needs(tmp_path: Path) -> None:
    """An interpreter that needs variables gets those that are given; without them the error says what to do."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$LD_LIBRARY_PATH" = /opt/lib ] || exit 127\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = make_pool(python=str(python))
    with pytest.raises(IsolationError, match=r"exit-127.*LD_LIBRARY_PATH.*environment=.*python="):
        made.start()
    made.close()
    made = make_pool(python=str(python), environment={"LD_LIBRARY_PATH": "/opt/lib"})
    assert answer(made, "echo x") == ECHOED
    made.close()


def test_a_program_that_is_no_python_is_told() -> None:
    """Python in another program: what starts is that program."""
    made = make_pool(python="/bin/cat")
    with pytest.raises(IsolationError, match="python="):
        made.start()
    made.close()


@pytest.mark.parametrize("relative", [False, True])
def test_a_working_folder_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, relative: bool) -> None:
    """Paths are meant from where the pool was made; what cannot be resolved is left out."""
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.syspath_prepend("")
    monkeypatch.chdir(folder)
    options: dict[str, Any] = {"python": os.path.relpath(sys.executable)} if relative else {}
    made = make_pool(recycle=1, **options)
    assert answer(made, "echo x") == ECHOED
    folder.rmdir()
    assert [answer(made, "echo x") for _ in range(2)] == [ECHOED] * 2
    made.close()
    if not relative:
        made = make_pool()
        assert answer(made, "echo x") == ECHOED
        made.close()


def resident(process: int) -> int:
    """Memory that a process holds, bytes."""
    with open(f"/proc/{process}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@LINUX
def test_memory_is_given_back_after_a_large_task() -> None:
    """Blocks that are kept do not keep what lies between them; after a small task nothing is given back."""
    made = make_pool()
    answer(made, "echo x")
    before = resident(number_of(made))
    assert answer(made, "swell 700")[1] == ""
    assert resident(number_of(made)) - before < KEPT_BYTES
    assert answer(made, "echo x") == ECHOED
    assert "lost" not in made.counts()
    made.close()


@pytest.mark.parametrize(
    ("task", "level", "words"),
    [
        ("echo x", None, ""),
        ("crash SIGSEGV", "WARNING", "was lost (crashed-sig"),
        ("hang", "WARNING", "was lost (timeout)"),
        ("flood 70000", "ERROR", "as if it had been taken over (bad-answer)"),
    ],
)
def test_what_became_of_a_worker_is_said(
    task: str, level: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each loss says why, once for each worker; a task that goes well says nothing."""
    made = make_pool(seconds=2.0)
    made.start()
    with caplog.at_level(logging.INFO, "hashmatch.jail"):
        answer(made, task)
        lost = made.counts().get("lost", 0)
        made.close()
    assert [record.levelname for record in caplog.records] == [level] * lost
    assert all(words in record.getMessage() for record in caplog.records)
    assert (level is None) == (lost == 0)


def test_what_holds_the_workers_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first worker that is ready tells; its successors say so only where it is another."""
    caplog.set_level(logging.DEBUG, "hashmatch.jail")
    made = make_pool(recycle=1)
    for _ in range(3):
        assert answer(made, "echo x") == ECHOED
    missing = made.protection is None or bool(made.protection.missing())
    made.close()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, words in said if "restricted" in words] == ["WARNING" if missing else "INFO"]
    assert [level for level, words in said if "replaced after its share of 1" in words] == ["DEBUG"] * 3


def test_no_worker_is_said_once_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many tasks ask meanwhile: one error, and one line when it is over."""
    made = make_pool()
    with refusing(monkeypatch, subprocess, "Popen", errno.EAGAIN):
        for _ in range(3):
            assert answer(made, "echo x") == ([], "(no-worker)")
    assert answer(made, "echo x") == ECHOED
    assert answer(made, "echo x") == ECHOED
    made.close()
    said = [record.levelname for record in caplog.records if "can be started" in record.getMessage()]
    assert said == ["ERROR", "WARNING"]


def test_the_load_of_this_moment(pool: Pool) -> None:
    """Who works, who is idle and who waits, by lane."""
    assert pool.load() == {"idle": 1, "working": 0, "waiting": 0, "waiting-dear": 0}
    threads = in_threads(1, lambda: answer(pool, "pause 1"))
    wait_for_task(pool)
    threads += in_threads(2, lambda: answer(pool, "echo x"))
    threads += in_threads(1, lambda: list(pool.run(b"echo x", words=WORDS, is_dear=True)))
    while sum(pool._turns.waiting) < 3:
        time.sleep(0.01)
    assert pool.load() == {"idle": 0, "working": 1, "waiting": 2, "waiting-dear": 1}
    assert ended(threads)
    assert pool.load() == {"idle": 1, "working": 0, "waiting": 0, "waiting-dear": 0}
