"""Laws of the facade: what `hash_image` and `fingerprint` ask of a source, and how they fail."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from hashmatch import DecodePolicy, fingerprint, hash_image
from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.hashers.pdq import PDQHasher
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture

FRAMES = [picture("photo", seed, size=(70, 90)) for seed in (1, 2, 3)]


def test_hash_image_needs_the_first_frame_only() -> None:
    """Whatever the policy says of frames, a later frame that is broken or over a limit does not matter."""
    stream = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in FRAMES)
    first.save(stream, "GIF", save_all=True, append_images=others)
    data = stream.getvalue()
    every = DecodePolicy(frames="all", max_frames=2)
    assert hash_image(data, decode=every) == hash_image(data)
    with pytest.raises(ImageTooLargeError):
        fingerprint(data, decode=every)


def test_too_little_memory_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that cannot be hashed for lack of memory is refused like one that cannot be decoded for it."""

    def exhausted(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr(PDQHasher, "hash_pixels", exhausted)
    with pytest.raises(ImageTooLargeError) as caught:
        hash_image(np.zeros((64, 64, 3), np.uint8))
    assert caught.value.reason == "out-of-memory"
    assert caught.value.__context__ is None, "the cause would keep the pixels alive"


def test_digests_of_a_file_have_no_limit() -> None:
    """A digest alone is made of a file of any size; with a hash of pixels beside it the limit holds."""
    data = encode(FRAMES[0], "PNG") + bytes(5_000)
    small = DecodePolicy(max_bytes=1_000)
    found = fingerprint(data, ("sha256", "md5"), decode=small)
    assert [item.value.data for item in found.view_hashes] == [
        hashlib.new(name, data, usedforsecurity=False).digest() for name in ("sha256", "md5")
    ]
    assert hash_image(io.BytesIO(data), "sha1", decode=small) == hash_image(data, "sha1")
    with pytest.raises(ImageTooLargeError) as caught:
        fingerprint(data, ("md5", "pdq"), decode=small)
    assert caught.value.reason == "too-many-bytes"
    with pytest.raises(UnreadableImageError) as refused:
        fingerprint(bytes(5_000), ("md5", "pdq"), decode=small)
    assert refused.value.reason == "not-an-image"
