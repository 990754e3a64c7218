"""What must hold for bad input, from the outside: a typed answer that says what to do, and nothing else lost."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, Outcome, ReferenceList, hash_image
from hashmatch.errors import ImageError, ImageTooLargeError, IndexFormatError, ReferenceListError
from hashmatch.index import MultiIndex
from hashmatch.picture.encode import encode
from hashmatch.synthetic import picture

PHOTO = picture("photo", 21, size=(160, 200))


def png_header(width: int, height: int) -> bytes:
    """Make a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def bad_sources(folder: Path) -> dict[str, tuple[object, str]]:
    """Make every kind of bad picture, with the reason it must be given."""
    text = folder / "text.jpg"
    text.write_text("this is a text file")
    (folder / "empty.png").write_bytes(b"")
    return {
        "directory": (folder, "is-a-directory"),
        "missing": (folder / "nowhere.png", "not-found"),
        "empty": (folder / "empty.png", "empty"),
        "text": (text, "not-an-image"),
        "truncated": (encode(PHOTO, "JPEG")[:3000], "truncated"),
        "bomb": (png_header(60_000, 60_000), "too-many-pixels"),
        "tagged": (encode(PHOTO, "TIFF"), "format-not-allowed"),
        "unread": (b"8BPS\0\1" + bytes(99), "format-not-read"),
    }


KINDS = ["directory", "missing", "empty", "text", "truncated", "bomb", "tagged", "unread"]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list that knows one photo."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("photo", hashes=[hash_image(PHOTO)])
    return tmp_path / "list.hashmatch"


@pytest.mark.parametrize("kind", KINDS)
def test_bad_pictures_are_typed_errors_and_outcomes(kind: str, tmp_path: Path, listed: Path) -> None:
    """Hashing raises the typed error with its reason; matching answers unreadable and goes on with the next."""
    source, reason = bad_sources(tmp_path)[kind]
    with pytest.raises(ImageError) as caught:
        hash_image(source)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert len(str(caught.value)) > 20, "the message says what to do"
    assert str(tmp_path) not in str(caught.value)
    with Matcher.open(listed) as matcher:
        reports = list(matcher.match_many([source, PHOTO]))  # type: ignore[list-item]
    assert (reports[0].outcome, reports[0].reason) == (Outcome.UNREADABLE, reason)
    assert reports[1].outcome is Outcome.MATCH


def test_a_huge_header_costs_no_memory(tmp_path: Path) -> None:
    """A 60,000 x 60,000 picture is refused by a process that may not use more than 1 GiB more than it has."""
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(60_000, 60_000))
    code = f"""
import resource
from hashmatch import errors, hash_image
import numpy as np
hash_image(np.zeros((64, 64, 3), np.uint8))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
try:
    hash_image({str(path)!r})
except errors.ImageTooLargeError as error:
    print(error.reason)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "too-many-pixels", done.stderr
    with pytest.raises(ImageTooLargeError, match="pixel"):
        hash_image(path)


def test_a_damaged_list_is_refused_or_unharmed(listed: Path) -> None:
    """Wherever a page of the list is damaged, opening and searching it is a typed error or the right answer."""
    whole = listed.read_bytes()
    query = hash_image(PHOTO)
    refused = 0
    for at in range(0, len(whole), 97):
        listed.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            with Matcher.open(listed) as matcher:
                report = matcher.match_hash(query)
        except ReferenceListError:
            refused += 1
        else:
            assert [match.entry_id for match in report.matches] == ["photo"]
    assert refused > 5
    for length in (0, 1, 100, 4096, len(whole) // 2, len(whole) - 1):
        listed.write_bytes(whole[:length])
        with pytest.raises(ReferenceListError):
            Matcher.open(listed)


def test_a_list_of_another_version_says_so(listed: Path) -> None:
    """A list of a later format is refused with its version and advice."""
    data = bytearray(listed.read_bytes())
    data[60:64] = struct.pack(">I", 99)  # SQLite's user_version
    listed.write_bytes(data)
    with pytest.raises(ReferenceListError, match="99"):
        Matcher.open(listed)


def test_an_index_file_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    """No changed byte of an index file goes unnoticed."""
    codes = np.random.default_rng(5).integers(0, 256, (20, 8), dtype=np.uint8)
    path = tmp_path / "codes.index"
    MultiIndex.build(codes, radius=4).save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(IndexFormatError, match="list"):
            MultiIndex.load(path)
    path.write_bytes(whole)
    assert len(MultiIndex.load(path)) == 20


def test_a_bad_file_in_a_scan_loses_nothing_else(tmp_path: Path, listed: Path) -> None:
    """From the command line: every bad file is counted with its reason, and the good one is found."""
    folder = tmp_path / "files"
    folder.mkdir()
    for kind, (source, _) in bad_sources(folder).items():
        if isinstance(source, bytes):
            (folder / kind).write_bytes(source)
    (folder / "good.png").write_bytes(encode(PHOTO, "PNG"))
    done = subprocess.run(
        [sys.executable, "-m", "hashmatch", "scan", str(folder), "-l", str(listed), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["outcomes"]["match"] == 2, "the TIFF is decoded in a worker"
    assert summary["reasons"] == {
        "empty": 1,
        "format-not-read": 1,
        "not-an-image": 1,
        "too-many-pixels": 1,
        "truncated": 1,
    }
