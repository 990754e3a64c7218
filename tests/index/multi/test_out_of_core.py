"""Building a `MultiIndex` file out of core: the same file, byte for byte, in bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import AlgorithmMismatchError
from hashmatch.index import MultiIndex, load_index
from hashmatch.index.multi import out_of_core as external
from hashmatch.index.multi import substring_tables as tables
from hashmatch.index.multi.substring_tables import item_layout
from hashmatch.index.storage import Section, read_index_file


def some(n: int, n_bytes: int, equal: int = 0) -> np.ndarray:
    """Seeded codes; the first ``equal`` of them are equal."""
    codes = np.random.default_rng([n, n_bytes]).integers(0, 256, (n, n_bytes), dtype=np.uint8)
    codes[:equal] = codes[:1]
    return codes


@pytest.mark.parametrize(
    ("n", "n_bytes", "widths", "equal", "memory"),
    [
        (0, 8, None, 0, 4096),
        (1, 8, None, 0, 4096),
        (5, 8, (2, 2, 1), 0, 4096),
        (3000, 32, None, 0, 4096),
        (3000, 32, None, 0, 20_000),
        (3000, 32, None, 2900, 4096),
        (5000, 5, (10, 10, 1, 1, 2), 500, 4096),
        (4000, 2, (6, 5, 3, 1), 0, 4096),
        (2000, 8, (18, 17), 1000, 4096),
        (20_000, 32, None, 0, 1 << 30),
    ],
)
def test_the_same_file(
    n: int, n_bytes: int, widths: tuple[int, ...] | None, equal: int, memory: int, tmp_path: Path
) -> None:
    """Whatever the memory granted, the file is that of an index built in memory."""
    codes = some(n, n_bytes, equal)
    MultiIndex.build(codes, widths=widths).save(tmp_path / "a", tag={"x": "y"})
    made = MultiIndex.build_file(
        tmp_path / "b", np.array_split(codes, 7), n_bytes=n_bytes, widths=widths, memory=memory, tag={"x": "y"}
    )
    assert made == n
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    load_index(tmp_path / "b")._check()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_same_file_of_any_codes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As above, of a few codes that share many buckets, with any widths."""
    folder = tmp_path_factory.mktemp("external")
    raw = data.draw(st.lists(st.binary(min_size=3, max_size=3), max_size=300))
    codes = np.frombuffer(b"".join(raw), np.uint8).reshape(-1, 3)
    widths = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    cuts = data.draw(st.integers(1, 5))
    MultiIndex.build(codes, widths=widths).save(folder / "a")
    MultiIndex.build_file(folder / "b", np.array_split(codes, cuts), n_bytes=3, widths=widths, memory=4096)
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


def test_items_of_five_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of 5 bytes, which large indexes need, are written as such, and give the same answers."""
    codes = some(3000, 8)
    MultiIndex.build(codes).save(tmp_path / "short")
    monkeypatch.setattr(external, "_COPY_BYTES", 100)
    monkeypatch.setattr(tables, "_ENOUGH_TAG", 32)
    assert item_layout(len(codes), (21, 21, 21)) == (12, 21, 5)
    widths = tuple(read_index_file(tmp_path / "short").sections["widths"].tolist())
    MultiIndex.build(codes, widths=(22, 21, 21)).save(tmp_path / "a")
    MultiIndex.build_file(tmp_path / "b", [codes], n_bytes=8, widths=(22, 21, 21), memory=4096)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert max(widths) < 21
    short, wide = load_index(tmp_path / "short"), load_index(tmp_path / "b")
    for query in codes[:20]:
        for radius in (0, 5, 12):
            assert [part.tolist() for part in short.search(query, radius)] == [
                part.tolist() for part in wide.search(query, radius)
            ]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The working arrays stay within what was granted, 0.8 bytes a bucket and some fixed buffers."""
    codes = some(300_000, 32)
    blocks = np.array_split(codes, 100)
    peaks = []
    for memory in (1 << 20, 1 << 22, 1 << 26):
        tracemalloc.start()
        MultiIndex.build_file(tmp_path / "index", blocks, n_bytes=32, memory=memory)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    buckets = sum(1 << int(width) for width in read_index_file(tmp_path / "index").sections["widths"])
    for memory, peak in zip((1 << 20, 1 << 22), peaks, strict=False):
        assert peak < memory + 0.8 * buckets + (3 << 20)
    assert peaks[2] > 2 * peaks[0]


def test_further_sections(tmp_path: Path) -> None:
    """Sections of the caller's come after those of the index, narrow types included."""
    codes = some(100, 8)
    more = [
        Section("row.quality", "|i1", [np.array([-1, 100], np.int16), np.array([3], np.int16)]),
        Section("row.sources", "<u2", []),
    ]
    MultiIndex.build_file(tmp_path / "index", [codes], n_bytes=8, more=more)
    file = read_index_file(tmp_path / "index")
    assert file.sections["row.quality"].tolist() == [-1, 100, 3]
    assert file.sections["row.sources"].tolist() == []
    assert len(load_index(tmp_path / "index")) == 100


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    """Blocks of another length or type, too little memory, an iterable that fails: an error, and no file."""

    def failing() -> Any:
        yield some(10, 8)
        raise RuntimeError("no more")

    cases: list[tuple[Any, dict[str, Any], type[Exception]]] = [
        ([some(10, 8), some(10, 9)], {}, AlgorithmMismatchError),
        ([np.zeros((3, 8), np.int64)], {}, TypeError),
        ([some(10, 8)], {"memory": 4095}, ValueError),
        ([some(10, 8)], {"widths": (60, 60)}, ValueError),
        (failing(), {}, RuntimeError),
    ]
    for blocks, more, error in cases:
        with pytest.raises(error):
            MultiIndex.build_file(tmp_path / "index", blocks, n_bytes=8, **more)
    assert not list(tmp_path.iterdir())
