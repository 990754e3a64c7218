"""Mapped index files that change while they are in use, and files that are copied instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch import HashValue, Matcher, ReferenceList, profiles
from hashmatch.errors import IndexFormatError
from hashmatch.index import MultiIndex
from hashmatch.index.storage import read_index_stream
from hashmatch.store import held, upkeep
from hashmatch.store.held import HeldFile, recheck
from hashmatch.store.upkeep import Pace
from support.followers import matches, until
from support.list_makers import made_up_entries

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files are read again at a place")

CROPS = replace(profiles.THOROUGH, keypoints=None)
FAST_RATE = 1 << 30


def overwrite(file: Path, at: int = 4096) -> None:
    """Change bytes of a file in place, and leave its length and time as they were, as a disk would."""
    file.chmod(0o600)
    before = file.stat()
    with open(file, "r+b") as stream:
        stream.seek(at)
        old = stream.read(8192)
        stream.seek(at)
        stream.write(bytes(byte ^ 1 for byte in old))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("which", ["*.index", "*.crops"])
def test_a_change_that_keeps_length_and_time_is_found(path: Path, folder: Path, which: str) -> None:
    """A watch compares all of what is mapped within the time that size and rate give, and makes another file."""
    with Matcher.open(path, index_folder=folder, policy=CROPS, reload_every=0.01, recheck_rate=FAST_RATE) as matcher:
        assert until(lambda: matcher.upkeep.rechecked > 0)
        (file,) = folder.glob(which)
        size = sum(item.stat().st_size for item in folder.glob("[!.]*"))
        good, before = file.read_bytes(), matcher.upkeep.rechecked
        overwrite(file)
        assert until(lambda: matcher.upkeep.damaged == 1)
        assert matcher.upkeep.rechecked - before <= 8 * size, "some rounds, not many"
        assert until(lambda: not matcher._snapshots[0].is_spoilt)
        assert all(matches(matcher, number) for number in range(0, 3000, 50))
        (made,) = folder.glob(which)
        assert made.read_bytes() == good
        assert matcher.upkeep.failures == 0


def test_where_no_other_can_be_made_nothing_is_said(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A changed file is not believed for its note, and raises for as long as there is no other; then answers come."""
    with monkeypatch.context() as patch, Matcher.open(path, index_folder=folder) as matcher:
        (file,) = folder.glob("*.index")
        overwrite(file)

        def fails(*_: object, **__: object) -> None:
            raise OSError("made up")

        patch.setattr("hashmatch.store.hash_rows.HashFiles.make", fails)
        with matcher.watch(0.01, recheck_rate=FAST_RATE):
            assert until(lambda: matcher.upkeep.failures > 2)
            for number in range(20):
                with pytest.raises(IndexFormatError, match="changed in place"):
                    matches(matcher, number)
            patch.undo()
            assert until(lambda: matcher.upkeep.error is None)
            assert all(matches(matcher, number) for number in range(20))
    said = [record.getMessage() for record in caplog.records]
    assert sum("made anew" in text for text in said) == 1


