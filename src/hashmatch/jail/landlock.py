"""Landlock: from here on no file, no TCP, no signal and no abstract socket, by a rule set without rules."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Final

from hashmatch.jail.calls import syscall

__all__ = ["forbid_files"]

_ASK_VERSION: Final = 1
_FILES: Final = {1: 13, 2: 14, 3: 15, 4: 15}  # rights of the file system that a version handles, as low bits
_ALL_FILES: Final = 16
_TCP: Final = 0b11  # bind, connect
_SCOPES: Final = 0b11  # abstract UNIX sockets, signals


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def forbid_files() -> int:
    """Give up all rights that this kernel's Landlock handles; it needs ``no_new_privs``.

    Returns
    -------
    int
        Version of Landlock's interface; 0 where there is none, or where the root folder can be opened all the same.

    Notes
    -----
    Holds for this thread and those it starts, so it is for processes with one thread. Files that are open stay open.
    Version 4 adds TCP, 6 the scopes. Source: the kernel's ``userspace-api/landlock.rst``.
    """
    try:
        version = syscall("landlock_create_ruleset", None, 0, _ASK_VERSION)
        rules = _Rules(
            (1 << _FILES.get(version, _ALL_FILES)) - 1, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0
        )
        # an older kernel refuses a longer description
        size = 8 if version < 4 else 16 if version < 6 else 24
        descriptor = syscall("landlock_create_ruleset", ctypes.byref(rules), size, 0)
        try:
            syscall("landlock_restrict_self", descriptor, 0)
        finally:
            os.close(descriptor)
    except OSError:
        return 0
    with suppress(OSError):
        os.close(os.open("/", os.O_RDONLY))
        return 0
    return min(version, 255)
