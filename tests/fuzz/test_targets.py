"""The fuzzer: every target on a few cases, and that what goes wrong is noticed."""

from __future__ import annotations

import faulthandler
import os
import random
import time
from typing import Any

import pytest
from fuzz.__main__ import TARGETS, main
from fuzz.engine import Run, Wrong, execute

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
CASES = {"lists": 40, "pictures": 300, "importers": 300, "indexes": 300}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_targets(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A few cases of each target find nothing, and not all of them end alike."""
    assert main([name, "--runs", str(CASES.get(name, 1000)), "--seed", "5"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "findings: 0"
    assert len(said) >= 4


def run(case: Any, **more: Any) -> Run:
    """Run a made-up target."""
    return execute("made up", case, runs=40, seed=1, **more)


def test_what_goes_wrong_is_found() -> None:
    """An exception, a broken invariant, a crash and a hang are findings, each with its case, and the rest is run."""

    def case(_: random.Random, number: int) -> str:
        if number == 5:
            raise KeyError("x")
        if number == 9:
            raise Wrong("an invariant")
        if number == 13:
            faulthandler.disable()  # this crash is meant: no traceback among the output
            os.abort()
        if number == 17:
            time.sleep(60)
        return "fine"

    found = run(case, longest=1.0)
    assert sorted(finding.case for finding in found.findings) == [5, 9, 13, 17]
    assert found.executions == 40
    assert set(found.outcomes) == {"fine", "crash", "hang"}


def test_a_case_is_told_by_its_number() -> None:
    """The same seed and case give the same random numbers, whatever ran before."""

    def case(rng: random.Random, number: int) -> str:
        return f"{number % 2}{rng.getrandbits(2)}"

    first, second = run(case), execute("made up", case, runs=20, seed=1, first=20)
    assert sum(first.outcomes.values()) == 40
    assert all(first.outcomes[name] >= count for name, count in second.outcomes.items())
