"""Giving freed memory back to the system after a large task, where the C library keeps it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Final

__all__ = ["KEPT_BYTES", "memory_returner"]

KEPT_BYTES: Final = 384 * 2**20
"""Freed memory that a worker keeps for its next task, bytes: what a picture of some twelve million pixels takes."""

_GARBAGE: Final = 32 * 2**20
_PAD: Final = 16 * 2**20
_FIELDS: Final = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keep")


class _MallInfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


def memory_returner() -> Callable[[], None]:
    """Make what is called after each task; it gives memory back where over `KEPT_BYTES` of it are free.

    Before that it collects what an error of a decoder keeps alive, where the memory in use has grown by 32 MiB.

    Returns
    -------
    callable
        Does nothing where the C library is not glibc 2.33 or later; musl, macOS and Windows give large blocks back by
        themselves. It loads nothing and makes no call that a worker may not.
    """
    try:
        library = ctypes.CDLL(None)
        state, trim = library.mallinfo2, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda: None
    state.restype, state.argtypes = _MallInfo, ()
    trim.restype, trim.argtypes = ctypes.c_int, (ctypes.c_size_t,)

    def in_use(now: _MallInfo) -> int:
        return int(now.uordblks) + int(now.hblkhd)

    usual = [in_use(state())]

    def give_back() -> None:
        now = state()
        if in_use(now) > usual[0] + _GARBAGE:
            gc.collect()
            now = state()
            usual[0] = max(usual[0], in_use(now))  # what no collection frees is not looked for again
        if now.fordblks > KEPT_BYTES:
            trim(_PAD)

    give_back()  # what ctypes makes at the first call is made now
    return give_back
