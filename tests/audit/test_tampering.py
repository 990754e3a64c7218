"""Whatever is done to the bytes of a closed log is found, and the first bad record named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hashmatch.audit import AuditLog, LogReader, Problem, cosign_log, prove_alone, verify_log
from hashmatch.audit.layout import LogFiles, encode_frame, iter_frames, leaf_of
from hashmatch.audit.merkle import Frontier, hash_leaf
from hashmatch.errors import AuditError
from hashmatch.signing import SigningKey
from support.audit_makers import BOTH_KEY, KEY, Damaged, Layout, made_log, rearranged

SMALL = 10
WHOLE = 200


def small_log(folder: Path) -> Path:
    """Make a short log with a purge in it."""
    with AuditLog.create(folder, KEY) as log:
        for number in range(1, SMALL - 1):
            log.queue({"kind": "note", "n": number})
        log.purge([3, 4], why="asked")
    return folder


def check_flips(damaged: Damaged, name: str, key_count: int, offsets: range, bits: tuple[int, ...]) -> None:
    """Flip bits of a file one by one."""
    right = damaged.layout.files[name]
    keys = (KEY if key_count == 1 else BOTH_KEY).verifiers
    descriptor = os.open(damaged.folder / name, os.O_RDWR)
    try:
        for offset in offsets:
            for bit in bits:
                os.pwrite(descriptor, bytes([right[offset] ^ 1 << bit]), offset)
                found = verify_log(damaged.folder, keys)
                assert not found.sound, (name, offset, bit)
                assert found.first_bad == damaged.layout.record_at(name, offset), (name, offset, bit, found)
            os.pwrite(descriptor, right[offset : offset + 1], offset)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["records", "tree", "checkpoint"])
def test_every_flipped_bit_of_a_short_log(tmp_path: Path, name: str) -> None:
    """Each bit of each file, in signed, purged and purging records."""
    damaged = Damaged(small_log(tmp_path / "log"), tmp_path / "copy")
    assert verify_log(damaged.folder, KEY.verifiers).sound
    check_flips(damaged, name, 1, range(len(damaged.layout.files[name])), (0, 1, 2, 3, 4, 5, 6, 7))
    assert verify_log(damaged.folder, KEY.verifiers).sound


def test_flips_in_a_checkpoint_of_two_keys(tmp_path: Path) -> None:
    """A flip in the signature of either key, also where only one of them is trusted."""
    damaged = Damaged(made_log(tmp_path / "log", 4, BOTH_KEY), tmp_path / "copy")
    for keys in (BOTH_KEY.verifiers, BOTH_KEY.verifiers[:1], BOTH_KEY.verifiers[1:]):
        assert verify_log(damaged.folder, keys).sound
    check_flips(damaged, "checkpoint", 2, range(len(damaged.layout.files["checkpoint"])), (0, 5))


@pytest.mark.parametrize("name", ["records", "tree", "checkpoint"])
def test_every_truncation(tmp_path: Path, name: str) -> None:
    """Each length that a file can be cut to, and no file at all."""
    damaged = Damaged(small_log(tmp_path / "log"), tmp_path / "copy")
    right = damaged.layout.files[name]
    for length in range(len(right)):
        damaged.put(name, right[:length])
        found = verify_log(damaged.folder, KEY.verifiers)
        assert not found.sound
        assert found.problem is not None
        assert found.problem.record == damaged.layout.record_at(name, length), (length, found)
    damaged.mend(name)
    for more in (b"\0", right[-40:], right):
        damaged.put(name, right + more)
        assert not verify_log(damaged.folder, KEY.verifiers).sound


@pytest.mark.parametrize("records", [SMALL, pytest.param(WHOLE, marks=pytest.mark.long)])
def test_every_rearrangement_of_records(tmp_path: Path, records: int) -> None:
    """Deleted, doubled, swapped, spliced from another log of the same key."""
    damaged = Damaged(made_log(tmp_path / "log", records), tmp_path / "copy")
    other = Layout.of(made_log(tmp_path / "other", records))
    for what, first, data in rearranged(damaged.layout, other):
        damaged.put("records", data)
        found = verify_log(damaged.folder, KEY.verifiers)
        assert not found.sound, what
        assert found.first_bad == first, (what, found)


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
@pytest.mark.parametrize("name", ["records", "tree", "checkpoint"])
def test_every_flipped_bit_of_200_records(tmp_path: Path, name: str, part: int) -> None:
    """The whole of a log of two keys, in twenty parts."""
    damaged = Damaged(made_log(tmp_path / "log", WHOLE, BOTH_KEY), tmp_path / "copy")
    length = len(damaged.layout.files[name])
    check_flips(damaged, name, 2, range(length * part // 20, length * (part + 1) // 20), tuple(range(8)))


def test_files_of_another_log(tmp_path: Path) -> None:
    """Each file of a log of the same key and the same length in the other's place."""
    damaged = Damaged(made_log(tmp_path / "log", SMALL), tmp_path / "copy")
    other = Layout.of(made_log(tmp_path / "other", SMALL))
    for name in ("records", "tree", "checkpoint"):
        damaged.put(name, other.files[name])
        assert not verify_log(damaged.folder, KEY.verifiers).sound
        damaged.mend(name)
    assert verify_log(damaged.folder, KEY.verifiers).sound


