"""Signed notes and statements: the examples of others, and every way to change one."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hashmatch.errors import SignatureError
from hashmatch.signing import (
    Note,
    SigningKey,
    VerifierKey,
    read_statement,
    sign_statement,
    sign_text,
    verify_note,
)
from hashmatch.signing.note import Signature, cosign, read_note
from support.signing_makers import GO_PUBLIC, GO_SECRET, key_file, reason_of

GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
ORIGIN = "example.org/statement"


def both() -> SigningKey:
    """Make a key that signs by both schemes."""
    return SigningKey.make("example.org/lists", post_quantum=True)


def taken(data: bytes, key: VerifierKey) -> str:
    """Read a statement as one does who knows one key."""
    note = read_note(data)
    verify_note(note, [key])
    return read_statement(note, ORIGIN)


def test_the_note_of_the_go_tools(tmp_path: Path) -> None:
    """The same key signs the same text to the same bytes, and verifies it."""
    key = SigningKey.load(key_file(tmp_path / "go", GO_SECRET))
    assert sign_text(GO_TEXT, key).encode() == GO_NOTE
    assert verify_note(read_note(GO_NOTE), key.verifiers) == (VerifierKey.parse(GO_PUBLIC),)


def test_every_flip_and_cut_of_a_note_is_found() -> None:
    """No single bit and no length but the whole is taken; a changed name or id is a key that nobody knows."""
    known = [VerifierKey.parse(GO_PUBLIC)]
    for place in range(len(GO_NOTE)):
        for bit in range(8):
            changed = bytearray(GO_NOTE)
            changed[place] ^= 1 << bit
            with pytest.raises(SignatureError):
                verify_note(read_note(bytes(changed)), known)
        with pytest.raises(SignatureError):
            verify_note(read_note(GO_NOTE[:place]), known)


def test_every_flip_of_a_statement_by_both_schemes_is_found() -> None:
    """The line itself is bound by the root, which is what ML-DSA-44 signs."""
    key = both()
    data = sign_statement(ORIGIN, '{"a":1}', key).encode()
    note = read_note(data)
    assert set(verify_note(note, key.verifiers)) == set(key.verifiers)
    assert read_statement(note, ORIGIN) == '{"a":1}'
    for only in key.verifiers:
        for place in range(len(note.text)):
            changed = bytearray(data)
            changed[place] ^= 1
            with pytest.raises(SignatureError):
                taken(bytes(changed), only)


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("change", ["flip", "cut", "longer", "late"])
def test_one_wrong_signature_of_a_known_key_spoils_the_note(scheme: int, change: str) -> None:
    """The right one beside it does not help."""
    key = both()
    note = sign_statement(ORIGIN, "line", key)
    lines = list(note.signatures)
    name, number, data = lines[scheme]
    data = {
        "flip": data[:-1] + bytes([data[-1] ^ 1]),
        "cut": data[:-1],
        "longer": data + b"\0",
        "late": b"\xff" * 8 + data[8:],
    }[change]
    lines[scheme] = Signature(name, number, data)
    assert reason_of(verify_note, Note(note.text, tuple(lines)), key.verifiers) == "bad-signature"


def test_unknown_keys_are_passed_over() -> None:
    """Sixty others may sign too; without a known one there is no answer."""
    key, note = SigningKey.make("ours"), Note("text\n", ())
    for place in range(20):
        note = cosign(note, SigningKey.make(f"other-{place}"))
    assert reason_of(verify_note, note, key.verifiers) == "unknown-key"
    note = read_note(cosign(note, key).encode())
    assert verify_note(note, key.verifiers) == key.verifiers
    assert reason_of(verify_note, note, SigningKey.make("ours").verifiers) == "unknown-key"


def test_a_cosignature_states_its_time() -> None:
    """A witness's signature covers the time, for both schemes."""
    witness = SigningKey.make("witness", post_quantum=True, witness=True)
    note = cosign(sign_text(f"log\n7\n{base64.b64encode(bytes(32)).decode()}\n", both()), witness, time=1_764_500_000)
    assert set(verify_note(note, witness.verifiers)) == set(witness.verifiers)
    assert {line.time for line in note.signatures[2:]} == {1_764_500_000}
    for place in (2, 3):
        lines = list(note.signatures)
        lines[place] = lines[place]._replace(data=bytes(8) + lines[place].data[8:])
        assert reason_of(verify_note, Note(note.text, tuple(lines)), witness.verifiers) == "bad-signature"


def test_the_cosignature_in_the_text_of_c2sp() -> None:
    """The example checkpoint's lines are read, and its cosignature has the time that its text names."""
    data = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    ).encode()
    note = read_note(data)
    assert [len(line.data) for line in note.signatures] == [64, 72]
    assert note.signatures[1].time == 1679315147


@pytest.mark.parametrize(
    "text",
    ["one line\n", "log\n01\nAAAA\n", f"log\n1\n{'A' * 44}\n", "log\n1\nAAAA\n", f"{'x' * 256}\n1\n{'A' * 43}=\n"],
)
def test_ml_dsa_signs_checkpoints_only(text: str) -> None:
    """Its signature says nothing of other text, so it is not given there."""
    assert reason_of(sign_text, text, both()) == "bad-note"


@pytest.mark.parametrize("text", ["", "\n", "no end", "tab\there\n", "\x00\n"])
def test_texts_that_are_not_signed(text: str) -> None:
    """What could not be read back is not signed."""
    assert reason_of(sign_text, text, SigningKey.make("x")) == "bad-note"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n- a AAAAAAAAAA==\n",
        "text\n\n— a b\n".encode(),
        b"\xff\n\n",
        "text\n\n— a AAAAAAA=\n".encode(),
        "text\r\n\n— a AAAAAAAA\n".encode(),
        "\n\n— a AAAAAAAA\n".encode(),
        "text\n\n— a AAAAAAAAAB==\n".encode(),
        "text\n\n— a AAAAAAAAAA==".encode(),
        ("text\n\n" + "— a AAAAAAAAAA==\n" * 65).encode(),
    ],
)
def test_what_is_no_note(data: bytes) -> None:
    """One spelling is a note, and 64 signatures are enough."""
    assert reason_of(read_note, data) == "bad-note"


def test_a_statement_of_another_kind_is_none() -> None:
    """Its origin, its size and its single line are part of it."""
    key = SigningKey.make("x")
    note = sign_statement(ORIGIN, "line", key)
    assert reason_of(read_statement, note, "example.org/other") == "bad-note"
    for text in (note.text + "more\n", note.text.replace("\n1\n", "\n2\n"), note.text.replace("line", "lime")):
        assert reason_of(read_statement, sign_text(text, key), ORIGIN) == "bad-note"
    for body in ("", "two\nlines", "tab\t"):
        assert reason_of(sign_statement, ORIGIN, body, key) == "bad-note"
