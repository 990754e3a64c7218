"""Conditions of hosts x isolation: each is run once, as a program of its own (`host_life`).

What each condition can do wrong in detail is held by tests/jail/test_life.py, tests/matching/test_forks.py,
test_deadlines.py and test_trust.py, tests/lists/test_sharing.py and tests/test_foreign_errors.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hashmatch import Matcher, ReferenceList, hash_image
from hashmatch.picture.encode import encode, jpeg
from hashmatch.synthetic import picture
from support import host_life
from support.jail_makers import LINUX

pytestmark = LINUX
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
MOUNTS = IS_ROOT and bool(shutil.which("unshare")) and subprocess.call(["unshare", "-m", "true"]) == 0


@pytest.fixture(name="pictures", scope="module")
def _pictures() -> dict[str, bytes]:
    """Make three pictures, and one that takes long to decode."""
    made = {kind: jpeg(picture("photo", n, size=(180, 240))) for n, kind in enumerate(("listed", "unlisted", "late"))}
    return made | {"large": encode(np.zeros((6000, 9000, 3), np.uint8), "PNG", compress_level=1)}


@pytest.fixture(name="folder")
def _folder(pictures: dict[str, bytes]) -> Iterator[Path]:
    """Make pictures, a list of one of them, and its index files, where other users can get to."""
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), Path(name, "data")
        (data / "indexes").mkdir(parents=True)
        (folder / "signs").mkdir()
        for kind, content in pictures.items():
            (data / kind).write_bytes(content)
        with ReferenceList.create(data / "list", name="hosts") as ref:
            ref.add("listed", hashes=[hash_image(pictures["listed"])])
        (folder / "late.hash").write_text(str(hash_image(pictures["late"])))
        for at in (folder, data):
            at.chmod(0o755)
        (data / "list").chmod(0o644)
        (folder / "signs").chmod(0o777)
        if IS_ROOT:
            os.chown(data / "indexes", 0, host_life.GROUP)
        (data / "indexes").chmod(0o2750)
        Matcher.open(data / "list", index_folder=data / "indexes").close()
        yield folder


@pytest.mark.parametrize("isolated", ["yes", "no"])
@pytest.mark.parametrize("condition", host_life.CONDITIONS)
def test_a_host(folder: Path, condition: str, isolated: str) -> None:
    """Each process of it answers rightly, before and after a change of the list, and ends; no worker is left."""
    if condition in {"read_only", "user"} and not MOUNTS:
        pytest.skip("mounts of one's own need root")
    if condition in {"gunicorn", "celery"}:
        pytest.importorskip(condition)
    command = [sys.executable, host_life.__file__, condition, isolated, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * host_life.SECONDS + 60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "ended": -9 if condition == "killed" else 0,
        "right": host_life.PROCESSES.get(condition, 1),
        "wrong": [],
        "left": 0,
    }, done.stderr
