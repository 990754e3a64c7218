"""Feedback beside a list: nothing is lost silently, whatever happens to the file or the list."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import HashFormatError, ReferenceListError
from hashmatch.lists import ReferenceList
from hashmatch.lists.feedback import Feedback, FeedbackLog, add_feedback, feedback_path, read_feedback
from support.list_makers import made_list


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list."""
    return made_list(tmp_path / "list")


def test_verdicts_are_kept_in_order(path: Path) -> None:
    """With everything that was said; the last one of an entry and algorithm holds."""
    assert read_feedback(path) == FeedbackLog()
    first = add_feedback(path, "entry-1", True, reason="seen", who="desk 3", when=1_700_000_000)
    second = add_feedback(path, "entry-1", False, when=1_700_000_001)
    third = add_feedback(path, "entry-1", True, algorithm="PDQ")
    log = read_feedback(path)
    assert log.items == (first, second, third)
    assert not log.damaged
    assert first.at == "2023-11-14T22:13:20Z"
    assert log.latest() == {("entry-1", None): second, ("entry-1", "pdq"): third}


def test_only_the_owner_reads_it(path: Path) -> None:
    """It says who said what."""
    add_feedback(path, "entry-1", True)
    assert stat.S_IMODE(feedback_path(path).stat().st_mode) == 0o600


def test_it_survives_replacement_and_stands_beside_what_a_link_leads_to(path: Path, tmp_path: Path) -> None:
    """It is no part of the list, and the list no part of it."""
    add_feedback(path, "entry-1", False)
    with ReferenceList.open(path, check="full"):
        pass
    new = made_list(tmp_path / "new", 3)
    ReferenceList.replace(path, new, force=True)
    with ReferenceList.open(path, check="full") as ref:
        assert len(ref) == 3
    assert len(read_feedback(path).items) == 1
    link = tmp_path / "link"
    link.symlink_to(path)
    add_feedback(link, "entry-2", True)
    assert len(read_feedback(path).items) == 2


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_cut_short_is_told_and_harms_no_other(path: Path, kept: int) -> None:
    """Neither the lines before it nor those that are added later."""
    add_feedback(path, "entry-1", True)
    whole = feedback_path(path).read_bytes()
    feedback_path(path).write_bytes(whole + whole[:kept])
    log = read_feedback(path)
    assert (len(log.items), log.damaged, log.cut) == (1, (2,), True)
    add_feedback(path, "entry-2", False)
    log = read_feedback(path)
    assert [item.entry_id for item in log.items] == (["entry-1"] * (1 + (kept == -1)) + ["entry-2"])
    assert (log.damaged, log.cut) == (() if kept == -1 else (2,), False)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_told(place: int, flip: int) -> None:
    """No line reads as another than was written."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        made = [add_feedback(path, f"entry-{i}", True, reason="r", when=i) for i in range(3)]
        data = bytearray(feedback_path(path).read_bytes())
        data[place % len(data)] ^= flip
        feedback_path(path).write_bytes(data)
        log = read_feedback(path)
        assert set(log.items) < set(made)
        assert log.damaged


def test_threads_lose_nothing(path: Path) -> None:
    """Writers wait for each other."""

    def write(number: int) -> None:
        for k in range(10):
            add_feedback(path, f"e-{number}-{k}", True)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = read_feedback(path)
    assert not log.damaged
    assert len({item.entry_id for item in log.items}) == 80


def test_a_write_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk cuts nothing."""
    add_feedback(path, "entry-1", True)
    before = feedback_path(path).read_bytes()
    real = os.write

    def full(number: int, data: bytes) -> int:
        real(number, data[:10])
        raise OSError(28, "no space")

    monkeypatch.setattr("hashmatch.lists.feedback.os.write", full)
    with pytest.raises(ReferenceListError, match="cannot be written"):
        add_feedback(path, "entry-2", True)
    monkeypatch.undo()
    assert feedback_path(path).read_bytes() == before


@pytest.mark.parametrize(
    "what",
    [
        {"entry_id": ""},
        {"entry_id": "a\nb"},
        {"reason": "x" * 1_025},
        {"reason": "a\nb"},
        {"who": "x" * 257},
        {"when": -1},
        {"when": True},
        {"algorithm": "no-such"},
    ],
)
def test_what_cannot_be_kept_is_refused(path: Path, what: dict[str, object]) -> None:
    """With a typed error, and no file is made."""
    given = {"entry_id": "entry-1", "verdict": True, **what}
    with pytest.raises((ReferenceListError, HashFormatError)):
        add_feedback(path, **given)  # type: ignore[arg-type]
    assert not feedback_path(path).exists()
    with pytest.raises(TypeError, match="a verdict is bool"):
        Feedback(entry_id="e", verdict="true", when=1)  # type: ignore[arg-type]


def test_foreign_things_in_its_place(path: Path, tmp_path: Path) -> None:
    """A link, folder or pipe is not followed, read or waited for."""
    target = tmp_path / "target"
    feedback_path(path).symlink_to(target)
    with pytest.raises(ReferenceListError):
        add_feedback(path, "entry-1", True)
    assert not target.exists()
    feedback_path(path).unlink()
    os.mkfifo(feedback_path(path))
    with pytest.raises(ReferenceListError, match="no regular file"):
        read_feedback(path)
    feedback_path(path).unlink()
    feedback_path(path).mkdir()
    with pytest.raises(ReferenceListError):
        read_feedback(path)
