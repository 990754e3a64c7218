"""The system calls a worker may make: a filter in the kernel, written as classic BPF.

What decoding and hashing need when everything is loaded is allowed. What no library asks for but an intruder may ends
the process at once, so that it is noticed. Everything else is refused with EPERM: libraries probe, and a probe
that ended the process would lose a picture.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from typing import Final, TypeAlias

from hashmatch.jail.calls import ARCHITECTURES, NUMBERS, machine, syscall

Instruction: TypeAlias = tuple[int, int, int, int]

__all__ = ["ALLOWED", "FATAL", "FOR_THREADS", "install_filter", "make_filter"]

ALLOWED: Final = (
    "munmap",
    "mremap",
    "brk",
    "madvise",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "setitimer",
    "restart_syscall",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "getpid",
    "gettid",
    "time",
    "gettimeofday",
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "getrandom",
    "exit",
    "exit_group",
)
"""Allowed whatever their arguments; close, recvfrom, sendto, futex, mmap, mprotect and tgkill are allowed with some."""

FATAL: Final = (
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "bpf",
    "io_uring_setup",
    "userfaultfd",
    "perf_event_open",
    "open_by_handle_at",
    "unshare",
    "setns",
    "mount",
    "init_module",
    "finit_module",
    "kexec_load",
    "add_key",
    "request_key",
    "keyctl",
)
"""End the process."""

FOR_THREADS: Final = ("set_robust_list", "rseq")
"""What a thread that the C library starts calls first; allowed where threads are."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NO_SUCH_CALL: Final = 0x00050000 | errno.ENOSYS
_THREAD: Final = 0x3D0F00  # the flags of pthread_create in glibc; musl adds CLONE_DETACHED, long without meaning
_DETACHED: Final = 0x400000
_X32: Final = 0x40000000
_FUTEX: Final = (0, 1, 3, 9, 10)  # wait, wake, requeue (musl), and the two with bits: none that inherits priorities
_FUTEX_FLAGS: Final = 128 | 256  # of one process; real time
_SET_FILTER: Final = 1
_ALL_THREADS: Final = 1


def make_filter(architecture: str, process: int, *, life: int | None = None, threads: bool = False) -> bytes:
    """Assemble the filter.

    Parameters
    ----------
    architecture : str
        A name of `hashmatch.jail.calls.ARCHITECTURES`; calls by another one, x32 among them, end the process.
    process : int
        Number of the process: it may send signals to itself alone, which ``abort`` does.
    life : int, optional
        Descriptor that may not be closed.
    threads : bool
        Whether threads may be started. ``clone`` is then allowed with exactly the flags of a thread, so that nothing
        else, a process or a namespace, comes of it; ``clone3``, whose flags a filter cannot see, is said not to exist,
        and the C library takes ``clone``. A thread is under the same filter and limits.

    Returns
    -------
    bytes
        Instructions of 8 bytes, for ``seccomp(SECCOMP_SET_MODE_FILTER)``.
    """
    numbers = NUMBERS[architecture]
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, ARCHITECTURES[architecture]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for names, verdict in ((ALLOWED + FOR_THREADS * threads, _ALLOW), (FATAL, _KILL)):
        for name in names:
            if name in numbers:  # aarch64 never had time
                code += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, verdict)]
    kept = [] if life is None else [*_low(0), (_EQUAL, 1, 0, life)]
    code += _if_called(numbers["close"], kept)
    # no memory that can be run may be made any more
    code += _if_called(numbers["mmap"], [*_low(2), (_ANY_BIT, 1, 0, mmap.PROT_EXEC)])
    code += _if_called(numbers["mprotect"], [*_low(2), (_ANY_BIT, 1, 0, mmap.PROT_EXEC)])
    code += _if_called(numbers["tgkill"], [*_low(0), (_EQUAL, 0, 1, process)])
    if threads:
        code += _if_called(numbers["clone"], [*_low(0), (_AND, 0, 0, 0xFFFFFFFF - _DETACHED), (_EQUAL, 0, 1, _THREAD)])
        code += [(_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _NO_SUCH_CALL)]
    # along the one line that is open, without flags (out of band, without a copy, of errors), not to an address
    line = [(_low(0), 0), (_low(3), 0), (_low(4), 0), (_high(4), 0)]
    for name in ("sendto", "recvfrom"):
        code += _if_called(numbers[name], _all_equal(line))
    code += _if_called(numbers["futex"], [*_low(1), (_AND, 0, 0, 0xFFFFFFFF - _FUTEX_FLAGS), *_one_of(_FUTEX)])
    code.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _all_equal(values: list[tuple[list[Instruction], int]]) -> list[Instruction]:
    """Test that each of some arguments is a number; the first that is not goes to the refusal."""
    left = len(values)
    tests: list[Instruction] = []
    for load, number in values:
        left -= 1
        tests += [*load, (_EQUAL, 0, 1 + 2 * left, number)]
    return tests


def _one_of(numbers: tuple[int, ...]) -> list[Instruction]:
    """Test that what is loaded is one of some numbers."""
    last = len(numbers) - 1
    return [(_EQUAL, last - i, int(i == last), number) for i, number in enumerate(numbers)]


def _low(argument: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]


def _high(argument: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument + 4)]


def _if_called(number: int, tests: list[Instruction]) -> list[Instruction]:
    """Allow a call that passes the tests, refuse it otherwise; a failed test jumps over the next instruction."""
    body = [*tests, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return [(_EQUAL, 0, len(body), number), *body]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install_filter(*, life: int | None = None, threads: bool = False) -> bool:
    """Put the filter on this process, for good; it needs ``no_new_privs`` or the right to administer.

    Parameters
    ----------
    life, threads
        As for `make_filter`.

    Returns
    -------
    bool
        Whether it holds, as a refused call shows; False where this kernel or architecture has no such filters.
    """
    here = machine()
    if here is None:
        return False
    code = make_filter(here, os.getpid(), life=life, threads=threads)
    try:
        syscall("seccomp", _SET_FILTER, _ALL_THREADS, ctypes.byref(_Program(len(code) // 8, code)))
    except OSError:
        return False
    try:
        syscall("getppid")
    except OSError as error:
        return error.errno == errno.EPERM
    return False
