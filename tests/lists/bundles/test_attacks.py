"""Bundles that somebody tampered with, held back or mixed up: each is refused by its own reason, and nothing moves."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch import ReferenceList
from hashmatch.errors import BundleError, ReferenceListError, SignatureError
from hashmatch.lists.bundles import Manifest, applying, take_bundle, write_bundle
from hashmatch.lists.bundles.manifest import Chunk, VersionBase, read_chunks, read_head, write_head
from hashmatch.lists.bundles.rows import pack, unpack
from hashmatch.lists.bundles.taking import verified_keys
from hashmatch.signing import SigningKey, rotate
from hashmatch.signing.note import read_note
from support.bundle_makers import KEY, NOW, key_of, refusal, rows_of
from support.list_makers import made_up

DAY = 86_400
ONE = key_of(1)


@pytest.fixture
def owner(tmp_path: Path) -> Path:
    """Make a list of three versions, bundles of each, and a taker of the first."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        for version in (1, 2, 3):
            ref.add(f"entry-{version}", hashes=[made_up(version)], source="one", labels={"class": "A1"}, quality=50)
            write_bundle(ref, tmp_path / f"whole-{version}", ONE, now=NOW)
            if version > 1:
                write_bundle(ref, tmp_path / f"part-{version}", ONE, since=version - 1, now=NOW)
    take_bundle(tmp_path / "taker", tmp_path / "whole-1", trust=ONE.verifiers, now=NOW)
    return tmp_path


def state_of(path: Path) -> object:
    """Everything that a taker has: rows, and whom it trusts."""
    with ReferenceList.open(path, check="full") as ref:
        return rows_of(path), ref.trust()


def take(folder: Path, name: str, **more: Any) -> str:
    """Take a bundle that is refused; the taker stays as it was, and nothing is left."""
    before, files = state_of(folder / "taker"), sorted(os.listdir(folder))
    reason = refusal(take_bundle, folder / "taker", folder / name, **{"now": NOW, **more})
    assert state_of(folder / "taker") == before
    assert sorted(os.listdir(folder)) == files
    return reason


def test_every_attack_has_its_own_answer(owner: Path) -> None:
    """Old, expired, of the wrong base, of another list, by a stranger: refused before a row is read."""
    take_bundle(owner / "taker", owner / "part-2", now=NOW)
    assert take(owner, "whole-1") == "old-version"
    assert take(owner, "part-3", now=NOW + 30 * DAY) == "expired"
    assert not take_bundle(owner / "taker", owner / "whole-2", now=NOW).changed
    with ReferenceList.create(owner / "other-owner", name="owned") as ref:
        ref.add("entry-1", hashes=[made_up(1)])
        write_bundle(ref, owner / "other", ONE, now=NOW)
    assert take(owner, "other") == "another-list"
    with ReferenceList.open(owner / "owner") as ref:
        write_bundle(ref, owner / "stranger", key_of(2), now=NOW)
        write_bundle(ref, owner / "gap", ONE, since=1, now=NOW)
        write_bundle(ref, owner / "renamed", SigningKey("example.org/other", [(1, bytes([1]) * 32)]), now=NOW)
    assert take(owner, "stranger") == take(owner, "renamed") == "unknown-key"
    assert take(owner, "gap") == "wrong-base"
    assert take(owner, "whole-3", trust=key_of(2).verifiers) == "other-trust"
    assert take(owner, "taker") == take(owner, "owner") == "no-bundle"
    assert take(owner, "missing") == "no-bundle"
    take_bundle(owner / "taker", owner / "part-3", now=NOW)
    assert state_of(owner / "taker")[0] == rows_of(owner / "owner")  # type: ignore[index]


def test_the_first_time_somebody_has_to_be_trusted(owner: Path) -> None:
    """Without a key, by a stranger's, or with a difference no list comes to be."""
    fresh = owner / "fresh"
    for name, trust, reason in (
        ("whole-1", (), "no-trust"),
        ("whole-1", key_of(2).verifiers, "unknown-key"),
        ("whole-1", (*ONE.verifiers, *key_of(2).verifiers), "missing-signature"),
        ("part-2", ONE.verifiers, "wrong-base"),
    ):
        assert refusal(take_bundle, fresh, owner / name, trust=trust, now=NOW) == reason
    assert refusal(take_bundle, fresh, owner / "whole-1", trust=ONE.verifiers, now=NOW + 30 * DAY) == "expired"
    assert not list(owner.glob("*fresh*"))
    assert refusal(take_bundle, owner / "owner", owner / "whole-1", trust=ONE.verifiers, now=NOW) == "no-trust"


