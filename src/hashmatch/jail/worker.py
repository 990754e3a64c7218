"""`Worker`: the host's side of one worker process. Whatever comes from it is bounded and checked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import IsolationError, UnreadableImageError
from hashmatch.jail.frames import HELLO, LONGEST_WORD, Kind, read_frame, send
from hashmatch.jail.inside import READY
from hashmatch.jail.options import MEASURES, Protection

__all__ = ["Worker", "WorkerPlan"]

_START_SECONDS: Final = 60.0
_START_CPU_SECONDS: Final = 60
_TASKS_CPU_SECONDS: Final = 10  # times the longest task
_END_SECONDS: Final = 1.0
_RUN: Final = (
    "import sys; from importlib import import_module; sys.path[:0] = sys.argv[2:]; import_module(sys.argv[1]).main()"
)
_ENVIRONMENT: Final = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM")},
    # glibc gives large blocks back to the kernel at once and takes a page fault for each of their pages the next time;
    # a worker does the same work over and over
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
    "MALLOC_TOP_PAD_": str(16 * 2**20),
}
_OUT_OF_TIME: Final = ("SIGALRM", "SIGXCPU")


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
    """

    module: str
    hello: bytes
    memory: int
    seconds: float
    largest_part: int
    python: str | None = None


class Worker:
    """One worker process; used by one thread at a time.

    Attributes
    ----------
    tasks : int
        Tasks it was given.
    protection : Protection or None
        What holds it back; None until `wait_until_ready`.
    """

    __slots__ = ("_busy", "_line", "_plan", "_process", "_started", "_until", "protection", "tasks")

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._until = 0.0
        self._busy = 0.0
        self.tasks = 0
        self.protection: Protection | None = None
        self._started = time.monotonic()
        self._line, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start(plan, theirs)
        except BaseException:
            self._line.close()
            raise

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
    def is_worn(self) -> bool:
        """Whether another task could meet the bound on processor time."""
        return self._busy > (_TASKS_CPU_SECONDS - 1) * self._plan.seconds

    def wait_until_ready(self) -> Protection:
        """Wait until everything is loaded and locked.

        Raises
        ------
        IsolationError
            If the process ended, failed, said something else or took longer than a minute.
        """
        if self.protection is not None:
            return self.protection
        until = self._started + _START_SECONDS
        limits = HELLO.pack(self._plan.memory, self.cpu_seconds, self._plan.seconds)
        try:
            send(self._line, Kind.HELLO, limits, self._plan.hello, until=until)
            kind, answer = read_frame(self._line, {Kind.READY: READY.size, Kind.FAILED: LONGEST_WORD}, until)
            if kind is Kind.FAILED:
                failure = _printable(answer)
            else:
                bits, version = READY.unpack(answer)
                names = tuple(name for place, name in enumerate(MEASURES) if bits >> place & 1)
                self.protection = Protection(measures=names, landlock_abi=version)
                return self.protection
        except TimeoutError:
            failure = f"it was not ready after {_START_SECONDS:g} s"
        except (EOFError, OSError):
            failure = f"it ended ({self.fate()})"
        except Exception:
            failure = "it gave no proper answer"
        self.end()
        raise IsolationError(f"a worker process could not be started: {failure}")

    def begin(self, *parts: bytes) -> None:
        """Give it a task; its time runs from now.

        Raises
        ------
        UnreadableImageError
            As `receive`.
        """
        self.tasks += 1
        now = time.monotonic()
        self._until = now + self._plan.seconds
        try:
            send(self._line, Kind.TASK, *parts, until=self._until)
        except TimeoutError:
            raise self._too_slow() from None
        except OSError:
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
        """
        bounds = {Kind.PART: self._plan.largest_part, Kind.END: LONGEST_WORD}
        try:
            kind, data = read_frame(self._line, bounds, self._until)
        except TimeoutError:
            raise self._too_slow() from None
        except ValueError:
            raise bad_answer() from None
        except (EOFError, OSError):
            raise self._gone() from None
        if kind is Kind.END:
            self._busy += self._plan.seconds - max(0.0, self._until - time.monotonic())
        return kind is Kind.END, data

    def kill(self) -> None:
        """Kill the process; `end` is still to be called. Any thread may do this."""
        with suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """Kill the process and leave nothing of it behind."""
        self.kill()
        self._process.wait()
        self._line.close()

    def disown(self) -> None:
        """Let go of a process that belongs to the parent of this one."""
        self._line.close()
        self._process.returncode = 0  # it is not this process's to wait for

    def fate(self) -> str:
        """Say how the process ended, such as ``"sigsegv"`` or ``"exit-1"``; it is killed if it did not."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "silent"
        if code >= 0:
            return f"exit-{code}"
        try:
            return signal.Signals(-code).name.lower()
        except ValueError:
            return f"signal-{-code}"

    def _too_slow(self) -> UnreadableImageError:
        return UnreadableImageError(
            f"the picture took longer than {self._plan.seconds:g} s; an Isolation with more seconds waits longer",
            reason="timeout",
        )

    def _gone(self) -> UnreadableImageError:
        fate = self.fate()
        if fate.upper() in _OUT_OF_TIME:
            return self._too_slow()
        if fate == "silent":
            return bad_answer()
        return UnreadableImageError(f"the worker process ended ({fate}) over the picture", reason=f"crashed-{fate}")


def bad_answer() -> UnreadableImageError:
    """Make the error for an answer no honest worker gives."""
    return UnreadableImageError("the worker process gave an impossible answer", reason="bad-answer")


def _start(plan: WorkerPlan, line: socket.socket) -> subprocess.Popen[bytes]:
    """Start the process: a fresh interpreter that inherits the line and nothing else."""
    python = plan.python or sys.executable
    if not python:
        raise IsolationError("Python does not say where its interpreter is: give an Isolation with python=")
    # where this process found its modules; a relative path is meant from where it stands
    paths = [os.path.abspath(path) for path in sys.path]
    command = [python, "-I", "-B", "-c", _RUN, plan.module, *paths]
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
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,  # Ctrl-C is the host's affair
        )
    except OSError as error:
        raise IsolationError(f"a worker process could not be started: {error.strerror}") from None


def _printable(words: bytearray) -> str:
    return "".join(letter for letter in words.decode("ascii", "replace") if letter.isprintable())
