"""Laws of the jail: nothing gets out, and whatever a worker does, its host goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import IsolationError, PolicyError
from hashmatch.jail import LEVELS, MEASURES, Isolation, Protection
from hashmatch.jail.calls import ARCHITECTURES, NUMBERS, machine
from hashmatch.jail.confine import count_apart
from hashmatch.jail.pool import Pool
from hashmatch.jail.seccomp import ALLOWED, FATAL, FOR_THREADS, make_filter
from hashmatch.jail.worker import WorkerPlan
from support import jail_inmates
from support.jail_makers import LINUX, POSIX, WORDS, answer, has_gone, make_pool


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Give a pool of one worker that tasks do not break."""
    made = make_pool()
    yield made
    made.close()


def test_honest_work(pool: Pool) -> None:
    """Parts come back in order, empty ones too."""
    assert answer(pool, "echo abc") == ([b"abc", b"", b"cba"], "")


@LINUX
def test_everything_holds_here(pool: Pool) -> None:
    """On this kind of machine a worker reports every measure; kernels without Landlock lack that one."""
    assert set(pool.start().missing()) <= {"landlock"}


@LINUX
@pytest.mark.parametrize(
    "attempt",
    [
        "read /etc/passwd",
        "read /proc/self/mem",
        "read /",
        "write {}/out",
        "list /",
        "stat /etc/passwd",
        "remove {}/kept",
        "make {}/new",
        "change {}/kept",
        "inet",
        "datagram",
        "unix",
        "pair",
        "pipe",
        "memory-file",
        "fork",
        "process",
        "thread",
        "kill-host",
        "kill-all",
        "signal-host",
        "run-code",
        "make-runnable",
        "raise-limit",
        "limit-host",
        "nice",
        "send-to {}/line",
        "duplicate",
        "let-go",
        "user",
    ],
)
def test_nothing_gets_out(pool: Pool, attempt: str, tmp_path: Path) -> None:
    """No file, no network, no process, no signal, no new code, no way back; the worker lives on."""
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    (said,), reason = answer(pool, attempt.format(tmp_path))
    assert said.startswith(b"refused")
    assert not reason
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_bytes() == b"kept"
    assert not kept.stat().st_mode & 0o001
    assert answer(pool, "echo x")[1] == ""


@LINUX
def test_threads_where_they_are_needed() -> None:
    """Work that starts threads may start them and nothing else; they are held as their process is."""
    made = make_pool(hello=b"threads")
    assert set(made.start().missing()) <= {"landlock"}
    assert answer(made, "thread") == ([b"done"], "")
    child, borrower, thread, new_user = 0x11, 0x4111, 0x3D0F00, 0x10000000
    for flags in (f"{item:x}" for item in (child, borrower, thread | new_user, thread & ~0x10000)):
        assert answer(made, f"clone {flags}")[0][0] == b"refused 1", flags
    for attempt in ("fork", "process", "read /etc/passwd", "inet", "threads-out", "run-code"):
        assert answer(made, attempt)[0][0].startswith(b"refused"), attempt
    assert made.counts() == {"started": 1, "tasks": 11}
    made.close()


def in_child(do: Callable[[], bool]) -> bool:
    """Do something in a forked process."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os._exit(0 if do() else 1)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def become_another() -> bool:
    """Give up being root, where one is."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    return True


def count_to_few() -> bool:
    """Whether threads are refused soon."""
    resource.setrlimit(resource.RLIMIT_NPROC, (8, 8))
    (number,) = list(jail_inmates.crowd(""))
    return 3 < int(number) < 9


@LINUX
def test_threads_are_bounded() -> None:
    """Where the system can count them by themselves: as root, and as another user where he may have a namespace."""
    if not in_child(count_apart):
        pytest.skip("the system gives no namespaces of users")
    made = make_pool(hello=b"threads")
    for _ in range(3):
        (number,), _ = answer(made, "crowd")
        assert 3 < int(number) < 9
    assert made.counts() == {"started": 1, "tasks": 3}
    made.close()
    if in_child(lambda: become_another() and count_apart()):
        assert in_child(lambda: become_another() and count_apart() and count_to_few())
    assert in_child(lambda: count_apart() and count_to_few())


