"""What records say: their JSON, the first record, ranges of records.

Floor: audit. A record is JSON of texts, whole numbers, truth values, lists and mappings, with sorted keys and no
blanks; what has fractions stands in it as the text of another JSON. The bytes that are written are those that are
digested: nobody has to write a record in the same way again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hashmatch.errors import AuditError, SignatureError
from hashmatch.signing import VerifierKey

__all__ = ["KINDS", "canonical", "first_record", "keys_of", "parsed", "ranges_of", "recovery_record", "unrolled"]

KINDS: Final = ("log", "policy", "context", "answer", "verdict", "complaint", "purge", "resumed")
"""What records are about."""

_TYPES: Final = frozenset({str, int, bool, type(None)})
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_LATEST: Final = 1 << 56  # microseconds since 1970: far beyond any clock
_FIELDS: Final[Mapping[str, Mapping[str, type]]] = {
    "policy": {"policy": str},
    "context": {"policy": str, "report": str},
    "answer": {"time": int, "context": str, "outcome": str},
    "verdict": {"time": int, "of": int, "confirmed": bool},
    "complaint": {"time": int, "of": int},
    "purge": {"time": int, "records": list},
}
"""What records of a kind say at least."""


def canonical(record: Mapping[str, Any]) -> bytes:
    """Write a record.

    Raises
    ------
    AuditError
        If it holds anything else than texts, whole numbers, truth values, None, lists and mappings of these by text.
    """
    _check(record)
    return _ENCODER.encode(record).encode("ascii")


def _check(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise AuditError("a key of a record is a text", reason="bad-record")
            if type(item) not in _TYPES:
                _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif type(value) not in _TYPES:
        raise AuditError(f"a record cannot hold {type(value).__name__}", reason="bad-record")


def parsed(data: bytes) -> dict[str, Any]:
    """Read a record.

    Raises
    ------
    AuditError
        If it is no mapping in JSON that says what records of its kind say; a kind that is not known says anything.
    """
    try:
        found = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not _is_readable(found):
        raise AuditError("a record is not readable", reason="bad-record")
    return found


def _is_readable(record: dict[str, Any]) -> bool:
    said = record.get("input", {})
    if not isinstance(record.get("kind"), str) or not 0 <= _number(record.get("time", 0)) < _LATEST:
        return False
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        return False
    return all(type(record.get(name)) is kind for name, kind in _FIELDS.get(record["kind"], {}).items())


def _number(value: Any) -> int:
    return value if type(value) is int else -1


def first_record(origin: str, keys: Sequence[VerifierKey]) -> dict[str, Any]:
    """Make the record that says whose log it is."""
    return {"kind": "log", "origin": origin, "keys": [str(key) for key in keys], "time": time.time_ns() // 1000}


def keys_of(data: bytes) -> tuple[str, tuple[VerifierKey, ...]]:
    """Name and keys of a log, from its first record.

    Raises
    ------
    AuditError
        If that is none.
    """
    record = parsed(data)
    origin, keys = record.get("origin"), record.get("keys")
    try:
        if record["kind"] != "log" or not isinstance(origin, str) or not isinstance(keys, list) or not keys:
            raise ValueError
        return origin, tuple(VerifierKey.parse(key) for key in keys)
    except (ValueError, AttributeError, SignatureError):
        raise AuditError("the first record of the log is damaged", reason="damaged") from None


def recovery_record(cut: int, unsigned: int) -> dict[str, Any]:
    """Make the record that says what a writer found behind the last checkpoint."""
    return {"kind": "resumed", "time": time.time_ns() // 1000, "cut_bytes": cut, "unsigned": unsigned}


def ranges_of(indexes: Iterable[int]) -> list[list[int]]:
    """Write sorted numbers as first and last of each run."""
    found: list[list[int]] = []
    for index in indexes:
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found


def unrolled(ranges: Any, below: int) -> Iterator[int]:
    """Read what `ranges_of` wrote; 0, numbers of ``below`` and above, and what is none of these are left out."""
    for item in ranges if isinstance(ranges, list) else ():
        if isinstance(item, list) and len(item) == 2 and all(type(number) is int for number in item):
            yield from range(max(1, item[0]), min(item[1] + 1, below))
