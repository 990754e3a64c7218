"""What of an index folder is believed, and that nothing waits for ever."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from hashmatch import Matcher, ReferenceList, profiles
from hashmatch.errors import HashmatchError, IndexFormatError, ReferenceListError
from hashmatch.store import index_file as kept
from hashmatch.store import locks, trust
from support.followers import matches
from support.list_makers import made_up_entries

pytestmark = pytest.mark.skipif(os.name != "posix", reason="users and rights as POSIX has them")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")

OTHER, GROUP = 54321, 54322


def file_of(folder: Path) -> Path:
    """Index file of PDQ."""
    (file,) = folder.glob("*.pdq.index")
    return file


@pytest.mark.parametrize("kind", ["link", "fifo", "writable", "folder"])
def test_only_regular_files_that_others_cannot_write(path: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    """A link, a FIFO and a file that others may write are not opened; another file takes their place."""
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    if kind == "writable":
        file.chmod(0o666)
    else:
        file.rename(tmp_path / "moved")
    if kind == "link":
        file.symlink_to(tmp_path / "moved")
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
        with pytest.raises(ReferenceListError):
            Matcher.open(path, index_folder=folder)
        return
    with Matcher.open(path, index_folder=folder) as matcher:
        assert matches(matcher, 5)
    assert trust.why_not_trusted(file.lstat(), folder) is None


@pytest.mark.parametrize("kind", ["link", "fifo", "held"])
def test_a_lock_that_is_none_is_an_error(
    path: Path, folder: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dangling link makes no file elsewhere; a FIFO and a holder that never goes on are not waited for."""
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)
    Matcher.open(path, index_folder=folder).close()
    lock = next(folder.glob(".*.lock"))
    file_of(folder).unlink()
    held = locks.file_lock(lock, wait=False)
    if kind == "held":
        assert held.__enter__()
    else:
        lock.unlink()
        if kind == "link":
            lock.symlink_to(tmp_path / "elsewhere")
        else:
            os.mkfifo(lock)
    with pytest.raises(ReferenceListError, match="index folder"):
        Matcher.open(path, index_folder=folder)
    assert not (tmp_path / "elsewhere").exists()
    if kind == "held":
        held.__exit__(None, None, None)
        Matcher.open(path, index_folder=folder).close()


def test_a_folder_that_others_may_write_is_refused(path: Path, folder: Path) -> None:
    """Whoever may write there decides what matches."""
    for mode in (0o770, 0o707, 0o1777):
        folder.chmod(mode)
        with pytest.raises(ReferenceListError, match="chmod go-w"):
            Matcher.open(path, index_folder=folder)
    folder.chmod(0o755)
    Matcher.open(path, index_folder=folder).close()


