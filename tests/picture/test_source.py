"""`read_source`: whatever the picture is given as, the same bytes, within bounds."""

from __future__ import annotations

import io
import os
import traceback
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import ImageTooLargeError, UnreadableImageError
from hashmatch.picture import DecodePolicy, open_picture, read_source, read_whole, refusal_of

MARK = "secret-name-of-a-picture"


class Stream:
    """A binary file that counts what is read from it and gives little at a time."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.given = 0

    def read(self, n: int) -> bytes:
        """Give at most 7 bytes."""
        n = min(n, 7, self.left)
        self.left -= n
        self.given += n
        return bytes(n)


def test_every_form_gives_the_same_bytes(tmp_path: Path) -> None:
    """Bytes, bytearray, memoryview, path as str and as PathLike, open file and BytesIO: one content."""
    content = bytes(range(256)) * 10
    path = tmp_path / "file"
    path.write_bytes(content)
    for source in (content, bytearray(content), memoryview(content), str(path), path, io.BytesIO(content)):
        got = read_source(source)
        assert type(got) is bytes
        assert got == content
    with path.open("rb") as file:
        assert read_source(file) == content
        assert not file.closed


def test_a_binary_file_is_read_from_where_it_stands() -> None:
    """What was read before is not read again."""
    stream = io.BytesIO(b"0123456789")
    stream.seek(4)
    assert read_source(stream) == b"456789"


def test_pictures_and_arrays_have_no_bytes() -> None:
    """A PIL image and an array give None."""
    assert read_source(Image.new("L", (2, 2))) is None
    assert read_source(np.zeros((2, 2), np.uint8)) is None


@pytest.mark.parametrize("source", [None, 3, ["a"], object()])
def test_other_objects_are_type_errors(source: object) -> None:
    """What cannot be a picture is a TypeError that lists what can."""
    with pytest.raises(TypeError, match="bytes, a path"):
        read_source(source)  # type: ignore[arg-type]


def test_text_file_object_is_a_type_error() -> None:
    """A file opened as text is told to be opened in binary."""
    with pytest.raises(TypeError, match="rb"):
        read_source(io.StringIO("text"))  # type: ignore[arg-type]


def test_limit_is_inclusive_and_never_overread(tmp_path: Path) -> None:
    """Exactly the limit passes; beyond it at most one more byte is ever taken, and the error says so."""
    policy = DecodePolicy(max_bytes=50)
    assert read_source(Stream(50), policy) == bytes(50)  # type: ignore[arg-type]
    path = tmp_path / "file"
    path.write_bytes(bytes(51))
    stream = Stream(10**9)
    for source in (bytes(51), bytearray(51), memoryview(bytes(51)), path, io.BytesIO(bytes(51)), stream):
        with pytest.raises(ImageTooLargeError) as caught:
            read_source(source, policy)  # type: ignore[arg-type]
        assert caught.value.reason == "too-many-bytes"
    assert stream.given == 51


def test_what_a_path_can_do_wrong(tmp_path: Path) -> None:
    """Missing file, directory, file used as a directory, pipe and impossible name: each has its reason."""
    (tmp_path / MARK).write_bytes(b"x")
    (tmp_path / (MARK + "-dir")).mkdir()
    os.mkfifo(tmp_path / (MARK + "-pipe"))
    cases = {
        tmp_path / (MARK + "-missing"): "not-found",
        tmp_path / MARK / "below": "not-found",
        tmp_path / (MARK + "-dir"): "is-a-directory",
        tmp_path / (MARK + "-pipe"): "not-a-file",
        f"{MARK}\0": "not-found",
    }
    for path, reason in cases.items():
        with pytest.raises(UnreadableImageError) as caught:
            read_source(path)
        assert caught.value.reason == reason
        shown = "".join(traceback.format_exception(caught.value))
        assert MARK not in shown, "the name of the file came out"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(PermissionError(13, "no", MARK), "not-permitted"), (OSError(5, "I/O", MARK), "read-failed")],
)
def test_refusals_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: OSError, reason: str) -> None:
    """A file that may not or cannot be read has its reason, without the name."""

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableImageError) as caught:
        read_source(tmp_path / MARK)
    assert caught.value.reason == reason
    assert MARK not in str(caught.value)


def test_a_stream_that_breaks() -> None:
    """An input error of a file object is an unreadable picture."""

    class Broken(io.RawIOBase):
        def read(self, _: int = -1) -> bytes:
            raise OSError("cable pulled")

    with pytest.raises(UnreadableImageError) as caught:
        read_source(Broken())  # type: ignore[arg-type]
    assert caught.value.reason == "read-failed"


def test_no_bytes_and_no_picture(tmp_path: Path) -> None:
    """An empty file is "empty"; a text file is "not-an-image" whatever it is called."""
    text = tmp_path / "text.jpg"
    text.write_text("This is not a picture. " * 20)
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    for path, reason in ((text, "not-an-image"), (empty, "empty")):
        with pytest.raises(UnreadableImageError) as caught:
            open_picture(path)
        assert caught.value.reason == reason


def test_a_stream_that_gives_more_than_it_is_asked_for() -> None:
    """A file object that ignores the size it is asked for, and never ends, is given up at once."""

    class Flood:
        reads = 0

        def read(self, _: int) -> bytes:
            self.reads += 1
            return bytes(7) if self.reads < 50 else b""

    stream = Flood()
    with pytest.raises(ImageTooLargeError):
        read_source(stream, DecodePolicy(max_bytes=10))  # type: ignore[arg-type]
    assert stream.reads == 2


class Tap:
    """Keep what comes through."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def __call__(self, part: bytes | bytearray | memoryview) -> None:
        """Take a part."""
        self.parts.append(bytes(part))


