"""Whose exception it is: a codec's, a file object's, or the caller's time limit."""

from __future__ import annotations

import asyncio
import http.client
import io
import signal
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hashmatch import HashValue, Matcher, ReferenceList, profiles
from hashmatch.errors import UnreadableImageError
from hashmatch.foreign_errors import forgiven, is_foreign, is_interruption
from hashmatch.jail import Isolation
from hashmatch.matching import Outcome
from hashmatch.picture import decode, open_picture, read_source
from support.picture_makers import noise, save

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no timers by signals")


class SoftTimeLimitExceeded(Exception):
    """As Celery names it."""


def limit(_number: int, _frame: object) -> None:
    """Handle a signal as a task queue does."""
    raise SoftTimeLimitExceeded


def plain_limit(*_given: object) -> None:
    """Handle a signal as many a recipe does, by an error that codecs raise too."""
    raise TimeoutError("time is up")


def handed_on(number: int, frame: object) -> None:
    """Handle a signal by a function that is given nothing of it, and be no longer installed."""
    signal.signal(number, signal.SIG_DFL)

    def over() -> None:
        raise OSError("over")

    if frame is not None:
        over()


HANDLERS = [(limit, SoftTimeLimitExceeded), (plain_limit, TimeoutError), (handed_on, OSError)]


@contextmanager
def handled(handler: Callable[..., None]) -> Iterator[None]:
    """Handle SIGUSR1 for a while."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    """Search a small list."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("entry-1", hashes=[HashValue.parse("pdq:" + "0f" * 32)])
    with Matcher.open(path, policy=profiles.STANDARD) as found:
        yield found


@pytest.mark.parametrize(("handler", "kind"), HANDLERS)
def test_an_interruption_is_told_by_its_traceback(handler: Callable[..., None], kind: type[Exception]) -> None:
    """Also where its type is one that a codec raises, or the handler is gone."""
    with handled(handler), pytest.raises(kind) as caught:
        signal.raise_signal(signal.SIGUSR1)
    assert is_interruption(caught.value)
    assert is_foreign(caught.value)


def test_errors_of_codecs_are_no_interruptions() -> None:
    """Whatever type they are of, if it is of the standard library or of Pillow."""
    for error in (OSError("broken"), zlib.error("broken"), SyntaxError("broken"), TimeoutError("late")):
        assert not is_foreign(error)
    assert is_foreign(SoftTimeLimitExceeded())
    assert not is_foreign(SoftTimeLimitExceeded(), SoftTimeLimitExceeded.__module__.partition(".")[0])
    with forgiven():
        raise ValueError("a codec's")
    with pytest.raises(SoftTimeLimitExceeded), forgiven():
        raise SoftTimeLimitExceeded


@pytest.mark.parametrize(("handler", "kind"), HANDLERS)
@pytest.mark.parametrize("place", ["hashmatch.picture.decode._opened", "hashmatch.picture.modes._orientation"])
def test_a_time_limit_comes_out_of_match(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, handler: Callable[..., None], kind: type[Exception], place: str
) -> None:
    """It is no unreadable picture, and the matcher goes on."""
    data = save(noise(96, 128, 3), "PNG")
    room, name = place.rsplit(".", 1)
    module = sys.modules[room]
    inner = getattr(module, name)
    pending = [True]

    def interrupted(*given: Any) -> Any:
        if pending and pending.pop():
            signal.raise_signal(signal.SIGUSR1)
        return inner(*given)

    monkeypatch.setattr(module, name, interrupted)
    with handled(handler), pytest.raises(kind):
        matcher.match(data)
    assert matcher.match(data).outcome is Outcome.NO_MATCH


def _match_for_ever(matcher: Matcher, data: bytes) -> None:
    while True:
        assert matcher.match(data).reason is None


