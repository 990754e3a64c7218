"""Pools of test inmates."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from hashmatch.errors import ImageError
from hashmatch.jail import Isolation
from hashmatch.jail.calls import machine
from hashmatch.jail.pool import Pool
from hashmatch.jail.worker import WorkerPlan

LINUX = pytest.mark.skipif(machine() is None, reason="Landlock and seccomp are of Linux on x86-64 and aarch64")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits are of POSIX")
WORDS = frozenset({"internal-error", "out-of-memory"})


def make_pool(
    module: str = "support.jail_inmates", *, hello: bytes = b"", seconds: float = 20.0, **options: Any
) -> Pool:
    """Make a pool of test inmates."""
    isolation = Isolation(workers=options.pop("workers", 1), **options)
    plan = WorkerPlan(
        module=module,
        hello=hello,
        memory=2**30,
        seconds=seconds,
        largest_part=2**16,
        python=isolation.python,
        environment=tuple(dict(isolation.environment).items()),
    )
    return Pool(isolation, plan, largest_answer=2**18)


def answer(pool: Pool, task: str) -> tuple[list[bytes], str]:
    """Have a task done: parts of the answer, and how it ended, a fault's reason in brackets."""
    parts: list[bytes] = []
    run = pool.run(task.encode(), words=WORDS)
    try:
        while True:
            parts.append(bytes(next(run)))
    except StopIteration as end:
        return parts, end.value
    except ImageError as error:
        return parts, f"({error.reason})"


def has_gone(process: int) -> bool:
    """Whether a process ends within ten seconds; a zombie has ended."""
    for _ in range(200):
        try:
            with open(f"/proc/{process}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
