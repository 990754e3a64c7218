"""`Isolation`: how strictly workers are shut in; `Protection`: what of it this machine gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from hashmatch.errors import PolicyError
from hashmatch.jail.cpus import usable_cpus

__all__ = ["LEVELS", "MEASURES", "Isolation", "Protection"]

MEASURES: Final = (
    "memory",
    "cpu",
    "file-size",
    "open-files",
    "processes",
    "core-dumps",
    "no-new-privileges",
    "no-capabilities",
    "landlock",
    "seccomp",
)
"""Names of the measures; ``docs/explanation/isolation.md`` says what each refuses and how it is checked."""

LEVELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"weak": MEASURES[:7], "strong": MEASURES})
"""Names for many measures: ``"weak"`` bounds what a worker can use up, ``"strong"`` is all there is."""

_KEEP_HOST: Final = frozenset({"landlock", "seccomp"})

_MAX_WORKERS: Final = 256
_MAX_SECONDS: Final = 3600.0
_MIN_MEMORY: Final = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How untrusted bytes are decoded and hashed in worker processes.

    Parameters
    ----------
    workers : int or None
        Most worker processes, 1 to 256; each is started when it is needed. None means one for each processor that this
        process may use, by affinity and by the quotas of its control groups.
    seconds : float
        Longest time for one picture, wall clock, above 0 to 3600 s; then its worker is killed.
    memory : int or None
        Most address space of a worker, bytes, 256 MiB or more. None computes it from the decode policy: what the
        largest allowed picture needs.
    recycle : int
        Pictures after which a worker is replaced by a fresh one, 1 or more.
    require : "strong", "weak" or tuple of str
        Names of `MEASURES`, or of `LEVELS`, that must hold. If one does not, no picture is decoded. A service asks
        for ``"strong"``: with less, a worker that was taken over may read the memory of its host.
    python : str or None
        Path of the interpreter that runs the workers. None means ``sys.executable``, which is wrong if Python is
        embedded in another program.
    queue : int or None
        Most pictures that wait for a worker, 0 or more: with one more, `Matcher.match` raises `BusyError` at once. None
        means no bound. `Matcher.match_many` and scans ask no faster than they are answered, and always wait.
    max_wait : float or None
        Longest wait for a worker, seconds, 0 or more: where the pictures before it would take longer, by how long
        recent ones took, `Matcher.match` raises `BusyError` (``queue-full``) at once. None means no bound.
    environment : mapping or tuple of (str, str)
        Variables that the interpreter needs to start, such as ``LD_LIBRARY_PATH``; a worker has no others. Python's
        own (``PYTHON...``) are refused: a worker's interpreter does not look at them.

    Raises
    ------
    PolicyError
        If a value is out of its range or a measure is unknown.

    Examples
    --------
    >>> Isolation(seconds=5, require=("seccomp", "landlock")).require
    ('landlock', 'seccomp')
    """

    workers: int | None = None
    seconds: float = 30.0
    memory: int | None = None
    recycle: int = 1_000
    require: Literal["strong", "weak"] | tuple[str, ...] = ()
    python: str | None = None
    queue: int | None = None
    max_wait: float | None = None
    environment: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.workers is not None and not (_is_count(self.workers) and self.workers <= _MAX_WORKERS):
            raise PolicyError(f"workers must be an integer from 1 to {_MAX_WORKERS}, or None")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float):
            raise PolicyError("seconds must be a number")
        if not 0 < self.seconds <= _MAX_SECONDS:
            raise PolicyError(f"seconds must be above 0 and at most {_MAX_SECONDS:g}")
        if self.memory is not None and not (_is_count(self.memory) and self.memory >= _MIN_MEMORY):
            raise PolicyError(f"memory must be {_MIN_MEMORY:,} bytes or more, or None")
        if not _is_count(self.recycle):
            raise PolicyError("recycle must be an integer of 1 or more")
        asked = self.required
        if not set(asked) <= set(MEASURES) or (isinstance(self.require, str) and self.require not in LEVELS):
            raise PolicyError(f'require is "strong", "weak" or a tuple of names of measures: {", ".join(MEASURES)}')
        object.__setattr__(self, "require", tuple(name for name in MEASURES if name in asked))
        if self.python is not None and not (isinstance(self.python, str) and self.python):
            raise PolicyError("python must be the path of an interpreter, or None")
        if (self.queue is not None and not (self.queue == 0 or _is_count(self.queue))) or isinstance(self.queue, bool):
            raise PolicyError("queue must be an integer of 0 or more, or None")
        if self.max_wait is not None and (
            isinstance(self.max_wait, bool) or not isinstance(self.max_wait, int | float) or not self.max_wait >= 0
        ):
            raise PolicyError("max_wait must be a number of seconds, 0 or more, or None")
        object.__setattr__(self, "environment", _variables(self.environment))

    @property
    def required(self) -> tuple[str, ...]:
        """Measures that must hold, levels resolved."""
        names = (self.require,) if isinstance(self.require, str) else self.require
        return tuple(name for item in names for name in LEVELS.get(item, (item,)))

    @property
    def most_workers(self) -> int:
        """Most worker processes, with None worked out."""
        return min(_MAX_WORKERS, usable_cpus()) if self.workers is None else self.workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Measures that restrict a worker, which the worker tested before it saw a byte from outside.

    Parameters
    ----------
    measures : tuple of str
        Names of `MEASURES` that hold, in that order.
    landlock_abi : int
        Version of Landlock that was used; 0 where there is none.

    Examples
    --------
    >>> Protection(measures=("cpu", "memory")).missing(("memory", "seccomp"))
    ('seccomp',)
    """

    measures: tuple[str, ...] = ()
    landlock_abi: int = 0

    def __post_init__(self) -> None:
        if not set(self.measures) <= set(MEASURES) or not 0 <= self.landlock_abi < 256:
            raise ValueError("unknown measures or an impossible version of Landlock")
        object.__setattr__(self, "measures", tuple(name for name in MEASURES if name in self.measures))

    def missing(self, required: tuple[str, ...] = MEASURES) -> tuple[str, ...]:
        """Which of these measures do not hold."""
        return tuple(name for name in required if name not in self.measures)

    @property
    def level(self) -> str:
        """``"strong"``, ``"weak"`` or ``"none"``: the highest of `LEVELS` whose measures all hold."""
        return next((name for name in ("strong", "weak") if not self.missing(LEVELS[name])), "none")

    @property
    def keeps_host_memory(self) -> bool:
        """Whether a worker that was taken over cannot read or change the memory of other processes of its user."""
        return not _KEEP_HOST.isdisjoint(self.measures)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "level": self.level,
            "measures": list(self.measures),
            "missing": list(self.missing()),
            "landlock_abi": self.landlock_abi,
        }

    def __str__(self) -> str:
        """Say it in words."""
        held = ", ".join(self.measures) or "a process of its own, nothing else"
        missing = ", ".join(self.missing())
        return held + (f"; not: {missing}" if missing else "")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _variables(given: object) -> tuple[tuple[str, str], ...]:
    pairs = tuple(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise PolicyError("environment must be a mapping of names to values")
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
            raise PolicyError("environment must hold names and values of variables, both text")
        if name.startswith("PYTHON"):
            raise PolicyError(f"environment: a worker's interpreter does not look at {name}")
    return tuple(sorted(dict(pairs).items()))
