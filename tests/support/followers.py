"""What tests of matchers that follow their lists ask again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from hashmatch import Matcher, Outcome
from support.list_makers import made_up


def until(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until something holds; False where it does not within these seconds."""
    give_up = time.monotonic() + seconds
    while not holds() and time.monotonic() < give_up:
        time.sleep(0.005)
    return holds()


def matches(matcher: Matcher, number: int) -> bool:
    """Whether the hash of this number matches."""
    return matcher.match_hash(made_up(number)).outcome is Outcome.MATCH
