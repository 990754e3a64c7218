"""Writing a log: one and several writers, crashes, forks, errors of the disk, purges, proofs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hashmatch.audit import AuditLog, LogReader, Problem, prove_alone, verify_log
from hashmatch.audit.layout import LogFiles
from hashmatch.errors import AuditError
from hashmatch.signing import SigningKey
from support.audit_makers import BOTH_KEY, KEY, made_log

WRITER = """
import sys
from hashmatch.audit import AuditLog
from hashmatch.signing import SigningKey
with AuditLog.open(sys.argv[1], SigningKey.load(sys.argv[2])) as log:
    for number in range(int(sys.argv[3]), int(sys.argv[4])):
        for more in range(3):
            log.queue({"kind": "note", "extra": number, "text": "x" * (number % 50)})
        print(log.append({"kind": "note", "n": number}), number, flush=True)
"""


def start_writer(folder: Path, key: Path, first: int, end: int) -> subprocess.Popen[str]:
    """Start a process that writes records and says which are on the disk."""
    call = [sys.executable, "-c", WRITER, str(folder), str(key), str(first), str(end)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Write the key of the logs to a file."""
    path = tmp_path / "key"
    KEY.save(path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """In order; the first record names the log and its keys; files are the owner's alone."""
    folder = tmp_path / "log"
    with AuditLog.create(folder, BOTH_KEY, origin="example.org/one") as log:
        assert log.append({"kind": "note", "text": "é\n", "many": [1, None, True, {"a": "b"}]}) == 1
        queued = log.queue({"kind": "note"})
        assert queued.index == -1
        log.flush()
        assert queued.index == 2
    with LogReader(folder) as reader:
        assert (reader.origin, reader.keys) == ("example.org/one", BOTH_KEY.verifiers)
        assert [record.content and record.content["kind"] for record in reader] == ["log", "note", "note"]
        assert reader.record(1).content == {"kind": "note", "text": "é\n", "many": [1, None, True, {"a": "b"}]}
        assert len(reader) == reader.checkpoint().size == 3
        with pytest.raises(AuditError, match="no record 3"):
            reader.record(3)
    if os.name == "posix":
        modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
        assert modes.pop("log") == 0o700
        assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("value", [1.5, b"x", {1: "a"}, {"a": [0.5]}, {"a": {"b": object()}}])
def test_what_a_record_cannot_hold(tmp_path: Path, value: object) -> None:
    """Fractions and bytes are refused before anything is written."""
    with AuditLog.create(tmp_path / "log", KEY) as log:
        with pytest.raises(AuditError, match="record"):
            log.append({"kind": "note", "value": value})
        with pytest.raises(AuditError, match="at most"):
            log.append({"kind": "note", "value": "x" * (1 << 24)})
        assert log.append({"kind": "note"}) == 1


def test_a_folder_that_is_no_log(tmp_path: Path) -> None:
    """Missing, empty, something else, a log that is there already: typed errors, and nothing is left behind."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    for name in ("missing", "empty", "file"):
        with pytest.raises(AuditError, match="cannot be"):
            AuditLog.open(tmp_path / name, KEY)
        with pytest.raises(AuditError, match="cannot be"):
            LogReader(tmp_path / name)
    made_log(tmp_path / "log", 2)
    for name in ("log", "file"):
        with pytest.raises(AuditError, match="something is there already"):
            AuditLog.create(tmp_path / name, KEY)
    (tmp_path / "log" / "records").write_bytes(b"x" * 500)
    with pytest.raises(AuditError, match="no audit log"):
        AuditLog.open(tmp_path / "log", KEY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "log"]


def test_a_system_without_reads_at_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at once, by whatever opens a log."""
    folder = made_log(tmp_path / "log", 2)
    monkeypatch.delattr(os, "pread")
    calls = (
        lambda: AuditLog.create(tmp_path / "x", KEY),
        lambda: AuditLog.open(folder, KEY),
        lambda: LogReader(folder),
    )
    for call in calls:
        with pytest.raises(AuditError, match="POSIX"):
            call()


def test_threads_share_commits(tmp_path: Path) -> None:
    """Each waits for its own record; each place is given once."""
    with AuditLog.create(tmp_path / "log", KEY) as log, ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda number: log.append({"kind": "note", "n": number}), range(200)))
    assert sorted(places) == list(range(1, 201))
    with LogReader(tmp_path / "log") as reader:
        assert [reader.record(place).content for place in places] == [{"kind": "note", "n": n} for n in range(200)]
    assert verify_log(tmp_path / "log", KEY.verifiers).sound


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    """Each sees what the other wrote, also where the other signs."""
    made_log(tmp_path / "log", 3)
    one, two = (AuditLog.open(tmp_path / "log", KEY) for _ in range(2))
    for number in range(20):
        assert one.append({"kind": "note"}) == 3 + 2 * number
        assert two.append({"kind": "note"}) == 4 + 2 * number
        if number % 5 == 0:
            (one, two)[number % 2].sign()
    one.close()
    two.close()
    found = verify_log(tmp_path / "log", KEY.verifiers)
    assert (found.sound, found.records) == (True, 43)


