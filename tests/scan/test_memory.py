"""A scan of very many files takes no more memory than one of some."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hashmatch import Matcher, ReferenceList
from hashmatch.picture.encode import encode
from hashmatch.scan import Item, Ledger, scan
from hashmatch.synthetic import picture
from support.jail_makers import LINUX
from support.list_makers import made_up

MOST = 400


def made_items(n: int) -> Iterator[Item]:
    """Make up items of other contents each; every thousandth is a picture."""
    data = encode(picture("photo", 1, size=(64, 64)), "PNG")
    for number in range(n):
        content = (data if number % 1_000 == 0 else b"text ") + b"%d" % number
        opened = partial(io.BytesIO, content)
        yield Item(f"item {number}", b"/nowhere\0zip:%d:x" % number, "zip", "other", len(content), opened)


def most_memory() -> float:
    """Most memory that this process and its two workers took, MiB."""
    import resource

    # not of `getrusage`: that counts what the process was before it began to run this program
    own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))  # noqa: SIM115
    # a worker's share is that of the larger of them
    return (own + 2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


@LINUX
@pytest.mark.parametrize("n", [3_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_memory_stays_flat(tmp_path: Path, n: int) -> None:
    """Two workers, a ledger, all contents different: under 400 MiB in all."""
    command = [sys.executable, __file__, str(tmp_path), str(n)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    found, taken = done.stdout.split()
    assert int(found) == n
    assert float(taken) < MOST


if __name__ == "__main__":
    place, number = Path(sys.argv[1]), int(sys.argv[2])
    with ReferenceList.create(place / "list", name="list") as ref:
        ref.add("one", hashes=[made_up(1)])
    with Matcher.open(place / "list") as matcher, Ledger.open(place / "ledger") as book:
        seen = sum(1 for _ in scan(matcher, made_items(number), ledger=book, workers=2))
    sys.stdout.write(f"{seen} {most_memory():.1f}\n")