def test_keys_change_by_a_signature_of_the_old_one_alone(owner: Path) -> None:
    """A hand-over is followed, also over several; one that the old key did not sign is refused; the old key is out."""
    new = rotate(rotate(ONE, post_quantum=True))
    with ReferenceList.open(owner / "owner") as ref:
        write_bundle(ref, owner / "new", new, since=1, now=NOW)
        write_bundle(ref, owner / "without", new.with_rotations(()), since=1, now=NOW)
        note = read_note(new.rotations[0])
        for place in range(3):
            kept = tuple(line for at, line in enumerate(note.signatures) if at != place)
            forged = new.with_rotations([note._replace(signatures=kept).encode(), new.rotations[1]])
            write_bundle(ref, owner / f"forged-{place}", forged, since=1, now=NOW)
    assert take(owner, "without") == "unknown-key"
    assert {take(owner, f"forged-{place}") for place in range(3)} == {"bad-rotation"}
    report = take_bundle(owner / "taker", owner / "new", now=NOW)
    assert (report.changed, report.rotated) == (True, True)
    with ReferenceList.open(owner / "owner", writable=True) as ref:
        ref.add("entry-9", hashes=[made_up(9)])
        write_bundle(ref, owner / "by-the-old", ONE, now=NOW)
        write_bundle(ref, owner / "again", new, since=3, now=NOW)
    assert take(owner, "by-the-old") == "unknown-key"
    assert not take_bundle(owner / "taker", owner / "again", now=NOW).rotated


def test_one_of_two_signatures_is_not_enough(tmp_path: Path) -> None:
    """Who trusts Ed25519 and ML-DSA-44 side by side is not content with one of them."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        write_bundle(ref, tmp_path / "b", KEY, now=NOW)
    data = (tmp_path / "b").read_bytes()
    with (tmp_path / "b").open("rb") as stream:
        note, _ = read_head(stream)
    rest = data[data.index(b"\n") + 1 + len(note.encode()) :]
    for kept in (0, 1):
        one = note._replace(signatures=(note.signatures[kept],)).encode()
        (tmp_path / "one").write_bytes(b"hashmatch bundle 1 %d\n" % len(one) + one + rest)
        assert (
            refusal(take_bundle, tmp_path / "t", tmp_path / "one", trust=KEY.verifiers, now=NOW) == "missing-signature"
        )
    take_bundle(tmp_path / "t", tmp_path / "b", trust=KEY.verifiers, now=NOW)


def test_two_versions_of_one_number_are_a_fork(owner: Path) -> None:
    """Copies of one list that were changed apart: the second is told, not taken."""
    shutil.copyfile(owner / "owner", owner / "copy")
    for name in ("owner", "copy"):
        with ReferenceList.open(owner / name, writable=True) as ref:
            ref.add("entry-4", hashes=[made_up(4 if name == "owner" else 5)])
            write_bundle(ref, owner / f"four-{name}", ONE, now=NOW)
    take_bundle(owner / "taker", owner / "four-owner", now=NOW)
    assert take(owner, "four-copy") == "forked"


def test_what_was_added_here_is_not_undone(owner: Path) -> None:
    """A taker's own change stops the next bundle; a new path takes it."""
    with ReferenceList.open(owner / "taker", writable=True) as ref:
        ref.add("mine", hashes=[made_up(77)])
    for name in ("part-3", "whole-3", "whole-2"):
        assert take(owner, name) == "changed-here"
    take_bundle(owner / "another", owner / "whole-3", trust=ONE.verifiers, now=NOW)


def read_through(data: bytes) -> None:
    """Read a bundle as a take does, and write nothing."""
    stream = io.BytesIO(data)
    note, manifest = read_head(stream)
    verified_keys(note, manifest, ONE.verifiers)
    for chunk in read_chunks(stream, manifest):
        unpack(chunk)


