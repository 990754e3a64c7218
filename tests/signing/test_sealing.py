"""Sealed files: read and written as age does, and every change found."""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.errors import SignatureError
from hashmatch.signing.sealing import MAGIC, Identity, SealedWriter, UnsealedReader, check_recipient
from support.signing_makers import key_file, reason_of

# the key pair of 32 bytes of 1 as age-keygen shows it, and a file that pyrage 1.4.0 sealed for it
AGE_SECRET = "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZ9K4CN"  # noqa: S105 - of an example
AGE_PUBLIC = "age15nsf9y4k28p83wth93tf7hafhvfajp45d2mge80ems45gz0c5gys3me64l"
AGE_FILE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBDclhNRTJaSEt0MjdsaEkwUDdQYnpYWXhJSy9kR2JsM3dWRXFjNERqL2xn"
    "Ckp3RjZMSHpyVUptOVZadk5MWmgzMmU4L0pnUjJNWXdXY1NPWTJrMHpkcXcKLT4gWS1ncmVhc2UgNVgiICN5JiBGM3czYEdkaCAi"
    "Ok96d3M6fQpRMHRuQjVwYmdaeDB0eHp3dURleU55OUhDaENPeGRLcmplQ2RkT1FhZEdyTDdzWi9tYVVsTTk4WklvS3dQcEFsCnpv"
    "R1d1Nkp1cW1La2diS1EvZ05sWjVTY283MWIxWjI0LzNnUXZKSkdmeU1WQTg0S3ZURWtBUTlWTzdSRnNLOWIKelR3Ci0tLSAzY0Nl"
    "b21FZXdsdTF4Z0d2aG12bGJkV01TMHAvVER3c1E2aERBZGFqeHZzCh7J5QxGyc3vUnyBaH2vadpwQySBeM9Tmg0rCy7U5nUVeE6m"
    "AHFnpvnL"
)
SIZES = (0, 1, 65_535, 65_536, 65_537, 131_072, 200_001)


def sealed(data: bytes, *recipients: str) -> bytes:
    """Seal bytes, written in pieces."""
    stream = io.BytesIO()
    writer = SealedWriter(stream, recipients)
    for start in range(0, len(data), 50_000):
        writer.write(data[start : start + 50_000])
    writer.close()
    return stream.getvalue()


def unsealed(data: bytes, identity: Identity) -> bytes:
    """Open a sealed file, in pieces."""
    reader = UnsealedReader(io.BytesIO(data), identity)
    return b"".join(iter(lambda: reader.read(70_000), b""))


def test_a_file_and_a_key_of_age(tmp_path: Path) -> None:
    """Key file, recipient and content are those of the age tools."""
    identity = Identity.load(key_file(tmp_path / "key", f"# created: today\n{AGE_SECRET}\n"))
    assert identity.recipient == AGE_PUBLIC
    assert unsealed(AGE_FILE, identity) == b"hash-only"
    identity.save(tmp_path / "ours")
    assert (tmp_path / "ours").read_text(encoding="ascii").endswith(f"\n{AGE_SECRET}\n")