def test_several_processes_write(tmp_path: Path, key_file: Path) -> None:
    """All records of all processes are there, each once."""
    folder = made_log(tmp_path / "log", 1)
    writers = [start_writer(folder, key_file, 1000 * k, 1000 * k + 30) for k in range(3)]
    said = [line.split() for writer in writers for line in writer.communicate()[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(said) == 90
    with LogReader(folder) as reader:
        notes = [record for record in reader if record.content and "n" in record.content]
        assert sorted((str(r.place), str((r.content or {})["n"])) for r in notes) == sorted(map(tuple, said))
        assert sum("extra" in (record.content or {}) for record in reader) == 270
    assert verify_log(folder, KEY.verifiers).sound


def killed_while_writing(folder: Path, key: Path, first: int, lines: int) -> list[tuple[str, ...]]:
    """Kill a writer that has said so many lines; returns what it said."""
    writer = start_writer(folder, key, first, first + 100_000)
    if writer.stdout is None:
        raise RuntimeError("no pipe")
    said = [tuple(writer.stdout.readline().split()) for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0]
    return said + [tuple(line.split()) for line in rest.splitlines() if len(line.split()) == 2 and rest.endswith("\n")]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
@pytest.mark.parametrize("times", [12, pytest.param(1000, marks=pytest.mark.long)])
def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path, key_file: Path, times: int) -> None:
    """After each kill the chain verifies; the next writer goes on, and all that was said to be written is there."""
    folder = made_log(tmp_path / "log", 1)
    expected: dict[str, str] = {}
    for number in range(times):
        said = killed_while_writing(folder, key_file, 1000 * number, 1 + number % 7)
        expected |= dict(said)
        assert verify_log(folder, KEY.verifiers).problem is None
    AuditLog.open(folder, KEY).close()
    assert verify_log(folder, KEY.verifiers).sound
    with LogReader(folder) as reader:
        contents = [record.content or {} for record in reader]
    assert {place: str(contents[int(place)].get("n")) for place in expected} == expected


@pytest.mark.parametrize("cut", [1, 30, 80, 100])
def test_an_unfinished_end_is_cut_off_and_told(tmp_path: Path, cut: int) -> None:
    """The next writer cuts it, and says in a record how much it was."""
    folder = made_log(tmp_path / "log", 5)
    with (folder / "records").open("ab") as stream:
        stream.write(b"\x20\0\0\0" + b"x" * (cut - 4) if cut > 4 else b"x" * cut)
    with (folder / "tree").open("ab") as stream:
        stream.write(b"y" * cut)
    found = verify_log(folder, KEY.verifiers)
    assert not found.sound
    assert found.first_bad == 5
    AuditLog.open(folder, KEY).close()
    assert verify_log(folder, KEY.verifiers).sound
    with LogReader(folder) as reader:
        content = reader.record(5).content
    assert content is not None
    assert (content["kind"], content["cut_bytes"], content["unsigned"]) == ("resumed", cut, 0)


def test_a_live_writer_goes_on_after_another_was_killed_in_a_write(tmp_path: Path) -> None:
    """It cuts off what the other left, and tells of it."""
    folder = made_log(tmp_path / "log", 3)
    with AuditLog.open(folder, KEY) as log:
        with (folder / "records").open("ab") as stream:
            stream.write(b"z" * 50)
        assert log.append({"kind": "note"}) == 4
    with LogReader(folder) as reader:
        assert (reader.record(3).content or {})["cut_bytes"] == 50
    assert verify_log(folder, KEY.verifiers).sound


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_writes_its_own(tmp_path: Path) -> None:
    """What the parent queued stays the parent's, and a lock that another thread held does not stop the child."""
    folder = tmp_path / "log"
    with AuditLog.create(folder, KEY) as log:
        log.queue({"kind": "note", "who": "parent"})
        log._committing.acquire()
        child = os.fork()
        if child == 0:
            try:
                log.append({"kind": "note", "who": "child"})
                log.close()
            finally:
                os._exit(0)
        log._committing.release()
        os.waitpid(child, 0)
    with LogReader(folder) as reader:
        assert [(record.content or {}).get("who") for record in reader][1:] == ["child", "parent"]
    assert verify_log(folder, KEY.verifiers).sound


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_an_error_of_the_disk_ends_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The record is not acknowledged, later ones are refused, and the log opens again."""
    folder = made_log(tmp_path / "log", 3)
    log = AuditLog.open(folder, KEY)

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        with pytest.raises(AuditError, match="No space left") as caught:
            log.append({"kind": "note"})
        assert caught.value.reason == "unwritable"
    with pytest.raises(AuditError, match="open it anew"):
        log.append({"kind": "note"})
    log.close()
    with AuditLog.open(folder, KEY) as again:
        again.append({"kind": "note", "text": "later"})
    assert verify_log(folder, KEY.verifiers).sound


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    """A typed error; closing again does nothing."""
    log = AuditLog.create(tmp_path / "log", KEY)
    log.close()
    log.close()
    calls: list[Callable[[], object]] = [lambda: log.append({"kind": "note"}), log.flush, log.sign]
    for call in calls:
        with pytest.raises(AuditError, match="closed"):
            call()


def test_signing_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    """Not with each record; also after the clock was set back."""
    folder = made_log(tmp_path / "log", 2)
    checkpoint = LogFiles.of(folder).checkpoint

    def signed() -> int:
        with LogReader(folder) as reader:
            return reader.checkpoint().size

    with AuditLog.open(folder, KEY) as log:
        for _ in range(5):
            log.append({"kind": "note"})
        early = signed()
        os.utime(checkpoint, (0, 0))
        log.append({"kind": "note"})
        assert signed() == 8
        log.append({"kind": "note"})
        os.utime(checkpoint, (2**33, 2**33))
        log.append({"kind": "note"})
        assert signed() == 10
        log.append({"kind": "note"})
        log.sign()
        assert signed() == 11
    assert early <= 7


def test_a_purge_and_one_that_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What records said is gone from the disk, the log verifies; what a crash left is told, and finished later."""
    folder = made_log(tmp_path / "log", 20, text="a secret text")
    with AuditLog.open(folder, KEY) as log:
        assert log.purge([4, 5, 6, 19], why="asked") == 4
        assert log.purge([4, 5], why="again") == 0
        for wrong in ([0], [40]):
            with pytest.raises(AuditError, match="record"):
                log.purge(wrong, why="no such record")
    found = verify_log(folder, KEY.verifiers)
    assert (found.sound, found.purged) == (True, 4)
    assert (folder / "records").read_bytes().count(b"a secret text") == 15
    with LogReader(folder) as reader:
        assert [record.place for record in reader if record.content is None] == [4, 5, 6, 19]
        with pytest.raises(AuditError, match="purged"):
            reader.proof(4)

    log = AuditLog.open(folder, KEY)
    monkeypatch.setattr(log, "_overwrite", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        log.purge([10, 11], why="asked")
    log.close()
    found = verify_log(folder, KEY.verifiers)
    assert found.unfinished == Problem(10, "its purge is not finished: hashmatch audit purge LOG")
    with AuditLog.open(folder, KEY) as again:
        assert again.finish_purge([4, 10, 11]) == 2
    assert verify_log(folder, KEY.verifiers).sound


@pytest.mark.parametrize("key", [KEY, BOTH_KEY], ids=["one key", "two keys"])
def test_every_record_is_proved_alone(tmp_path: Path, key: SigningKey) -> None:
    """By the proof and the keys, without the log; any changed byte proves nothing."""
    folder = made_log(tmp_path / "log", 12, key)
    with LogReader(folder) as reader:
        proofs = [reader.proof(place).encode() for place in range(12)]
        origin = reader.origin
    for place, proof in enumerate(proofs):
        found = prove_alone(proof, origin, key.verifiers)
        assert (found.place, found.checkpoint.size) == (place, 12)
        assert place == 0 or found.content == {"kind": "note", "n": place, "text": ""}
    proof = proofs[5]
    step = 1 if key is KEY else 7
    for offset in range(0, len(proof), step):
        for bit in (0, 4):
            wrong = proof[:offset] + bytes([proof[offset] ^ 1 << bit]) + proof[offset + 1 :]
            with pytest.raises(AuditError):
                prove_alone(wrong, origin, key.verifiers)
    for wrong in (b"", proof[:-1], proof + b"x", proofs[4].replace(b"index 4", b"index 5")):
        with pytest.raises(AuditError):
            prove_alone(wrong, origin, key.verifiers)
    with pytest.raises(AuditError):
        prove_alone(proof, "example.org/other", key.verifiers)
    with pytest.raises(AuditError):
        prove_alone(proof, origin, SigningKey.make("example.org/audit").verifiers)


def test_reading_while_it_is_written(tmp_path: Path) -> None:
    """A reader sees a whole log at any time."""
    folder = made_log(tmp_path / "log", 2)
    done = threading.Event()

    def write() -> None:
        with AuditLog.open(folder, KEY) as log:
            for number in range(60):
                log.append({"kind": "note", "n": number})
                if number % 20 == 19:
                    log.purge([number], why="asked")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert verify_log(folder, KEY.verifiers).problem is None
    thread.join()
    assert verify_log(folder, KEY.verifiers).sound


def test_a_log_on_a_medium_that_cannot_be_written(tmp_path: Path) -> None:
    """Reading needs no lock there."""
    folder = made_log(tmp_path / "log", 4)
    (folder / "lock").unlink()
    folder.chmod(0o500)
    try:
        assert verify_log(folder, KEY.verifiers).sound
    finally:
        folder.chmod(0o700)