def test_a_time_limit_by_a_timer(matcher: Matcher) -> None:
    """Wherever it falls within many pictures, it comes out, and threads answer afterwards."""
    data = save(noise(96, 128, 3), "JPEG")
    before = signal.signal(signal.SIGALRM, limit)
    try:
        for moment in (0.004, 0.011, 0.023, 0.031):
            signal.setitimer(signal.ITIMER_REAL, moment)
            with pytest.raises(SoftTimeLimitExceeded):
                _match_for_ever(matcher, data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with ThreadPoolExecutor(2) as pool:
        assert {report.outcome for report in pool.map(matcher.match, [data] * 4)} == {Outcome.NO_MATCH}


def _closed() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


class Failing(io.RawIOBase):
    """A file object whose reading fails, at once or in the middle."""

    def __init__(self, error: Exception, head: bytes = b"") -> None:
        self._error, self._head = error, head

    def read(self, size: int = -1) -> bytes:
        """Give the head once, then fail."""
        head, self._head = self._head[:size], b""
        if not head:
            raise self._error
        return head


FAILURES = [
    zipfile.BadZipFile("bad"),
    EOFError(),
    http.client.IncompleteRead(b"part"),
    zlib.error("bad"),
    OSError("gone"),
    ValueError("closed"),
    MemoryError(),
    SoftTimeLimitExceeded("a type of a library of its own"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("head", [b"", b"\xff\xd8\xff\xe0"], ids=["at once", "in the middle"])
def test_a_file_object_that_fails_costs_one_picture(matcher: Matcher, error: Exception, head: bytes) -> None:
    """Whatever it raises is ``read-failed``, and those after it are answered."""
    good = save(noise(96, 128, 3), "PNG")
    reports = list(matcher.match_many([good, Failing(error, head), io.BytesIO(good)]))
    assert [report.reason for report in reports] == [None, "read-failed", None]
    with pytest.raises(UnreadableImageError) as caught:
        read_source(Failing(error, head))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_closed_file_and_a_torn_archive(matcher: Matcher) -> None:
    """As they come up: an archive's member with a wrong check value, a file that was closed."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a", save(noise(96, 128, 3), "BMP"))
    torn = bytearray(whole.getvalue())
    torn[200] ^= 255
    with zipfile.ZipFile(io.BytesIO(torn)) as archive, archive.open("a") as member:
        assert matcher.match(member).reason == "read-failed"
    assert matcher.match(_closed()).reason == "read-failed"


def test_a_time_limit_while_reading_comes_out(matcher: Matcher) -> None:
    """A reader that waits is where most of them fall."""

    class Waiting(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            signal.raise_signal(signal.SIGUSR1)
            return b"x"[:size]

    for handler, kind in HANDLERS:
        with handled(handler), pytest.raises(kind):
            matcher.match(Waiting())


def test_a_reader_with_await_says_so(matcher: Matcher) -> None:
    """No coroutine is left over, of which Python would warn."""

    class Async:
        async def read(self, size: int = -1) -> bytes:
            await asyncio.sleep(0)
            return b"x"[:size]

    with pytest.raises(TypeError, match="await"):
        matcher.match(Async())  # type: ignore[arg-type]


def test_another_threads_exception_comes_out(matcher: Matcher) -> None:
    """As set by ``PyThreadState_SetAsyncExc``: its type is of no codec."""
    import ctypes

    data, raised = save(noise(96, 128, 3), "JPEG"), []

    def work() -> None:
        try:
            _match_for_ever(matcher, data)
        except SoftTimeLimitExceeded as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SoftTimeLimitExceeded)
    )
    thread.join(60)
    assert len(raised) == 1
    assert matcher.match(data).reason is None


def test_decoding_lets_it_through() -> None:
    """The seam that every picture is read by, also of a PIL image."""
    with handled(limit), pytest.raises(SoftTimeLimitExceeded), forgiven(), decode._typed(lambda: False):
        signal.raise_signal(signal.SIGUSR1)
    assert open_picture(save(noise(96, 128, 3), "PNG")).format == "PNG"


def test_a_time_limit_with_isolation(tmp_path: Path) -> None:
    """Also while a fresh worker is waited for; then the matcher answers as before."""
    data = save(noise(300, 400, 3), "PNG")
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        ref.add("entry-1", hashes=[HashValue.parse("pdq:" + "0f" * 32)])
    for handler, kind in HANDLERS[:2]:
        before = signal.signal(signal.SIGALRM, handler)
        try:
            with Matcher.open(tmp_path / "list", isolation=Isolation(workers=1)) as matcher:
                for moment in (0.005, 0.03, 0.1, 0.2, 0.3):
                    signal.setitimer(signal.ITIMER_REAL, moment)
                    with pytest.raises(kind):
                        _match_for_ever(matcher, data)
                with ThreadPoolExecutor(2) as pool:
                    assert {item.reason for item in pool.map(matcher.match, [data] * 4)} == {None}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
