"""Hash-only: no pixel gets into a list file by any public call, and no hash gets out by a repr or an error."""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashmatch.errors import HashFormatError, HashmatchError, ReferenceListError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import Entry, ListedHash, Listing, ReferenceList
from hashmatch.lists.formats import ColumnMapping, Row, import_into, read_table, read_text
from support.list_makers import made_up, made_up_record, side_files


def pictures() -> dict[str, object]:
    """One picture in the shapes a caller may have it in."""
    pixels = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    jpeg = file.getvalue()
    return {
        "array": pixels,
        "image": image,
        "pixels": pixels.tobytes(),
        "jpeg": jpeg,
        "bytearray": bytearray(jpeg),
        "file": io.BytesIO(jpeg),
        "base64": base64.b64encode(jpeg).decode(),
        "hex": pixels.tobytes().hex(),
        "latin": jpeg.decode("latin-1"),
        "list": pixels.ravel().tolist(),
    }


def calls(ref: ReferenceList, picture: object) -> list[Callable[[], object]]:
    """Every public call that writes, with a picture in the place of each argument."""
    good = made_up(1)
    p: object = picture
    made: list[Callable[[], object]] = [
        lambda: ReferenceList.create(ref.path.with_name("other"), name=p),  # type: ignore[arg-type]
        lambda: ref.add(p, hashes=[good]),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=p),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[p]),  # type: ignore[list-item]
        lambda: ref.add("entry", fingerprint=p),  # type: ignore[arg-type]
        lambda: ref.add("entry", fingerprint=Fingerprint((p,))),  # type: ignore[arg-type]
        lambda: ref.add("entry", fingerprint=Fingerprint((ViewHash(value=p),))),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[HashValue("pdq", p)]),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[HashValue.parse(p, algorithm="pdq")]),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[HashValue("keypoint", p)]),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[HashValue("keypoint", p[:4096])]),  # type: ignore[index]
        lambda: ref.add("entry", hashes=[HashValue.parse(p[:8192], algorithm="keypoint")]),  # type: ignore[index]
        lambda: ref.add_many([Entry("e", (Listing("s", (ListedHash(HashValue("keypoint", p[:900])),)),))]),  # type: ignore[index]
        lambda: ref.add("entry", hashes=[good], source=p),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[good], labels=p),  # type: ignore[arg-type]
        lambda: ref.add("entry", hashes=[good], labels={"picture": p}),  # type: ignore[dict-item]
        lambda: ref.add("entry", hashes=[good], labels={p: "picture"}),  # type: ignore[dict-item]
        lambda: ref.add("entry", hashes=[good], quality=p),  # type: ignore[arg-type]
        lambda: ref.add_many(p),  # type: ignore[arg-type]
        lambda: ref.add_many([p]),  # type: ignore[list-item]
        lambda: ref.add_many([Entry(p, (Listing("s", (ListedHash(good),)),))]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", p)]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", (Listing(p, (ListedHash(good),)),))]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", (Listing("s", p),))]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", (Listing("s", (ListedHash(p),)),))]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", (Listing("s", (ListedHash(good, p),)),))]),  # type: ignore[arg-type]
        lambda: ref.add_many([Entry("entry", (Listing("s", (ListedHash(good),), p),))]),  # type: ignore[arg-type]
        lambda: ref.relabel("there", labels={"picture": p}),  # type: ignore[dict-item]
        lambda: ref.relabel("there", labels=p),  # type: ignore[arg-type]
        lambda: ref.relabel(p, labels={}),  # type: ignore[arg-type]
        lambda: ref.withdraw(p),  # type: ignore[arg-type]
        lambda: ref.withdraw("there", source=p),  # type: ignore[arg-type]
        lambda: import_into(ref, [p]),  # type: ignore[list-item]
        lambda: import_into(ref, [Row(1, p)]),  # type: ignore[arg-type]
        lambda: ref.snapshot(p),  # type: ignore[arg-type]
    ]
    return made