@LINUX
@pytest.mark.parametrize("call", ["exec", "trace", "ring", "unshare"])
def test_calls_of_intruders_end_the_process(call: str) -> None:
    """What no codec asks for ends the worker at once, and its reason says so."""
    made = make_pool()
    assert answer(made, f"fatal {call}") == ([], "(crashed-sigsys)")
    assert answer(made, "echo x")[1] == ""
    made.close()


@pytest.mark.skipif(machine() != "x86_64", reason="x32 is of x86-64")
def test_the_other_numbering_ends_the_process() -> None:
    """A call by its x32 number does not pass under another name."""
    made = make_pool()
    assert answer(made, "fatal x32") == ([], "(crashed-sigsys)")
    made.close()


@POSIX
@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("crash SIGSEGV", "(crashed-sigsegv)"),
        ("crash SIGABRT", "(crashed-sigabrt)"),
        ("leave 0", "(crashed-exit-0)"),
        ("leave 5", "(crashed-exit-5)"),
        ("fail made-up", "(bad-answer)"),
        ("fail " + "x" * 5000, "(bad-answer)"),
        ("raw " + "ff" * 40, "(bad-answer)"),
        ("raw 05" + "ff" * 8, "(bad-answer)"),  # a part of 2**64 - 1 bytes
        ("raw 06" + "00000100" + "00" * 4, "(bad-answer)"),  # a last word of 64 KiB
        ("raw 03030000000000000000ffff", "(bad-answer)"),  # ready once more
        ("flood 1000", "(bad-answer)"),
        ("flood 70000", "(bad-answer)"),
        ("shut", "(bad-answer)"),
    ],
)
def test_whatever_a_worker_does_is_a_reason(task: str, reason: str) -> None:
    """Crashes and impossible answers are typed, the worker is replaced, and the next task is done."""
    made = make_pool()
    parts, found = answer(made, task)
    assert found == reason
    assert sum(map(len, parts)) <= 2**18
    assert answer(made, "echo x") == ([b"x", b"", b"x"], "")
    counts = made.counts()
    retried = int("crashed" in reason)  # only the second end is the task's
    assert (counts["started"], counts["lost"], counts["tasks"]) == (2 + retried, 1 + retried, 2)
    assert (counts.get("retried", 0), counts[reason.strip("()")]) == (retried, 1)
    made.close()


@POSIX
@pytest.mark.parametrize(
    "task", ["hang", "ignore_alarm", "spin", "dribble", "raw 0510", "raw 05" + "1000000000000000" + "41"]
)
def test_time_is_kept_by_the_host(task: str) -> None:
    """A worker that hangs, computes without end or answers bit by bit is killed; what it said before stays."""
    made = make_pool(seconds=0.5)
    made.start()
    parts, found = answer(made, task)
    assert found == "(timeout)"
    assert parts == ([b"first"] if task == "spin" else [])
    assert answer(made, "echo x")[1] == ""
    made.close()


@LINUX
def test_memory_is_bounded() -> None:
    """A worker that takes more than its share runs out of memory alone, and says so."""
    made = make_pool()
    assert answer(made, "grow 1000") == ([], "out-of-memory")
    assert answer(made, "grow 3") == ([b"3"], "")
    made.close()


@POSIX
def test_workers_are_replaced_after_their_share() -> None:
    """After ``recycle`` tasks another process does the work, and only one is there at a time."""
    made = make_pool(recycle=3)
    numbers = [answer(made, "number")[0][0] for _ in range(7)]
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3] == numbers[4] == numbers[5] != numbers[6]
    assert made.counts() == {"replaced": 2, "started": 3, "tasks": 7}
    assert has_gone(int(numbers[0]))
    made.close()


@POSIX
def test_an_abandoned_answer_ends_its_worker() -> None:
    """Who stops listening in the middle does not get the rest with the next answer."""
    made = make_pool()
    run = made.run(b"echo abc", words=WORDS)
    assert next(run) == b"abc"
    run.close()
    assert answer(made, "echo x") == ([b"x", b"", b"x"], "")
    made.close()


