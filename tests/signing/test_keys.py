"""Keys: their texts, and the files that hold their secrets."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest

from hashmatch.errors import SignatureError
from hashmatch.signing import SigningKey, VerifierKey, parse_verifier_keys
from hashmatch.signing.primitives import module
from support.signing_makers import GO_PUBLIC, GO_SECRET, key_file, reason_of


def test_a_key_of_the_go_tools_is_read_and_written_alike(tmp_path: Path) -> None:
    """Text of a public key, its id, and the file of a secret are those of Go."""
    assert str(VerifierKey.parse(GO_PUBLIC)) == GO_PUBLIC
    key = SigningKey.load(key_file(tmp_path / "go", GO_SECRET + "\n"))
    assert [str(one) for one in key.verifiers] == [GO_PUBLIC]
    key.save(tmp_path / "ours")
    assert (tmp_path / "ours").read_text(encoding="ascii") == GO_SECRET + "\n"


@pytest.mark.parametrize("post_quantum", [False, True])
@pytest.mark.parametrize("witness", [False, True])
def test_a_key_comes_back_from_its_file(tmp_path: Path, post_quantum: bool, witness: bool) -> None:
    """A loaded key has the same public keys, and the file is its owner's alone."""
    key = SigningKey.make("example.org/lists", post_quantum=post_quantum, witness=witness)
    key.save(tmp_path / "key")
    assert SigningKey.load(tmp_path / "key").verifiers == key.verifiers
    assert len(key.verifiers) == 1 + post_quantum
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert reason_of(key.save, tmp_path / "key") == "exists"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o666, 0o611])
def test_a_key_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Any bit of group or others is one too many."""
    assert reason_of(SigningKey.load, key_file(tmp_path / "key", GO_SECRET, mode)) == "open-to-others"


@pytest.mark.parametrize("place", range(len(GO_PUBLIC)))
def test_no_changed_letter_makes_another_verifier_key(place: int) -> None:
    """A key that was copied wrongly anywhere is refused."""
    for letter in "+AZaz09/ =\n~é":
        if letter != GO_PUBLIC[place]:
            assert reason_of(VerifierKey.parse, GO_PUBLIC[:place] + letter + GO_PUBLIC[place + 1 :] + "x") == "bad-key"
            changed = GO_PUBLIC[:place] + letter + GO_PUBLIC[place + 1 :]
            if changed.strip() != GO_PUBLIC:
                assert reason_of(VerifierKey.parse, changed) == "bad-key"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "no key",
        GO_PUBLIC,
        GO_SECRET[:-4],
        GO_SECRET.replace("c74f20a3", "c74f20a4"),
        GO_SECRET + "\nmore",
        "ROTATION+%%%",
        f"{GO_SECRET}\nROTATION+A",
        "PRIVATE+KEY+x+00000000+CAAA",
        "é",
    ],
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever it holds, it is one error, without a letter of the file."""
    with pytest.raises(SignatureError, match=r"^[^+]*$") as caught:
        SigningKey.load(key_file(tmp_path / "key", text))
    assert caught.value.reason == "bad-key"


def test_files_that_cannot_be_read_or_made(tmp_path: Path) -> None:
    """Missing, a folder, too large, not decodable, no folder: each is told."""
    assert reason_of(SigningKey.load, tmp_path / "missing") == "no-file"
    assert reason_of(SigningKey.load, tmp_path) == "no-file"
    assert reason_of(SigningKey.load, key_file(tmp_path / "large", "#" * (1 << 20) + "##")) == "bad-key"
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes").chmod(0o600)
    assert reason_of(SigningKey.load, tmp_path / "bytes") == "bad-key"
    assert reason_of(SigningKey.make("x").save, tmp_path / "no" / "folder") == "no-file"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "ä", "x" * 201, "a\n"])
def test_names_of_keys(name: str) -> None:
    """A name that would break a line of a note is refused."""
    assert reason_of(SigningKey.make, name) == "bad-key"


def test_several_verifier_keys() -> None:
    """One a line, each once, with remarks; not none, and not seventeen."""
    keys = [str(SigningKey.make(f"key-{place}").verifiers[0]) for place in range(17)]
    text = f"# ours\n\n{keys[0]}\n  {keys[1]}  \n{keys[0]}\n"
    assert [str(key) for key in parse_verifier_keys(text)] == keys[:2]
    assert reason_of(parse_verifier_keys, "# nothing\n") == "bad-key"
    assert len(parse_verifier_keys("\n".join(keys[:16]))) == 16
    assert reason_of(parse_verifier_keys, "\n".join(keys)) == "bad-key"


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    """Neither text nor pickle of a key has its secret."""
    key = SigningKey.load(key_file(tmp_path / "go", GO_SECRET))
    assert repr(key) == str(key) == "<SigningKey PeterNeumann, Ed25519>"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


def test_without_cryptography_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who did not install it learns what to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    with pytest.raises(SignatureError, match=r"hashmatch\[evidence\]") as caught:
        module("asymmetric.ed25519")
    assert caught.value.reason == "no-cryptography"
