"""Shut this process in: limits, privileges, Landlock, seccomp; and say what of it holds.

Runs in a worker, after everything it needs was loaded. There is no way back.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from hashmatch.jail.calls import machine, prctl, syscall
from hashmatch.jail.landlock import forbid_files
from hashmatch.jail.messages import GREETING
from hashmatch.jail.options import Protection
from hashmatch.jail.seccomp import install_filter

if sys.platform != "win32":
    import fcntl
    import resource

__all__ = ["confine", "count_apart", "watch_host"]

_SET_DUMPABLE, _DROP_FROM_BOUNDING_SET, _SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS, _AMBIENT = 4, 24, 38, 39, 47
_CLEAR_ALL: Final = 4
_PATIENCE: Final = 50
_LAST_CAPABILITY: Final = 63
_CAPABILITY_FORM: Final = 0x20080522
_NEW_USERS: Final = 0x10000000
_NOBODYS: Final = 2**31  # user numbers from here on belong to nobody
_TO_BE_ANOTHER: Final = 0b111 << 5  # the host must still be able to kill: CAP_KILL, and CAP_SETGID and CAP_SETUID
_MOST_THREADS: Final = 8


def confine(*, memory: int, cpu_seconds: int, life: int | None = None, threads: bool = False) -> Protection:
    """Shut this process in.

    Parameters
    ----------
    memory : int
        Most address space, bytes.
    cpu_seconds : int
        Most time on a processor from the process's start, s.
    life : int, optional
        Descriptor by which the kernel ends this process with its host; it can then not be closed.
    threads : bool
        Whether the work starts threads. They are allowed where seccomp can tell them from processes, and where the
        system's limit does not count them (macOS).

    Returns
    -------
    Protection
        What holds. A measure that can be tried has been tried: the root folder was opened, a process started, a
        forbidden call made, and each of them failed.

    Notes
    -----
    For a process with one thread: Landlock would not hold for the others. Where there are more, it is not claimed.
    """
    _die_first()
    spare = threads and machine() is not None  # Linux counts threads as processes; the filter forbids these alone
    if spare and _is_alone() and count_apart():
        _limited(resource.RLIMIT_NPROC, (_MOST_THREADS, _MOST_THREADS))
    held = []
    held += ["no-new-privileges"] * _no_new_privileges()
    held += ["no-capabilities"] * _no_capabilities()
    landlock = forbid_files() if _is_alone() else 0
    held += ["landlock"] * (landlock > 0)
    held += _limit(memory, cpu_seconds)
    if not spare:
        _no_processes()
    if install_filter(life=life, threads=threads):
        held.append("seccomp")
    elif spare:
        _no_processes()
    held += ["processes"] * _cannot_fork()
    return Protection(measures=tuple(held), landlock_abi=landlock)


def watch_host(line: socket.socket) -> int | None:
    """Have the kernel end this process at once when its host ends, whatever either is at and whichever thread began it.

    The host holds the one writing end of a pipe and never writes. This end of it is set to raise ``SIGKILL`` when that
    is closed. A parent-death signal would come when the thread that started the worker ends, not when the host does.

    Parameters
    ----------
    line : socket
        On which the end of the pipe comes, before anything else.

    Returns
    -------
    int or None
        The descriptor, to be kept open. None elsewhere than on Linux: there a worker notices between two tasks, or at
        the end of its time.
    """
    if sys.platform != "linux":
        return None
    _, ends, _, _ = socket.recv_fds(line, len(GREETING), 1)
    if not ends:
        sys.exit(0)  # the host is gone
    (life,) = ends
    with suppress(OSError):  # a kernel that only looks like Linux
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)
    return life


def count_apart() -> bool:
    """Have the system count this process's threads apart from its user's, so that a bound on them can be set.

    Returns
    -------
    bool
        Whether it does: root becomes a user that nobody else is, others take a namespace of users of their own.

    Notes
    -----
    For a process with one thread. Namespaces have counts of their own since Linux 5.14.
    """
    if os.geteuid() == 0 and _capabilities() & _TO_BE_ANOTHER == _TO_BE_ANOTHER:
        number = _NOBODYS + int.from_bytes(os.urandom(4)) // 4
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
            return True
    with suppress(OSError):
        syscall("unshare", _NEW_USERS)
        return True
    return False


def _capabilities() -> int:
    with suppress(OSError, ValueError, StopIteration), open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("CapEff:")).split()[1], 16)
    return 0


def _die_first() -> None:
    """Ask the kernel to take this process, not the host, where the machine's memory runs out."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _no_new_privileges() -> bool:
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        prctl(_SET_DUMPABLE, 0)  # no memory dumps, and no tracing by other processes of this user
        prctl(_SET_NO_NEW_PRIVS, 1)
        return prctl(_GET_NO_NEW_PRIVS) == 1
    return False


def _no_capabilities() -> bool:
    """Give up what a root process may do beyond others; an ordinary process has nothing to give up."""
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        prctl(_AMBIENT, _CLEAR_ALL)
    for capability in range(_LAST_CAPABILITY + 1):
        with suppress(OSError):
            prctl(_DROP_FROM_BOUNDING_SET, capability)
    header, nothing = (ctypes.c_uint32 * 2)(_CAPABILITY_FORM, 0), (ctypes.c_uint32 * 6)()
    try:
        syscall("capset", ctypes.byref(header), ctypes.byref(nothing))
    except OSError:
        return False
    return True


def _is_alone() -> bool:
    with suppress(OSError):
        for _ in range(_PATIENCE):  # a thread of the warm-up that was waited for may be listed a moment longer
            if len(os.listdir("/proc/self/task")) == 1:
                return True
            time.sleep(0.01)
    return False


def _limit(memory: int, cpu_seconds: int) -> list[str]:
    """Set the limits of setrlimit(2); each is claimed where the system says it is set."""
    if sys.platform == "win32":
        return []
    wanted: list[tuple[str, int, tuple[int, int]]] = [
        ("cpu", resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5)),
        ("file-size", resource.RLIMIT_FSIZE, (0, 0)),
        ("core-dumps", resource.RLIMIT_CORE, (0, 0)),
        ("memory", resource.RLIMIT_AS, (memory, memory)),
        ("open-files", resource.RLIMIT_NOFILE, (0, 0)),
    ]
    return [name for name, kind, limit in wanted if _limited(kind, limit) and _counts(name)]


def _no_processes() -> None:
    """Set the limit on processes; it is claimed when a fork has failed, since it does not bind root."""
    if sys.platform != "win32":
        _limited(resource.RLIMIT_NPROC, (0, 0))


def _counts(name: str) -> bool:
    # macOS takes a limit on address space and does not keep it
    return not (name == "memory" and sys.platform == "darwin")


def _limited(kind: int, limit: tuple[int, int]) -> bool:
    if sys.platform == "win32":
        return False
    try:
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit[0], hard), min(limit[1], hard)
        resource.setrlimit(kind, limit)
        return bool(resource.getrlimit(kind) == limit)
    except (OSError, ValueError):
        return False


def _cannot_fork() -> bool:
    if sys.platform == "win32":
        return False
    try:
        child = os.fork()
    except OSError:
        return True
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return False