def test_every_flip_and_cut_is_refused(owner: Path) -> None:
    """Exhaustively: each bit, each length, and bytes behind the end; of some a take is tried, and makes no list."""
    data = (owner / "whole-1").read_bytes()
    changed, fresh = owner / "changed", owner / "fresh"
    reasons = set()

    def tried(piece: bytes, number: int) -> None:
        reasons.add(refusal(read_through, piece))
        if number % 197 == 0:
            changed.write_bytes(piece)
            assert refusal(take_bundle, fresh, changed, trust=ONE.verifiers, now=NOW) in reasons

    for place in range(len(data)):
        for bit in range(8):
            tried(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :], 8 * place + bit)
    for length in range(len(data)):
        tried(data[:length], length)
    tried(data + b"\0", 0)
    assert not list(owner.glob("*fresh*"))
    assert reasons <= {"no-bundle", "truncated", "damaged", "malformed", "bad-note", "bad-signature", "unknown-key"}
    assert {"truncated", "damaged", "bad-signature", "unknown-key", "no-bundle"} <= reasons


def test_chunks_cannot_be_swapped_left_out_or_taken_from_another(owner: Path) -> None:
    """Each stands at its place, by its digest."""
    with (owner / "part-2").open("rb") as stream:
        manifest = read_head(stream)[1]
        chunks = [stream.read(chunk.n_bytes) for chunk in manifest.chunks]
    head = (owner / "part-2").read_bytes()[: -sum(map(len, chunks))]
    other = (owner / "part-3").read_bytes()[-len(chunks[-1]) :]
    for rest in (chunks[::-1], chunks[:-1], [*chunks, chunks[-1]], [*chunks[:-1], other], chunks[1:]):
        (owner / "mixed").write_bytes(head + b"".join(rest))
        assert take(owner, "mixed") in {"damaged", "truncated"}


def signed(
    folder: Path, bundle: str, change: Callable[[list[tuple[str, dict[str, Any], bytes]]], None], **more: Any
) -> str:
    """Sign a bundle that says other than it should, as an owner whose software is wrong would."""
    with (folder / bundle).open("rb") as stream:
        _, manifest = read_head(stream)
        parts = [unpack(stream.read(chunk.n_bytes)) for chunk in manifest.chunks]
    change(parts)
    chunks = [pack(*part) for part in parts]
    said = tuple(Chunk(len(data), hashlib.sha256(data).hexdigest()) for data in chunks)
    with (folder / "wrong").open("wb") as file:
        write_head(file, replace(manifest, chunks=said, **more), ONE)
        file.write(b"".join(chunks))
    return "wrong"


def part_of(parts: list[tuple[str, dict[str, Any], bytes]], kind: str) -> dict[str, Any]:
    """Find the columns of a chunk."""
    return next(columns for name, columns, _ in parts if name == kind)


def put(kind: str, column: str, value: object) -> Callable[[list[tuple[str, dict[str, Any], bytes]]], None]:
    """Put something else in a column."""
    return lambda parts: part_of(parts, kind).__setitem__(column, value)


