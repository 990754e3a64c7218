"""Laws of a source: everything on a medium is an item or a flaw, once, by its content, in an order that resumes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.errors import UnreadableImageError
from hashmatch.scan import CONTENTS, REASONS, Flaw, Item, walk
from hashmatch.scan.sources import Limits, SourceCounts, items, path_list
from support.containers import a_picture, looked_at, mail_of, mbox_of, raw_zip, summary, tar_of, zip_of

FILES = {"a.png": a_picture(1), "sub/b.bin": a_picture(2), "c.png": b"no picture", "empty": b""}
INSIDE = [("!a.png", "picture"), ("!sub/b.bin", "picture"), ("!c.png", "other"), ("!empty", "empty")]


def test_every_container_gives_its_members_and_then_itself(tmp_path: Path) -> None:
    """Whatever packs them and whatever the file is called, the members are the same, and the container is an item."""
    made = {
        "stored": zip_of(FILES, zipfile.ZIP_STORED),
        "deflated": zip_of(FILES),
        "bzip2": zip_of(FILES, zipfile.ZIP_BZIP2),
        "lzma": zip_of(FILES, zipfile.ZIP_LZMA),
        "behind a program": b"MZ" + bytes(300) + zip_of(FILES),
        "with a comment": b"MZ" + raw_zip([{"name": n.encode(), "data": d} for n, d in FILES.items()], comment=b"hi"),
        "tar": tar_of(FILES),
        "gnu": tar_of(FILES, format=1),
        "pax": tar_of(FILES, format=2),
        "gz": tar_of(FILES, "w:gz"),
        "bz2": tar_of(FILES, "w:bz2"),
        "xz": tar_of(FILES, "w:xz"),
    }
    for name, data in made.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(data)
        assert summary(path) == [*INSIDE, ("", "container")], name


def test_members_have_their_bytes(tmp_path: Path) -> None:
    """What is read of a member is what was put in, through every layer."""
    inner = zip_of(FILES)
    layers = tar_of({"m.eml": bytes(mail_of(("z.zip", inner)))}, "w:gz")
    (tmp_path / "top").write_bytes(layers)
    found = {item.name.rpartition("!")[2]: item.open().read() for item in items([tmp_path]) if isinstance(item, Item)}
    assert {name: found[name] for name in FILES} == FILES
    assert found["z.zip"] == inner
    assert found[str(tmp_path / "top")] == layers


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_its_one_member(tmp_path: Path, pack: object) -> None:
    """A single packed file is looked into; what follows its last frame and is no other ends it, as for its program."""
    packed = pack(a_picture())  # type: ignore[operator]
    for data in (packed, packed + packed, packed + b"trailing"):
        (tmp_path / "x").write_bytes(data)
        assert [kind for _, kind in summary(tmp_path / "x")] == ["picture", "container"]


def test_a_picture_with_an_archive_behind_it_is_both(tmp_path: Path) -> None:
    """What is hidden behind a picture is found, on the disk and in an archive; the picture stays one."""
    both = a_picture(9) + zip_of({"hidden.png": a_picture(1)})
    (tmp_path / "x.png").write_bytes(both)
    (tmp_path / "y.tar").write_bytes(tar_of({"x.png": both}))
    assert sorted(summary(tmp_path)) == [
        ("/x.png", "picture"),
        ("/x.png!hidden.png", "picture"),
        ("/y.tar", "container"),
        ("/y.tar!x.png", "picture"),
        ("/y.tar!x.png!hidden.png", "picture"),
    ]


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"", "empty"),
        (b"text", "other"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        ((b"G" + bytes(187)) * 9, "video"),
        ((bytes(4) + b"G" + bytes(187)) * 9, "video"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0mp42isom", "other"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture"),
        (b"8BPS\0\1" + bytes(30), "picture"),
        (a_picture(), "picture"),
        (b"From: nobody\nno mail: yes\n\n", "other"),
    ],
)
def test_content_is_told_by_content(tmp_path: Path, data: bytes, content: str) -> None:
    """A picture, a video and what is neither are counted apart; none is an error, whatever the name says."""
    (tmp_path / "x.zip").write_bytes(data)
    counts = SourceCounts()
    assert summary(tmp_path / "x.zip", counts=counts) == [("", content)]
    assert counts.contents == {content: 1}
    assert content in CONTENTS
    assert counts.complete


@pytest.mark.parametrize(
    "head",
    [b"Rar!\x1a\x07\x01\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"SQLite format 3\0", b"EVF\t\r\n\xff\0", b"PAR1"],
)
def test_containers_that_are_not_read_are_told(tmp_path: Path, head: bytes) -> None:
    """A form that is recognised and not read is a flaw and an item: nobody takes it for looked at."""
    (tmp_path / "x").write_bytes(head + bytes(600))
    counts = SourceCounts()
    assert summary(tmp_path / "x", counts=counts) == [("", "FORMAT-NOT-READ"), ("", "container")]
    assert not counts.complete


def test_a_mailbox_is_every_message(tmp_path: Path) -> None:
    """Parts of all messages come, also of one that is attached to another."""
    inner = mail_of(("p.png", a_picture(1)))
    outer = mail_of(("q.png", a_picture(2)))
    outer.add_attachment(inner)
    (tmp_path / "m").write_bytes(mbox_of(tmp_path, outer, inner))
    (tmp_path / "box").unlink()
    names = [name for name, kind in summary(tmp_path / "m") if kind == "picture"]
    assert names == ["!q.png", "!p.png", "!p.png"]


def test_keys_are_unique_and_the_same_again(tmp_path: Path) -> None:
    """Members of one name have keys of their own; a second run gives the same keys and order."""
    (tmp_path / "x").write_bytes(raw_zip([{"name": b"same", "data": a_picture(k)} for k in range(3)]))
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(tar_of(FILES, "w:gz"))
    keys = [found.key for found in looked_at(tmp_path)]
    assert len(set(keys)) == len(keys) == 9
    assert keys == [found.key for found in looked_at(tmp_path)]
    assert any("caf\\xe9!" in found.name for found in looked_at(tmp_path))


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """After any number of items the rest comes; a container that is an item is done with all of its members."""
    for name in ("1", "2", "3"):
        (tmp_path / name).write_bytes(zip_of(FILES))
    whole = [found.key for found in looked_at(tmp_path)]
    for stop in range(len(whole)):
        seen = set(whole[:stop])
        counts = SourceCounts()
        rest = [found.key for found in looked_at(tmp_path, done=seen.__contains__, counts=counts)]
        assert seen | set(rest) == set(whole)
        assert counts.skipped == stop // 5


def test_an_item_is_read_before_the_next(tmp_path: Path) -> None:
    """A stream that is kept for later says so, and gives no other member's bytes."""
    (tmp_path / "x").write_bytes(tar_of(FILES))
    kept = [item.open() for item in items([tmp_path]) if isinstance(item, Item)]
    for stream in kept:
        with pytest.raises(ValueError, match="gone on"):
            stream.read()


