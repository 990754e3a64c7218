"""Putting another file in a list's place: old or new at every moment, whoever reads, writes or is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hashmatch import Matcher, Outcome, profiles
from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList, replacing
from hashmatch.lists.file import beside
from support.list_makers import ids_of, made_list, made_up, made_up_entries, side_files, written_and_killed

OLD, NEW = 5, 9
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def later(path: Path, count: int = NEW - OLD) -> Path:
    """Make a later version of a list beside it."""
    new = Path(shutil.copyfile(path, path.with_name("new.hashmatch")))
    with ReferenceList.open(new, writable=True) as ref:
        for entry in made_up_entries(count, 1_000):
            ref.add_many([entry])
    return new


def test_a_later_version_takes_the_place(tmp_path: Path) -> None:
    """The new file is copied with its content and the old one's permissions, and stays; nothing is left behind."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    path.chmod(0o640)
    new = later(path)
    before = new.read_bytes()
    info = ReferenceList.replace(path, new)
    assert (info.entries, info.version) == (NEW, 5)
    assert len(ids_of(path)) == NEW
    assert path.stat().st_mode & 0o777 == 0o640
    assert new.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["list.hashmatch", "new.hashmatch"]


def test_what_must_not_take_the_place(tmp_path: Path) -> None:
    """Another list, an earlier version, a copy that was changed apart and a damaged file are refused; more by force."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    earlier = Path(shutil.copyfile(path, tmp_path / "earlier.hashmatch"))
    apart = Path(shutil.copyfile(path, tmp_path / "apart.hashmatch"))
    other = made_list(tmp_path / "other.hashmatch", 2)
    for file, number in ((path, 50), (apart, 60)):
        with ReferenceList.open(file, writable=True) as ref:
            ref.add(f"entry-{number}", hashes=[made_up(number)])
    damaged = tmp_path / "damaged.hashmatch"
    data = bytearray(path.read_bytes())
    data[data.index(made_up(3).data)] ^= 1
    damaged.write_bytes(data)
    before = path.read_bytes()
    for file, match in (
        (other, "another list"),
        (earlier, "would replace version 2"),
        (apart, "changed apart"),
        (damaged, "damaged"),
        (tmp_path / "missing", "no list file"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(ReferenceListError, match=match):
            ReferenceList.replace(path, file)
        assert ids_of(path) == sorted(["entry-50", *(f"entry-{i}" for i in range(OLD))])
    assert path.read_bytes()[100:] == before[100:]
    with pytest.raises(ReferenceListError, match="damaged"):
        ReferenceList.replace(path, damaged, force=True)
    for file in (other, apart, earlier):
        ReferenceList.replace(path, file, force=True)
        assert ids_of(path) == ids_of(file)
    assert not [item for item in tmp_path.iterdir() if item.name.startswith(".")]


def answer(ref: ReferenceList) -> object:
    """Count a list's entries, or give the error's text."""
    try:
        return len(ref)
    except ReferenceListError as error:
        return str(error)


@pytest.mark.parametrize("who", ["killed", "reader", "writer", "reader that outlived a writer"])
def test_whatever_stands_beside_the_old_file(tmp_path: Path, who: str) -> None:
    """A killed writer's log, and readers and writers that go on, never touch the new file."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    new = later(path, 4)
    with contextlib.ExitStack() as users:
        if who == "killed":
            written_and_killed(path)
        if who.startswith("reader"):
            users.enter_context(ReferenceList.open(path))
        user = None
        if who != "killed":
            user = users.enter_context(ReferenceList.open(path, writable=who == "writer"))
            assert len(user) == OLD
        if who == "reader that outlived a writer":
            with ReferenceList.open(path, writable=True):
                assert user is not None
                assert len(user) == OLD
        ReferenceList.replace(path, new)
        assert side_files(path) == []
        assert len(ids_of(path)) == NEW
        with ReferenceList.open(path, writable=True) as writer:
            writer.add("latest", hashes=[made_up(3)])
            if user is not None:
                assert user.replaced
                if who == "writer":
                    with pytest.raises(ReferenceListError, match="replaced by another"):
                        user.add("lost", hashes=[made_up(4)])
                else:
                    assert answer(user) in (
                        OLD,
                        "the list file was replaced by another since it was opened: open it again",
                    )
            users.close()  # an old writer's closing does not take the new one's log away
            assert Path(f"{path}-wal").exists()
            assert len(writer) == NEW + 1
        assert len(ids_of(path)) == NEW + 1
        assert side_files(path) == []


