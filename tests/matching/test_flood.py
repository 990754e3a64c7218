"""Entries that match far more than their share: quarantine by an exact rule, until a person releases them."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import random
import threading
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import Matcher, Outcome, ReferenceList, profiles
from hashmatch.errors import PolicyError
from hashmatch.hashes import HashValue
from hashmatch.matching import MatchReport, Quarantined
from hashmatch.matching.flood import FloodWatch
from hashmatch.policy import FloodRule, MatchPolicy

RULE = FloodRule(share=0.1, window=20, max_chance=-3.0)
HOLD = replace(RULE, hold=True)


def value(number: int) -> HashValue:
    """Make a hash."""
    return HashValue("pdq", hashlib.sha256(f"{number}".encode()).digest())


def watching(rule: FloodRule) -> MatchPolicy:
    """Make a policy that watches."""
    return replace(profiles.FAST, flood=rule)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of two entries."""
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        ref.add("busy", hashes=[value(1)])
        ref.add("other", hashes=[value(2)])
    return tmp_path / "list"


@settings(max_examples=200, deadline=None)
@given(st.integers(10, 60), st.integers(1, 50), st.integers(1, 12))
def test_the_limit_is_exact(window: int, hundredths: int, decades: int) -> None:
    """It is the least count whose binomial tail is within the chance, in exact fractions."""
    share, chance = Fraction(hundredths, 100), Fraction(1, 10**decades)
    tail, exact = Fraction(0), window + 1
    for k in range(window, -1, -1):
        tail += math.comb(window, k) * share**k * (1 - share) ** (window - k)
        if tail > chance * (1 + Fraction(1, 10**9)):
            break
        exact = k
    if exact > window:
        with pytest.raises(PolicyError, match="too small"):
            FloodRule(share=hundredths / 100, window=window, max_chance=-float(decades))
    else:
        assert FloodRule(share=hundredths / 100, window=window, max_chance=-float(decades)).limit == exact


def test_large_windows_have_a_limit() -> None:
    """Also where the chance is far below what a float holds."""
    rule = FloodRule(share=0.001, window=1_000_000, max_chance=-300.0)
    assert 1_000 + 30 * 31 < rule.limit < 1_000 + 50 * 31
    assert FloodRule(share=0.001).limit == 35


@pytest.mark.parametrize(
    "fields",
    [
        {"share": 0.0},
        {"share": 0.6},
        {"share": 0.1, "window": 9},
        {"share": 0.1, "max_chance": 0.0},
        {"share": 0.1, "max_entries": 1},
        {"share": 0.1, "hold": 1},
    ],
)
def test_bad_rules(fields: dict[str, Any]) -> None:
    """Numbers have ranges."""
    with pytest.raises(PolicyError):
        FloodRule(**fields)
    assert MatchPolicy.from_dict(watching(RULE).to_dict()) == watching(RULE)


