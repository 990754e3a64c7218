"""The canary of the whole test run sings."""

from __future__ import annotations

import base64
import logging

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.hashes import HashValue
from support.canary import NAME, OF_THE_RUN, Canary
from support.list_makers import made_up


@pytest.fixture
def canary() -> Canary:
    """Make one that knows one hash, and does not listen."""
    made = Canary()
    made.heads.add(made_up(77).data[:8])
    return made


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("the list has 3 entries; list 00112233445566778899aabbccddeeff", 0),
        (f"bad hash {made_up(77).hex()}", 1),
        (f"bad hash {made_up(77).hex()[:20].upper()}...", 1),
        (f"bad hash {base64.b64encode(made_up(77).data).decode()}", 1),
        (f"series {NAME} 7", 1),
    ],
)
def test_what_shows_a_hash_or_a_name_is_found(canary: Canary, text: str, leaks: int) -> None:
    """In any case, cut short, in base64."""
    canary.check("a message", text)
    assert len(canary.leaks) == leaks
    canary.emit(logging.LogRecord("hashmatch", logging.INFO, "", 0, "%s", (text,), None))
    assert len(canary.leaks) == 2 * leaks


def test_a_leak_fails_the_test(canary: Canary) -> None:
    """The failure does not show what leaked."""
    canary.check("a message", made_up(77).hex())
    with pytest.raises(pytest.fail.Exception, match=r"^a message shows a hash$"):
        canary.drain()
    canary.drain()


@pytest.mark.leaks
def test_the_run_listens() -> None:
    """An error that shows a hash is noted as it is made, anywhere in the run."""
    value = HashValue("md5", bytes(range(40, 56)))
    ReferenceListError(f"bad: {value.hex()}")
    logging.getLogger("hashmatch.x").warning("bad: %s", value.hex())
    assert len(OF_THE_RUN.leaks) == 2
