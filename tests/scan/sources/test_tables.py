"""Laws of the sources that a caller names: columns of bytes, and file systems of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.scan import Flaw, Item
from hashmatch.scan.sources import SourceCounts, filesystem_items, table_items
from support.containers import a_picture, summary, zip_of

ROWS = [a_picture(1), None, zip_of({"in.png": a_picture(2)}), b"", b"text"]


def seen(found: object) -> list[tuple[str, str]]:
    """End of the name, and content or reason, of everything that comes; items are read to their end."""
    out = []
    for item in found:  # type: ignore[attr-defined]
        if isinstance(item, Item):
            assert len(item.open().read()) == item.size
        out.append((item.name.partition("!")[2], item.reason if isinstance(item, Flaw) else item.content))
    return out


@pytest.mark.parametrize("form", ["parquet", "arrow", "struct", "large"])
def test_columns_of_bytes(tmp_path: Path, form: str) -> None:
    """Each value is an item that is looked into; nulls are passed over; names come from a column or the row."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = [value if value is None or form != "struct" else {"bytes": value, "path": "x"} for value in ROWS]
    kind = pyarrow.large_binary() if form == "large" else None
    table = pyarrow.table({"image": pyarrow.array(values, kind), "id": ["a", "b", "c", "d\n", "e"]})
    path = tmp_path / "t"
    if form == "arrow":
        with pyarrow.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(table, path)
    counts = SourceCounts()
    contents = ["picture", "picture", "container", "empty", "other"]
    assert seen(table_items(path, "image", counts=counts)) == list(
        zip(["row-0", "row-2!in.png", "row-2", "row-3", "row-4"], contents, strict=True)
    )
    assert counts.complete
    assert [name for name, _ in seen(table_items(path, "image", names="id"))] == ["a", "c!in.png", "c", "d\\x0a", "e"]
    for column, words in (("gone", "no column"), ("id", "bytes")):
        with pytest.raises(ReferenceListError, match=words):
            list(table_items(path, column))
    # on a medium it is told, and not opened
    assert summary(path) == [("", "FORMAT-NOT-READ"), ("", "container")]


def test_tables_that_are_none(tmp_path: Path) -> None:
    """Another file is refused; a damaged table ends with a flaw."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "x").write_bytes(b"a,b\n")
    with pytest.raises(ReferenceListError, match="neither"):
        list(table_items(tmp_path / "x", "a"))
    parquet.write_table(pyarrow.table({"image": [a_picture(k) for k in range(9)]}), tmp_path / "t")
    data = bytearray((tmp_path / "t").read_bytes())
    (tmp_path / "t").write_bytes(data[: len(data) // 2])
    assert [reason for _, reason in seen(table_items(tmp_path / "t", "image"))] == ["damaged"]


def test_a_file_system_of_another_package(tmp_path: Path) -> None:
    """Folders are listed one at a time, containers are followed, and what the service refuses is told."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/z/deep/a.png", a_picture(1))
    memory.pipe("/bucket/b.zip", zip_of({"in.png": a_picture(2)}))
    memory.pipe("/bucket/c", b"text" * 500_000)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(a_picture())
    try:
        counts = SourceCounts()
        found = [(item.name, item.content) for item in filesystem_items("memory://bucket", counts=counts)]  # type: ignore[union-attr]
        assert found == [
            ("memory://bucket/b.zip!in.png", "picture"),
            ("memory://bucket/b.zip", "container"),
            ("memory://bucket/c", "other"),
            ("memory://bucket/z/deep/a.png", "picture"),
        ]
        assert (counts.walk.found, counts.walk.folders, counts.complete) == (3, 3, True)
    finally:
        memory.rm("/bucket", recursive=True)
    local = list(filesystem_items(f"file://{tmp_path}"))
    assert [item.content for item in local if isinstance(item, Item)] == ["picture"]
    assert [item.reason for item in filesystem_items("memory://gone") if isinstance(item, Flaw)] == ["not-found"]


def test_a_service_that_fails_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened, and one that cannot be read on, cost themselves alone."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("1", "2", "3"):
        memory.pipe(f"/bad/{name}", a_picture())
    real = type(memory).open

    class Throttled(Exception):
        pass

    def failing(self: object, path: str, *args: object, **options: object) -> object:
        if path.endswith("1"):
            raise Throttled
        file = real(self, path, *args, **options)
        if path.endswith("2"):

            def refuse(*_: object) -> bytes:
                raise Throttled

            file.read = refuse
        return file

    monkeypatch.setattr(type(memory), "open", failing)
    try:
        found = list(filesystem_items("memory://bad"))
    finally:
        memory.rm("/bad", recursive=True)
    assert [getattr(item, "reason", "item") for item in found] == ["read-failed", "read-failed", "item"]


def test_without_the_package_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the extra; an address of no known service is an error too."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReferenceListError, match=r"hashmatch\[arrow\]"):
        list(table_items(tmp_path / "x", "a"))
    pytest.importorskip("fsspec")
    with pytest.raises(ReferenceListError, match="address"):
        list(filesystem_items("nothing-of-this-kind://x"))
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ReferenceListError, match=r"hashmatch\[fsspec\]"):
        list(filesystem_items("memory://x"))
