"""Opening a list costs what the list is: few hashes are indexed by few steps."""

from __future__ import annotations

import gc
import logging
import sys
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from hashmatch import HashValue, Matcher, MatchPolicy, ReferenceList, profiles

MOST = 3_000
"""Python calls that an opening may make; the planner alone made 28,000 when it weighed every kind of index."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a list of two hashes."""
    path = tmp_path_factory.mktemp("few") / "list.hashmatch"
    with ReferenceList.create(path, name="two") as ref:
        for number in range(2):
            ref.add(f"entry-{number}", hashes=[HashValue("pdq", bytes([number + 1, 15]) * 16)])
    return path


def calls_of_opening(path: Path, policy: MatchPolicy, folder: Path | None) -> int:
    """Count the Python calls of one opening."""
    calls = 0

    def seen(_frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    gc.collect()
    gc.disable()  # neither what other tests left behind nor who listens to the log is counted
    logging.disable()
    sys.setprofile(seen)
    try:
        Matcher.open(path, policy=policy, index_folder=folder).close()
    finally:
        sys.setprofile(before)
        logging.disable(logging.NOTSET)
        gc.enable()
    return calls


@pytest.mark.parametrize("name", ["FAST", "STANDARD", "THOROUGH"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_few_hashes_are_opened_by_few_calls(path: Path, tmp_path: Path, name: str, *, in_folder: bool) -> None:
    """With and without an index folder, which is empty at first and then holds the file."""
    folders = (tmp_path / str(number) for number in count())

    def new() -> Path | None:
        if not in_folder:
            return None
        folder = next(folders)
        folder.mkdir(mode=0o700)
        return folder

    policy = getattr(profiles, name)
    calls_of_opening(path, policy, new())  # modules that are loaded late
    folder = new()
    assert 0 < calls_of_opening(path, policy, folder) <= MOST
    assert 0 < calls_of_opening(path, policy, folder) <= MOST
