"""Readers beside a writer, many threads, killed writers, forks, busy and read-only files."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hashmatch.errors import ReferenceListError
from hashmatch.lists import ReferenceList, content_digest
from support.list_makers import content, made_up, made_up_entries, side_files
from support.nobody import holds_as_nobody

WRITE_FOR_EVER = """
import sys
sys.path.insert(0, sys.argv[2])
from hashmatch.hashes import HashValue
from hashmatch.lists import Entry, ReferenceList
from support.list_makers import made_up_record
from support.nobody import holds_as_nobody

with ReferenceList.open(sys.argv[1], writable=True) as ref:
    first = len(ref)
    for i in range(first, first + 100_000):
        hashes = [HashValue("pdq", b"\\x0f" * 16 + (i * 7 + j).to_bytes(16, "big")) for j in range(3)]
        hashes += [made_up_record(i)] if i % 5 == 4 else []
        if i % 50 == 7:
            ref.add_many([Entry.of(f"entry-{i}", hashes=hashes)] + [
                Entry.of(f"many-{i}-{j}", hashes=hashes) for j in range(300)
            ])
            ref.withdraw_many([f"many-{i}-{j}" for j in range(300)])
        else:
            ref.add(f"entry-{i}", hashes=hashes)
        print(i, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """Killed at random moments, a list keeps every entry whose add had returned."""
    path = tmp_path / "list.hashmatch"
    ReferenceList.create(path, name="killed").close()
    rng = random.Random(1)
    done = -1
    for _ in range(5):
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(Path(__file__).parents[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said = writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.25))
            writer.send_signal(signal.SIGKILL)
            said += writer.stdout.read()
        assert writer.returncode == -signal.SIGKILL
        done = max([done, *(int(line) for line in said.splitlines(keepends=True) if line.endswith("\n"))])
        with ReferenceList.open(path, check="full") as ref:
            found = {entry.entry_id for entry in ref if entry.entry_id.startswith("entry-")}
            assert found in ({f"entry-{i}" for i in range(done + 1)}, {f"entry-{i}" for i in range(done + 2)})
        with ReferenceList.open(path, writable=True) as ref:
            ref.withdraw_many([f"many-{i}-{j}" for i in range(done + 2) for j in range(300) if i % 50 == 7])
            done = len(ref) - 1
        assert not side_files(path)
    with ReferenceList.open(path) as ref:
        assert ref.info().format_version == 4
        assert ref.digest == content_digest(ref)
        assert ref.info().hashes["keypoint"] > 0


def test_two_readers_beside_one_writer(tmp_path: Path) -> None:
    """Each reader sees whole versions only, never going back, while the writer goes on."""
    path = tmp_path / "list.hashmatch"
    stop = threading.Event()
    with ReferenceList.create(path, name="shared") as writer:

        def read() -> list[int]:
            seen = []
            with ReferenceList.open(path) as reader:
                while not stop.is_set():
                    snapshot = reader.snapshot()
                    rows = snapshot.rows.get("pdq")
                    assert (0 if rows is None else len(rows)) == snapshot.n_entries == 10 * snapshot.version
                    assert sum(1 for _ in reader) >= snapshot.n_entries
                    seen.append(snapshot.version)
            return seen

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            for step in range(30):
                writer.add_many(made_up_entries(10, 10 * step))
            stop.set()
            for reader in readers:
                seen = reader.result()
                assert seen == sorted(seen)
        assert writer.version == 30


def test_a_reader_in_the_middle_of_a_loop_stops_nobody(tmp_path: Path) -> None:
    """A writer opens, writes and closes while two readers are within a loop, which goes on."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="shared") as ref:
        ref.add_many(made_up_entries(1_200))
    with ReferenceList.open(path) as one, ReferenceList.open(path) as two:
        loops = iter(one), iter(two)
        for loop in loops:
            next(loop)
        with ReferenceList.open(path, writable=True, timeout=1) as writer:
            writer.withdraw("entry-1100")
            writer.add("entry-x", hashes=[made_up(5)])
        assert (one.version, len(two)) == (3, 1_200)
        for loop in loops:
            ids = [entry.entry_id for entry in loop]
            assert ids == [f"entry-{i}" for i in range(1, 1_200) if i != 1100] + ["entry-x"]


def test_a_reader_keeps_up_with_a_writer(tmp_path: Path) -> None:
    """A reader opened before any change sees each version as soon as it is committed, and what changed."""
    path = tmp_path / "list.hashmatch"
    ReferenceList.create(path, name="shared").close()
    with ReferenceList.open(path) as reader:
        for version in range(1, 4):
            with ReferenceList.open(path, writable=True) as writer:
                writer.add_many(made_up_entries(5, 5 * version))
            assert reader.version == version
            changes = reader.changes_since(version - 1)
            assert changes is not None
            assert changes.n_entries == len(reader) == 5 * version
            assert len(changes.added["pdq"]) == 5
    with ReferenceList.open(path, writable=True):
        pass
    assert not side_files(path)


def test_many_threads_share_one_reader(tmp_path: Path) -> None:
    """Look-ups from many threads are right while others take snapshots and iterate."""
    path = tmp_path / "list.hashmatch"
    entries = made_up_entries(400)
    with ReferenceList.create(path, name="threads") as ref:
        ref.add_many(entries)
    with ReferenceList.open(path) as ref, ThreadPoolExecutor(8) as pool:
        looked_up = [pool.submit(ref.entry_by_key, key) for key in range(1, 401)]
        others = [pool.submit(lambda: (len(ref.snapshot().rows["pdq"]), len(list(ref)))) for _ in range(6)]
        assert [future.result() for future in looked_up] == entries
        assert {future.result() for future in others} == {(400, 400)}


def test_many_threads_share_one_writer(tmp_path: Path) -> None:
    """Adds from many threads are all kept, each as a version of its own; a transaction is not mixed with others."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="threads") as ref:

        def together(i: int) -> int:
            with ref.transaction():
                before = len(ref)
                ref.add(f"a-{i}", hashes=[made_up(i)])
                ref.add(f"b-{i}", hashes=[made_up(i)])
                return len(ref) - before

        with ThreadPoolExecutor(6) as pool:
            singles = [pool.submit(ref.add, f"entry-{i}", hashes=[made_up(i)]) for i in range(20)]
            pairs = [pool.submit(together, i) for i in range(10)]
            assert all(future.result() for future in singles)
            assert {future.result() for future in pairs} == {2}
        assert (len(ref), ref.version) == (40, 30)
        ref.verify()


def test_writers_take_turns(tmp_path: Path) -> None:
    """A second writer waits, then says what to do; it goes on when the first has committed."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="x") as one, ReferenceList.open(path, writable=True, timeout=0.1) as two:
        with one.transaction():
            one.add("entry-1", hashes=[made_up(1)])
            with pytest.raises(ReferenceListError, match=r"another writer.*try again"):
                two.add("entry-2", hashes=[made_up(2)])
            assert len(two) == 0
        assert two.add("entry-2", hashes=[made_up(2)])
        assert one.add("entry-3", hashes=[made_up(3)])
        assert (len(one), len(two), one.version) == (3, 3, 3)


def test_a_locked_file_is_said_to_be_in_use(tmp_path: Path) -> None:
    """When another program locks the file for good, opening gives up after the timeout."""
    path = tmp_path / "list.hashmatch"
    ReferenceList.create(path, name="x").close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for writable in (False, True):
        with pytest.raises(ReferenceListError, match="in use"):
            ReferenceList.open(path, writable=writable, timeout=0.05)
    other.close()


def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    """A list that was replaced by another file says so instead of mixing the two."""
    path, other = tmp_path / "list.hashmatch", tmp_path / "other"
    for place in (path, other):
        with ReferenceList.create(place, name=place.name) as ref:
            ref.add("entry-1", hashes=[made_up(1)])
    with ReferenceList.open(path) as ref:
        assert not ref.replaced
        os.replace(other, path)
        assert ref.replaced
        assert ref.get("entry-1") is not None
        for read in (ref.snapshot, ref.verify, lambda: ref.changes_since(0)):
            with pytest.raises(ReferenceListError, match="replaced"):
                read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_reads_but_does_not_write(tmp_path: Path) -> None:
    """A reader opened before a fork works in the child; a writer refuses there; the parent goes on."""
    path = tmp_path / "list.hashmatch"
    with ReferenceList.create(path, name="x") as writer, ReferenceList.open(path) as reader:
        writer.add("entry-1", hashes=[made_up(1)])
        assert reader.get("entry-1") is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            status = 1
            try:
                good = reader.get("entry-1") is not None and len(reader.snapshot().rows["pdq"]) == 1
                try:
                    writer.add("entry-2", hashes=[made_up(2)])
                except ReferenceListError:
                    status = 0 if good else 1
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert writer.add("entry-2", hashes=[made_up(2)])
        assert reader.version == 2
        writer.verify()


def read_as_nobody(path: Path) -> bool:
    """Whether a process without any right to write reads the whole list, and is told that it cannot write."""

    def check() -> bool:
        with ReferenceList.open(path, check="full") as ref:
            good = len(ref) == len(ref.snapshot().rows["pdq"]) == sum(1 for _ in ref) == 7
        with contextlib.suppress(ReferenceListError):
            ReferenceList.open(path, writable=True)
            good = False
        return good

    return holds_as_nobody(check)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("tidy", [True, False])
def test_a_list_in_a_read_only_place_can_be_read(tidy: bool) -> None:
    """With neither file nor folder writable, a list is read, whether or not its last writer could tidy up."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, made = folder / "list.hashmatch", folder / "made"
        with ReferenceList.create(made, name="x") as ref, contextlib.ExitStack() as stack:
            ref.add_many(made_up_entries(7))
            if not tidy:
                assert len(stack.enter_context(ReferenceList.open(made))) == 7
            ref.close()
            subprocess.run(["cp", str(made), str(path)], check=True)
        assert (path.read_bytes()[18] == 1) == tidy
        path.chmod(0o444)
        folder.chmod(0o555)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            good = read_as_nobody(path)
        folder.chmod(0o755)
        assert good
        assert not side_files(path)


def test_a_list_left_with_a_log_is_whole(tmp_path: Path) -> None:
    """If a reader outlives the writer, the log is empty: a copy of the file alone has everything."""
    path, copy = tmp_path / "list.hashmatch", tmp_path / "copy.hashmatch"
    writer = ReferenceList.create(path, name="x")
    writer.add_many(made_up_entries(5))
    with ReferenceList.open(path) as reader:
        assert len(reader) == 5
        writer.add_many(made_up_entries(3, 5))
        writer.withdraw("entry-1")
        writer.close()
        subprocess.run(["cp", str(path), str(copy)], check=True)
        assert len(reader) == 7
    assert content(copy)[1] == content(path)[1]  # type: ignore[index]
