"""`Worker`: the host's side of one worker process. Whatever comes from it is bounded and checked.

Over 400 lines because starting, asking and ending a process share what is known of it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from typing import Final

from hashmatch.errors import BusyError, IsolationError, UnreadableImageError
from hashmatch.foreign_errors import let_through
from hashmatch.jail.inside import READY
from hashmatch.jail.messages import GREETING, HELLO, LONGEST_WORD, Kind, read_frame, send
from hashmatch.jail.options import MEASURES, Protection

__all__ = ["Worker", "WorkerPlan"]

_START_SECONDS: Final = 60.0
_START_CPU_SECONDS: Final = 60
_TASKS_CPU_SECONDS: Final = 10  # times the longest task
_END_SECONDS: Final = 5.0
_MOMENT: Final = 1.0
# a worker leaves when its line ends or by SIGKILL: a signal for all processes of a service lets it finish its answers
_RUN: Final = """\
import signal, sys
for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
from importlib import import_module
sys.path[:0] = sys.argv[2:]
import_module(sys.argv[1]).main()
"""
_ENVIRONMENT: Final = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM")},
    # glibc gives large blocks back to the kernel at once and takes a page fault for each of their pages the next time;
    # a worker does the same work over and over; blocks that only pictures of ten million pixels take do go back at once
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
    "MALLOC_TOP_PAD_": str(16 * 2**20),
}
_OUT_OF_TIME: Final = ("SIGALRM", "SIGXCPU")
_TO_DO: Final = (
    "; a worker starts with an empty environment: if this Python needs variables such as LD_LIBRARY_PATH, give an"
    " Isolation with environment=, and if {program} is no Python, one with python="
)


def _search_paths() -> tuple[str, ...]:
    """Where this process finds its modules; what is meant from a working folder that is gone is left out."""
    found = []
    for path in sys.path:
        with suppress(OSError, TypeError, ValueError):
            found.append(os.path.abspath(path))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """What every worker of a pool is started with.

    Parameters
    ----------
    module : str
        Module whose function ``main`` the process runs; it calls `hashmatch.jail.inside.serve`.
    hello : bytes
        What that is told.
    memory : int
        Most address space, bytes.
    seconds : float
        Longest time for one task, s.
    largest_part : int
        Most bytes of one part of an answer.
    python : str or None
        The interpreter; None is ``sys.executable``.
    environment : tuple of (str, str)
        Variables it needs to start.
    paths : tuple of str
        Where it finds modules: as this process does now, whatever becomes of its working folder.
    """

    module: str
    hello: bytes = field(repr=False)  # a keypoint key can be in it
    memory: int
    seconds: float
    largest_part: int
    python: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    paths: tuple[str, ...] = field(default_factory=_search_paths)

    def __post_init__(self) -> None:
        if self.python and os.path.dirname(self.python):
            with suppress(OSError):  # it is started from another folder
                object.__setattr__(self, "python", os.path.abspath(self.python))


class Worker:
    """One worker process; used by one thread at a time.

    Attributes
    ----------
    tasks : int
        Tasks it was given.
    protection : Protection or None
        What holds it back; None until `wait_until_ready`.
    """

    __slots__ = (
        "_began",
        "_busy",
        "_by_caller",
        "_life",
        "_line",
        "_plan",
        "_process",
        "_started",
        "_until",
        "protection",
        "tasks",
    )

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._began = self._until = self._busy = 0.0
        self._by_caller = False
        self.tasks = 0
        self.protection: Protection | None = None
        self._started = time.monotonic()
        try:
            self._line, theirs = socket.socketpair()
            self._life = None
        except OSError as error:
            let_through(error)
            raise _not_started(error.strerror) from None
        try:
            with theirs:
                for end in (self._line, theirs):  # whatever socket.setdefaulttimeout says
                    end.setblocking(True)
                self._life = _tie(self._line)
                self._process = _start(plan, theirs)
        except BaseException:
            self._close()
            raise
        limits = HELLO.pack(plan.memory, self.cpu_seconds, plan.seconds)
        with suppress(OSError):  # what became of it is told by `wait_until_ready`
            send(self._line, Kind.HELLO, limits, plan.hello, until=self._started + _START_SECONDS)

    def __repr__(self) -> str:
        return f"<Worker {self._process.pid}, {self.tasks} tasks>"

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> int:
        """Processor time after which the kernel ends it, s."""
        return _START_CPU_SECONDS + int(_TASKS_CPU_SECONDS * self._plan.seconds)

    @property
    def wear(self) -> float:
        """Share of its processor time that is used up; from 1 on another task could meet the bound."""
        return self._busy / ((_TASKS_CPU_SECONDS - 1) * self._plan.seconds)

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as the system tells."""
        return self._process.poll() is None

    def wait_until_ready(self, until: float | None = None) -> Protection:
        """Wait until everything is loaded and locked.

        Parameters
        ----------
        until : float, optional
            Reading of `time.monotonic` until which it is waited at most.

        Raises
        ------
        IsolationError
            If the process ended, failed, said something else or took longer than a minute.
        BusyError
            If it was waited as long as allowed; it may still become ready.
        """
        if self.protection is not None:
            return self.protection
        # it may have been ready, and not been asked, for long
        by_itself = max(self._started + _START_SECONDS, time.monotonic() + _MOMENT)
        is_short, until = until is not None and until < by_itself, by_itself if until is None else min(until, by_itself)
        try:
            kind, answer = read_frame(self._line, {Kind.READY: READY.size, Kind.FAILED: LONGEST_WORD}, until)
            if kind is Kind.FAILED:
                failure = _printable(answer)
            else:
                bits, version = READY.unpack(answer)
                names = tuple(name for place, name in enumerate(MEASURES) if bits >> place & 1)
                self.protection = Protection(measures=names, landlock_abi=version)
                return self.protection
        except TimeoutError as error:
            let_through(error)
            if is_short:
                raise BusyError("a worker was not ready in the time given") from None
            failure = f"it was not ready after {_START_SECONDS:g} s"
        except (EOFError, OSError) as error:
            let_through(error)
            failure = f"it ended ({self.fate()}){_TO_DO.format(program=self._plan.python or sys.executable)}"
        except Exception as error:
            let_through(error)
            failure = "it gave no proper answer"
        self.end()
        raise _not_started(failure)

    def begin(self, *parts: bytes, until: float | None = None) -> None:
        """Give it a task; its time runs from now, and ends at ``until``, a reading of `time.monotonic`, at the latest.

        Raises
        ------
        UnreadableImageError, BusyError
            As `receive`.
        """
        self.tasks += 1
        self._began = time.monotonic()
        self._until = self._began + self._plan.seconds
        self._by_caller = until is not None and until < self._until
        if until is not None:
            self._until = min(until, self._until)
        try:
            send(self._line, Kind.TASK, *parts, until=self._until)
        except TimeoutError as error:
            let_through(error)
            raise self._too_slow() from None
        except OSError as error:
            let_through(error)
            raise self._gone() from None

    def receive(self) -> tuple[bool, bytearray]:
        """Receive the next part of its answer.

        Returns
        -------
        (bool, bytearray)
            Whether it was the last, and its bytes: of the last the reason why it ended, empty if all went well.

        Raises
        ------
        UnreadableImageError
            With reason ``timeout``, ``crashed-`` and the name of a signal in lower case, or ``bad-answer``; the worker
            must then be ended.
        BusyError
            If the time that the caller gave is over; the worker must be ended.
        """
        bounds = {Kind.PART: self._plan.largest_part, Kind.END: LONGEST_WORD}
        try:
            kind, data = read_frame(self._line, bounds, self._until)
        except TimeoutError as error:
            let_through(error)
            raise self._too_slow() from None
        except ValueError as error:
            let_through(error)
            raise bad_answer() from None
        except (EOFError, OSError) as error:
            let_through(error)
            raise self._gone() from None
        if kind is Kind.END:
            self._busy += time.monotonic() - self._began
        return kind is Kind.END, data

    def kill(self) -> None:
        """Kill the process; `end` is still to be called. Any thread may do this."""
        with suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """Kill the process and leave nothing of it behind."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # one that the system cannot end now is cleared away later
            self._process.wait(_END_SECONDS)
        self._close()

    def disown(self) -> None:
        """Let go of a process that belongs to the parent of this one."""
        self._close()
        self._process.returncode = 0  # it is not this process's to wait for

    def fate(self) -> str:
        """Say how the process ended, such as ``"sigsegv"`` or ``"exit-1"``; it is killed if it did not."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "silent"
        if code >= 0:
            return f"exit-{code}"
        try:
            return signal.Signals(-code).name.lower()
        except ValueError:
            return f"signal-{-code}"

    def _close(self) -> None:
        self._line.close()
        if self._life is not None:
            self._life.close()

    def _too_slow(self) -> UnreadableImageError | BusyError:
        if self._by_caller:
            return BusyError("the picture was not decoded in the time given")
        return UnreadableImageError(
            f"the picture took longer than {self._plan.seconds:g} s; an Isolation with more seconds waits longer",
            reason="timeout",
        )

    def _gone(self) -> UnreadableImageError | BusyError:
        fate = self.fate()
        if fate.upper() in _OUT_OF_TIME:
            return self._too_slow()
        if fate == "silent":
            return bad_answer()
        return UnreadableImageError(f"the worker process ended ({fate}) over the picture", reason=f"crashed-{fate}")


