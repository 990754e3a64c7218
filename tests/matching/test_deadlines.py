"""Laws of time: an answer comes in the time given or not at all, and who may not wait is told at once."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import Matcher, Outcome, ReferenceList, fingerprint, profiles
from hashmatch import deadline as deadline_module
from hashmatch.deadline import Deadline
from hashmatch.errors import BusyError, ImageError
from hashmatch.features import query
from hashmatch.features.isolated import is_dear
from hashmatch.jail import Isolation
from hashmatch.jail.calls import machine
from hashmatch.jail.pool import Pool
from hashmatch.jail.turns import QueueTurn
from hashmatch.matching import hits
from hashmatch.picture.encode import encode, jpeg
from hashmatch.synthetic import picture

PHOTO = picture("photo", 1, size=(180, 240))
SLOW = encode(np.zeros((6000, 9000, 3), np.uint8), "PNG", compress_level=1)
POSIX = pytest.mark.skipif(os.name != "posix", reason="worker processes are tested on POSIX")


@pytest.fixture(scope="module")
def list_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a list of one picture."""
    path = tmp_path_factory.mktemp("list") / "list.hashmatch"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("photo", hashes=fingerprint(jpeg(PHOTO), ("pdq", "sha256")).hashes)
    return path


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
def test_impossible_times_are_refused(list_path: Path, seconds: Any) -> None:
    """A time is a number of seconds above 0."""
    with Matcher.open(list_path) as matcher, pytest.raises(ValueError, match="timeout"):
        matcher.match(jpeg(PHOTO), timeout=seconds)


@POSIX
def test_a_wait_that_is_predicted_too_long_is_told_at_once(list_path: Path) -> None:
    """From pictures that recently took a second each; `match_many` waits all the same."""
    with Matcher.open(list_path, isolation=Isolation(workers=1, max_wait=0.5)) as matcher:
        assert matcher.expected_wait() == 0
        turns = matcher._reader._pool._turns  # type: ignore[union-attr]
        for _ in range(100):
            turns.note(1.0, is_dear=False)
        first = QueueTurn()
        turns.wait_for(first)
        assert matcher.expected_wait() == pytest.approx(1.0)
        with pytest.raises(BusyError) as caught:
            matcher.match(jpeg(PHOTO))
        assert caught.value.reason == "queue-full"
        threading.Timer(0.2, lambda: turns.give_back(first)).start()
        assert [report.outcome for report in matcher.match_many([jpeg(PHOTO)])] == [Outcome.MATCH]
    with Matcher.open(list_path) as matcher:
        assert (matcher.expected_wait(), matcher.workers_fail) == (0, False)


@pytest.mark.parametrize("isolation", [None, pytest.param(Isolation(workers=1), marks=POSIX)])
def test_enough_time_changes_nothing(list_path: Path, isolation: Isolation | None) -> None:
    """The report is the same as without a time."""
    with Matcher.open(list_path, isolation=isolation) as matcher:
        report = matcher.match(jpeg(PHOTO), timeout=300)
        assert report == matcher.match(jpeg(PHOTO))
        assert report.outcome is Outcome.MATCH


@POSIX
def test_decoding_in_a_worker_ends_in_time(list_path: Path) -> None:
    """The worker that is still at it is replaced; the next picture is answered."""
    with Matcher.open(list_path, isolation=Isolation(workers=1)) as matcher:
        matcher.warm()
        with pytest.raises(BusyError) as caught:
            matcher.match(SLOW, timeout=0.1)
        assert caught.value.reason == "timeout"
        assert matcher.match(jpeg(PHOTO)).outcome is Outcome.MATCH
        assert matcher.counts()["workers"]["busy"] == 1


