"""Digests of bytes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError
from hashmatch.hashers import DIGEST_ALGORITHMS, digest, digests

KNOWN = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}


@pytest.mark.parametrize("algorithm", DIGEST_ALGORITHMS)
def test_published_vectors(algorithm: str) -> None:
    """The digests of ``abc`` are those of RFC 1321 and FIPS 180-4."""
    assert str(digest(b"abc", algorithm.upper())) == f"{algorithm}:{KNOWN[algorithm]}"


@given(st.binary(max_size=300))
def test_digests_equal_hashlib(data: bytes) -> None:
    """All digests come in the order asked for and equal hashlib's, for any bytes-like object."""
    names = ("sha256", "md5", "sha1")
    expected = [hashlib.new(name, data, usedforsecurity=False).hexdigest() for name in names]
    assert [value.hex() for value in digests(data, names)] == expected
    assert [value.hex() for value in digests(memoryview(data), names)] == expected


def test_default_is_every_digest() -> None:
    """Without names all three digests come."""
    assert tuple(value.algorithm for value in digests(b"")) == DIGEST_ALGORITHMS


def test_what_is_not_a_digest_is_refused() -> None:
    """Other algorithms, opaque hashes, text and a bare name raise errors that say what is wrong."""
    with pytest.raises(HashFormatError, match="pdq is not a digest"):
        digest(b"", "pdq")
    with pytest.raises(HashFormatError, match="never computed"):
        digest(b"", "photodna")
    with pytest.raises(HashFormatError, match="not a known algorithm"):
        digest(b"", "crc32")
    with pytest.raises(TypeError):
        digest("text", "md5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sequence of names"):
        digests(b"", "md5")
