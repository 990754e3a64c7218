"""Replays: the same answers from kept hashes, or what differs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import Fingerprint, HashValue, Matcher, ReferenceList, fingerprint, profiles, synthetic
from hashmatch.audit import AuditLog, LogReader, Recorder, Replayed, replay_log
from hashmatch.hashes import ViewHash
from support.audit_makers import KEY

SAME_ELSEWHERE = """
import sys
from hashmatch.audit import LogReader, replay_log
with LogReader(sys.argv[1]) as reader:
    print([item.result for item in replay_log(reader, sys.argv[2:])].count("same"))
"""


def codes(count: int, seed: int = 5) -> list[HashValue]:
    """Make hashes."""
    rng = np.random.default_rng(seed)
    return [HashValue("pdq", rng.bytes(32)) for _ in range(count)]


def near(value: HashValue, bits: int) -> HashValue:
    """Change so many bits."""
    return HashValue("pdq", (int.from_bytes(value.data) ^ (1 << bits) - 1).to_bytes(32))


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    """Make two lists."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for place, path in enumerate(paths):
        with ReferenceList.create(path, name=path.name) as ref:
            for number, value in enumerate(codes(40, place)):
                ref.add(f"entry-{number}", hashes=[value], labels={"n": str(number)})
    return paths


def logged(folder: Path, lists: list[Path], policy: Any, count: int, *, keep: bool = True) -> Path:
    """Record answers for hashes near those of the first list, and far from all."""
    values = codes(40, 0)
    with AuditLog.create(folder, KEY) as log:
        recorder = Recorder(log, keep_hashes=keep)
        with Matcher.open(*lists, policy=policy, recorder=recorder) as matcher:
            for number in range(count):
                value = near(values[number % 40], number % 60)
                matcher.match_fingerprint(Fingerprint((ViewHash(value=value, quality=number % 101),)))
    return folder


def results(folder: Path, lists: list[Path]) -> list[Replayed]:
    """Replay all."""
    with LogReader(folder) as reader:
        return list(replay_log(reader, lists))


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_the_same_answers_here_and_in_another_process(tmp_path: Path, lists: list[Path], count: int) -> None:
    """Byte for byte; the lists may be named in any order, and copies of them."""
    folder = logged(tmp_path / "log", lists, profiles.STANDARD, count)
    found = results(folder, lists[::-1])
    assert [item.result for item in found] == ["same"] * count
    call = [sys.executable, "-c", SAME_ELSEWHERE, str(folder), *map(str, lists)]
    assert int(subprocess.run(call, check=True, capture_output=True, text=True).stdout) == count


def test_a_list_that_lacks_or_differs(tmp_path: Path, lists: list[Path]) -> None:
    """Which list it is, which version was searched and which is at hand."""
    folder = logged(tmp_path / "log", lists, profiles.FAST, 3)
    (first, *_) = results(folder, lists[:1])
    assert first.result == "list"
    assert "'two'" in first.what
    assert "not at hand" in first.what
    with ReferenceList.open(lists[0], writable=True) as ref:
        searched = ref.version
        ref.withdraw("entry-3")
    (first, *_) = results(folder, lists)
    assert first.result == "list"
    assert first.what.startswith(f"the list 'one' was searched in version {searched}: ")
    assert str(searched + 1) in first.what


