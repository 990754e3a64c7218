"""Files come to their path whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashmatch.index.atomic import AtomicFile


def test_a_finished_file_is_there_and_its_owners_alone(tmp_path: Path) -> None:
    """Nothing stands beside it; the permissions are those that were asked for, whatever the umask."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    file = AtomicFile(path)
    with file as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
        file.finish()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        shared = AtomicFile(path, mode=0o640)
        with shared:
            shared.finish(read_only=True)
        assert path.stat().st_mode & 0o777 == 0o440


@pytest.mark.parametrize("name", ["file", ".file.checked"])
@pytest.mark.parametrize("error", [None, OSError, KeyboardInterrupt])
def test_a_file_that_is_not_finished_leaves_the_old_one(
    tmp_path: Path, name: str, error: type[BaseException] | None
) -> None:
    """Whatever ends the writing; the part has one dot before its name."""
    path = tmp_path / name
    path.write_bytes(b"old")

    def write() -> None:
        file = AtomicFile(path)
        with file as stream:
            stream.write(b"new")
            assert file.part.exists()
            assert file.part.name.startswith(f".{name.removeprefix('.')}.")
            if error is not None:
                raise error

    if error is None:
        write()
    else:
        with pytest.raises(error):
            write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["open", "fdopen", "fsync", "replace"])
def test_a_call_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A full disk at any step."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"hashmatch.index.atomic.os.{call}", full)

    def write() -> None:
        file = AtomicFile(path)
        with file as stream:
            stream.write(b"new")
            file.finish()

    with pytest.raises(OSError, match="No space"):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