def test_flagged_and_released(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reports flag it from the next picture on, counts have it, the log names no entry, and a person undoes it."""
    with Matcher.open(path, policy=watching(RULE)) as matcher:
        reports = [matcher.match_hash(value(1)) for _ in range(RULE.limit + 3)]
        assert [item.matches[0].quarantined for item in reports] == [False] * RULE.limit + [True] * 3
        assert {item.outcome for item in reports} == {Outcome.MATCH}
        assert matcher.counts()["quarantined"] == {"entries": 1, "flagged": 3, "held": 0}
        assert not matcher.match_hash(value(2)).matches[0].quarantined
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("hashmatch.matching", logging.WARNING)
        assert "busy" not in record.getMessage()
        assert value(1).hex() not in record.getMessage()
        list_id = reports[0].matches[0].list_id
        assert matcher.quarantined == (
            Quarantined(list_id=list_id, entry_id="busy", matched=RULE.limit, pictures=RULE.limit),
        )
        with caplog.at_level(logging.INFO, "hashmatch"):
            assert matcher.release(list_id, "busy")
            assert not matcher.release(list_id, "busy")
        (released,) = [item.getMessage() for item in caplog.records if item.levelno == logging.INFO]
        assert list_id in released
        assert "busy" not in released
        assert matcher.quarantined == ()
        assert not matcher.match_hash(value(1)).matches[0].quarantined


def test_a_log_handler_may_ask_which_entry_it_is(path: Path) -> None:
    """The warning says to look at `Matcher.quarantined`: a handler that does so is answered."""
    found: list[str] = []
    logger = logging.getLogger("hashmatch.matching")
    with Matcher.open(path, policy=watching(RULE)) as matcher:
        handler = logging.Handler()
        handler.emit = lambda _: found.extend(item.entry_id for item in matcher.quarantined)  # type: ignore[method-assign]
        logger.addHandler(handler)
        try:
            for _ in range(RULE.limit):
                matcher.match_hash(value(1))
        finally:
            logger.removeHandler(handler)
    assert found == ["busy"]


def test_held_back_is_never_no_match(path: Path) -> None:
    """The match is in ``held``, the outcome undecidable; another entry still matches, also one behind the bound."""
    with Matcher.open(path, policy=replace(watching(HOLD), max_matches=1)) as matcher:
        for _ in range(HOLD.limit):
            assert matcher.match_hash(value(1)).outcome is Outcome.MATCH
        report = matcher.match_hash(value(1))
        assert (report.outcome, report.reason, report.matches, report.n_matches) == (Outcome.UNDECIDABLE, "held", (), 0)
        assert [(item.entry_id, item.quarantined) for item in report.held] == [("busy", True)]
        assert MatchReport.from_dict(report.to_dict()) == report
        assert matcher.counts()["quarantined"] == {"entries": 1, "flagged": 1, "held": 1}
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("double", hashes=[value(1)])
        matcher.reload()
        report = matcher.match_hash(value(1))
        assert (report.outcome, [item.entry_id for item in report.matches], report.n_held) == (
            Outcome.MATCH,
            ["double"],
            1,
        )


def test_windows_count_anew(path: Path) -> None:
    """An entry that stays below the limit in each window is never put in quarantine."""
    with Matcher.open(path, policy=watching(RULE)) as matcher:
        for number in range(10 * RULE.window):
            hit = number % RULE.window < RULE.limit - 1
            matcher.match_hash(value(1) if hit else value(9))
        assert matcher.quarantined == ()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), max_size=3, unique=True), max_size=200), st.integers(0, 2**32))
def test_bounded_memory_never_goes_beyond_the_rule(pictures: list[list[int]], seed: int) -> None:
    """With too few counters fewer entries are found, never one that the exact count would not give."""
    rule = FloodRule(share=0.05, window=100, max_chance=-2.0, max_entries=16)
    watch, exact, expected = FloodWatch(rule), Counter[int](), set[str]()
    random.Random(seed).shuffle(pictures)
    for number, picture in enumerate(pictures):
        if number % rule.window == 0:
            exact.clear()
        exact.update(picture)
        watch.count(("list", "id", str(entry)) for entry in picture)
        expected |= {str(entry) for entry in picture if exact[entry] >= rule.limit}
    found = {item.entry_id for item in watch.entries}
    assert found <= expected
    if len({entry for picture in pictures for entry in picture}) <= rule.max_entries:
        assert found == expected


def test_a_full_quarantine_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Others are reported as always, and nothing leaves by itself."""
    watch = FloodWatch(FloodRule(share=0.5, window=10, max_chance=-1.0, max_entries=16))
    for number in range(20):
        for _ in range(10):
            watch.count([("list", "id", str(number))])
    assert [item.entry_id for item in watch.entries] == [str(number) for number in range(16)]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_threads_lose_no_count() -> None:
    """Every picture counts, whoever counts it."""
    watch = FloodWatch(FloodRule(share=0.1, window=1_000_000))
    threads = [
        threading.Thread(target=lambda: [watch.count([("list", "id", "e")]) for _ in range(2_000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch._certain(("id", "e")) == 16_001


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_on(path: Path) -> None:
    """Also when another thread held the lock at the fork; what is released there stays held here."""
    with Matcher.open(path, policy=watching(RULE)) as matcher:
        for _ in range(RULE.limit):
            report = matcher.match_hash(value(1))
        assert matcher._flood is not None
        with matcher._flood._change:
            child = os.fork()
            if not child:  # pragma: no cover
                done = matcher.match_hash(value(1)).matches[0].quarantined
                done = done and matcher.release(report.matches[0].list_id, "busy")
                os._exit(0 if done else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(matcher.quarantined) == 1
