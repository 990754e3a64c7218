"""A matcher that follows its lists by itself: what it takes up, what it says when it cannot, and that it ends."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch import Matcher, ReferenceList
from hashmatch.errors import ReferenceListError
from hashmatch.store.upkeep import Keeper
from support.followers import matches, until
from support.list_makers import made_list, made_up, made_up_entries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of three entries."""
    return made_list(tmp_path / "list", 3)


@pytest.mark.parametrize("with_folder", [False, True])
def test_a_watch_takes_changes_up(path: Path, tmp_path: Path, with_folder: bool) -> None:
    """Additions, withdrawals and a file in place of the list are seen without a call."""
    folder = tmp_path if with_folder else None
    with Matcher.open(path, index_folder=folder, reload_every=0.01) as matcher:
        assert matcher.upkeep.watching
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many(made_up_entries(1, first=7))
            assert until(lambda: matches(matcher, 7))
            ref.withdraw("entry-7")
            assert until(lambda: not matches(matcher, 7))
            assert until(lambda: matcher.lists[0][1] == 3)
        with ReferenceList.create(tmp_path / "next", name="another") as ref:
            ref.add_many(made_up_entries(1, first=9))
        ReferenceList.replace(path, tmp_path / "next", force=True)
        assert until(lambda: matches(matcher, 9))
        assert matcher.lists[0][0] == "another"
        assert until(lambda: matcher.upkeep.reloads >= 3)
        assert matcher.upkeep.failures == 0
        json.dumps(matcher.upkeep.to_dict())
    assert not matcher.upkeep.watching
    assert "hashmatch-watch" not in [thread.name for thread in threading.enumerate()]


def test_a_look_that_finds_nothing_reloads_nothing(path: Path) -> None:
    """While nothing changes the cheap look is all that is done, after the first."""
    with Matcher.open(path) as matcher:
        calls = []
        matcher._keeper._reload = lambda: bool(calls.append(1))
        with matcher.watch(0.002):
            assert until(lambda: matcher.upkeep.looks > 20)
        assert len(calls) == 1
        looks = matcher.upkeep.looks
        time.sleep(0.02)
        assert matcher.upkeep.looks == looks, "the watch was stopped"


def test_what_goes_wrong_is_kept_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A list that is gone is an error that can be seen, said once, and over when the list is back."""
    content = path.read_bytes()
    with caplog.at_level(logging.WARNING, "hashmatch"), Matcher.open(path) as matcher, matcher.watch(0.005):
        path.unlink()
        assert until(lambda: matcher.upkeep.failures > 3)
        assert isinstance(matcher.upkeep.error, ReferenceListError)
        assert "no list file" in matcher.upkeep.to_dict()["error"]  # type: ignore[operator]
        assert "could not be kept up to date" in repr(matcher)
        assert matches(matcher, 1), "it answers from what it had"
        (path.parent / "back").write_bytes(content)
        (path.parent / "back").rename(path)
        assert until(lambda: matcher.upkeep.error is None)
        assert "could not" not in repr(matcher)
        assert matcher.upkeep.failures > 3
    said = [(record.name, record.getMessage()) for record in caplog.records]
    assert [name for name, _ in said] == ["hashmatch.store"] * 2
    assert "cannot be taken up" in said[0][1]
    assert "taken up again" in said[1][1]
    assert made_up(1).hex() not in said[0][1]


def test_one_watch_at_a_time(path: Path) -> None:
    """A second watch and a senseless interval are refused; a stopped one can be begun again."""
    with Matcher.open(path) as matcher:
        for interval in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="interval"):
                matcher.watch(interval)
        watch = matcher.watch(0.01)
        with pytest.raises(ValueError, match="already"):
            matcher.watch(0.01)
        watch.stop()
        watch.stop()
        with matcher.watch(0.01):
            pass
    with pytest.raises(ReferenceListError, match="closed"):
        matcher.watch(0.01)
    with pytest.raises(ValueError, match="interval"):
        Matcher.open(path, reload_every=0)


def test_searches_do_not_wait_for_a_reload(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a reload is stuck, answers come from the old state."""
    with Matcher.open(path) as matcher:
        stuck, go_on = threading.Event(), threading.Event()
        real = matcher._snapshots[0].refreshed

        def slow(_: object, policy: object) -> object:
            stuck.set()
            assert go_on.wait(30)
            return real(policy)  # type: ignore[arg-type]

        monkeypatch.setattr(type(matcher._snapshots[0]), "refreshed", slow)
        with matcher.watch(0.005):
            assert stuck.wait(30)
            assert matches(matcher, 1)
            assert not go_on.is_set()
            go_on.set()