def test_a_list_that_was_changed_apart(tmp_path: Path, lists: list[Path]) -> None:
    """A copy of the same version with other content is not the list that was searched."""
    shutil.copy(lists[0], tmp_path / "copy")
    for path, entry in ((lists[0], "entry-1"), (tmp_path / "copy", "entry-2")):
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw(entry)
    folder = logged(tmp_path / "log", lists, profiles.FAST, 1)
    assert [item.result for item in results(folder, lists)] == ["same"]
    (found,) = results(folder, [tmp_path / "copy", lists[1]])
    assert (found.result, "changed apart" in found.what) == ("list", True)


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.long)])
def test_an_earlier_version_of_a_list_that_keeps_its_history(tmp_path: Path, count: int) -> None:
    """Answers of both versions are given again, byte for byte."""
    path, values = tmp_path / "kept", codes(40, 0)
    with ReferenceList.create(path, name="kept", keep_history=True) as ref:
        for number, value in enumerate(values):
            ref.add(f"entry-{number}", hashes=[value])
    folder = logged(tmp_path / "log", [path], profiles.STANDARD, count)
    with ReferenceList.open(path, writable=True) as ref:
        for number in range(0, 40, 2):
            ref.withdraw(f"entry-{number}")
    log = AuditLog.open(folder, KEY)
    with log, Matcher.open(path, recorder=Recorder(log, keep_hashes=True)) as matcher:
        after = [matcher.match_hash(value, quality=90).outcome.value for value in values]
    assert after.count("match") == 20
    assert [item.result for item in results(folder, [path])] == ["same"] * (count + 40)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["kept", "log"]


def test_what_kept_no_hashes(tmp_path: Path, lists: list[Path]) -> None:
    """Is told, record by record."""
    folder = logged(tmp_path / "log", lists, profiles.FAST, 2, keep=False)
    assert [item.result for item in results(folder, lists)] == ["no-hashes"] * 2


def test_another_software(tmp_path: Path, lists: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names both versions, and whether the answer is the same."""
    monkeypatch.setattr("hashmatch.matching.answer._SOFTWARE", "hashmatch 0.0.1")
    folder = logged(tmp_path / "log", lists, profiles.FAST, 2)
    monkeypatch.undo()
    found = results(folder, lists)
    assert [item.result for item in found] == ["software"] * 2
    assert "hashmatch 0.0.1" in found[0].what
    assert found[0].what.endswith("the answer is the same")


def test_a_policy_that_this_version_does_not_know(
    tmp_path: Path, lists: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says what it does not know."""
    whole = type(profiles.FAST).to_dict
    monkeypatch.setattr(type(profiles.FAST), "to_dict", lambda self: whole(self) | {"later": 1})
    folder = logged(tmp_path / "log", lists, profiles.FAST, 1)
    monkeypatch.undo()
    (found,) = results(folder, lists)
    assert found.result == "policy"
    assert "'later'" in found.what


def test_an_answer_that_is_not_what_was_recorded(tmp_path: Path, lists: list[Path]) -> None:
    """If nothing that is recorded differs, that is said."""
    folder = tmp_path / "log"
    with AuditLog.create(folder, KEY) as log, Matcher.open(*lists, policy=profiles.FAST) as matcher:
        value = Fingerprint((ViewHash(value=codes(1, 0)[0], quality=90),))
        report = matcher.match_fingerprint(value)
        Recorder(log, keep_hashes=True).record(replace(report, quality=91), value, profiles.FAST)
    (found,) = results(folder, lists)
    assert found.result == "answer"


def test_pictures_by_standard_and_thorough(tmp_path: Path) -> None:
    """STANDARD's answers are given again whole; of THOROUGH what lives in memory is named."""
    stream = BytesIO()
    Image.fromarray(synthetic.picture("photo", 4, (200, 150))).save(stream, "PNG")
    with ReferenceList.create(tmp_path / "list", name="demo") as ref:
        ref.add("entry", fingerprint=fingerprint(stream.getvalue(), algorithms=("pdq", "md5")))
    for policy, expected in ((profiles.STANDARD, "same"), (profiles.THOROUGH, "memory")):
        folder = tmp_path / policy.name
        with AuditLog.create(folder, KEY) as log:
            recorder = Recorder(log, keep_hashes=True)
            with Matcher.open(tmp_path / "list", policy=policy, recorder=recorder) as matcher:
                matcher.match(stream.getvalue())
        (found,) = results(folder, [tmp_path / "list"])
        assert found.result == expected
    assert "crops" in found.what
