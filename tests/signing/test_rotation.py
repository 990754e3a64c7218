"""Hand-overs of keys: who follows which chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch.signing import SigningKey, follow_rotations, rotate
from hashmatch.signing.note import Note, read_note, sign_statement
from support.signing_makers import reason_of


def test_a_chain_leads_to_the_last_key_from_anywhere_in_it(tmp_path: Path) -> None:
    """From the first key, from one between, and from the last itself; also through a file."""
    chain = [SigningKey.make("example.org")]
    for post_quantum in (True, False, True):
        chain.append(rotate(chain[-1], post_quantum=post_quantum))
    chain[-1].save(tmp_path / "key")
    last = SigningKey.load(tmp_path / "key")
    for key in chain:
        assert follow_rotations(key.verifiers, last.rotations) == chain[-1].verifiers
    assert follow_rotations(SigningKey.make("example.org").verifiers, last.rotations) not in (chain[-1].verifiers,)


def test_a_hand_over_lacks_no_signature() -> None:
    """Each of the old keys, and each of the new ones, has to have signed."""
    old = SigningKey.make("example.org", post_quantum=True)
    note = read_note(rotate(old, post_quantum=True).rotations[0])
    assert len(note.signatures) == 4
    for left_out in range(4):
        lines = tuple(line for place, line in enumerate(note.signatures) if place != left_out)
        statement = Note(note.text, lines).encode()
        assert reason_of(follow_rotations, old.verifiers, [statement]) == "bad-rotation"
    flipped = note.signatures[0]._replace(data=bytes(64))
    statement = Note(note.text, (flipped, *note.signatures[1:])).encode()
    assert reason_of(follow_rotations, old.verifiers, [statement]) == "bad-rotation"


def test_a_stranger_cannot_hand_over_for_another() -> None:
    """A hand-over that names the trusted key but was made by another is refused; one of other keys says nothing."""
    victim, thief = SigningKey.make("example.org"), SigningKey.make("example.org")
    own = read_note(rotate(thief).rotations[0]).text.split("\n")[3]
    forged = own.replace(str(thief.verifiers[0]), str(victim.verifiers[0]))
    statement = sign_statement("hashmatch/key-rotation", forged, thief).encode()
    assert reason_of(follow_rotations, victim.verifiers, [statement]) == "bad-rotation"
    assert follow_rotations(victim.verifiers, rotate(thief).rotations) == victim.verifiers


@pytest.mark.parametrize(
    "body", ["no json", "[]", "{}", '{"new": 1, "old": []}', '{"new": ["x"], "old": ["y"]}', "[" * 9_999]
)
def test_what_is_no_hand_over(body: str) -> None:
    """Whatever a signed line holds, it is one error."""
    key = SigningKey.make("example.org")
    statement = sign_statement("hashmatch/key-rotation", body, key).encode()
    assert reason_of(follow_rotations, key.verifiers, [statement]) == "bad-note"


def test_a_chain_has_an_end() -> None:
    """Work on what a stranger wrote is bounded."""
    key = SigningKey.make("example.org")
    statement = rotate(SigningKey.make("other")).rotations[0]
    assert reason_of(follow_rotations, key.verifiers, [statement] * 65) == "bad-note"
    assert reason_of(follow_rotations, key.verifiers, [statement + b" " * 200_000]) == "bad-note"
    assert reason_of(rotate, key.with_rotations([statement] * 64)) == "bad-key"