def test_nothing_is_compared_at_rate_0(path: Path, folder: Path) -> None:
    """A rate of 0 reads nothing; a negative one, a fraction, and one without a watch are refused."""
    with Matcher.open(path, index_folder=folder, reload_every=0.005, recheck_rate=0) as matcher:
        assert until(lambda: matcher.upkeep.looks > 20)
        assert matcher.upkeep.rechecked == 0
    with pytest.raises(ValueError, match="0 or more"):
        Matcher.open(path, index_folder=folder, reload_every=1, recheck_rate=-1)
    with pytest.raises(TypeError, match="integer"):
        Matcher.open(path, index_folder=folder, reload_every=1, recheck_rate=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reload_every"):
        Matcher.open(path, index_folder=folder, recheck_rate=1)


def test_the_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the pieces and the steps, what is read is what the rate allows; a short round is not hurried through."""
    now = [0.0]
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now[0])
    for size, step in ((1 << 20, 0.001), (1 << 20, 0.25), (4096, 0.25), (1 << 20, 60.0)):
        pieces: Iterator[int] = iter(lambda size=size: size, 0)  # type: ignore[misc]
        pace, done, began = Pace(pieces, 4 << 20, at=now[0]), 0, now[0]
        while now[0] - began < 600:
            now[0] += step
            done += pace.go_on()
        due = 4 * 600 << 20
        # steps longer than those of the watch are no debt
        assert done <= due + 2 * size
        assert step > 1 or done >= due - (1 << 21)
    rounds: Iterator[int] = iter([100, 0] * 10)
    short = Pace(rounds, 4 << 20, at=now[0])
    now[0] += 10
    assert short.go_on() == 100


def test_a_file_that_is_given_back_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a round a file is closed as soon as nobody else uses it."""
    monkeypatch.setattr(held, "_BLOCK", 1024)
    rng = np.random.default_rng(1)
    MultiIndex.build(rng.integers(0, 256, (2_000, 32), dtype=np.uint8)).save(tmp_path / "index")
    with open(tmp_path / "index", "rb") as stream:
        file = HeldFile(stream, tmp_path / "index")
        file.checksums = read_index_stream(stream, verify="header").checksums
    assert sum(length for _, length, _ in file.checksums) == (tmp_path / "index").stat().st_size
    files, damaged = [file], list[HeldFile]()
    reading = recheck(lambda: files, damaged.append)
    whole = 0
    while read := next(reading):
        whole += read
    assert whole == (tmp_path / "index").stat().st_size
    next(reading)
    descriptor = file._descriptor
    files.clear()
    del file
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)
    assert [next(reading), next(reading)] == [0, 0]
    assert not damaged


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is mapped")
@pytest.mark.parametrize("policy", [profiles.FAST, CROPS])
def test_copied_files_may_be_cut(path: Path, folder: Path, policy: object) -> None:
    """With ``map_files=False`` nothing is mapped or held, and whatever becomes of the files answers stay right."""
    options = {"index_folder": folder, "policy": policy, "map_files": False}
    Matcher.open(path, **options).close()  # type: ignore[arg-type]
    with Matcher.open(path, **options) as matcher:  # type: ignore[arg-type]
        assert f"{folder}/" not in Path("/proc/self/maps").read_text(encoding="utf-8")
        assert not matcher._snapshots[0].held_files
        for file in folder.glob("[!.]*"):
            file.chmod(0o600)
            os.truncate(file, 0)
        assert all(matches(matcher, number) for number in range(0, 3000, 50))
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many(made_up_entries(1, first=5000))
        matcher.reload()
        assert matches(matcher, 5000)
        assert matches(matcher, 5)
    with pytest.raises(ValueError, match="index_folder"):
        Matcher.open(path, map_files=False)


def test_a_copied_file_is_checked_whatever_is_noted(path: Path, folder: Path) -> None:
    """What is copied is compared with its checksums each time, so that damage never answers."""
    Matcher.open(path, index_folder=folder).close()
    (file,) = folder.glob("*.index")
    good = file.read_bytes()
    overwrite(file, len(good) // 2)
    with Matcher.open(path, index_folder=folder, map_files=False) as matcher:
        assert all(matches(matcher, number) for number in range(0, 3000, 50))
    (file,) = folder.glob("*.index")
    assert file.read_bytes() == good


def test_nobody_writes_to_an_index_file_by_mistake(path: Path, folder: Path) -> None:
    """Index files are read-only for their owner too: a copy over one, which would end its readers, is refused."""
    Matcher.open(path, index_folder=folder, policy=CROPS).close()
    found = list(folder.glob("[!.]*"))
    assert len(found) == 2
    for file in found:
        assert file.stat().st_mode & 0o222 == 0
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                open(file, "r+b").close()


def test_a_cut_file_that_is_only_counted_raises(path: Path, folder: Path) -> None:
    """Files that no search reads are looked at too, before anything is counted in them."""
    value = HashValue.parse("photodna:" + bytes(range(144)).hex())
    with ReferenceList.open(path, writable=True) as ref:
        for number in range(200):
            ref.add(f"stored-{number}", hashes=[value])
    with Matcher.open(path, index_folder=folder) as matcher:
        (file,) = folder.glob("*.photodna.index")
        file.chmod(0o600)
        os.truncate(file, 0)
        with pytest.raises(IndexFormatError, match="changed in place"):
            matches(matcher, 5)
        matcher.reload()
        assert matches(matcher, 5)