def test_making_files_ends_when_the_matcher_closes() -> None:
    """A keeper that is closed begins nothing, tells what runs to stop, and keeps the errors of what failed."""
    began = threading.Event()

    def endless(stopped: Callable[[], bool]) -> int:
        began.set()
        assert until(stopped)
        raise InterruptedError

    keeper = Keeper(lambda: 0, lambda: False, endless, lambda: iter(()))
    keeper.compact_soon()
    assert began.wait(30)
    keeper.compact_soon()
    keeper.close()
    assert keeper.wait(30)
    assert keeper.upkeep.compaction_error is None
    keeper.compact_soon()
    assert keeper.wait(0)

    def failing(_: Callable[[], bool]) -> int:
        raise OSError(28, "No space left on device")

    keeper = Keeper(lambda: 0, lambda: False, failing, lambda: iter(()))
    keeper.compact_soon()
    assert keeper.wait(30)
    assert "No space" in str(keeper.upkeep.compaction_error)


def test_what_is_searched_and_which_files_are_made_is_said(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening, each version that is taken up, a file of another list, and index files: once each, with their times."""
    caplog.set_level(logging.INFO, "hashmatch")
    with Matcher.open(path, index_folder=tmp_path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            ref.add_many(made_up_entries(1, first=7))
        assert matcher.reload()
        assert not matcher.reload()
        assert matches(matcher, 7)
        with ReferenceList.create(tmp_path / "next", name="another") as ref:
            ref.add_many(made_up_entries(2, first=9))
        ReferenceList.replace(path, tmp_path / "next", force=True)
        assert matcher.reload()
    (index,) = tmp_path.glob(f"{matcher._snapshots[0].list_id}.*.index")
    index.write_bytes(b"no index file" * 100)
    Matcher.open(path, index_folder=tmp_path).close()
    said = [(record.name, record.levelname, record.getMessage().partition(" in ")[0]) for record in caplog.records]
    opened = "with 2 entries is searched, ready"
    assert [item for item in said if "is not used" not in item[2]] == [
        ("hashmatch.store", "INFO", "an index file of the list 'list' (pdq) was made at version 1: 3 hashes"),
        ("hashmatch.matching", "INFO", "list 'list': version 1 with 3 entries is searched, ready"),
        ("hashmatch.matching", "INFO", "list 'list': version 2 took the place of version 1"),
        ("hashmatch.store", "INFO", "an index file of the list 'another' (pdq) was made at version 1: 2 hashes"),
        ("hashmatch.matching", "INFO", "list 'another': version 1 took the place of version 2"),
        ("hashmatch.store", "INFO", "an index file of the list 'another' (pdq) was made at version 1: 2 hashes"),
        ("hashmatch.matching", "INFO", f"list 'another': version 1 {opened}"),
    ]
    (damaged,) = [item for item in said if "is not used" in item[2]]
    assert damaged[:2] == ("hashmatch.store", "WARNING")


def test_a_version_that_a_search_takes_up_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a match cannot explain any longer brings the next version, also without a reload."""
    with Matcher.open(path) as matcher:
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw("entry-1")
        with caplog.at_level(logging.INFO, "hashmatch"):
            assert not matches(matcher, 1)
            assert not matches(matcher, 1)
            matcher.reload()
    (said,) = [record.getMessage() for record in caplog.records if "took the place" in record.getMessage()]
    assert said.startswith("list 'list': version 2 took the place of version 1")
