"""`AsyncMatcher`: the loop goes on, what waits is bounded, cancellation costs nothing, errors come through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Fingerprint, HashValue, Matcher, Outcome, ReferenceList, fingerprint
from hashmatch.errors import BusyError, ReferenceListError
from hashmatch.hashes import ViewHash
from hashmatch.matching import AsyncMatcher
from hashmatch.picture.encode import jpeg
from hashmatch.synthetic import picture

LISTED = picture("photo", 1, size=(160, 200))


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    """Open a list of one picture."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="list") as ref:
        ref.add("one", fingerprint=fingerprint(LISTED, algorithms=("pdq",)))
    with Matcher.open(path) as made:
        yield made


class Gate:
    """A matcher that waits until it is let go."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.open, self.begun = matcher, threading.Event(), threading.Semaphore(0)

    def match_fingerprint(self, value: Fingerprint, **options: Any) -> Any:
        """Answer at once."""
        return self.matcher.match_fingerprint(value, **options)

    def match(self, source: Any, **options: Any) -> Any:
        """Wait, then answer."""
        self.begun.release()
        assert self.open.wait(60)
        return self.matcher.match(source, **options)


def test_answers_are_those_of_the_matcher(matcher: Matcher) -> None:
    """Pictures, hashes and fingerprints, many at once."""
    data = jpeg(LISTED, quality=90)
    value = matcher.match(data, return_fingerprint=True).fingerprint
    assert value is not None

    async def ask() -> list[Any]:
        async with AsyncMatcher(matcher) as checks:
            found = await asyncio.gather(*(checks.match(data, timeout=60) for _ in range(8)))
            found.append(await checks.match_fingerprint(value))
            found.append(await checks.match_hash(HashValue("pdq", bytes(range(32)))))
            assert checks.in_flight == 0
            return found

    *same, other = asyncio.run(ask())
    assert all(report == matcher.match(data) for report in same[:8])
    assert same[8].outcome is Outcome.MATCH
    assert other.outcome is Outcome.NO_MATCH


def test_what_waits_is_bounded_and_the_loop_goes_on(matcher: Matcher) -> None:
    """One call more than may be held is refused at once, while others wait."""
    gate = Gate(matcher)

    async def ask() -> None:
        checks = AsyncMatcher(gate, in_flight=2, threads=1)  # type: ignore[arg-type]
        held = [asyncio.create_task(checks.match(b"x")) for _ in range(2)]
        await asyncio.to_thread(gate.begun.acquire)
        assert checks.in_flight == 2
        with pytest.raises(BusyError) as caught:
            await checks.match(b"x")
        assert caught.value.reason == "queue-full"
        gate.open.set()
        reports = await asyncio.gather(*held)
        assert [report.outcome for report in reports] == [Outcome.UNREADABLE] * 2
        assert (await checks.match(b"x")).outcome is Outcome.UNREADABLE
        checks.close()

    asyncio.run(ask())


def test_time_spent_waiting_counts(matcher: Matcher) -> None:
    """A call whose time is over before a thread is free has no answer; a cancelled one is never begun."""
    gate = Gate(matcher)

    async def ask() -> None:
        checks = AsyncMatcher(gate, threads=1)  # type: ignore[arg-type]
        first = asyncio.create_task(checks.match(b"x"))
        await asyncio.to_thread(gate.begun.acquire)
        late = asyncio.create_task(checks.match(b"x", timeout=0.01))
        gone = asyncio.create_task(checks.match(b"x"))
        await asyncio.sleep(0.05)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        gate.open.set()
        await first
        with pytest.raises(BusyError) as caught:
            await late
        assert caught.value.reason == "timeout"
        await asyncio.to_thread(checks.close)
        assert not gate.begun.acquire(blocking=False)
        assert checks.in_flight == 0
        with pytest.raises(ReferenceListError, match="closed"):
            await checks.match(b"x")

    asyncio.run(ask())


def test_a_forked_child_has_threads_of_its_own(matcher: Matcher) -> None:
    """One whose parent's only thread is at a call answers all the same."""
    gate = Gate(matcher)

    async def ask() -> None:
        checks = AsyncMatcher(gate, in_flight=1, threads=1)  # type: ignore[arg-type]
        of_parent = asyncio.create_task(checks.match(b"x"))
        await asyncio.to_thread(gate.begun.acquire)
        pool = checks._pool
        checks._pid = -1  # as it looks in a child
        assert (await checks.match_hash(HashValue("pdq", bytes(range(32))))).outcome is Outcome.NO_MATCH
        gate.open.set()
        await of_parent
        pool.shutdown()
        checks.close()

    asyncio.run(ask())


def test_wrong_numbers_are_refused(matcher: Matcher) -> None:
    """Nothing is accepted and ignored."""
    for words in ({"in_flight": 0}, {"threads": 0}, {"threads": True}):
        with pytest.raises(ValueError, match="1 or more"):
            AsyncMatcher(matcher, **words)  # type: ignore[arg-type]

    async def ask() -> None:
        async with AsyncMatcher(matcher) as checks:
            with pytest.raises(ValueError, match="above 0"):
                await checks.match(b"x", timeout=0)

    asyncio.run(ask())


def test_a_few_hashes_are_answered_on_the_loop(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a thread answers them; more hashes, and keypoint records, go to a thread."""
    many = [HashValue("pdq", bytes([number] * 32)) for number in range(3)]
    known = fingerprint(LISTED, algorithms=("pdq",))
    threads: list[int] = []
    answered = Matcher._recalled

    def noted(*args: Any, **words: Any) -> Any:
        threads.append(threading.get_ident())
        return answered(*args, **words)

    monkeypatch.setattr(Matcher, "_recalled", noted)

    async def ask() -> list[Any]:
        async with AsyncMatcher(matcher, at_once=2) as checks:
            return [
                await checks.match_fingerprint(known),
                await checks.match_fingerprint(Fingerprint(tuple(ViewHash(value=item) for item in many))),
            ]

    first, last = asyncio.run(ask())
    assert first == matcher.match_fingerprint(known)
    assert (first.outcome, last.outcome) == (Outcome.MATCH, Outcome.NO_MATCH)
    assert threads[0] == threading.get_ident() != threads[1]
    with pytest.raises(ValueError, match="at_once"):
        AsyncMatcher(matcher, at_once=-1)


def test_what_would_have_to_wait_is_answered_by_a_thread(tmp_path: Path) -> None:
    """A found entry that was withdrawn since needs the list's present version."""
    value, path = HashValue("pdq", bytes(range(32))), tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="list") as ref:
        ref.add("one", hashes=[value])
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw("one")
        plain = Fingerprint((ViewHash(value=value),))
        assert matcher.try_fingerprint(plain) is None

        async def ask() -> Any:
            async with AsyncMatcher(matcher, at_once=1) as checks:
                return await checks.match_hash(value)

        report = asyncio.run(ask())
        assert (report.outcome, report.lists[0].version) == (Outcome.UNDECIDABLE, 2)
        assert matcher.try_fingerprint(plain) == report