def test_members_that_are_not_read_cost_nothing_else(tmp_path: Path) -> None:
    """Whoever takes only some items gets those whole."""
    (tmp_path / "x").write_bytes(tar_of({str(k): a_picture(k, 200) for k in range(4)}, "w:gz"))
    for k, item in enumerate(items([tmp_path])):
        if k == 2:
            assert isinstance(item, Item)
            assert item.open().read() == a_picture(2, 200)


def test_unreadable_files_and_folders_are_flaws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone, refused, special or no path at all is told with its reason; the rest goes on."""
    (tmp_path / "good").write_bytes(a_picture())
    (tmp_path / "bad").write_bytes(a_picture())
    (tmp_path / "locked").mkdir()
    os.mkfifo(tmp_path / "pipe")
    real_open, real_list = open, os.scandir

    def refusing(path: object, *args: object, **options: object) -> object:
        if str(path).endswith("bad"):
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, *args, **options)  # type: ignore[call-overload]

    def refusing_list(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real_list(path)

    monkeypatch.setattr("builtins.open", refusing)
    monkeypatch.setattr(os, "scandir", refusing_list)
    counts = SourceCounts()
    roots = [tmp_path, tmp_path / "gone", tmp_path / "pipe", "zero\0byte"]
    found = list(items(roots, counts=counts))
    assert sorted(item.reason for item in found if isinstance(item, Flaw)) == [
        "not-a-file",
        "not-found",
        "not-found",
        "not-permitted",
        "not-permitted",
    ]
    assert [item.content for item in found if isinstance(item, Item)] == ["picture"]
    assert not counts.complete
    assert counts.walk.special == 1


def test_a_file_that_changes_is_told(tmp_path: Path) -> None:
    """What was written to while it was read may be neither the old nor the new content."""
    (tmp_path / "x").write_bytes(a_picture())
    found = []
    for item in items([tmp_path]):
        found.append(getattr(item, "reason", "item"))
        (tmp_path / "x").write_bytes(b"other")
    assert found == ["item", "changed"]


def test_folders_of_any_size_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder comes in windows, each entry once, with its folders; small ones are sorted as a whole."""
    for name in range(50):
        (tmp_path / f"{name:03}").write_bytes(b"x")
    for name in ("d1", "d2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner").write_bytes(b"x")
    plain = [path.name for path in walk.iter_files([tmp_path])]
    assert plain == [*sorted(plain[:50]), "inner", "inner"]
    monkeypatch.setattr(walk, "_WINDOW", 7)
    for order in ("name", "disk"):
        counts = walk.WalkCounts()
        found = [path.name for path in walk.iter_files([tmp_path], order=order, counts=counts)]
        assert sorted(found) == sorted(plain)
        assert found == [path.name for path in walk.iter_files([tmp_path], order=order)]
        assert (counts.folders, counts.folders_empty, counts.found) == (3, 0, 52)
    with pytest.raises(ValueError, match="order"):
        next(walk.iter_files([tmp_path], order="size"))  # type: ignore[arg-type]


