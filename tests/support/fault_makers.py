"""Small files of every kind, and all that can be read from one: for the tests of faults and the fuzzer."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.algorithms import ALGORITHMS
from hashmatch.index import BKTree, ExactIndex, KeypointIndex, LinearIndex, MultiIndex, load_index
from hashmatch.index.costs import MEASURED
from hashmatch.index.storage import read_index_file
from hashmatch.lists import Entry, ReferenceList
from hashmatch.store.index_file import build_index_file, note_of, open_index_file
from support.index_makers import exact, linear, multi, tree
from support.keypoint_makers import some_pictures
from support.list_makers import made_up

INDEX_KINDS: dict[str, type[Any]] = {
    "linear": LinearIndex,
    "bktree": BKTree,
    "multi": MultiIndex,
    "exact": ExactIndex,
    "keypoint": KeypointIndex,
}


def some_codes(n: int, n_bytes: int, seed: int = 8) -> np.ndarray:
    """Seeded codes."""
    return np.random.default_rng([seed, n_bytes]).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def save_index(kind: str, path: Path, *, n: int = 9, n_bytes: int = 2, tag: dict[str, str] | None = None) -> None:
    """Save a small index of a kind."""
    if kind == "keypoint":
        some_pictures(3, max(n // 3, 1)).index(n_tables=2, key_bits=8).save(path, tag=tag)
        return
    makers: dict[str, Callable[[np.ndarray], Any]] = {
        "linear": linear,
        "bktree": tree,
        "multi": lambda codes: multi(codes, widths=(2, 2, 1) if n_bytes == 2 else (6, 6, 5)),
        "exact": exact,
    }
    makers[kind](some_codes(n, n_bytes)).save(path, tag=tag)


def open_index(path: Path, verify: str = "full") -> Any:
    """Open an index file of any kind, that of keypoints included."""
    data = path.read_bytes()[56:72].rstrip(b"\0")
    return KeypointIndex.load(path, verify=verify) if data == b"keypoint" else load_index(path, verify=verify)  # type: ignore[arg-type]


def index_answers(index: Any) -> object:
    """Ask a small index, and give the answers in a form that compares."""
    if isinstance(index, KeypointIndex):
        pictures = some_pictures(3, max(index.n_points // 3, 1))
        found = [
            [
                (
                    c.entry,
                    c.mirrored,
                    c.weight,
                    *(part.tolist() for part in (c.query_points, c.reference_points, c.distances)),
                )
                for c in index.search(*pictures.seen(entry, n_shared=min(3, index.n_points // 3), n_strange=2)[:3])
            ]
            for entry in range(len(index))
        ]
        return len(index), index.n_points, dict(index.tag), found
    queries = some_codes(4, index.n_bits // 8)
    radius = 0 if isinstance(index, ExactIndex) else min(9, index.max_distance)
    found = [[part.tolist() for part in index.search(query, radius)] for query in queries]
    return len(index), dict(index.tag), found, [part.tolist() for part in index.search_batch(queries, 0)]


def save_kept(path: Path) -> None:
    """Make the index file of a small list."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder) / "list"
        with ReferenceList.create(at, name="kept") as ref:
            ref.add_many(Entry.of(f"entry-{i}", hashes=[made_up(i, "phash")], quality=50) for i in range(9))
        with ReferenceList.open(at) as ref, ref.pinned() as pinned:
            build_index_file(path, pinned, ALGORITHMS["phash"], 6, MEASURED)
    note_of(path).unlink()


def kept_answers(path: Path) -> object:
    """Ask the index file of a small list, and give the answers and its rows in a form that compares."""
    list_id = read_index_file(path, verify="header").tag["list"]
    kept = open_index_file(path, list_id, ALGORITHMS["phash"], 6, MEASURED)
    note_of(path).unlink()
    columns = kept.columns
    rows = [getattr(columns, name).tolist() for name in ("hash_ids", "entry_keys", "source_numbers", "quality")]
    return kept.file.version, kept.file.content, rows, index_answers(kept.index)


def smallest_list(path: Path, *, page_size: int = 512) -> None:
    """Make a list with a row in every table on small pages, so that every one of its bits can be tried."""
    with ReferenceList.create(path, name="small") as ref:
        for i in range(3):
            ref.add(
                f"entry-{i}", hashes=[made_up(i), made_up(i, "md5")], source="one", labels={"class": "A1"}, quality=50
            )
        ref.add_many([Entry.of("entry-1", hashes=[made_up(1, "keypoint")], source="two")])
        ref.withdraw("entry-0", source="one")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("VACUUM")


def everything(path: Path, check: str = "full") -> object:
    """Everything that can be read from a list, in a form that compares."""
    with ReferenceList.open(path, check=check) as ref:  # type: ignore[arg-type]
        info = ref.info()
        snapshot = ref.snapshot()
        arrays = {
            name: (rows.codes.tobytes(), rows.hash_ids.tolist(), rows.entry_keys.tolist(), rows.quality.tolist())
            for name, rows in snapshot.rows.items()
        }
        records = {
            name: [
                (list(block), block.hash_ids.tolist(), block.entry_keys.tolist(), block.quality.tolist())
                for block in stream
            ]
            for name, stream in snapshot.records.items()
        }
        changes = ref.changes_since(info.version // 2)
        changed = changes and (
            {name: rows.hash_ids.tolist() for name, rows in changes.added.items()},
            {name: [block.hash_ids.tolist() for block in stream] for name, stream in changes.records.items()},
            {name: rows.tolist() for name, rows in changes.withdrawn.items()},
        )
        figures = (info.list_id, info.name, info.version, info.format_version, info.entries)
        figures = (*figures, sorted(info.hashes.items()), sorted(info.sources.items()))
        return figures, [(entry, entry.key) for entry in ref], arrays, records, changed
