"""Keys for tests, and what a refused call says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.errors import SignatureError

# the example of golang.org/x/mod/sumdb/note: its public key, and the key file that Go makes of it
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # noqa: S105 - of an example


def reason_of(call: Callable[..., object], *args: object, **named: object) -> str:
    """Reason of the error that a call raises."""
    with pytest.raises(SignatureError) as caught:
        call(*args, **named)
    return caught.value.reason


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a key file of any content."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path