@POSIX
def test_many_threads_share_few_workers() -> None:
    """Every thread gets its own answer, faults strike nobody else, and the bound on workers holds."""
    made = make_pool(workers=2)
    wrong: list[str] = []

    def use(mark: int) -> None:
        for turn in range(12):
            task = "crash SIGSEGV" if (mark + turn) % 9 == 0 else f"echo {mark}-{turn}"
            parts, reason = answer(made, task)
            good = reason == "(crashed-sigsegv)" if task.startswith("crash") else parts[0] == f"{mark}-{turn}".encode()
            if not good:
                wrong.append(f"{task} {reason}")

    threads = [threading.Thread(target=use, args=(mark,)) for mark in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    counts = made.counts()
    assert counts["tasks"] == 72
    assert counts["started"] - counts["lost"] == 2
    made.close()


@POSIX
def test_nothing_is_left_behind() -> None:
    """After many workers and faults the host has the descriptors, children and threads it had."""
    before = len(os.listdir("/dev/fd")), threading.active_count()
    made = make_pool(recycle=5)
    for turn in range(40):
        answer(made, "leave 3" if turn % 10 == 9 else "number")
    (last,), _ = answer(made, "number")
    made.close()
    made.close()
    assert (len(os.listdir("/dev/fd")), threading.active_count()) == before
    assert has_gone(int(last))
    with contextlib.suppress(ChildProcessError):
        assert os.waitpid(-1, os.WNOHANG) == (0, 0)  # no zombie; the other tests' worker may be alive
    assert answer(made, "echo x") == ([], "(closed)")


@POSIX
def test_closing_ends_work_in_hand() -> None:
    """A close from another thread does not wait for a worker that hangs."""
    made = make_pool()
    made.start()
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(answer(made, "hang")[1]))
    thread.start()
    while made.counts().get("tasks") != 1:
        time.sleep(0.01)
    made.close()
    thread.join(15)
    assert found == ["(closed)"]


@LINUX
@pytest.mark.parametrize("task", ["echo x", "hang"])
def test_workers_end_with_their_host(task: str) -> None:
    """A host killed without warning leaves no idle worker; one at work ends by its own clock."""
    code = f"""
import sys
sys.path.append({str(Path(__file__).parent.parent)!r})
from hashmatch.jail import Isolation
from hashmatch.jail.pool import Pool
from hashmatch.jail.worker import WorkerPlan
from support.jail_makers import LINUX, POSIX, WORDS, answer, has_gone, make_pool
from hashmatch.jail import inside
plan = WorkerPlan(module="support.jail_inmates", hello=b"", memory=2**30, seconds=0.2, largest_part=2**16)
pool = Pool(Isolation(workers=1), plan, largest_answer=2**18)
run = pool.run(b"number", words=frozenset())
number = bytes(next(run)).decode()
list(run)
print(number, flush=True)
run = pool.run({task.encode()!r}, words=frozenset())
if {task == "hang"}:
    import threading
    threading.Thread(target=lambda: next(run, None), daemon=True).start()
import time
time.sleep(60)
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    number = int(host.stdout.readline())
    if task == "hang":
        time.sleep(0.05)
    host.kill()
    host.wait()
    host.stdout.close()
    assert has_gone(number)


@POSIX
def test_a_forked_host_starts_workers_of_its_own() -> None:
    """A child of the host leaves the parent's workers alone, and is served by others."""
    made = make_pool()
    (number,), _ = answer(made, "number")
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            (other,), _ = answer(made, "number")
            made.close()
            code = 0 if other != number else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert answer(made, "number") == ([number], "")
    made.close()


def test_required_protection_is_required() -> None:
    """A worker that holds less than what is required gets no task: an error at the start, a reason later."""
    made = make_pool("support.jail_weak", require=("memory", "seccomp"))
    with pytest.raises(IsolationError, match="seccomp") as caught:
        made.start()
    assert caught.value.reason == "protection-too-weak"
    assert answer(made, "echo x") == ([], "(protection-too-weak)")
    made.close()
    enough = make_pool("support.jail_weak", require=("memory",))
    assert enough.start() == Protection(measures=("memory", "cpu"))
    enough.close()


@pytest.mark.parametrize(
    ("module", "hello", "words"),
    [
        ("support.jail_inmates", b"refuse", "told to refuse"),
        ("support.jail_inmates", b"vanish", "exit-7"),
        ("support.jail_wrong", b"", "no proper answer"),
        ("jail_nowhere", b"", "ended"),
    ],
)
def test_a_worker_that_does_not_start_is_an_error(module: str, hello: bytes, words: str) -> None:
    """What went wrong at the start is said, and nothing is left running."""
    made = make_pool(module, hello=hello)
    with pytest.raises(IsolationError, match=words):
        made.start()
    assert answer(made, "echo x") == ([], "(no-worker)")
    made.close()