@pytest.mark.parametrize("size", SIZES)
def test_every_length_comes_back(size: int) -> None:
    """At, below and above the border of a chunk, for each of two recipients."""
    data, one, two = bytes(range(256)) * (size // 256 + 1), Identity.make(), Identity.make()
    file = sealed(data[:size], one.recipient, two.recipient)
    assert unsealed(file, one) == unsealed(file, two) == data[:size]
    assert reason_of(unsealed, file, Identity.make()) == "not-for-this-key"


@pytest.mark.parametrize("size", SIZES)
def test_the_other_implementation_agrees(size: int, tmp_path: Path) -> None:
    """What pyrage seals is read here, and what is sealed here it reads."""
    pyrage = pytest.importorskip("pyrage")
    theirs = pyrage.x25519.Identity.generate()
    ours = Identity.load(key_file(tmp_path / "key", str(theirs)))
    data = bytes(size)
    assert unsealed(pyrage.encrypt(data, [theirs.to_public()]), ours) == data
    assert pyrage.decrypt(sealed(data, Identity.make().recipient, ours.recipient), [theirs]) == data


def test_every_flip_and_cut_is_found() -> None:
    """No bit of a sealed file can change, and nothing be cut off or added."""
    identity = Identity.make()
    file = sealed(b"a list", identity.recipient)
    for place in range(len(file)):
        for bit in range(8):
            changed = bytearray(file)
            changed[place] ^= 1 << bit
            with pytest.raises(SignatureError):
                unsealed(bytes(changed), identity)
        with pytest.raises(SignatureError):
            unsealed(file[:place], identity)
    with pytest.raises(SignatureError):
        unsealed(file + b"\0", identity)


@pytest.mark.parametrize(
    "change",
    [
        lambda head, chunks: head + b"".join(chunks[:2]),
        lambda head, chunks: head + chunks[0] + chunks[2],
        lambda head, chunks: head + chunks[1] + chunks[0] + chunks[2],
        lambda head, chunks: head + b"".join(chunks) + chunks[2],
        lambda head, chunks: head + chunks[0],
        lambda head, chunks: head,  # noqa: ARG005
    ],
)
def test_chunks_cannot_be_cut_swapped_or_repeated(change: Callable[[bytes, list[bytes]], bytes]) -> None:
    """Their nonces count them, and mark the last."""
    identity = Identity.make()
    file = sealed(bytes(3 * 65_536), identity.recipient)
    head = file[: -3 * 65_552]
    chunks = [file[len(head) + place * 65_552 :][:65_552] for place in range(3)]
    assert unsealed(head + b"".join(chunks), identity) == bytes(3 * 65_536)
    assert reason_of(unsealed, change(head, chunks), identity) == "bad-seal"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"age-encryption.org/v2\n",
        MAGIC,
        MAGIC + b"-> X25519\nAAAA\n--- AAAA\n",
        MAGIC + b"-> X25519 AAAA\nAAAA\n--- AAAA\n",
        MAGIC + b"->\nAAAA\n",
        MAGIC + b"-> other\nAAA=\n--- AAAA\n",
        MAGIC + b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n--- AAAA\n",
        MAGIC + b"-> other\n" + (b"A" * 64 + b"\n") * 100,
        MAGIC + b"-> other\nAAAA\n" * 30,
        MAGIC + b"x" * 10_000,
    ],
)
def test_headers_that_are_none(head: bytes) -> None:
    """Whatever stands there, it is one error, and reading is bounded."""
    assert reason_of(unsealed, head + bytes(100), Identity.make()) in {"bad-seal", "not-for-this-key"}


@pytest.mark.parametrize(
    "text",
    ["", "age1", AGE_PUBLIC[:-1], AGE_PUBLIC + "q", AGE_PUBLIC[:-1] + "q", AGE_PUBLIC.upper(), AGE_SECRET, "age1pq1qq"],
)
def test_what_is_no_recipient(text: str) -> None:
    """A mistyped recipient is refused before anything is sealed for it."""
    assert reason_of(check_recipient, text) == "bad-key"
    assert reason_of(sealed, b"", text) == "bad-key"


def test_keys_stay_in_their_files(tmp_path: Path) -> None:
    """An identity shows nothing, and a file of none or two is refused."""
    identity = Identity.make()
    assert repr(identity) == "<Identity>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(identity)
    for text in ("", f"{AGE_SECRET}\n{AGE_SECRET}\n", AGE_SECRET.lower(), AGE_PUBLIC, AGE_SECRET[:-1] + "Q"):
        path = key_file(tmp_path / "key", text)
        assert reason_of(Identity.load, path) == "bad-key"
    assert reason_of(Identity.load, key_file(path, AGE_SECRET, 0o644)) == "open-to-others"
    assert reason_of(sealed, b"", *[identity.recipient] * 21) == "bad-key"
    assert reason_of(sealed, b"") == "bad-key"