@pytest.mark.parametrize("change", ["cut", "overwritten", "grown"])
def test_a_file_changed_in_place_raises_and_is_made_anew(path: Path, folder: Path, change: str) -> None:
    """A search by a map that is no longer what was checked raises, never "no match"; a reload mends it."""
    with Matcher.open(path, index_folder=folder) as matcher:
        file = file_of(folder)
        file.chmod(0o600)
        if change == "cut":
            os.truncate(file, file.stat().st_size // 2)
        else:
            with open(file, "r+b") as stream:
                stream.seek(4096, os.SEEK_END if change == "grown" else os.SEEK_SET)
                stream.write(bytes(8192))
        with pytest.raises(IndexFormatError, match="changed in place"):
            matches(matcher, 5)
        matcher.reload()
        assert matches(matcher, 5)
        os.utime(file_of(folder))
        assert matches(matcher, 5), "a file that was only touched serves on"


@pytest.mark.parametrize("kind", ["writable", "link", "of-another", "of-other-bytes"])
def test_a_forged_note_is_not_believed(path: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    """That checksums fitted is believed of a user who may say it, of just this file; else all is compared again."""
    if kind == "of-another" and os.geteuid() != 0:
        pytest.skip("needs two users")
    Matcher.open(path, index_folder=folder).close()
    file = file_of(folder)
    file.chmod(0o600)
    note, before = kept.note_of(file), file.stat()
    with open(file, "r+b") as stream:  # damage, of which the note says that it fits
        stream.seek(-4096, os.SEEK_END)
        stream.write(bytes(b ^ 1 for b in file.read_bytes()[-4096:]))
    damaged = file.read_bytes()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    if kind != "of-other-bytes":
        identity = kept.identity_of(file)
        assert identity is not None
        kept.note(file, identity)
    if kind == "writable":
        note.chmod(0o666)
    elif kind == "link":
        note.rename(tmp_path / "note")
        note.symlink_to(tmp_path / "note")
    elif kind == "of-another":
        os.chown(note, OTHER, GROUP)
    with Matcher.open(path, index_folder=folder) as matcher:
        assert all(matches(matcher, number) for number in range(0, 3000, 100))
    assert file.read_bytes() != damaged, "it was made anew"


def test_thresholds_do_not_replace_each_others_files(path: Path, folder: Path) -> None:
    """Policies with other radii have files of their own, and neither is made again."""
    fast = profiles.FAST
    rules = [replace(rule, threshold=20) if rule.algorithm == "pdq" else rule for rule in fast.rules]
    wider = replace(fast, rules=tuple(rules))
    stamps = []
    for _ in range(2):
        for policy in (fast, wider):
            Matcher.open(path, index_folder=folder, policy=policy).close()
        stamps.append(sorted((file.name, file.stat().st_mtime_ns) for file in folder.glob("*.index")))
    assert len(stamps[0]) == 2
    assert stamps[0] == stamps[1]


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """Copy the list; both went on differently."""
    shutil.copyfile(path, tmp_path / "copy")
    for at, number in ((path, 5000), (tmp_path / "copy", 6000)):
        with ReferenceList.open(at, writable=True) as ref:
            ref.add_many(made_up_entries(1, first=number))
    return tmp_path / "copy"


def stamps(folder: Path) -> dict[str, int]:
    """When each index file was made."""
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("[!.]*")}


@pytest.mark.parametrize("crops", [False, True])
def test_two_copies_opened_in_turn_make_two_files(path: Path, copy: Path, folder: Path, crops: bool) -> None:
    """Two copies of a list that went on differently have a file each, made once."""
    policy = replace(profiles.THOROUGH, keypoints=None) if crops else profiles.FAST
    made = []
    for _ in range(5):
        for at, own, others in ((path, 5000, 6000), (copy, 6000, 5000)):
            with Matcher.open(at, index_folder=folder, policy=policy) as matcher:
                assert (matches(matcher, own), matches(matcher, others)) == (True, False)
        made.append(stamps(folder))
    assert len([name for name in made[0] if name.endswith(".index")]) == 2
    assert all(found == made[0] for found in made)


def test_copies_on_one_course_share_a_file(path: Path, folder: Path, tmp_path: Path) -> None:
    """A copy that is the same, or ahead, takes the file of the other; a list restored in its place makes it anew."""
    Matcher.open(path, index_folder=folder).close()
    made = stamps(folder)
    shutil.copyfile(path, tmp_path / "copy")
    with Matcher.open(tmp_path / "copy", index_folder=folder) as matcher:
        assert matches(matcher, 5)
    with ReferenceList.open(tmp_path / "copy", writable=True) as ref:
        ref.add_many(made_up_entries(1, first=6000))
    with Matcher.open(tmp_path / "copy", index_folder=folder) as matcher:
        assert matches(matcher, 6000)
    assert stamps(folder) == made
    path.unlink()
    with ReferenceList.open(tmp_path / "copy", writable=True) as ref:
        ref.withdraw("entry-5")
    with Matcher.open(tmp_path / "copy", index_folder=folder) as matcher:
        assert not matches(matcher, 5)
    assert stamps(folder) == made


def test_running_matchers_of_two_copies_leave_each_other_alone(path: Path, copy: Path, folder: Path) -> None:
    """Reloads of matchers of two copies make no files."""
    with Matcher.open(path, index_folder=folder) as one, Matcher.open(copy, index_folder=folder) as two:
        made = stamps(folder)
        for _ in range(5):
            for matcher, own, others in ((one, 5000, 6000), (two, 6000, 5000)):
                matcher.reload()
                assert matcher._keeper.wait(30)
                assert (matches(matcher, own), matches(matcher, others)) == (True, False)
        assert stamps(folder) == made


def as_user(does: object, user: int, group: int) -> int:
    """Do something in a child of another user; its exit code."""
    process = os.fork()
    if not process:
        code = 1
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            does()  # type: ignore[operator]
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@as_root
def test_an_importer_and_a_server_of_two_users() -> None:
    """The importer's files serve the group of a folder 2750; a user who may not read them is told, with what to do."""
    with tempfile.TemporaryDirectory() as name:  # the folders that pytest makes are closed to other users
        path, folder = Path(name, "list"), Path(name, "indexes")
        folder.mkdir()
        with ReferenceList.create(path, name="shared") as ref:
            ref.add_many(made_up_entries(3000))
        for at in (Path(name), folder, path):
            os.chown(at, OTHER, GROUP)
        Path(name).chmod(0o750)
        path.chmod(0o640)
        folder.chmod(0o2750)
        _share(path, folder)


def _share(path: Path, folder: Path) -> None:
    def importer() -> None:
        Matcher.open(path, index_folder=folder).close()

    def server() -> None:
        with Matcher.open(path, index_folder=folder) as matcher:
            assert matches(matcher, 5)

    def refused() -> None:
        with pytest.raises(ReferenceListError, match="uid 54323"):
            Matcher.open(path, index_folder=folder)

    assert as_user(importer, OTHER, GROUP) == 0
    assert file_of(folder).stat().st_mode & 0o777 == 0o440
    assert as_user(server, OTHER + 3, GROUP) == 0
    file_of(folder).chmod(0o600)
    assert as_user(refused, 54323, GROUP) == 0
    os.chown(file_of(folder), 54323, GROUP)
    with pytest.raises(IndexFormatError, match="another user"):
        trust.open_trusted(file_of(folder))
    os.chown(folder, 54323, GROUP)
    with pytest.raises(HashmatchError, match="belongs to another user"):
        Matcher.open(path, index_folder=folder)