def forms(picture: bytes) -> list[bytes]:
    """Give what a run of bytes may look like inside a file."""
    return [picture, picture.hex().encode(), base64.b64encode(picture), picture.decode("latin-1").encode()]


def test_no_pixel_gets_into_a_list(tmp_path: Path) -> None:
    """Whatever public call a picture is put into, no run of 12 of its bytes is in the file or its log afterwards."""
    path = tmp_path / "list.hashmatch"
    shapes = pictures()
    refused = 0
    with ReferenceList.create(path, name="hash-only") as ref:
        ref.add("there", hashes=[made_up(2)])
        for picture in shapes.values():
            for call in calls(ref, picture):
                with contextlib.suppress(TypeError, ValueError, AttributeError):
                    call()
                    continue
                refused += 1
        for shape in ("jpeg", "pixels"):
            data = shapes[shape]
            assert isinstance(data, bytes)
            table = b"hash,picture\n" + made_up(3).hex().encode() + b"," + base64.b64encode(data) + b"\n"
            mapping = ColumnMapping(hashes={"hash": "pdq"}, labels={"picture": "picture"})
            import_into(ref, read_table(io.BytesIO(table), mapping))
            import_into(ref, read_table(io.BytesIO(table), ColumnMapping(hashes={"hash": "pdq"})))
            with contextlib.suppress(HashFormatError):  # a JPEG file is told from text
                import_into(ref, read_text(io.BytesIO(data), "pdq"))
            import_into(ref, read_text(io.BytesIO(data.hex().encode()), "pdq"))
            pieces = [data[at : at + 4096] for at in range(0, len(data), 4096)]
            lines = b"\n".join(b"keypoint:" + piece.hex().encode() for piece in pieces)
            assert import_into(ref, read_text(io.BytesIO(lines))).refused_count == len(pieces)
        # the log is read by another process's copy: closing a descriptor of ours would drop SQLite's locks
        files = {item.name for item in tmp_path.iterdir()}
        assert files == {path.name, *side_files(path)}
        with ReferenceList.open(path) as reader:
            assert reader.verify().entries == len(ref)
        logged = b"".join(map(read_apart, sorted(tmp_path.iterdir())))
    whole = logged + path.read_bytes()
    assert refused > 250
    assert made_up(2).data in whole
    for shape in ("pixels", "jpeg"):
        data = shapes[shape]
        assert isinstance(data, bytes)
        for start in range(0, len(data) - 12, 4):
            for form in forms(data[start : start + 12]):
                assert form not in whole


def read_apart(path: Path) -> bytes:
    """Give the bytes of a file, read by another process."""
    return subprocess.run(["cat", str(path)], check=True, capture_output=True).stdout


def test_no_call_accepts_a_picture_silently(tmp_path: Path) -> None:
    """The calls above are refused or change nothing; only a search of the file would not show that."""
    with ReferenceList.create(tmp_path / "list", name="hash-only") as ref:
        ref.add("there", hashes=[made_up(2)])
        before = list(ref)
        for picture in pictures().values():
            for call in calls(ref, picture):
                with contextlib.suppress(TypeError, ValueError, AttributeError):
                    call()
        assert (list(ref), ref.version) == (before, 1)


CANARY = "c0ffee11" * 8
CANARY_RECORD = HashValue("keypoint", made_up_record(1, 2, side=0).data[:-32] + bytes.fromhex(CANARY))


