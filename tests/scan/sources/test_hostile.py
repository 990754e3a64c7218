"""Laws for hostile containers: bounded memory and work, a reason for what is lost, and nothing else is lost."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest

from hashmatch.errors import UnreadableImageError
from hashmatch.scan import REASONS, Flaw, Item, shown_name
from hashmatch.scan.sources import Limits, SourceCounts, items
from support.containers import a_picture, looked_at, mail_of, raw_zip, summary, tar_of, zip_of

SMALL = Limits(held=2**22, unpacked=2**26, members=1_000)


def told(tmp_path: Path, data: bytes, **options: object) -> list[tuple[str, str]]:
    """Return what a source gives of some bytes; a sound picture beside them must come whatever they are."""
    (tmp_path / "m").mkdir(exist_ok=True)
    (tmp_path / "m" / "bad").write_bytes(data)
    (tmp_path / "m" / "good").write_bytes(a_picture())
    found = summary(tmp_path / "m", **options)
    assert ("/good", "picture") in found
    found.remove(("/good", "picture"))
    return [(name.removeprefix("/bad"), what) for name, what in found]


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """Write the header of a tar member with a size that is given as it stands there."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157], block[257:265] = kind, b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_bombs_are_stopped_and_told(tmp_path: Path) -> None:
    """Layers of archives, and one that unpacks far beyond the limits: little memory, and every layer says so."""
    layers = zip_of({"a": bytes(10**6)})
    for _ in range(6):
        layers = zip_of({str(k): layers for k in range(10)})
    packer = zlib.compressobj(9, wbits=31)
    single = b"".join((*(packer.compress(bytes(2**20)) for _ in range(256)), packer.flush()))
    tracemalloc.start()
    for data in (layers, single, gzip.compress(single), zip_of({"x": single})):
        assert set(_reasons(_file(tmp_path, data), SMALL)) & {"too-much-unpacked", "too-many-members"}
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def test_a_bomb_is_told_also_where_only_its_reader_meets_it(tmp_path: Path) -> None:
    """A member that is given as a stream ends with its reason, and so does its container."""
    packer = zlib.compressobj(9, wbits=31)
    data = b"".join((*(packer.compress(bytes(2**20)) for _ in range(80)), packer.flush()))
    reasons = _reasons(_file(tmp_path, data), Limits(held=1, unpacked=2**26))
    assert reasons == {"read too-much-unpacked": 1, "too-much-unpacked": 1}


def _reasons(path: Path, limits: Limits) -> Counter[str]:
    """Read everything in steps, and count the reasons of flaws and of what cannot be read to its end."""
    reasons = Counter[str]()
    for item in items([path], limits=limits):
        if isinstance(item, Flaw):
            reasons[item.reason] += 1
            continue
        stream = item.open()
        try:
            while stream.read(2**16):
                pass
        except UnreadableImageError as error:
            reasons[f"read {error.reason}"] += 1
    return reasons


def _file(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "x").write_bytes(data)
    return tmp_path / "x"


def test_containers_go_no_deeper_than_the_limit(tmp_path: Path) -> None:
    """What lies below is told; what lies above is found. A quine of containers ends so."""
    data = a_picture()
    for k in range(30):
        data = (zip_of, tar_of)[k % 2]({"in": data, f"p{k}": a_picture(k)})
    found = told(tmp_path, data, limits=Limits(depth=3))
    assert Counter(what for _, what in found) == {"picture": 3, "container": 4, "TOO-DEEP": 1}
    assert len(told(tmp_path, data, limits=Limits(depth=40))) == 61


def test_very_many_members(tmp_path: Path) -> None:
    """65,535 members of a byte are items; beyond the limit the container says so, for every form."""
    for number in (4_000, 65_535):
        path = _file(tmp_path, raw_zip([{"name": b"%d" % k, "data": b"x"} for k in range(number)]))
        counts = SourceCounts()
        if number == 4_000:
            tracemalloc.start()
        assert sum(1 for _ in items([path], counts=counts)) == number + 1
        if tracemalloc.is_tracing():  # 100 bytes a member would be too many; the file itself is held
            assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 200_000
            tracemalloc.stop()
        assert (counts.contents["other"], counts.complete) == (number, True)
    names = {str(k): b"x" for k in range(20)}
    mail = b"From: a\nTo: b\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20 + b"--b--\n"
    for data in (zip_of(names), tar_of(names), mail):
        found = told(tmp_path, data, limits=Limits(members=10))
        assert ("", "TOO-MANY-MEMBERS") in found
        assert len(found) <= 12