WRONG: list[Callable[[list[tuple[str, dict[str, Any], bytes]]], None]] = [
    list.clear,
    lambda parts: parts.pop(0),  # type: ignore[arg-type, return-value]
    lambda parts: parts.reverse(),
    lambda parts: parts.append(parts[0]),
    lambda parts: parts.append(parts[1]),
    lambda parts: parts.extend([parts[1], ("gone", {"rows": [1, 2]}, b"")]),
    lambda parts: parts.append(("other", {}, b"")),
    lambda parts: parts.append(("gone", {"rows": [1]}, b"")),
    *(put("entries", "ids", [name]) for name in ("", "a\nb", "x" * 257, 7, None, [])),
    *(put("entries", "keys", [key]) for key in (0, -1, 2, 2**63, "1", None, 1.5)),
    *(put("entries", "changed", [at]) for at in (0, 9, "1", -1)),
    *(put("entries", "n_rows", [n]) for n in (0, 2, -1, "1", 2**70)),
    *(put("entries", "n_labels", [n]) for n in (0, 2, -1)),
    *(put("entries", "rows", rows) for rows in ([], [0], [9], ["1"], [1, 2], [2**80], [None])),
    *(put("entries", "sources", [n]) for n in (0, 2, "1", None, 2**70)),
    *(put("entries", "algorithms", [n]) for n in (0, 2, 14, 15, "1", None, [])),
    *(put("entries", "qualities", [n]) for n in (None, 51, -1, 101, "50", 1e300)),
    *(put("entries", "lengths", [n]) for n in (1, 32, -1)),
    *(
        put("entries", "labels", said)
        for said in ([[1, "class", "A2"]], [[2, "class", "A1"]], [[1, "", "A1"]], [[1]], [7])
    ),
    *(put("state", name, 2**70) for name in ("history_from", "digest_from", "next_entry", "next_hash")),
    *(put("state", name, 0) for name in ("next_entry", "next_hash")),
    put("state", "history_from", 7),
    put("state", "content", "00" * 32),
    put("state", "content", "no hex"),
    *(put("state", "tallies", said) for said in ([], [[1, 2, 0]], [[99, 1, 0]], [["1", 1, 0]], [[1, 1]], 7)),
    *(
        put("state", "sources", said)
        for said in (
            [],
            [[1, "two", 1, 0, ""]],
            [[1, "one", 2, 0, ""]],
            [[1, "one", 1, 1, ""]],
            [[1, "one", 1, 9, ""]],
            [[2, "one", 1, 0, ""]],
            [[1, "a\0", 1, 0, ""]],
            [[1, "one", 1, 0, "terms"]],
            [[1, "one", 1, 0, 7]],
            [[1, "one", 1, 0, ""], [2, "one", 0, 0, ""]],
        )
    ),
    *(put("change", "rows", said) for said in ([], [[1, 2]], [[2, 1]], [["1", 1]], [[1]], [[1, 1], [1, 1]], 7)),
    *(
        put("digest", "rows", said)
        for said in ([], [[0, "00" * 31, 0]], [[1, "00" * 32, 0]], [[0, "00" * 32, 2**70]], [[0, 7, 0]], 7)
    ),
    lambda parts: parts.append(("withdrawn", {"rows": [[1, 1, 1]]}, b"")),
    lambda parts: parts.append(("withdrawn", {"rows": [[1, 1]]}, b"")),
    lambda parts: parts.__setitem__(1, (*parts[1][:2], bytes(32))),
    lambda parts: parts.__setitem__(1, (*parts[1][:2], made_up(5).data)),
    lambda parts: parts.__setitem__(1, (*parts[1][:2], parts[1][2][:-1])),
    lambda parts: parts.__setitem__(1, (*parts[1][:2], parts[1][2] + b"\0")),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_signature_does_not_make_rows_right(owner: Path, number: int) -> None:
    """What no list holds, or does not add up to the version that is named, is refused although it is signed."""
    name = signed(owner, "whole-1", WRONG[number])
    assert refusal(take_bundle, owner / "fresh", owner / name, trust=ONE.verifiers, now=NOW) == "malformed"
    assert not list(owner.glob("*fresh*"))


def test_a_file_does_not_replace_what_it_wrote_itself(owner: Path) -> None:
    """An entry that comes twice, first with a hash twice, which no list can hold, is the file's fault and no damage."""

    def change(parts: list[tuple[str, dict[str, Any], bytes]]) -> None:
        place = next(number for number, (kind, _, _) in enumerate(parts) if kind == "entries")
        kind, columns, codes = parts[place]
        assert columns["n_rows"] == [1]
        doubled = {name: 2 * columns[name] for name in ("sources", "algorithms", "qualities", "lengths")}
        part_of(parts, "state")["next_hash"] = 9
        parts.insert(place, (kind, {**columns, **doubled, "n_rows": [2], "rows": [7, 8]}, codes + codes))

    assert refusal(take_bundle, owner / "taker", owner / signed(owner, "part-2", change), now=NOW) == "malformed"
    with ReferenceList.open(owner / "taker", check="full") as ref:
        assert ref.version == 1


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_nor_in_a_difference(owner: Path, number: int) -> None:
    """The same of a difference, onto a list that stays as it was; some of it is right there, and then the list is."""
    try:
        take_bundle(owner / "taker", owner / signed(owner, "part-2", WRONG[number]), now=NOW)
    except BundleError as error:
        assert error.reason == "malformed"  # noqa: PT017
        with ReferenceList.open(owner / "taker", check="full") as ref:
            assert (ref.version, len(ref)) == (1, 1)
    else:
        with ReferenceList.open(owner / "taker", check="full") as ref:
            assert (ref.version, len(ref)) == (2, 2)


@pytest.mark.parametrize(
    "said",
    [
        {"version": 9},
        {"digest": "0" * 64},
        {"seal_sum": 0},
        {"entries": 2},
        {"hashes": {"pdq": 2}},
        {"hashes": {}},
        {"terms": {"one": "terms"}},
        {"name": "another"},
    ],
)
def test_a_manifest_that_does_not_fit_its_rows(owner: Path, said: dict[str, Any]) -> None:
    """What is said of the version is compared with what came out; a name alone is the owner's to choose."""
    name = signed(owner, "whole-1", lambda _: None, **said)
    if "name" in said:
        assert take_bundle(owner / "fresh", owner / name, trust=ONE.verifiers, now=NOW).info.name == "another"
    else:
        assert refusal(take_bundle, owner / "fresh", owner / name, trust=ONE.verifiers, now=NOW) == "malformed"


def manifest() -> Manifest:
    """Make the manifest of nothing."""
    base = VersionBase(1, "0" * 64, 0)
    said: dict[str, Any] = {"hashes": {}, "terms": {}, "chunks": (), "rotations": ()}
    numbers = {"version": 2, "seal_sum": 0, "entries": 0, "issued": NOW, "expires": NOW}
    return Manifest(list_id="0" * 32, name="x", digest="0" * 64, previous=base, **numbers, **said)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("name"),
        lambda said: said.update(more=1),
        *(
            (lambda said, name=name, value=value: said.update({name: value}))
            for name, value in [
                ("list_id", "0" * 31),
                ("list_id", "Z" * 32),
                ("name", ""),
                ("name", "a\n"),
                ("version", -1),
                ("version", 1),
                ("version", "2"),
                ("version", 2.0),
                ("version", True),
                ("digest", "0" * 63),
                ("seal_sum", 2**63),
                ("entries", None),
                ("hashes", []),
                ("hashes", {"other": 1}),
                ("hashes", {"pdq": -1}),
                ("terms", {"": "x"}),
                ("terms", {"x": ""}),
                ("chunks", [[0, "0" * 64]]),
                ("chunks", [[1, "0"]]),
                ("chunks", [[1 << 40, "0" * 64]]),
                ("chunks", [7]),
                ("rotations", ["%"]),
                ("rotations", 7),
                ("previous", {}),
                ("previous", 7),
                ("expires", 2**62),
            ]
        ),
    ],
)
def test_manifests_that_are_none(change: Callable[[dict[str, Any]], object]) -> None:
    """One form is a manifest."""
    text = manifest().to_json()
    assert Manifest.from_json(text) == manifest()
    said = json.loads(text)
    change(said)
    for form in (
        json.dumps(said, sort_keys=True, separators=(",", ":")),
        text + " ",
        text.replace(":", ": ", 1),
        "[" * 9999,
    ):
        assert refusal(Manifest.from_json, form) == "malformed"


