"""A service under load, with a writer, killed workers and hostile pictures: see `soak`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import soak
from support.jail_makers import LINUX

pytestmark = LINUX


@pytest.mark.parametrize("seconds", [20, pytest.param(3600, marks=pytest.mark.long)])
def test_a_service_for_a_while(tmp_path: Path, seconds: int) -> None:
    """No answer is wrong, mixed or missing, every good picture is readable, memory and files stay as they were."""
    done = subprocess.run(
        [sys.executable, soak.__file__, str(seconds), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    counts, workers = found["counts"], found["workers"]
    assert found["wrong"] == []
    for kind in ("listed match", "stranger no match", "moving match", "moving no match", "hostile unreadable"):
        assert counts[kind] > 0, counts
    assert counts["versions seen"] > 5
    assert counts["reloads"] > 0
    assert counts["killed"] > 2
    assert workers["lost"] > 0
    assert found["grown_bytes"] < soak.MARGIN_BYTES, found
    assert found["grown_files"] <= soak.MARGIN_FILES, found


@pytest.mark.parametrize(("version", "outcome"), [(7, "no match"), (8, "match")])
def test_an_answer_of_another_version_would_be_noticed(tmp_path: Path, version: int, outcome: str) -> None:
    """What is right for the version before or after is wrong."""
    (tmp_path / "log").write_text("6 []\n7 [3]\n8 []\n")
    service = soak.Service(None, {})  # type: ignore[arg-type]
    service.seen["moving 3", version, "match" if version == 7 else "no match"] += 1
    service.hold_versions(tmp_path / "log")
    assert service.wrong == []
    service.seen["moving 3", version, outcome] += 1
    service.hold_versions(tmp_path / "log")
    assert len(service.wrong) == 1
