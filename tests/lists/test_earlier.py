"""Lists that keep their history: every version comes back as it was, and none that is not whole."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hashmatch import Matcher, ReferenceList
from hashmatch.cli.app import app
from hashmatch.errors import MissingVersionError, ReferenceListError
from hashmatch.lists import Entry, earlier
from support.bundle_makers import change
from support.list_makers import made_up, side_files


def told(ref: ReferenceList) -> object:
    """Everything that a version says, but what is of today: terms, and where feeds stand."""
    rows = {name: (r.codes.tobytes(), r.hash_ids.tolist()) for name, r in ref.snapshot().rows.items()}
    records = {name: [list(block) for block in stream] for name, stream in ref.snapshot().records.items()}
    sources = [(item.name, item.entries, item.role) for item in ref.sources()]
    entries = [(entry, entry.key) for entry in ref]
    return ref.list_id, ref.name, ref.version, ref.digest, ref.contents, entries, rows, records, sources


def half(ref: ReferenceList) -> None:
    """Fail in the middle of a transaction."""
    with ref.transaction():
        ref.withdraw("entry-1")
        ref.add("", hashes=[made_up(1)])


def test_every_version_comes_back_as_it_was(tmp_path: Path) -> None:
    """Forty transactions of anything: each version has the same entries, rows, sources and digest again."""
    for seed in range(2):
        rng = random.Random(seed)
        seen: dict[int, object] = {}
        with ReferenceList.create(tmp_path / f"list-{seed}", name="kept", keep_history=True) as ref:
            for _ in range(40):
                with ref.transaction():
                    for _ in range(rng.randint(1, 4)):
                        change(ref, rng)
                seen[ref.version] = told(ref)
            assert ref.versions() == tuple(range(ref.version + 1))
            for version, expected in seen.items():
                with ref.at(version) as old:
                    assert told(old) == expected
                    assert old.verify().version == version
            ref.verify()
        assert sorted(item.name for item in tmp_path.iterdir() if item.name.startswith(".")) == []


def test_a_matcher_answers_as_it_did(tmp_path: Path) -> None:
    """What was withdrawn since is found in the version that had it, and not in the one after."""
    value = made_up(1)
    with ReferenceList.create(tmp_path / "list", name="kept", keep_history=True) as ref:
        ref.add("entry-1", hashes=[value])
        ref.add("entry-2", hashes=[made_up(2)])
        ref.withdraw("entry-1")
        answers = []
        for version in (1, 2, 3):
            with ref.at(version) as old, Matcher.open(old.path) as matcher:
                report = matcher.match_hash(value)
                answers.append([(item.entry_id, item.list_version, item.list_digest) for item in report.matches])
                digest = old.digest
            if version < 3:
                assert answers[-1] == [("entry-1", version, digest)]
    assert answers[2] == []


def test_a_list_without_a_history_names_what_it_has(tmp_path: Path) -> None:
    """Only the present version is at hand, and withdrawn bytes are gone from the file."""
    value = made_up(7)
    for keep in (False, True):
        path = tmp_path / f"list-{keep}"
        with ReferenceList.create(path, name="list", keep_history=keep) as ref:
            ref.add("entry-1", hashes=[value])
            ref.add("entry-2", hashes=[made_up(2)])
            ref.withdraw("entry-1")
            assert ref.info().format_version == (5 if keep else 4)
            if not keep:
                assert ref.versions() == (3,)
                with pytest.raises(MissingVersionError, match="version 2 of the list is not at hand, but 3") as caught:
                    ref.at(2)
                assert caught.value.at_hand == (3,)
                with ref.at(3) as same:
                    assert told(same) == told(ref)
        assert (value.data in path.read_bytes()) == keep
    with ReferenceList.open(path, writable=True) as ref:
        with pytest.raises(MissingVersionError, match="but 0 to 3:"):
            ref.at(4)
        ref.compact()
        assert ref.versions() == (3,)
        ref.add("entry-3", hashes=[made_up(3)])
        assert ref.versions() == (3, 4)
        with ref.at(3) as old:
            assert [entry.entry_id for entry in old] == ["entry-2"]
    assert value.data not in path.read_bytes()


def test_changes_that_come_to_nothing_keep_nothing(tmp_path: Path) -> None:
    """A transaction that says again what it took back makes no version, and the next one does."""
    with ReferenceList.create(tmp_path / "list", name="list", keep_history=True) as ref:
        ref.add("entry-1", hashes=[made_up(1)], labels={"a": "1"})
        with ref.transaction():
            ref.relabel("entry-1", source="local", labels={"a": "2"})
            ref.relabel("entry-1", source="local", labels={"a": "1"})
        seen = {ref.version: told(ref)}
        ref.relabel("entry-1", source="local", labels={"a": "3"})
        with pytest.raises(ReferenceListError):
            half(ref)
        seen[ref.version] = told(ref)
        ref.withdraw("entry-1")
        for version, expected in seen.items():
            with ref.at(version) as old:
                assert told(old) == expected


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM past_hash",
        "DELETE FROM past_entry",
        "DELETE FROM past_label",
        "DELETE FROM past_source",
        "UPDATE past_hash SET code = zeroblob(length(code))",
        "UPDATE past_hash SET mark = mark + 1",
        "UPDATE past_entry SET entry_id = entry_id || 'x'",
        "UPDATE past_label SET value = 'other'",
        "UPDATE past SET seal_sum = seal_sum + 1",
        "UPDATE past SET content = zeroblob(32)",
        "UPDATE past SET next_hash = next_hash + 1",
        "UPDATE past SET next_entry = 1",
        "UPDATE past SET n_sources = 0",
    ],
)
def test_what_is_kept_is_believed_only_where_it_is_whole(tmp_path: Path, damage: str) -> None:
    """A version that does not come back as it was is an error, and leaves no file."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="list", keep_history=True) as ref:
        ref.add("entry-1", hashes=[made_up(1), made_up(2, "keypoint")], labels={"a": "1"})
        ref.withdraw("entry-1")
        ref.add("entry-2", hashes=[made_up(3)])
        ref.withdraw("entry-2")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    with ReferenceList.open(path) as ref:
        with pytest.raises(ReferenceListError):
            ref.at(1, tmp_path / "then")
        with pytest.raises(ReferenceListError):
            ref.at(1)
    assert os.listdir(tmp_path) == ["list"]