@pytest.mark.parametrize("size", [b"-0000000001", b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"zzz", b"9"])
def test_tar_members_of_impossible_size(tmp_path: Path, size: bytes) -> None:
    """A size that no member can have loses that member: the next header is found behind it."""
    found = told(tmp_path, header(b"bad", size) + bytes(512) + tar_of({"p": a_picture()}))
    assert set(found) & {("", "DAMAGED"), ("", "CUT-SHORT")}
    huge = size.startswith(b"777")
    assert (("!p", "picture") in found) is not huge


def test_damage_within_a_tar_loses_what_is_damaged(tmp_path: Path) -> None:
    """Noise over one header, and over the padding: what comes behind is found."""
    data = bytearray(tar_of({str(k): a_picture(k) for k in range(3)}))
    at = data.index(b"1\0\0\0", 512)
    data[at : at + 512] = os.urandom(512)
    found = told(tmp_path, bytes(data))
    assert ("", "DAMAGED") in found
    assert {("!0", "picture"), ("!2", "picture")} <= set(found)


def test_extended_headers_of_tar_are_bounded(tmp_path: Path) -> None:
    """A pax header or a long name of any length is passed over and told; one that is fair names its member."""
    long = header(b"l", b"%011o" % (2**21), b"L") + b"n" * 2**21 + tar_of({"p": a_picture()})
    assert ("!p", "picture") in told(tmp_path, long)
    assert ("", "DAMAGED") in told(tmp_path, long)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        name = "deep/" * 60 + "é.png"
        assert told(tmp_path, tar_of({name: a_picture()}, format=form))[0] == ("!" + name, "picture")
    record = b"11 size=-5\n"
    pax = header(b"x", b"%011o" % len(record), b"x") + record.ljust(512, b"\0") + tar_of({"p": a_picture()})
    assert ("", "DAMAGED") in told(tmp_path, pax)


def test_sparse_members_of_tar_are_told(tmp_path: Path) -> None:
    """What is stored of a sparse file is not its content."""
    sparse = header(b"s", b"00000001000", b"S") + bytes(512) + tar_of({"p": a_picture()})
    assert told(tmp_path, sparse)[:2] == [("!s", "FORMAT-NOT-READ"), ("!p", "picture")]


@pytest.mark.parametrize("nested", [b"multipart/mixed; boundary=b%d", b"message/rfc822"])
def test_mail_nested_a_thousand_deep(tmp_path: Path, nested: bytes) -> None:
    """No recursion: what lies within a hundred boundaries is read, what lies deeper is told."""
    start = b"From: a\r\nTo: b\r\n"
    boundary = b"--b%d\r\n" if b"%d" in nested else b""
    body = b"".join(
        b"Content-Type: %s\r\n\r\n%s" % (nested % k if b"%d" in nested else nested, boundary % k if boundary else b"")
        for k in range(1_000)
    )
    found = told(tmp_path, start + body + b"\r\n" + a_picture())
    assert ("", "container") in found
    assert (("", "TOO-DEEP") if boundary else ("!part-1", "picture")) in found


def test_coded_parts_of_mail(tmp_path: Path) -> None:
    """Every coding gives back what was sent, also with lines that no program writes; a part cut short is told."""
    import base64
    import binascii

    data = a_picture()
    start = b"MIME-Version: 1.0\r\nSubject: x\r\nContent-Transfer-Encoding: %s\r\n\r\n%s"
    text = base64.b64encode(data)
    uu = b"begin 644 x\n" + b"".join(binascii.b2a_uu(data[k : k + 45]) for k in range(0, len(data), 45)) + b"`\nend\n"
    for coding, body in (
        (b"base64", text),
        (b"BASE64", b"\r\n ".join(text[k : k + 7] for k in range(0, len(text), 7))),
        (b"base64", base64.b64encode(data[:100]) + base64.b64encode(data[100:])),
        (b"quoted-printable", binascii.b2a_qp(data, istext=False)),
        (b"x-uuencode", uu),
        (b"binary", data),
    ):
        path = _file(tmp_path, start % (coding, body))
        members = [item.open().read() for item in items([path]) if isinstance(item, Item) and item.inside == "mail"]
        assert members[0].startswith(data), coding
    message = bytes(mail_of(("p.png", data)))
    assert ("", "CUT-SHORT") in told(tmp_path, message[:-60])


