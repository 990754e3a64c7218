"""The loop: cases run in a child process that is watched from outside, so a crash or a hang is a finding, not an end.

A case is told by the run's seed and its number alone. The child writes the number of the case it is at into shared
memory before it begins it; when it dies, or stays at one case for too long, the parent knows which case it was and goes
on after it with a new child.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random
import re
import resource
import select
import signal
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Case", "Finding", "Run", "Wrong", "check_message", "execute", "rng_of"]

Case = Callable[[random.Random, int], str]
"""Runs one case from its random numbers and its number; gives a word for the outcome, raises for a finding."""

_BLOCK_SECONDS: Final = 20.0
_MOST_FINDINGS: Final = 25
_NUMBER: Final = struct.Struct("<q")
_HEX_RUN: Final = re.compile(r"(?=[0-9]{0,40}[a-fA-F])[0-9a-fA-F]{12,}|[0-9]{24,}|(\\x[0-9a-f]{2}){4,}")


class Wrong(Exception):
    """An invariant of a target does not hold."""


@dataclass(slots=True)
class Finding:
    """One case that went wrong."""

    seed: int
    case: int
    kind: str
    what: str
    where: str
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in ("seed", "case", "kind", "what", "where", "count")}


@dataclass(slots=True)
class Run:
    """What came of a run."""

    target: str
    seed: int
    executions: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it to an earlier one of the same place."""
        for known in self.findings:
            if (known.kind, known.where) == (finding.kind, finding.where):
                known.count += finding.count
                return
        self.findings.append(finding)


def rng_of(seed: int, case: int) -> random.Random:
    """Random numbers of one case of a run."""
    return random.Random((seed << 48) + case)


def check_message(error: BaseException) -> None:
    """Raise `Wrong` if a message may show a hash or other content, or is empty."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if _HEX_RUN.search(text) or (seen is error and not text):
            raise Wrong(f"the message of {type(seen).__name__} is empty or shows content")
        seen = None if seen.__suppress_context__ else seen.__context__


def execute(
    target: str,
    case: Case,
    *,
    runs: int,
    seed: int,
    first: int = 0,
    seconds: float | None = None,
    longest: float = 10.0,
    memory: int | None = 2 << 30,
    progress: Callable[[Run], None] | None = None,
) -> Run:
    """Run cases ``first`` to ``first + runs - 1`` in watched children.

    Parameters
    ----------
    target : str
        Name, for the report.
    case : callable
        Runs one case; forked with this process.
    runs, seed, first : int
        Which cases.
    seconds : float, optional
        Stop after this long.
    longest : float
        Seconds of wall clock one case may take.
    memory : int or None
        Address space beyond what the process has now, bytes.
    progress : callable, optional
        Told after every child.
    """
    run = Run(target, seed)
    began = time.monotonic()
    at, end = first, first + runs
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    while at < end and len(run.findings) < _MOST_FINDINGS:
        if seconds is not None and time.monotonic() - began >= seconds:
            break
        at = _one_child(run, case, at, end, shared, longest, memory)
        run.seconds = time.monotonic() - began
        if progress is not None:
            progress(run)
    run.seconds = time.monotonic() - began
    return run


def _one_child(run: Run, case: Case, at: int, end: int, shared: mmap.mmap, longest: float, memory: int | None) -> int:
    """Run cases from ``at`` on in one child, and return the number of the first that was not run."""
    _NUMBER.pack_into(shared, 0, at - 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            with open(os.devnull, "wb") as nothing:  # codecs complain on standard error
                os.dup2(nothing.fileno(), 2)
            _work(run.seed, case, at, end, shared, write, memory)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    answer, status, hung = _watched(child, read, shared, longest)
    os.close(read)
    lines = [json.loads(line) for line in answer.splitlines() if line.endswith(b"}")]
    for line in lines:
        if "kind" in line:
            run.add(Finding(**line))
        else:
            run.outcomes.update(line["outcomes"])
            run.cpu_seconds += line["cpu"]
    reached = _NUMBER.unpack_from(shared, 0)[0]
    if status == 0 and not hung:
        run.executions += reached + 1 - at
        return int(reached) + 1
    died = os.waitstatus_to_exitcode(status)
    if hung:
        kind, what = "hang", f"longer than {longest:g} s"
    else:
        kind, what = "crash", signal.Signals(-died).name if died < 0 else f"exit {died}"
    run.add(Finding(run.seed, max(int(reached), at), kind, what, what))
    run.executions += max(int(reached), at) + 1 - at
    run.outcomes.update([kind])
    return max(int(reached), at) + 1


def _watched(child: int, read: int, shared: mmap.mmap, longest: float) -> tuple[bytes, int, bool]:
    """Collect what the child says until it ends; kill it if one case takes too long."""
    answer = bytearray()
    last, since, hung = None, time.monotonic(), False
    while True:
        ready, _, _ = select.select([read], [], [], min(0.25, longest / 4))
        if ready:
            part = os.read(read, 1 << 16)
            if not part:
                break
            answer += part
        now, number = time.monotonic(), _NUMBER.unpack_from(shared, 0)[0]
        if number != last:
            last, since = number, now
        elif now - since > longest and not hung:
            hung = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    return bytes(answer), os.waitpid(child, 0)[1], hung


def _work(seed: int, case: Case, at: int, end: int, shared: mmap.mmap, write: int, memory: int | None) -> None:
    if memory is not None:
        with open("/proc/self/statm", encoding="ascii") as stream:
            limit = int(stream.read().split()[0]) * mmap.PAGESIZE + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outcomes: Counter[str] = Counter()
    stop = time.monotonic() + _BLOCK_SECONDS
    for number in range(at, end):
        _NUMBER.pack_into(shared, 0, number)
        try:
            outcomes[case(rng_of(seed, number), number)] += 1
        except BaseException as error:
            outcomes["finding"] += 1
            _say(write, finding_of(seed, number, error).to_dict())
        if number % 16 == 0 and time.monotonic() > stop:
            break
    _say(write, {"outcomes": outcomes, "cpu": time.process_time()})


def finding_of(seed: int, number: int, error: BaseException) -> Finding:
    """Describe what a case raised: only places in the code and the type, for a message may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(frames[-4:]))
    what = f"{type(error).__name__}: {error}"[:200]
    return Finding(seed, number, "wrong" if isinstance(error, Wrong) else "untyped", what, where)


def _say(write: int, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode() + b"\n"
    while data:
        data = data[os.write(write, data) :]