def test_a_passing_file_is_gone_and_a_named_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the list is not closed; nothing is written over, and a failure leaves nothing."""
    path = tmp_path / "list"
    with ReferenceList.create(path, name="list", keep_history=True) as ref:
        ref.add_many([Entry.of("entry-1", hashes=[made_up(1)])])
        old = ref.at(0)
        assert old.path.stat().st_mode & 0o777 == 0o600
        assert len(list(tmp_path.glob(".list.*.new"))) == 1
        del old
        assert list(tmp_path.glob(".list.*")) == []
        with ref.at(0, tmp_path / "then") as then:
            assert len(then) == 0
        assert side_files(tmp_path / "then") == []
        for taken in (tmp_path / "then", path, tmp_path / "no" / "folder"):
            with pytest.raises(ReferenceListError):
                ref.at(0, taken)
        monkeypatch.setattr(earlier.os, "link", _no_link)
        with ref.at(0, tmp_path / "renamed") as renamed:
            assert renamed.version == 0
    assert sorted(os.listdir(tmp_path)) == ["list", "renamed", "then"]


def _no_link(*_: object) -> None:
    raise OSError


def test_the_history_is_copied_with_the_list(tmp_path: Path) -> None:
    """Replacing a list by a copy keeps what the copy has; going back leaves nothing of later versions."""
    path, gone = tmp_path / "list", made_up(9)
    with ReferenceList.create(path, name="list", keep_history=True) as ref:
        ref.add("entry-1", hashes=[gone])
        ref.withdraw("entry-1")
        with ref.at(1, tmp_path / "then") as then:
            assert then.versions() == (1,)
        with ref.at(0, tmp_path / "before"):
            pass
    assert gone.data in (tmp_path / "then").read_bytes()
    assert gone.data not in (tmp_path / "before").read_bytes()
    ReferenceList.replace(tmp_path / "then", path)
    with ReferenceList.open(tmp_path / "then") as ref:
        assert ref.versions() == (0, 1, 2)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is made so, tells its history, and gives a version; one that is not there names those that are."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    for words in (
        "list create mine --keep-history",
        f"list add mine {made_up(1)} --id entry-1",
        "list withdraw mine entry-1",
    ):
        assert runner.invoke(app, words.split(" ")).exit_code == 0
    assert "3 versions, from 0 on" in runner.invoke(app, ["list", "info", "mine"]).stdout
    done = runner.invoke(app, ["list", "at", "mine", "1", "-o", "then"])
    assert (done.exit_code, done.stdout) == (0, "version 1: 1 entries, verified\n")
    done = runner.invoke(app, ["list", "at", "mine", "7", "-o", "other"])
    assert done.exit_code == 2
    assert "0 to 2" in done.stderr
    assert not (tmp_path / "other").exists()