def test_an_interpreter_that_is_not_there_is_an_error() -> None:
    """A wrong path to Python is an error of ours."""
    isolation = Isolation(workers=1)
    plan = WorkerPlan(
        module="support.jail_inmates", hello=b"", memory=2**30, seconds=1, largest_part=9, python="/nowhere/python"
    )
    with pytest.raises(IsolationError, match="could not be started"):
        Pool(isolation, plan, largest_answer=9).start()


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("life", [None, 9])
def test_the_filter_says_what_is_written(architecture: str, threads: bool, life: int | None) -> None:
    """Run through the filter by hand: allowed calls pass, fatal ones kill, all others are refused."""
    code = make_filter(architecture, 4711, life=life, threads=threads)
    numbers = NUMBERS[architecture]
    allowed, refused, fatal = 0x7FFF0000, 0x00050001, 0x80000000
    by_number = {number: name for name, number in numbers.items()}
    assert len(by_number) == len(numbers)
    for number in range(600):
        name = by_number.get(number)
        verdict = evaluate(code, ARCHITECTURES[architecture], number, _passing(name))
        passes = name in ALLOWED or name in ("close", "sendto", "recvfrom", "futex", "mmap", "mprotect", "tgkill")
        passes |= threads and name in FOR_THREADS
        unknown = 0x00050026 if threads and name == "clone3" else refused
        assert verdict == (allowed if passes else fatal if name in FATAL else unknown), name
    for flags in (0x3D0F00, 0x3D0F00 | 0x400000):
        verdict = evaluate(code, ARCHITECTURES[architecture], numbers["clone"], (flags, 0, 0, 0, 0, 0))
        assert verdict == (allowed if threads else refused)
    verdict = evaluate(code, ARCHITECTURES[architecture], numbers["close"], (9, 0, 0, 0, 0, 0))
    assert verdict == (allowed if life is None else refused)
    for name, arguments in (
        ("mmap", (0, 0, 4, 0, 0, 0)),
        ("mprotect", (0, 0, 7, 0, 0, 0)),
        ("tgkill", (1, 0, 0, 0, 0, 0)),
        ("clone", (17, 0, 0, 0, 0, 0)),
        ("clone", (0x3D0F00 | 0x10000000, 0, 0, 0, 0, 0)),
        ("clone", (0x3D0F00 & ~0x10000, 0, 0, 0, 0, 0)),
        *((name, (0, 0, 9, flag, 0, 0)) for name in ("sendto", "recvfrom") for flag in (1, 2, 0x2000, 0x4000000)),
        *((name, (0, 0, 9, 0, 1, 0)) for name in ("sendto", "recvfrom")),
        *((name, (0, 0, 9, 0, 2**40, 0)) for name in ("sendto", "recvfrom")),
        *((name, (3, 0, 9, 0, 0, 0)) for name in ("sendto", "recvfrom")),
        *(("futex", (0, operation, 0, 0, 0, 0)) for operation in (2, 4, 5, 6, 7, 8, 11, 12, 13, 128 + 6, 512, 2**31)),
    ):
        assert evaluate(code, ARCHITECTURES[architecture], numbers[name], arguments) == refused
    for operation in (0, 1, 3, 9, 10, 128, 129, 128 + 9, 256 + 128 + 9):
        arguments = (0, operation, 0, 0, 0, 0)
        assert evaluate(code, ARCHITECTURES[architecture], numbers["futex"], arguments) == allowed
    assert evaluate(code, 0x40000003, 3, (0,) * 6) == fatal
    assert evaluate(code, ARCHITECTURES[architecture], 0x40000000 + numbers["futex"], (0,) * 6) == fatal


def _passing(name: str | None) -> tuple[int, ...]:
    """Give arguments with which a call that looks at them passes."""
    return (0, 0, 3, 0, 0, 0) if name in ("sendto", "recvfrom") else (4711, 0, 3, 0, 0, 0)


