"""Linux system calls that Python has no name for, by ctypes, and their numbers."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ARCHITECTURES", "NUMBERS", "machine", "prctl", "syscall"]

ARCHITECTURES: Final[Mapping[str, int]] = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})
"""The kernel's audit numbers of the two architectures, little-endian, 64 bits."""

_COMMON: Final = {
    "clone3": 435,
    "close_range": 436,
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
}

NUMBERS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "x86_64": MappingProxyType(
            {
                "close": 3,
                "mmap": 9,
                "mprotect": 10,
                "munmap": 11,
                "brk": 12,
                "rt_sigaction": 13,
                "rt_sigprocmask": 14,
                "rt_sigreturn": 15,
                "sched_yield": 24,
                "mremap": 25,
                "madvise": 28,
                "nanosleep": 35,
                "setitimer": 38,
                "getpid": 39,
                "sendto": 44,
                "recvfrom": 45,
                "clone": 56,
                "execve": 59,
                "exit": 60,
                "gettimeofday": 96,
                "ptrace": 101,
                "getppid": 110,
                "capset": 126,
                "sigaltstack": 131,
                "mount": 165,
                "init_module": 175,
                "gettid": 186,
                "time": 201,
                "futex": 202,
                "sched_getaffinity": 204,
                "restart_syscall": 219,
                "clock_gettime": 228,
                "clock_getres": 229,
                "clock_nanosleep": 230,
                "exit_group": 231,
                "tgkill": 234,
                "kexec_load": 246,
                "add_key": 248,
                "request_key": 249,
                "keyctl": 250,
                "unshare": 272,
                "set_robust_list": 273,
                "perf_event_open": 298,
                "open_by_handle_at": 304,
                "setns": 308,
                "getcpu": 309,
                "process_vm_readv": 310,
                "process_vm_writev": 311,
                "finit_module": 313,
                "seccomp": 317,
                "getrandom": 318,
                "bpf": 321,
                "execveat": 322,
                "userfaultfd": 323,
                "rseq": 334,
                **_COMMON,
            }
        ),
        "aarch64": MappingProxyType(
            {
                "mount": 40,
                "close": 57,
                "capset": 91,
                "exit": 93,
                "exit_group": 94,
                "unshare": 97,
                "futex": 98,
                "set_robust_list": 99,
                "nanosleep": 101,
                "setitimer": 103,
                "kexec_load": 104,
                "init_module": 105,
                "clock_gettime": 113,
                "clock_getres": 114,
                "clock_nanosleep": 115,
                "ptrace": 117,
                "sched_getaffinity": 123,
                "sched_yield": 124,
                "restart_syscall": 128,
                "tgkill": 131,
                "sigaltstack": 132,
                "rt_sigaction": 134,
                "rt_sigprocmask": 135,
                "rt_sigreturn": 139,
                "getcpu": 168,
                "gettimeofday": 169,
                "getpid": 172,
                "getppid": 173,
                "gettid": 178,
                "sendto": 206,
                "recvfrom": 207,
                "brk": 214,
                "munmap": 215,
                "mremap": 216,
                "add_key": 217,
                "request_key": 218,
                "keyctl": 219,
                "clone": 220,
                "execve": 221,
                "mmap": 222,
                "mprotect": 226,
                "madvise": 233,
                "perf_event_open": 241,
                "open_by_handle_at": 265,
                "setns": 268,
                "process_vm_readv": 270,
                "process_vm_writev": 271,
                "finit_module": 273,
                "seccomp": 277,
                "getrandom": 278,
                "bpf": 280,
                "execveat": 281,
                "userfaultfd": 282,
                "rseq": 293,
                **_COMMON,
            }
        ),
    }
)
"""Numbers by architecture and name, from the kernel's ``asm/unistd_64.h`` and ``asm-generic/unistd.h``."""


def machine() -> str | None:
    """Architecture of this process where the calls here can be made: Linux, 64 bits, one of `ARCHITECTURES`."""
    name = platform.machine()
    fits = sys.platform == "linux" and sys.byteorder == "little" and sys.maxsize > 2**32
    return name if fits and name in ARCHITECTURES else None


def syscall(name: str, *arguments: Any) -> int:
    """Make a system call.

    Parameters
    ----------
    name : str
        A name of `NUMBERS`.
    *arguments : int, bytes or ctypes value
        Integers are passed as 64 bits.

    Returns
    -------
    int
        What the call gives.

    Raises
    ------
    OSError
        If the call fails or this is not a machine of `ARCHITECTURES`.
    """
    here = machine()
    if here is None:
        raise OSError(38, os.strerror(38))
    return _called("syscall", NUMBERS[here][name], *arguments)


def prctl(option: int, *arguments: int) -> int:
    """Set or ask an attribute of this process; see prctl(2).

    Raises
    ------
    OSError
        If the call fails.
    """
    return _called("prctl", option, *arguments, *(0 for _ in range(4 - len(arguments))))


def _called(function: str, *arguments: Any) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, function)
    call.restype = ctypes.c_long
    result = int(call(*(ctypes.c_long(item) if isinstance(item, int) else item for item in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