def rewritten(folder: Path, place: int, record: bytes) -> None:
    """Do what somebody can do who knows the format and has no key: change a record, its leaf and the whole tree."""
    files = LogFiles.of(folder)
    data = files.records.read_bytes()
    number, frontier, out, tree = data[16:32], Frontier(), data[:32], b""
    with files.records.open("rb") as stream:
        for frame in list(iter_frames(stream, number, 0, 32, len(data))):
            text = record if frame.place == place else frame.record
            leaf = leaf_of(frame.salt, text) if frame.place == place else frame.leaf
            tree += len(out).to_bytes(8, "little") + b"".join(frontier.add(hash_leaf(leaf)))
            out += encode_frame(number, frame.place, frame.salt, leaf, frame.seal, text)
    files.records.write_bytes(out)
    files.tree.write_bytes(tree)


def test_a_record_rewritten_with_its_tree(tmp_path: Path) -> None:
    """All parts agree with each other and not with what was signed; no writer goes on with it."""
    folder = made_log(tmp_path / "log", SMALL)
    rewritten(folder, 3, b'{"kind":"note","n":33}')
    found = verify_log(folder, KEY.verifiers)
    assert found.problem is not None
    assert "are not those of the checkpoint" in found.problem.what
    with pytest.raises(AuditError, match="what is signed is not what is there"):
        AuditLog.open(folder, KEY)


def test_a_record_that_was_not_signed_yet_is_sealed(tmp_path: Path) -> None:
    """Without the key the last second of a log can be cut off, and not changed: the next writer refuses."""
    folder = made_log(tmp_path / "log", SMALL)
    early = LogFiles.of(folder).checkpoint.read_bytes()
    with AuditLog.open(folder, KEY) as log:
        log.append({"kind": "note", "n": 1000})
    LogFiles.of(folder).checkpoint.write_bytes(early)
    shutil.copytree(folder, tmp_path / "copy")
    found = verify_log(folder, KEY.verifiers)
    assert (found.problem, found.unfinished) == (
        None,
        Problem(10, "from it on 1 records are not signed"),
    )
    AuditLog.open(folder, KEY).close()
    assert verify_log(folder, KEY.verifiers).sound

    rewritten(tmp_path / "copy", SMALL, b'{"kind":"note","n":1001}')
    assert not verify_log(tmp_path / "copy", KEY.verifiers).sound
    with pytest.raises(AuditError, match="record 10 was not written with the log's key"):
        AuditLog.open(tmp_path / "copy", KEY)


def test_a_record_emptied_without_a_purge(tmp_path: Path) -> None:
    """Zeros, a right check value and a tree that agrees are no purge: the log must tell of it."""
    from hashmatch.audit.layout import purged_frame

    damaged = Damaged(made_log(tmp_path / "log", SMALL), tmp_path / "copy")
    with LogReader(damaged.folder) as reader:
        frame = reader.frame(5)
        data = bytearray(damaged.layout.files["records"])
        data[frame.offset : frame.end] = purged_frame(reader.number, frame)
    damaged.put("records", bytes(data))
    found = verify_log(damaged.folder, KEY.verifiers)
    assert found.problem is not None
    assert (found.problem.record, found.purged) == (5, 1)
    assert "no record tells of a purge" in found.problem.what


