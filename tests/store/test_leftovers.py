"""A maker that is stopped leaves nothing; what a killed one left goes; unused files go when that is asked for."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import Matcher, ReferenceList, profiles
from hashmatch.cli.app import app
from hashmatch.index.storage import IndexWriter
from hashmatch.policy import MatchPolicy
from hashmatch.store import folder as files
from hashmatch.store import index_file as kept
from support.list_makers import made_up

resource = pytest.importorskip("resource")

CROPS = replace(profiles.THOROUGH, keypoints=None)


def wider() -> MatchPolicy:
    """Give a policy of another radius."""
    rules = [replace(rule, threshold=20) if rule.algorithm == "pdq" else rule for rule in profiles.FAST.rules]
    return replace(profiles.FAST, rules=tuple(rules))


def left(folder: Path) -> list[str]:
    """Names that are neither files in use, nor locks, nor notes."""
    return [file.name for file in folder.iterdir() if not file.name.endswith((".index", ".crops", ".lock", ".checked"))]


def built_in_a_child(path: Path, folder: Path, policy: str = "fast") -> int:
    """Run ``index build`` in a child; its exit status as `os.waitpid` has it."""
    process = os.fork()
    if not process:
        code = 99
        try:
            done = CliRunner().invoke(app, ["index", "build", str(path), "--folder", str(folder), "--policy", policy])
            code = done.exit_code
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    return os.waitpid(process, 0)[1]


def ends_in_the_midst(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let a signal arrive when a file is written but for its header."""

    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        pytest.fail("the signal was swallowed")

    monkeypatch.setattr(IndexWriter, "finish", stop)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_leaves_nothing(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end the command with nothing but its lock left; the next one makes the file."""
    with monkeypatch.context() as patched:
        ends_in_the_midst(patched, number)
        status = built_in_a_child(path, folder)
    assert os.waitstatus_to_exitcode(status) == 128 + number
    assert [file.suffix for file in folder.iterdir()] == [".lock"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert built_in_a_child(path, folder) == 0
    assert len(list(folder.glob("*.index"))) == 1


@pytest.mark.parametrize("share", [0.001, 0.1, 0.9])
def test_a_full_disk_leaves_nothing(path: Path, folder: Path, share: float) -> None:
    """A write that fails, of a spool or of the file itself, leaves the folder as it was, and says so."""
    assert built_in_a_child(path, folder) == 0
    bound = int(share * max(file.stat().st_size for file in folder.iterdir()))
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    process = os.fork()
    if not process:
        code = 99
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bound, bound))
            with ReferenceList.open(path) as ref:
                list(files.build_files(ref, CROPS, folder, again=True))
        except Exception as error:
            code = errno.EFBIG if "index folder" in str(error) else 98
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == errno.EFBIG
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


@pytest.mark.parametrize("by", ["open", "build"])
def test_what_a_killed_maker_left_goes(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Parts of any name go with the next opening or build by any policy; those of a maker that lives stay."""
    with monkeypatch.context() as patched:
        ends_in_the_midst(patched, signal.SIGKILL)
        status = built_in_a_child(path, folder)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    (part,) = folder.glob(".*.part")
    list_id = part.name.split(".")[1]
    older = [f".{list_id}.pdq.index.{'0' * 16}.part", f".{list_id}.pdq.0-0.crops.{'1' * 16}.part"]
    gone = [f".{list_id}.r9.pdq.index.checked", f".{list_id}.pdq.index.checked.{'2' * 16}.part"]
    foreign = [f".{'f' * 32}.pdq.index.{'3' * 16}.part"]
    for name in older + gone + foreign:
        (folder / name).touch()
    with kept.lock_of(folder / f"{list_id}.r8.pdq.index", wait=True):
        pass  # a lock that is free
    (folder / f".{list_id}.r8.pdq.index.{'4' * 16}.part").touch()
    with kept.lock_of(folder / f"{list_id}.r7.pdq.index", wait=True):
        living = folder / f".{list_id}.r7.pdq.index.{'5' * 16}.part"
        living.touch()
        if by == "open":
            Matcher.open(path, index_folder=folder, policy=wider()).close()
        else:
            with ReferenceList.open(path) as ref:
                list(files.build_files(ref, wider(), folder))
        assert sorted(left(folder)) == sorted([*foreign, living.name])


def test_unused_files_go_when_that_is_asked_for(path: Path, folder: Path) -> None:
    """``--clean`` removes files of other radii and former names, none that a process has mapped or another list's."""
    for policy in (wider(), CROPS):
        Matcher.open(path, index_folder=folder, policy=policy).close()
    narrow, full = sorted(folder.glob("*.index"), key=lambda file: ".r20." not in file.name)
    former = folder / f"{narrow.name.split('.')[0]}.pdq.index"
    former.write_bytes(narrow.read_bytes())
    former.chmod(0o600)
    other = folder / f"{'f' * 32}.pdq.index"
    other.touch(mode=0o600)

    def clean() -> list[str]:
        done = CliRunner().invoke(app, ["index", "build", str(path), "-f", str(folder), "-p", "thorough", "--clean"])
        assert done.exit_code == 0
        return [line.split()[1] for line in done.output.splitlines() if line.startswith("removed")]

    with Matcher.open(path, index_folder=folder, policy=wider()) as matcher:
        assert clean() == [former.name]
        assert matcher.match_hash(made_up(5)).matches
    assert clean() == [narrow.name]
    assert clean() == []
    assert full.exists()
    assert other.exists()
    assert len(list(folder.glob("*.crops"))) == 1
    assert not (folder / f".{narrow.name}.checked").exists()