def bad_answer() -> UnreadableImageError:
    """Make the error for an answer no honest worker gives."""
    return UnreadableImageError("the worker process gave an impossible answer", reason="bad-answer")


def _tie(line: socket.socket) -> FileIO | None:
    """Make the pipe whose end the kernel tells a worker of, and send the worker its end; see `watch_host`.

    Returns
    -------
    file or None
        What is to be kept open as long as the worker is to live; None elsewhere than on Linux.

    Raises
    ------
    IsolationError
        If there are no descriptors left.
    """
    if sys.platform != "linux":
        return None
    try:
        theirs, ours = os.pipe()
    except OSError as error:
        let_through(error)
        raise _not_started(error.strerror) from None
    life = FileIO(ours, "wb")
    try:
        socket.send_fds(line, [GREETING], [theirs])
    except OSError as error:
        life.close()
        let_through(error)
        raise _not_started(error.strerror) from None
    finally:
        os.close(theirs)
    return life


def _start(plan: WorkerPlan, line: socket.socket) -> subprocess.Popen[bytes]:
    """Start the process: a fresh interpreter that inherits the line and nothing else."""
    python = plan.python or sys.executable
    if not python:
        raise IsolationError("Python does not say where its interpreter is: give an Isolation with python=")
    command = [python, "-I", "-B", "-c", _RUN, plan.module, *plan.paths]
    try:
        if sys.platform == "win32":
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW,
            )
            if process.stdin is not None:
                with process.stdin as first:
                    first.write(line.share(process.pid))
            return process
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=line.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**_ENVIRONMENT, **dict(plan.environment)},
            cwd="/",
            start_new_session=True,  # Ctrl-C is the host's affair
        )
    except (OSError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
        let_through(error)
        raise _not_started(getattr(error, "strerror", None)) from None


def _not_started(why: str | None) -> IsolationError:
    return IsolationError(f"a worker process could not be started: {why or 'the system refused'}")


def _printable(words: bytearray) -> str:
    return "".join(letter for letter in words.decode("ascii", "replace") if letter.isprintable())