@pytest.mark.parametrize("size", [0, 49, 50, 51, 2**20 + 50, 3 * 2**20])
def test_a_tap_gets_every_byte_of_any_size_once(tmp_path: Path, size: int) -> None:
    """Whatever a file is given as, all of it goes through the tap in order, and no more than the limit comes back."""
    policy = DecodePolicy(max_bytes=50)
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    grid = memoryview(b"".join(bytes((byte, 0)) for byte in content))[::2]
    for source in (content, bytearray(content), memoryview(content), grid, str(path), path, io.BytesIO(content)):
        tap = Tap()
        data, whole = read_whole(source, policy, tap)
        assert b"".join(tap.parts) == content
        assert whole == (size <= 50)
        assert data is not None
        assert content.startswith(data)
        assert (data == content) if whole else (50 < len(data) <= 2**16)
        assert max(map(len, tap.parts), default=0) <= 2**20


def test_a_file_over_the_limit_is_read_on_for_a_tap_only(tmp_path: Path) -> None:
    """Without a tap no more than the head of a large file is read, and not one byte of a stream beyond the limit."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: reading it all would take an hour
    data, whole = read_whole(path, DecodePolicy())
    assert (len(data or b"") <= 2**16 + 1, whole) == (True, False)
    stream = Stream(10**9)
    assert read_whole(stream, DecodePolicy(max_bytes=50)) == (bytes(51), False)  # type: ignore[arg-type]
    assert stream.given == 51


def test_a_long_file_is_not_held(tmp_path: Path) -> None:
    """A file or a stream over the limit goes through the tap in bounded memory, whatever its size."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    with path.open("rb") as stream:
        for source in (path, stream):
            sizes: list[int] = []
            tracemalloc.start()
            try:
                read_whole(source, DecodePolicy(max_bytes=2**20), lambda part, sizes=sizes: sizes.append(len(part)))
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert sum(sizes) == 200 * 2**20
            assert most < 8 * 2**20


@pytest.mark.parametrize("change", ["grows", "shrinks", "is touched"])
def test_a_long_file_that_changes_while_it_is_read(tmp_path: Path, change: str) -> None:
    """Its parts are of no one file: no digest of them counts, and one that grows for ever is given up."""
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 2**20))
    taken: list[int] = []

    def meddle(part: object) -> None:
        taken.append(len(part))  # type: ignore[arg-type]
        if change == "grows":
            with path.open("ab") as file:
                file.write(bytes(2**20))
        elif change == "shrinks":
            os.truncate(path, 2**20)
        else:
            os.utime(path, (1, 1))

    with pytest.raises(UnreadableImageError) as caught:
        read_whole(path, DecodePolicy(max_bytes=2**20), meddle)
    assert caught.value.reason == "changed"
    assert sum(taken) <= 5 * 2**20


def test_a_stream_that_breaks_beyond_the_limit() -> None:
    """What was read before counts for nothing: a digest of a part is no digest."""

    class Breaks(io.RawIOBase):
        left = 5

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            if not self.left:
                raise OSError("cable pulled")
            return bytes(size)

    with pytest.raises(UnreadableImageError) as caught:
        read_whole(Breaks(), DecodePolicy(max_bytes=50), lambda _: None)  # type: ignore[arg-type]
    assert caught.value.reason == "read-failed"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "not-an-image"),
        (bytes(100), "not-an-image"),
        (b"%PDF-1.7\n", "not-an-image"),
        (b"\x89PNG\r\n\x1a\n", "too-many-bytes"),
        (b"\xff\xd8\xff\xe0", "too-many-bytes"),
    ],
)
def test_the_head_of_a_large_file_says_whether_it_is_a_picture(head: bytes, reason: str) -> None:
    """A video is no picture, however large it is; a picture that is too large is one."""
    assert refusal_of(head, DecodePolicy(max_bytes=10)).reason == reason
