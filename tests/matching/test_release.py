"""What a matcher maps and opens it gives back at once, not when garbage is collected."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hashmatch import Matcher, ReferenceList, profiles
from hashmatch.errors import IndexFormatError, ReferenceListError
from hashmatch.index import segmented
from hashmatch.store import hash_rows as rows
from support.list_makers import made_list, made_up, made_up_entries

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is mapped and open")

CROPS = replace(profiles.THOROUGH, keypoints=None)


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    """Keep the collector from hiding what only it would give back."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an index folder."""
    (tmp_path / "indexes").mkdir(mode=0o700)
    return tmp_path / "indexes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a list of 3,000 entries."""
    return made_list(tmp_path / "list", 3000)


def used(folder: Path) -> tuple[int, int]:
    """Count the maps of a folder's files, and the open descriptors; of files that were removed, too."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").count(f"{folder}/")
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/")
        except OSError:
            continue
    return maps, found


@pytest.mark.parametrize("policy", [profiles.FAST, CROPS])
def test_close_gives_maps_and_descriptors_back(path: Path, folder: Path, policy: object) -> None:
    """Nothing of the index folder or the list is mapped or open after `close`; what is known of the lists stays."""
    matcher = Matcher.open(path, index_folder=folder, policy=policy)  # type: ignore[arg-type]
    assert matcher.match_hash(made_up(5)).matches
    known = matcher.lists, matcher.digests, matcher.idle_lists
    assert min(used(folder)) > 0
    matcher.close()
    assert used(folder) == (0, 0)
    assert used(path.parent) == (0, 0)
    assert (matcher.lists, matcher.digests, matcher.idle_lists) == known
    with pytest.raises(ReferenceListError, match="closed"):
        matcher.match_hash(made_up(5))
    matcher.close()


def test_a_replaced_file_is_given_back(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a newer file is taken up the older one is neither mapped nor open."""
    with Matcher.open(path, index_folder=folder) as matcher:
        before = used(folder)
        monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
        monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
        for number in range(3):
            with ReferenceList.open(path, writable=True) as ref:
                ref.add_many(made_up_entries(1, first=5000 + number))
            matcher.reload()
            assert matcher._keeper.wait(30)
        assert matcher.upkeep.compactions == 3
        assert matcher.match_hash(made_up(5002)).matches
        assert used(folder) == before


def test_a_kept_error_holds_no_map(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong in the background is remembered, without the maps that its frames held."""
    matcher = Matcher.open(path, index_folder=folder)

    def fails(*_: object, **__: object) -> None:
        held = rows.open_index_file  # a frame with something in it
        raise IndexFormatError(f"made up {held is not None}")

    monkeypatch.setattr("hashmatch.store.hash_rows.HashFiles.make", fails)
    monkeypatch.setattr(segmented, "_REBUILD_FLOOR", 0)
    monkeypatch.setattr(segmented, "_REBUILD_SHARE", 0.0)
    with ReferenceList.open(path, writable=True) as ref:
        ref.add_many(made_up_entries(1, first=5000))
    matcher.reload()
    assert matcher._keeper.wait(30)
    assert "made up" in str(matcher.upkeep.compaction_error)
    matcher.close()
    assert used(folder) == (0, 0)