def test_an_earlier_state_is_found_by_what_was_kept(tmp_path: Path) -> None:
    """Log and checkpoint put back together are a sound log; a kept checkpoint tells that it was longer."""
    folder = made_log(tmp_path / "log", SMALL)
    shutil.copytree(folder, tmp_path / "earlier")
    with AuditLog.open(folder, KEY) as log:
        log.append({"kind": "note", "n": 1000})
    kept = LogFiles.of(folder).checkpoint.read_bytes()
    assert verify_log(folder, KEY.verifiers, against=[kept]).sound
    assert verify_log(tmp_path / "earlier", KEY.verifiers).sound
    found = verify_log(tmp_path / "earlier", KEY.verifiers, against=[kept])
    assert found.problem is not None
    assert (found.problem.record, found.problem.what) == (
        10,
        "it is missing: a checkpoint that was kept is of 11 records",
    )
    with AuditLog.open(tmp_path / "earlier", KEY) as log:
        log.append({"kind": "note", "n": 2000})  # a fork: as long, and other
    found = verify_log(tmp_path / "earlier", KEY.verifiers, against=[kept])
    assert found.problem is not None
    assert found.problem.what == "the first 11 records are not those of a checkpoint that was kept"


def test_a_witness_signs_a_log_that_grew_and_no_other(tmp_path: Path) -> None:
    """His signature is in the proofs; a rollback and a fork get none, and a flip in it is found."""
    folder, state = made_log(tmp_path / "log", SMALL, BOTH_KEY), tmp_path / "state"
    shutil.copytree(folder, tmp_path / "earlier")
    witness = SigningKey.make("example.org/witness", post_quantum=True, witness=True)
    assert cosign_log(folder, BOTH_KEY.verifiers, witness, state).size == SMALL
    with AuditLog.open(folder, BOTH_KEY) as log:
        log.append({"kind": "note"})
    assert verify_log(folder, BOTH_KEY.verifiers).witnesses == ()
    found = verify_log(folder, BOTH_KEY.verifiers, witnesses=witness.verifiers)
    assert (found.sound, found.witnesses) == (True, ("example.org/witness",))
    with LogReader(folder) as reader:
        proof = reader.proof(3).encode()
        assert reader.proof(SMALL).checkpoint == reader.checkpoint_note  # not witnessed yet
        proved = prove_alone(proof, reader.origin, reader.keys, witness.verifiers)
    assert set(witness.verifiers) < set(proved.checkpoint.signers)
    assert cosign_log(folder, BOTH_KEY.verifiers, witness, state).size == SMALL + 1
    damaged = Damaged(folder, tmp_path / "copy")
    right = damaged.layout.files["witnessed"]
    for offset in range(0, len(right), 3):
        damaged.put("witnessed", right[:offset] + bytes([right[offset] ^ 4]) + right[offset + 1 :])
        found = verify_log(damaged.folder, BOTH_KEY.verifiers, witnesses=witness.verifiers)
        assert not found.sound, offset
    with pytest.raises(AuditError, match="not signed: record 10: it is missing"):
        cosign_log(tmp_path / "earlier", BOTH_KEY.verifiers, witness, state)
    with AuditLog.open(tmp_path / "earlier", BOTH_KEY) as log:
        log.append({"kind": "note", "n": 2000})
    with pytest.raises(AuditError, match="not signed: the first 11 records"):
        cosign_log(tmp_path / "earlier", BOTH_KEY.verifiers, witness, state)
    with pytest.raises(AuditError, match="none of the keys"):
        cosign_log(folder, KEY.verifiers, witness, state)
    with pytest.raises(AuditError, match="cannot write"):
        cosign_log(folder, BOTH_KEY.verifiers, witness, tmp_path / "nowhere" / "state")


def test_an_older_checkpoint_alone(tmp_path: Path) -> None:
    """What it does not cover is told, and not sound."""
    folder = made_log(tmp_path / "log", SMALL)
    early = LogFiles.of(folder).checkpoint.read_bytes()
    with AuditLog.open(folder, KEY) as log:
        log.append({"kind": "note", "n": 1000})
    LogFiles.of(folder).checkpoint.write_bytes(early)
    assert not verify_log(folder, KEY.verifiers).sound


def test_a_log_of_other_keys(tmp_path: Path) -> None:
    """A log that somebody wrote anew with a key of his own is not sound for who trusts another."""
    folder = made_log(tmp_path / "log", SMALL, BOTH_KEY)
    found = verify_log(folder, KEY.verifiers)
    assert found.problem is not None
    assert found.problem.what == "the log is of none of the keys that are trusted"
    with pytest.raises(AuditError, match="not that of this log"):
        AuditLog.open(folder, KEY)