@POSIX
@pytest.mark.parametrize("timeout", [None, 200.0])
def test_forged_looks_do_not_hold_the_search_up(
    list_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    """A worker that was taken over says a dear look twenty times: few are taken, and their search ends in time."""
    photo, digest = jpeg(PHOTO), encode(PHOTO, "PNG", compress_level=1)
    honest, searched, late = Pool.run, [0], [0.0]

    def forged(pool: Pool, *task: bytes, **options: Any) -> Generator[bytearray, None, str]:
        run = honest(pool, *task, **options)
        part = next(run)
        for _ in range(20):
            try:
                yield part
            except ImageError as error:
                run.throw(error)
        return (yield from run)

    def dear(*_: object) -> Iterator[Any]:
        searched[0] += 1
        late[0] += step
        return iter(())

    def now() -> float:
        return time.monotonic() + late[0]

    monkeypatch.setattr(Pool, "run", forged)
    monkeypatch.setattr(hits, "_crop_hits", dear)
    monkeypatch.setattr(deadline_module, "time", SimpleNamespace(monotonic=now))
    step = 0.0
    with Matcher.open(list_path, policy=profiles.THOROUGH, isolation=Isolation(workers=1, seconds=30)) as matcher:
        assert matcher.match(photo[:-2] + b"x" + photo[-2:], timeout=timeout).matches  # by the looks before the fault
        assert searched == [8]
        step, searched[0], late[0] = 16.0, 0, 0.0
        report = matcher.match(digest, timeout=timeout)
        assert (report.outcome, report.reason, report.views_compared) == (Outcome.UNREADABLE, "timeout", ("digests",))
        assert searched == [2]
        assert "pdq" not in {name for item in report.lists for name in item.compared}
        late[0] = 0.0
        report = matcher.match(photo, timeout=timeout)  # the host's own digest is compared all the same
        assert [item.algorithm for item in report.matches] == ["sha256"]
        assert report.reason == "timeout"
        late[0], step = 0.0, 300.0
        if timeout is not None:
            with pytest.raises(BusyError):
                matcher.match(photo, timeout=timeout)


@POSIX
def test_a_full_queue_is_told_at_once_but_not_to_batches(list_path: Path) -> None:
    """With ``queue=0`` nobody waits for a worker that is busy; `match_many` does, as it asks no faster than it gets."""
    with Matcher.open(list_path, isolation=Isolation(workers=1, queue=0)) as matcher:
        matcher.warm()
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(matcher.match(SLOW).outcome))
        thread.start()
        while not matcher.counts()["workers"].get("tasks"):
            time.sleep(0.001)
        with pytest.raises(BusyError) as caught:
            matcher.match(jpeg(PHOTO))
        assert caught.value.reason == "queue-full"
        thread.join()
        assert Outcome.UNREADABLE not in outcomes
        reports = list(matcher.match_many([jpeg(PHOTO)] * 20, workers=4))
        assert [report.outcome for report in reports] == [Outcome.MATCH] * 20


class Slow(io.BytesIO):
    """A file that takes its time."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read after a pause."""
        time.sleep(0.02)
        return super().read(min(1000, -1 if size is None else size))


def test_digesting_ends_in_time(list_path: Path) -> None:
    """A long file that is digested is not read on when the time is over."""
    with Matcher.open(list_path) as matcher, pytest.raises(BusyError):
        matcher.match(Slow(bytes(2**22)), timeout=0.1)