def test_raw_attachments_end_before_the_line_end_of_the_boundary(tmp_path: Path) -> None:
    """The digest of an attachment that is not coded is that of the file."""
    body = b"line\r\nlast\n"
    for end in (b"\r\n", b"\n"):
        lines = [
            b"From: a",
            b"To: b",
            b"Content-Type: multipart/mixed; boundary=q",
            b"",
            b"--q",
            b"",
            body + end + b"--q--",
        ]
        path = _file(tmp_path, end.join(lines) + end)
        assert next(item.open().read() for item in items([path]) if isinstance(item, Item)) == body


def test_entries_of_zip_that_cannot_be_read_lose_themselves_alone(tmp_path: Path) -> None:
    """Encrypted, of an unknown method, without data, with false numbers, twice the same bytes: a reason for each."""
    picture = {"name": b"p", "data": a_picture()}
    entries = [
        {"name": b"encrypted", "data": b"x", "flags": 1},
        {"name": b"aes", "data": b"x", "method": 99},
        {"name": b"method", "data": b"x", "method": 9},
        {"name": b"crc", "data": b"x" * 99, "crc": 1},
        {"name": b"short", "data": b"x" * 99, "size": 5_000},
        {"name": b"noise", "data": b"x" * 99, "method": 12},
        {"name": b"gone", "place": 2**30},
        {"name": b"wrong", "place": 1},
        {"name": b"\xff\xfe bad name", "flags": 0x800, "data": a_picture(1)},
        {"name": b"extra", "data": a_picture(2), "extra": b"\1\0\xff\xff"},
        {"name": b"many", "size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": b"\1\0\4\0abcd"},
        picture,
        {"name": b"again", "data": a_picture(), "place": 0},
    ]
    first, *found = told(tmp_path, raw_zip(entries))
    assert first == ("", "OVERLAPPING")
    assert dict(found) == {
        "!encrypted": "ENCRYPTED",
        "!aes": "ENCRYPTED",
        "!method": "FORMAT-NOT-READ",
        "!crc": "other",
        "!short": "CUT-SHORT",
        "!noise": "DAMAGED",
        "!gone": "CUT-SHORT",
        "!wrong": "DAMAGED",
        "!\\xff\\xfe bad name": "picture",
        "!extra": "picture",
        "!many": "DAMAGED",
        "!p": "picture",
        "!again": "ENCRYPTED",
        "": "container",
    }
    # of a member with a false checksum the bytes are given, and it is told
    assert told(tmp_path, raw_zip([{"name": b"crc", "data": a_picture(), "crc": 1}]))[:2] == [
        ("!crc", "DAMAGED"),
        ("!crc", "picture"),
    ]


