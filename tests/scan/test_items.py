"""Laws of what a source gives: names are printable whatever they were, and show nothing unasked."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import UnreadableImageError
from hashmatch.picture import read_source
from hashmatch.scan import REASONS, Flaw, Item, shown_name
from hashmatch.scan.items import unread


@given(st.one_of(st.text(), st.binary().map(os.fsdecode), st.binary()))
def test_every_name_can_be_written_anywhere(name: str | bytes) -> None:
    """Whatever a medium calls a file, the shown name is one line of UTF-8, and plain names stay as they are."""
    shown = shown_name(name)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in shown)
    if isinstance(name, str) and name.isascii() and name.isprintable():
        assert shown == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("a\nb\x1b[2J", "a\\x0ab\\x1b[2J"),
        ("gpj.\u202ea", "gpj.\\u202ea"),
        ("\ud800", "\\ud800"),
        ("Ünïcode 図", "Ünïcode 図"),
        ("x" * 5_000 + "end", "x" * 4_093 + "end"),
    ],
)
def test_what_is_escaped(name: str | bytes, shown: str) -> None:
    """Bytes that are no UTF-8, control characters, lone surrogates, turns of direction; a long name keeps its end."""
    assert shown_name(name) == shown


def test_reprs_and_errors_show_no_name() -> None:
    """A log of items, flaws and errors names no file."""
    item = Item("secret.jpg", b"secret.jpg", "folder", "picture", 1, lambda: io.BytesIO(b"x"))
    flaw = Flaw("secret.zip", b"secret.zip", "damaged", "folder")
    assert "secret" not in f"{item!r}{flaw!r}{unread('damaged')!r}"
    assert flaw.reason in REASONS


def test_the_reason_of_a_member_reaches_whoever_reads_it() -> None:
    """A stream that says what is wrong with it is not answered by "reading failed"."""

    class Broken(io.RawIOBase):
        def read(self, *_: object) -> bytes:
            raise unread("damaged")

    with pytest.raises(UnreadableImageError) as error:
        read_source(Broken())  # type: ignore[arg-type]
    assert error.value.reason == "damaged"