def test_failing_at_any_chunk_leaves_the_list(owner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever statement fails, version, rows and trust stay together; the next take succeeds."""
    new = rotate(ONE)
    with ReferenceList.open(owner / "owner", writable=True) as ref:
        ref.withdraw("entry-1", source="one")
        write_bundle(ref, owner / "new", new, since=1, now=NOW)
    before = state_of(owner / "taker")
    real = applying._Applied.take
    for at in range(1, 20):
        left = [at]

        def failing(self: Any, *args: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise OSError(5, "made up")
            real(self, *args)

        monkeypatch.setattr(applying._Applied, "take", failing)
        try:
            take_bundle(owner / "taker", owner / "new", now=NOW)
        except (ReferenceListError, SignatureError):
            assert state_of(owner / "taker") == before
        else:
            break
    assert 4 < at < 19
    assert state_of(owner / "taker")[0] == rows_of(owner / "owner")  # type: ignore[index]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("fresh", [False, True])
def test_killed_at_any_chunk(owner: Path, fresh: bool) -> None:
    """A killed take leaves the list and its trust as they were, or taken; a list that would be new is there or not."""
    bundle, path = owner / ("whole-3" if fresh else "part-2"), owner / ("fresh" if fresh else "taker")
    before = None if fresh else state_of(path)
    real = applying._Applied.take
    for at in range(1, 20):
        child = os.fork()
        if child == 0:
            left = [at]

            def dying(self: Any, *args: Any, left: list[int] = left) -> None:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                real(self, *args)

            applying._Applied.take = dying  # type: ignore[method-assign]
            take_bundle(path, bundle, trust=ONE.verifiers, now=NOW)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        assert (state_of(path) if path.exists() else None) == before
    assert 2 < at < 19
    with ReferenceList.open(path, check="full") as ref:
        assert ref.version == (3 if fresh else 2)