def test_zip_of_64_bits_and_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Numbers of 64 bits are read where the record says, and where it lies if that is moved."""
    table_at = raw_zip([{"name": b"p", "data": a_picture()}])
    end = table_at.rindex(b"PK\5\6")
    length, place = struct.unpack_from("<LL", table_at, end + 12)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, length, place)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    for before in (b"", b"MZ" + bytes(333)):
        found = told(tmp_path, before + table_at[:end] + record + locator + last)
        assert found == [("!p", "picture"), ("", "container")]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_zip_without_its_table_gives_what_is_there(tmp_path: Path, method: int, streamed: bool) -> None:
    """An archive that was cut gives the members before the cut, also where their lengths stand behind them."""
    out = _Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for k in range(3):
            archive.writestr(zipfile.ZipInfo(str(k)), a_picture(k), method)
        archive.writestr("folder/", b"")
    data = out.getvalue()
    found = told(tmp_path, data[: data.index(b"PK\1\2")])
    assert found[0] == ("", "CUT-SHORT")
    assert [item for item in found if item[1] == "picture"] == [(f"!{k}", "picture") for k in range(3)]
    found = told(tmp_path, data[: data.rindex(b"PK\3\4") - 60])
    assert [item for item in found if item[0] in ("!0", "!1")] == [("!0", "picture"), ("!1", "picture")]
    assert streamed or {("!2", "CUT-SHORT"), ("!2", "DAMAGED")} & set(found)
    assert told(tmp_path, b"PK\3\4") == [("", "CUT-SHORT"), ("", "container")]
    # a false place of the table, too
    end = data.rindex(b"PK\5\6")
    wrong = data[: end + 16] + b"\xff\xff\xff\x7f" + data[end + 20 :]
    assert ("!2", "picture") in told(tmp_path, wrong)


class _Pipe(io.BytesIO):
    """What cannot be sought in, so that lengths are written behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def test_names_are_shown_and_never_followed(tmp_path: Path) -> None:
    """Names that climb, are absolute, empty, endless or of control characters write nothing and open nothing."""
    names = [b"../../x", b"/etc/x", b"C:\\x", b"", b"a\0b", b"\n\x1b[2J", b"n" * 65_535]
    before = sorted(tmp_path.rglob("*"))
    path = _file(tmp_path, raw_zip([{"name": name, "data": a_picture()} for name in names]))
    found = [item for item in looked_at(path) if item.inside == "zip"]
    assert [item.name for item in found] == [f"{path}!{shown_name(name)}" for name in names]
    assert all(len(item.name) < 5_000 and len(item.key) < 2_000 for item in found)
    assert sorted(tmp_path.rglob("*")) == [*before, path]


def _sound() -> dict[str, bytes]:
    files = {str(k): a_picture(k) for k in range(3)}
    return {
        "zip": zip_of(files),
        "tar": tar_of(files),
        "gz": tar_of(files, "w:gz"),
        "xz": tar_of(files, "w:xz"),
        "bz2": tar_of(files, "w:bz2"),
        "mail": bytes(mail_of(*files.items())),
        "nested": tar_of({"in": zip_of(files, zipfile.ZIP_STORED)}, "w:gz"),
    }


@pytest.mark.parametrize("form", _sound())
def test_cut_and_damaged_containers(tmp_path: Path, form: str) -> None:
    """Cut or changed anywhere, a container ends with items and reasons of the closed set; what is cut off is told."""
    data = _sound()[form]
    path = tmp_path / "x"
    whole = len(summary(_file(tmp_path, data)))
    rng = random.Random(form)
    for _ in range(40):
        cut = rng.randrange(1, len(data))
        path.write_bytes(data[:cut])
        found = [(getattr(item, "reason", None), item) for item in looked_at(path)]
        assert {reason for reason, _ in found if reason} <= REASONS
        is_told = any(reason for reason, _ in found)
        # the padding of a tar holds nothing; before its first boundary a message does not say that it has parts
        may_be_whole = len(found) == whole or (form == "mail" and b"\n--" not in data[:cut])
        assert is_told or may_be_whole or [item.content for _, item in found if isinstance(item, Item)] == ["other"], (
            cut
        )
        changed = bytearray(data)
        for _ in range(rng.choice((1, 3, 30))):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(changed)
        assert {item.reason for item in looked_at(path) if isinstance(item, Flaw)} <= REASONS


def test_a_fault_of_a_reader_is_no_end_of_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a reader raises, and where memory is short, the file is told and the next one comes."""
    from hashmatch.scan.sources import expand

    for error, reason in ((MemoryError(), "OUT-OF-MEMORY"), (KeyError("x"), "DAMAGED"), (RecursionError(), "DAMAGED")):

        def broken(*_: object, error: BaseException = error) -> object:
            raise error

        monkeypatch.setattr(expand, "zip_members", broken)
        assert told(tmp_path, zip_of({"a": b""})) == [("", reason), ("", "container")]


def test_what_the_caller_raises_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of another program is none of a container's."""
    from hashmatch.scan.sources import expand

    class Foreign(Exception):
        pass

    def broken(*_: object) -> object:
        raise Foreign

    monkeypatch.setattr(expand, "zip_members", broken)
    with pytest.raises(Foreign):
        list(items([_file(tmp_path, zip_of({"a": b""}))]))