def test_roots_are_taken_one_by_one(tmp_path: Path) -> None:
    """A list of paths without an end is walked: it is never held."""
    (tmp_path / "x").write_bytes(b"x")

    def endless() -> Iterator[Path]:
        while True:
            yield tmp_path / "x"

    found = items(endless())
    assert [next(found).inside for _ in range(5)] == ["folder"] * 5


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"a\nb c\n\n/d\r\n", ["a", "b c", "/d"]),
        (b"a\nb\0c\0", ["a\nb", "c"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"caf\xe9\n", ["caf\udce9"]),
        (b"", []),
        (b"last", ["last"]),
    ],
)
def test_lists_of_paths(data: bytes, paths: list[str]) -> None:
    """One path on a line, or a zero byte after each; bytes that are no UTF-8 stay what they are."""
    assert list(path_list(io.BytesIO(data))) == paths


def test_lists_of_paths_have_bounds() -> None:
    """The separator may be said; a path that never ends is cut, and not held."""
    assert list(path_list(io.BytesIO(b"a\0b\n"), separator=b"\n")) == ["a\0b"]
    with pytest.raises(ValueError, match="separator"):
        list(path_list(io.BytesIO(b"a"), separator=b","))
    tracemalloc.start()
    paths = list(path_list(io.BytesIO(b"x" * 20_000_000)))
    assert all(len(path) <= 65_536 for path in paths)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_limits_are_checked() -> None:
    """A limit of nothing is a mistake."""
    for name in ("depth", "members", "unpacked", "ratio", "held", "seconds"):
        with pytest.raises(ValueError, match=name):
            Limits(**{name: 0})


def test_errors_of_a_member_have_a_reason(tmp_path: Path) -> None:
    """A member that is too large to be held and damaged raises where it is read."""
    data = bytearray(tar_of({"x": os.urandom(300_000)}, "w:gz"))
    data[150_000:150_100] = bytes(100)
    (tmp_path / "x").write_bytes(data)
    reasons = []
    for item in items([tmp_path], limits=Limits(held=1)):
        if isinstance(item, Flaw):
            reasons.append(item.reason)
            continue
        try:
            item.open().read()
        except UnreadableImageError as error:
            reasons.append(error.reason)
    assert reasons[0] in ("damaged", "cut-short")
    assert set(reasons) <= REASONS