def test_no_hash_in_a_repr(tmp_path: Path) -> None:
    """No repr or str of what a list hands out shows a hash."""
    value = HashValue.parse(CANARY, algorithm="pdq")
    with ReferenceList.create(tmp_path / "list", name="canary") as ref:
        ref.add("entry-1", hashes=[value, made_up(1), CANARY_RECORD], source="s", labels={"a": "b"})
        ref.withdraw("entry-1", source="t")
        stream = ref.snapshot().records["keypoint"]
        entry = ref.get("entry-1")
        shown = [ref, entry, list(ref), ref.info(), ref.snapshot(), ref.snapshot().rows["pdq"], ref.changes_since(0)]
        assert entry is not None
        shown += [stream, *stream, [CANARY_RECORD], ref.snapshot().records]
        shown += [entry.listings, entry.listings[0].hashes, Row(1, entry)]
        assert str(tmp_path) not in repr(ref)
    for thing in shown:
        for text in (repr(thing), str(thing)):
            assert "c0ffee" not in text.lower()
            assert repr(value.data)[2:10] not in text
    assert repr(ref) == "<ReferenceList 'canary', version 1, entries: 1, closed>"


@pytest.mark.parametrize(
    "call",
    [
        lambda ref: ref.add(CANARY + "\n", hashes=[made_up(1)]),
        lambda ref: ref.add(CANARY * 9, hashes=[made_up(1)]),
        lambda ref: ref.add("entry", hashes=CANARY),
        lambda ref: ref.add("entry", hashes=[CANARY]),
        lambda ref: ref.add("entry", hashes=[HashValue("keypoint", bytes.fromhex(CANARY))]),
        lambda ref: ref.add("entry", hashes=[HashValue("keypoint", CANARY_RECORD.data + b"x")]),
        lambda ref: ref.add("entry", hashes=[made_up(1)], source=CANARY * 2),
        lambda ref: ref.add("entry", hashes=[made_up(1)], labels={CANARY * 2: "x"}),
        lambda ref: ref.add("entry", hashes=[made_up(1)], labels={"x": CANARY * 9}),
        lambda ref: ref.relabel(CANARY, labels={}),
        lambda ref: ReferenceList.create(ref.path, name=CANARY),
        lambda ref: ReferenceList.create(ref.path / CANARY, name="x"),
        lambda ref: ReferenceList.open(ref.path.with_name(CANARY)),
        lambda _: next(read_table(io.BytesIO(f"{CANARY},x\n".encode()), ColumnMapping(hashes={"hash": "pdq"}))),
    ],
)
def test_no_hash_in_an_error(tmp_path: Path, call: Callable[[ReferenceList], object]) -> None:
    """No message, and no chained one, repeats what was given."""
    with ReferenceList.create(tmp_path / "list", name="x") as ref, pytest.raises((HashmatchError, TypeError)) as error:
        call(ref)
    lines = traceback.format_exception_only(error.value)
    for chained in (error.value.__cause__, None if error.value.__suppress_context__ else error.value.__context__):
        lines += [] if chained is None else traceback.format_exception_only(chained)
    assert "c0ffee" not in "".join(lines).lower()


@pytest.mark.parametrize(
    "line",
    [
        f"keypoint:{CANARY}",
        f"keypoint:{CANARY_RECORD.hex()}00",
        f"keypoint:{CANARY * 130}",
        CANARY[:-1],
        CANARY + "0",
        CANARY[:-1] + "g",
        f"{CANARY}:x",
        f"x:{CANARY}",
        f"md5:{CANARY}",
        f"pdq:{CANARY}:",
    ],
)
def test_no_hash_in_a_reason(line: str) -> None:
    """The reason for which a line is refused does not show the line."""
    for algorithm in ("pdq", None):
        (row,) = read_text(io.BytesIO(line.encode()), algorithm)
        assert "c0ffee" not in repr(row)
    table = f'hash,id\n{line},{CANARY}\n{CANARY},{CANARY * 9}\n{CANARY},a,b\n{CANARY},"a'
    mapping = ColumnMapping(hashes={"hash": "pdq"}, entry_id="id")
    rows = list(read_table(io.BytesIO(table.encode()), mapping))
    assert len(rows) == 4
    assert "c0ffee" not in repr(rows)


def test_error_types_are_documented() -> None:
    """Both errors that refuse content are ValueErrors, as the error tree says."""
    assert issubclass(ReferenceListError, ValueError)
    assert issubclass(HashFormatError, ValueError)