def test_a_writer_of_the_old_file_is_waited_for(tmp_path: Path) -> None:
    """Nothing is replaced within a writer's transaction."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    new = later(path)
    with ReferenceList.open(path, writable=True) as ref:
        with ref.transaction():
            ref.add("entry-x", hashes=[made_up(1)])
            with pytest.raises(ReferenceListError, match="in use"):
                ReferenceList.replace(path, new, timeout=0.1)
        assert len(ref) == OLD + 1
    assert len(ids_of(path)) == OLD + 1


@pytest.mark.parametrize("user", ["killed", "reader", "writer"])
def test_a_list_replaced_by_hand_says_so(tmp_path: Path, user: str) -> None:
    """Where a log or shared memory of the old file stands there, nobody reads the new one, old users end well."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    new = later(path)
    with contextlib.ExitStack() as users:
        ref = None
        if user == "killed":
            written_and_killed(path)
        elif user == "writer":
            ref = users.enter_context(ReferenceList.open(path, writable=True))
        else:
            ref = users.enter_context(ReferenceList.open(path))
            with ReferenceList.open(path, writable=True):
                assert len(ref) == OLD
        os.replace(new, path)
        with pytest.raises(ReferenceListError, match="list recover"), ReferenceList.open(path):
            pass
        with pytest.raises(ReferenceListError, match="list recover"):
            ReferenceList.open(path, writable=True)
        if user == "writer":
            assert ref is not None
            with pytest.raises(ReferenceListError, match="replaced by another"):
                ref.add("lost", hashes=[made_up(4)])
        with pytest.raises(ReferenceListError):
            ReferenceList.recover(path, keep_log=True)
        assert ReferenceList.recover(path, keep_log=False).entries == NEW
        assert len(ids_of(path)) == NEW
    assert side_files(path) == []


def test_a_matcher_that_runs_says_so_or_takes_it_up(tmp_path: Path) -> None:
    """After a replacement by hand beside a log a reload fails; after one by the call it succeeds."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    new = later(path)
    copy = Path(shutil.copyfile(new, tmp_path / "kept.hashmatch"))
    with Matcher.open(path, policy=profiles.STANDARD) as matcher:
        written_and_killed(path)
        matcher.reload()
        os.replace(new, path)
        with pytest.raises(ReferenceListError, match="list recover"):
            matcher.reload()
        assert matcher.match_hash(made_up(1)).outcome is Outcome.MATCH
        ReferenceList.replace(path, copy, force=True)
        assert matcher.reload()
        assert matcher.match_hash(made_up(1_000)).outcome is Outcome.MATCH
        assert matcher.match_hash(made_up(1)).outcome is Outcome.MATCH


class Watched:
    """Stands in for the module ``os`` in what replaces lists: fails, or ends the process, at the n-th call."""

    def __init__(self, at: int, end: Any) -> None:
        self.left, self._end = at, end
        self.done: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        if name not in ("open", "write", "fsync", "replace", "unlink", "fchmod", "chmod", "chown"):
            return found

        def call(*given: Any, **options: Any) -> Any:
            self.left -= 1
            if name == "fsync":
                self.done.append(("fsync", os.fstat(given[0]).st_ino))
            if name == "replace":
                self.done.append(("rename", os.stat(given[0]).st_ino))
            if self.left == 0:
                self._end()
            return found(*given, **options)

        return call


def _fail() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("log", [False, True])
def test_failing_at_the_nth_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bool) -> None:
    """Whichever call fails, the list is the old one with its log or the new one, and can be opened for writing."""
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = made_list(folder / "list.hashmatch", OLD)
        new = later(path)
        with contextlib.ExitStack() as users:
            if log:
                written_and_killed(path, 2)
                users.enter_context(ReferenceList.open(path))
            watched = Watched(at, _fail)
            with monkeypatch.context() as patch:
                patch.setattr(beside, "os", watched)
                patch.setattr(replacing, "os", watched)
                with contextlib.suppress(ReferenceListError):
                    ReferenceList.replace(path, new)
            with ReferenceList.open(path, writable=True, check="full") as ref:
                assert len(ref) in (OLD + 2 * log, NEW)
        assert not [item for item in folder.iterdir() if item.name.startswith(".")]
        if watched.left > 0:
            assert len(ids_of(path)) == NEW
            break
    assert 5 < at < 99


@POSIX
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_the_nth_call(tmp_path: Path, log: bool) -> None:
    """Killed before any call, the next user has the old list with everything committed, or the new one; unasked."""
    seen = set()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = made_list(folder / "list.hashmatch", OLD)
        new = later(path)
        if log:
            written_and_killed(path, 2)
        child = os.fork()
        if child == 0:
            watched = Watched(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
            beside.os = replacing.os = watched  # type: ignore[attr-defined]
            with contextlib.suppress(ReferenceListError):
                ReferenceList.replace(path, new, force=True)
            os._exit(0)
        killed = os.waitpid(child, 0)[1] != 0
        for writable in (False, True):
            with ReferenceList.open(path, writable=writable, check="full", timeout=1) as ref:
                seen.add(len(ref))
        # of the tie that was being written
        assert len(side_files(path)) == len(list(folder.glob("list.hashmatch-tie.*"))) <= 1
        if not killed:
            break
    assert seen == {OLD + 2 * log, NEW}
    assert 5 < at < 99


def test_what_is_flushed_before_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the renaming that decides, the new file and the tie are on the disk; the folder is after it."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    new = later(path)
    watched = Watched(10_000, _fail)
    with monkeypatch.context() as patch:
        patch.setattr(beside, "os", watched)
        patch.setattr(replacing, "os", watched)
        ReferenceList.replace(path, new)
    number, folder = path.stat().st_ino, tmp_path.stat().st_ino
    decided = watched.done.index(("rename", number))
    assert ("fsync", number) in watched.done[:decided]
    (kind, tie), synced = watched.done[decided - 2 : decided]
    assert kind == "rename"
    assert synced == ("fsync", folder)
    assert ("fsync", tie) in watched.done[:decided]
    assert watched.done[decided + 1] == ("fsync", folder)


@POSIX
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_recovery_killed_at_the_nth_call(tmp_path: Path) -> None:
    """Killed before any call, a list with a log from elsewhere is refused as before, or has all the log held."""
    seen = set()
    pair = made_list(tmp_path / "list.hashmatch", OLD)
    written_and_killed(pair, 2)
    for at in range(1, 100):
        path = tmp_path / str(at) / "list.hashmatch"
        path.parent.mkdir()
        for ending in ("", "-wal"):
            shutil.copyfile(f"{pair}{ending}", f"{path}{ending}")
        child = os.fork()
        if child == 0:
            watched = Watched(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
            beside.os = replacing.os = watched  # type: ignore[attr-defined]
            ReferenceList.recover(path, keep_log=True)
            os._exit(0)
        killed = os.waitpid(child, 0)[1] != 0
        try:
            with ReferenceList.open(path, writable=True, check="full", timeout=0.1) as ref:
                seen.add(len(ref))
        except ReferenceListError:
            seen.add(0)
            assert ReferenceList.recover(path, keep_log=True).entries == OLD + 2
        if not killed:
            break
    assert seen == {0, OLD + 2}


READ = """
import sys, time
sys.path.insert(0, sys.argv[2])
from hashmatch import Matcher, Outcome
from support.list_makers import made_up

