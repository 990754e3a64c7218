"""Telling a decoder's exception from the caller's: what his program raises inside ours goes to him.

A soft time limit (Celery, RQ, an alarm) is an exception that a signal handler or another thread raises while this
library runs. Taken for a codec's it would be swallowed, and the time limit would not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Final

__all__ = ["forgiven", "is_foreign", "is_interruption", "let_through"]

_CODECS: Final = frozenset({"hashmatch", "PIL", "pillow_heif", "numpy", "scipy", "imagehash"})
_MOST_CAUSES: Final = 8
_HANDLER_LOCALS: Final = 8


def is_interruption(error: BaseException) -> bool:
    """Tell whether a signal handler raised the exception, or what it was raised from.

    Parameters
    ----------
    error : BaseException
        As it was caught.

    Notes
    -----
    A handler is called with the frame it interrupts: in the traceback a frame follows that has the one before it
    among its arguments. It is told so also where the handler is no longer installed.
    """
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None:
            return False
        if _passes_a_handler(found.__traceback__):
            return True
        found = found.__cause__
    return False


def is_foreign(error: BaseException, *more: str) -> bool:
    """Tell whether an exception out of a codec or a hash is none of theirs: the caller is to have it.

    Parameters
    ----------
    error : BaseException
        As it was caught.
    *more : str
        Names of further packages whose exceptions are a codec's.

    Returns
    -------
    bool
        True for an interruption, and for an exception whose type is not of the standard library, NumPy, SciPy, Pillow
        or this package, as another thread may have set it.
    """
    home = type(error).__module__.partition(".")[0]
    known = home in _CODECS or home in sys.stdlib_module_names or home in more
    return not known or is_interruption(error)


@contextmanager
def forgiven() -> Iterator[None]:
    """Pass over a codec's exception of any type, and over no other."""
    try:
        yield
    except Exception as error:
        if is_foreign(error):
            raise


def let_through(error: BaseException) -> None:
    """Raise the exception again where it `is_foreign`: for handlers that take every other for a fault of their own."""
    if is_foreign(error):
        raise error


def _passes_a_handler(trace: TracebackType | None) -> bool:
    before: FrameType | None = None
    while trace is not None:
        if before is not None and _is_given(before, trace.tb_frame):
            return True
        before, trace = trace.tb_frame, trace.tb_next
    return False


def _is_given(interrupted: FrameType, frame: FrameType) -> bool:
    """Whether a frame was called with another as an argument, alone or in ``*args``."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)
    if not 0 < count <= _HANDLER_LOCALS:
        return False
    values = frame.f_locals
    for name in code.co_varnames[:count]:
        value = values.get(name)
        if value is interrupted or (isinstance(value, tuple) and any(item is interrupted for item in value[:4])):
            return True
    return False
