"""Issuers and takers of signed lists for tests."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hashmatch.errors import BundleError, SignatureError
from hashmatch.lists import ReferenceList
from hashmatch.signing import SigningKey
from support.list_makers import made_up

ALGORITHMS = ("pdq", "md5", "keypoint", "photodna")
TABLES = {
    "state": "uuid, name, version, history_from, next_entry, next_hash, n_entries, seal_sum",  # no seal: covers feeds
    "source": "id, name, n_entries, role, terms",
    **dict.fromkeys(("entry", "hash", "record", "label", "change", "withdrawn", "tally", "digest", "changed"), "*"),
}
KEY = SigningKey("example.org/lists", [(kind, bytes([kind]) * 32) for kind in (1, 6)])
"""A key whose secrets are no secrets."""
NOW = 1_800_000_000


def key_of(number: int) -> SigningKey:
    """Make the key of this number."""
    return SigningKey("example.org/lists", [(1, bytes([number]) * 32)])


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read every row that a list has in common with its owner's."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)  # noqa: S608
            for table, columns in TABLES.items()
        }


def change(ref: ReferenceList, rng: random.Random) -> None:
    """Change something of a list, or nothing."""
    entry_id, source, kind = f"entry-{rng.randint(0, 8)}", rng.choice("abc"), rng.random()
    roles = {item.name: item.role for item in ref.sources()}
    if kind < 0.5:
        hashes = [made_up(rng.randint(0, 30), rng.choice(ALGORITHMS)) for _ in range(rng.randint(1, 3))]
        labels = {"class": str(rng.randint(0, 3))} if rng.random() < 0.5 else None
        quality = rng.choice([None, 5, 50])
        ref.add(entry_id, hashes=hashes, source=source, labels=labels, quality=quality, role=roles.get(source, "alarm"))
    elif kind < 0.75:
        ref.withdraw(entry_id, source=source)
    elif kind < 0.85 and source in roles:
        ref.set_role(source, rng.choice(["alarm", "benign", "comparison"]))
    elif kind < 0.9 and source in roles:
        ref.set_terms(source, f"terms {rng.randint(0, 9)}")
    elif entry_id in ref and source in ref.get(entry_id).sources:  # type: ignore[union-attr]
        ref.relabel(entry_id, source=source, labels={"other": "1"} if kind < 0.95 else {})


def refusal(call: Callable[..., object], *args: object, **named: object) -> str:
    """Reason for which a call refuses; its message shows no hash."""
    with pytest.raises((BundleError, SignatureError)) as caught:
        call(*args, **named)
    assert not any(len(word) >= 16 and set(word) <= set("0123456789abcdef") for word in str(caught.value).split())
    return caught.value.reason