def test_searching_ends_in_time(list_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time runs through every step: here it is over after decoding, then in the middle of a search."""
    left = [0]

    def check(_: Deadline) -> bool:
        left[0] -= 1
        if left[0] == 0:
            raise BusyError("now")
        return False

    monkeypatch.setattr(Deadline, "check", check)
    with Matcher.open(list_path, policy=profiles.THOROUGH) as matcher:
        assert matcher.match(jpeg(PHOTO), timeout=9).outcome is Outcome.MATCH
        steps = -left[0]
        assert steps >= 5
        for step in range(1, steps + 1):
            left[0] = step
            with pytest.raises(BusyError):
                matcher.match(jpeg(PHOTO), timeout=9)


def test_frames_that_come_after_the_time_are_not_decoded(list_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without isolation the frame at hand is finished, and the next one is not begun."""
    seen: list[int] = []

    def looks(*_: Any) -> Iterator[Any]:
        for number in range(1000):
            seen.append(number)
            time.sleep(0.05)
            yield None

    monkeypatch.setattr(query, "_looks", looks)
    with Matcher.open(list_path) as matcher, pytest.raises(BusyError):
        matcher.match(jpeg(PHOTO), timeout=0.2)
    assert 1 <= len(seen) < 100


@POSIX
def test_warm(list_path: Path) -> None:
    """After it all workers are there, and nothing has been counted."""
    with Matcher.open(list_path, isolation=Isolation(workers=2)) as matcher:
        matcher.warm()
        assert matcher.counts()["workers"] == {"started": 2}
        assert matcher.match(jpeg(PHOTO)).outcome is Outcome.MATCH
        assert matcher.counts()["workers"] == {"started": 2, "tasks": 1}
        assert sum(matcher.counts()["outcomes"].values()) == 1
    with Matcher.open(list_path) as matcher:
        matcher.warm()
        assert not sum(matcher.counts()["outcomes"].values())


def many_scans(scans: int, side: int) -> bytes:
    """Progressive JPEG of nothing, with its last scan again and again."""
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def test_what_is_dear_is_told_by_the_header() -> None:
    """Pixels, times scans of a JPEG or frames of others."""
    decode = profiles.STANDARD.decode
    frames = io.BytesIO()
    images = [Image.new("P", (900, 900), number) for number in range(300)]
    images[0].save(frames, "GIF", save_all=True, append_images=images[1:])
    assert is_dear(many_scans(200, 1200), decode)
    assert is_dear(frames.getvalue(), decode)
    assert not is_dear(frames.getvalue(), dataclasses.replace(decode, frames="first"))
    for data in (jpeg(PHOTO), many_scans(2, 1200), SLOW, b"", b"no picture", encode(PHOTO, "WEBP")):
        assert not is_dear(data, decode)


@POSIX
def test_dear_pictures_do_not_hold_cheap_ones_up(list_path: Path) -> None:
    """Of two workers one is left for the others, however many dear pictures wait."""
    dear = many_scans(60, 2000)
    with Matcher.open(list_path, isolation=Isolation(workers=2)) as matcher:
        matcher.warm()
        threads = [threading.Thread(target=matcher.match, args=(dear,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        while matcher.counts()["workers"].get("tasks", 0) < 1:
            time.sleep(0.001)
        assert matcher.match(jpeg(PHOTO)).outcome is Outcome.MATCH
        assert matcher.counts()["workers"]["tasks"] < 7  # some of the dear ones still wait
        for thread in threads:
            thread.join()


@pytest.mark.skipif(machine() is None, reason="memory is looked up in /proc")
def test_a_few_bytes_keep_no_memory(list_path: Path) -> None:
    """A header of many pixels with nothing behind it, and a large picture, leave the worker as it was."""
    lossless = b"\x2f" + struct.pack("<I", 9429 | 9429 << 14) + bytes(11)
    chunk = b"VP8L" + struct.pack("<I", len(lossless)) + lossless
    bomb = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    with Matcher.open(list_path, isolation=Isolation(workers=1)) as matcher:
        matcher.warm()
        assert matcher._reader is not None
        (worker,) = matcher._reader._pool._all
        matcher.match(jpeg(PHOTO))
        before = _resident(worker.pid)
        for data in (bomb, bomb, SLOW):
            matcher.match(data)
            assert _resident(worker.pid) - before < 200 * 2**20
        assert matcher.counts()["workers"] == {"started": 1, "tasks": 4}


def _resident(process: int) -> int:
    with open(f"/proc/{process}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