with Matcher.open(sys.argv[1]) as matcher, matcher.watch(0.01):
    print("ready", flush=True)
    until = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        assert matcher.match_hash(made_up(1)).outcome is Outcome.MATCH
        assert matcher.match_hash(made_up(77)).outcome is Outcome.NO_MATCH
    last = int(sys.stdin.readline())
    until = time.monotonic() + 60
    while matcher.match_hash(made_up(last)).outcome is not Outcome.MATCH:
        assert time.monotonic() < until, matcher.upkeep
        time.sleep(0.01)
"""


def test_replacing_beside_matchers_and_writers(tmp_path: Path) -> None:
    """Matchers of threads and processes answer right while a list is replaced, written and replaced again."""
    path = made_list(tmp_path / "list.hashmatch", OLD)
    command = [sys.executable, "-c", READ, str(path), str(Path(__file__).parents[1]), "4"]
    with contextlib.ExitStack() as stack:
        readers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        matcher = stack.enter_context(Matcher.open(path))
        stack.enter_context(matcher.watch(0.01))
        stop, wrong, asked = threading.Event(), [], [0, 0]

        def ask(place: int) -> None:
            while not stop.is_set():
                try:
                    outcomes = matcher.match_hash(made_up(1)).outcome, matcher.match_hash(made_up(77)).outcome
                except Exception as error:
                    wrong.append(repr(error))
                    return
                if outcomes != (Outcome.MATCH, Outcome.NO_MATCH):
                    wrong.append(str(outcomes))
                asked[place] += 1

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 4
        step, n_entries = 0, OLD
        while time.monotonic() < until:
            step += 1
            new = Path(shutil.copyfile(path, tmp_path / "new.hashmatch"))
            with ReferenceList.open(new, writable=True) as ref:
                ref.add(f"new-{step}", hashes=[made_up(1_000 + step)])
            ReferenceList.replace(path, new)
            with ReferenceList.open(path, writable=True) as ref:
                ref.add(f"more-{step}", hashes=[made_up(2_000 + step)])
            n_entries += 2
        assert len(ids_of(path)) == n_entries
        for reader in readers:
            assert reader.stdin is not None
            reader.stdin.write(f"{2_000 + step}\n")
            reader.stdin.flush()
        assert [reader.wait() for reader in readers] == [0, 0]
        stop.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert min(asked) > 0
        assert step > 1