def evaluate(code: bytes, architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """Interpret a filter as the kernel does: the slow twin."""
    import struct

    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    at, value = 0, 0
    while True:
        operation, jump_true, jump_false, constant = struct.unpack_from("<HBBI", code, 8 * at)
        at += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, constant)
        elif operation == 0x06:
            return constant
        elif operation == 0x54:
            value &= constant
        else:
            test = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[operation]
            at += jump_true if test else jump_false


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"workers": 257},
        {"workers": True},
        {"seconds": 0},
        {"seconds": float("nan")},
        {"seconds": 1e9},
        {"seconds": "5"},
        {"memory": 1},
        {"recycle": 0},
        {"require": "seccomp"},
        {"require": ("walls",)},
        {"require": ("strong", "walls")},
        {"python": ""},
        {"queue": -1},
        {"queue": True},
        {"queue": 1.5},
        {"max_wait": -1},
        {"max_wait": True},
        {"max_wait": float("nan")},
        {"environment": "LD_LIBRARY_PATH=/x"},
        {"environment": {"LD_LIBRARY_PATH": 1}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "x\0"}},
        {"environment": {"PYTHONPATH": "/x"}},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """Each option has its range."""
    with pytest.raises(PolicyError):
        Isolation(**options)


def test_protection_says_what_is_missing() -> None:
    """Measures are kept in their order, in words and in JSON."""
    some = Protection(measures=("seccomp", "memory"), landlock_abi=0)
    assert some.measures == ("memory", "seccomp")
    assert some.missing(("seccomp", "landlock")) == ("landlock",)
    assert some.to_dict()["missing"] == [name for name in MEASURES if name not in ("memory", "seccomp")]
    assert str(some).startswith("memory, seccomp; not: cpu, ")
    with pytest.raises(ValueError, match="unknown"):
        Protection(measures=("walls",))


def test_signals_are_still_the_hosts(pool: Pool) -> None:
    """The host's own handlers and masks are untouched by having workers."""
    answer(pool, "number")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_plan_does_not_show_what_workers_are_told() -> None:
    """A keypoint key can be in it."""
    plan = WorkerPlan(module="support.jail_inmates", hello=b"secret", memory=2**30, seconds=1.0, largest_part=16)
    assert "secret" not in repr(plan)


def test_levels() -> None:
    """A level is its measures, beside others too, and what holds has a level."""
    for level, measures in LEVELS.items():
        assert Isolation(require=level).required == Isolation(require=(level,)).required == measures  # type: ignore[arg-type]
        assert Protection(measures=measures).level == level
        assert Protection(measures=measures[1:]).level in {"none", "weak"}
    assert Isolation(require=("weak", "seccomp")).required == (*LEVELS["weak"], "seccomp")
    assert Protection().level == "none"
    assert not Protection(measures=LEVELS["weak"]).keeps_host_memory
    assert all(Protection(measures=(name,)).keeps_host_memory for name in ("seccomp", "landlock"))


@LINUX
@pytest.mark.parametrize("task", ["spin", "hang", "ignore_alarm"])
@pytest.mark.parametrize("starter", ["main", "a thread", "a thread that has ended", "main, and a fork lives on"])
def test_a_worker_at_a_task_dies_with_its_host(task: str, starter: str) -> None:
    """The kernel ends it, where it computes without end too, and is not left to its own clock; not before its host."""
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import os, threading, time
from support.jail_makers import make_pool
pool = make_pool(seconds=600.0)
starter = {starter!r}
if "thread" in starter:
    def start():
        pool.start()
        started.set()
        time.sleep(0 if "ended" in starter else 600)
    started = threading.Event()
    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    started.wait()
    if "ended" in starter:
        thread.join()
else:
    pool.start()
if "fork" in starter and os.fork() == 0:
    os.close(1)
    time.sleep(15)
    os._exit(0)
print(*(worker.pid for worker in pool._all), flush=True)
for part in pool.run(b"{task}", words=frozenset()):
    pass
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        children = [int(number) for number in host.stdout.readline().split()]
        time.sleep(0.5)
        assert children
        assert not has_ended(children[0])
        host.kill()
    assert has_gone(children[0])


def has_ended(process: int) -> bool:
    """Whether a process has ended by now."""
    return not os.path.exists(f"/proc/{process}")
