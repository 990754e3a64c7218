"""Signed lists: what arrives is row for row what its owner has, by whole lists and by differences."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hashmatch import Matcher, Outcome, ReferenceList
from hashmatch.errors import BundleError, MissingVersionError, ReferenceListError
from hashmatch.lists import Entry
from hashmatch.lists.bundles import list_from_bundles, take_bundle, write_bundle
from hashmatch.lists.bundles import rows as rows_module
from hashmatch.signing import rotate
from hashmatch.signing.sealing import Identity
from support.bundle_makers import KEY, NOW, change, key_of, refusal, rows_of
from support.list_makers import made_list, made_up, made_up_entries, small_list


def terms_of(ref: ReferenceList) -> list[str]:
    """Name the sources that have terms."""
    return [item.name for item in ref.sources() if item.terms]


@pytest.mark.parametrize("seed", range(3))
def test_a_taker_follows_its_owner(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through additions, withdrawals, roles, labels, terms and compactions every table is the owner's."""
    monkeypatch.setattr("hashmatch.lists.bundles.issuing.ENTRIES_A_CHUNK", 2)
    monkeypatch.setattr("hashmatch.lists.bundles.issuing._LINES_A_CHUNK", 3)
    rng, taker, since = random.Random(seed), tmp_path / "taker", None
    kinds = set()
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        for step in range(14):
            for _ in range(rng.randint(1, 4)):
                with ref.transaction():
                    change(ref, rng)
            if step % 6 == 5:
                ref.compact()
            file, despite = tmp_path / f"bundle-{step}", terms_of(ref)
            try:
                made = write_bundle(ref, file, KEY, since=since, despite_terms=despite)
            except BundleError as error:
                kinds.add(error.reason)
                made = write_bundle(ref, file, KEY, despite_terms=despite)
            report = take_bundle(taker, file, trust=KEY.verifiers if step == 0 else ())
            assert (report.changed, report.info.digest) == (made.version != since, ref.digest)
            assert rows_of(taker) == rows_of(tmp_path / "owner")
            kinds.add("difference" if made.previous else "whole")
            since = made.version
        with ReferenceList.open(taker, check="full") as taken:
            assert (taken.list_id, taken.name, list(taken)) == (ref.list_id, ref.name, list(ref))
    assert {"difference", "whole", "no-history"} <= kinds


def test_a_taker_that_keeps_its_history_has_every_version_it_took(tmp_path: Path) -> None:
    """Versions between, which it never had, are named as missing."""
    taker = tmp_path / "taker"
    digests = {}
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        rng, since = random.Random(9), None
        for step in range(8):
            ref.add(f"new-{step}", hashes=[made_up(step)])
            change(ref, rng)
            if step == 5:
                ref.compact()
            whole = since is None or step == 5
            made = write_bundle(
                ref, tmp_path / f"b{step}", KEY, since=None if whole else since, despite_terms=terms_of(ref)
            )
            take_bundle(taker, tmp_path / f"b{step}", trust=KEY.verifiers, keep_history=True)
            since = made.version
            digests[since] = ref.digest
    with ReferenceList.open(taker) as taken:
        assert taken.versions() == (0, *digests)
        for version, digest in digests.items():
            with taken.at(version) as then:
                assert (then.version, then.digest) == (version, digest)
                assert then.trust() is None
        missing = next(number for number in range(1, since or 0) if number not in digests)
        with pytest.raises(MissingVersionError):
            taken.at(missing)


@pytest.mark.parametrize("keep", [False, True])
def test_a_taker_that_was_compacted_follows_on(tmp_path: Path, keep: bool) -> None:
    """It remembers less than its owner, and what it remembers is whole: later changes are told, earlier are not."""
    taker = tmp_path / "taker"
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        for step in range(7):
            ref.add(f"entry-{step}", hashes=[made_up(step)])
            since = ref.version - 1 if step else None
            write_bundle(ref, tmp_path / f"b{step}", KEY, since=since)
            take_bundle(taker, tmp_path / f"b{step}", trust=KEY.verifiers, keep_history=keep)
            if step in (2, 4):
                with ReferenceList.open(taker, writable=True) as taken:
                    taken.compact()
            with ReferenceList.open(taker, check="full") as taken:
                first = 5 if step >= 4 else 3 if step >= 2 else 0
                assert taken.changes_since(first - 1) is None
                for version in range(first, taken.version + 1):
                    changes = taken.changes_since(version)
                    assert changes is not None
                    assert sum(map(len, changes.added.values())) == taken.version - version
                assert taken.versions() == (tuple(range(first, taken.version + 1)) if keep else (taken.version,))


@pytest.mark.parametrize(
    "damage",
    ["keys = replace(keys, '+', '-')", "keys = keys || ' '", "version = version + 1", "seal_sum = 0", "expires = 1"],
)
def test_trust_that_decayed_is_damage(tmp_path: Path, damage: str) -> None:
    """What says whom a list trusts has a check value of its own."""
    made_list(tmp_path / "owner")
    with ReferenceList.open(tmp_path / "owner") as ref:
        write_bundle(ref, tmp_path / "b", KEY)
    take_bundle(tmp_path / "taker", tmp_path / "b", trust=KEY.verifiers)
    with closing(sqlite3.connect(tmp_path / "taker")) as connection, connection:
        connection.execute(f"UPDATE trust SET {damage}")  # noqa: S608
    with ReferenceList.open(tmp_path / "taker") as taken:
        for call in (taken.trust, taken.verify):
            with pytest.raises(ReferenceListError, match="damaged"):
                call()
    with pytest.raises(ReferenceListError, match="damaged"):
        take_bundle(tmp_path / "taker", tmp_path / "b")


def test_what_is_taken_is_a_list_like_others(tmp_path: Path) -> None:
    """A matcher takes new versions up while it runs, by the changes alone, and names the owner's version."""
    taker, value = tmp_path / "taker", made_up(7)
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        ref.add_many(made_up_entries(5))
        write_bundle(ref, tmp_path / "b1", KEY)
        take_bundle(taker, tmp_path / "b1", trust=KEY.verifiers)
        with Matcher.open(taker) as matcher:
            assert matcher.match_hash(value).outcome is Outcome.NO_MATCH
            ref.add("entry-7", hashes=[value])
            ref.withdraw("entry-1")
            write_bundle(ref, tmp_path / "b2", KEY, since=1)
            take_bundle(taker, tmp_path / "b2")
            assert matcher.reload()
            (match,) = matcher.match_hash(value).matches
            assert (match.entry_id, match.list_version, match.list_digest) == ("entry-7", ref.version, ref.digest)
            assert matcher.match_hash(made_up(1)).outcome is Outcome.NO_MATCH
    assert oct(taker.stat().st_mode & 0o777) == "0o600"
    assert made_up(1).data not in taker.read_bytes(), "withdrawn bytes are overwritten at the taker too"


def test_feeds_of_the_owner_stay_with_the_owner(tmp_path: Path) -> None:
    """Where a feed goes on, and when it was heard, is nobody else's affair."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        ref.add("entry-1", hashes=[made_up(1)])
        with ref.editing() as editor:
            editor.note("local", checkpoint="cursor of a feed", heard=NOW)
        write_bundle(ref, tmp_path / "b", KEY)
    take_bundle(tmp_path / "taker", tmp_path / "b", trust=KEY.verifiers)
    with ReferenceList.open(tmp_path / "taker") as taken:
        assert [(item.checkpoint, item.heard) for item in taken.sources()] == [("", None)]


def test_a_difference_has_only_what_changed(tmp_path: Path) -> None:
    """Of a thousand entries, one more and one label make a small bundle."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        ref.add_many(made_up_entries(1000))
        whole = write_bundle(ref, tmp_path / "whole", KEY)
        ref.add("entry-5", hashes=[made_up(5)], labels={"class": "A1"})
        ref.add("entry-2000", hashes=[made_up(2000)])
        part = write_bundle(ref, tmp_path / "part", KEY, since=whole.version)
    assert sum(chunk.n_bytes for chunk in part.chunks) < 2000 < sum(chunk.n_bytes for chunk in whole.chunks) / 10


def test_terms_go_along_and_are_asked_about(tmp_path: Path) -> None:
    """A list with terms is bundled only where each source is named; later terms reach takers without a new version."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        ref.add("entry-1", hashes=[made_up(1)], source="ncmec")
        ref.set_terms("ncmec", "no onward sharing")
        assert refusal(write_bundle, ref, tmp_path / "b", KEY) == "terms"
        assert os.listdir(tmp_path).count("b") == 0
        made = write_bundle(ref, tmp_path / "b", KEY, despite_terms=["ncmec"], now=NOW)
        assert made.terms == {"ncmec": "no onward sharing"}
        take_bundle(tmp_path / "taker", tmp_path / "b", trust=KEY.verifiers, now=NOW)
        ref.set_terms("ncmec", "ask first")
        write_bundle(ref, tmp_path / "b2", KEY, despite_terms=["ncmec"], now=NOW + 5)
        for file in ("b2", "b"):  # the older one says nothing any more
            assert not take_bundle(tmp_path / "taker", tmp_path / file, now=NOW + 6).changed
            with ReferenceList.open(tmp_path / "taker") as taken:
                trust = taken.trust()
                assert trust is not None
                assert (taken.sources()[0].terms, trust.issued) == ("ask first", NOW + 5)


def test_a_sealed_bundle_is_read_by_its_recipients_alone(tmp_path: Path) -> None:
    """Nothing of the list is readable in it, not even its name."""
    ours, others = Identity.make(), Identity.make()
    with ReferenceList.create(tmp_path / "owner", name="a-name-to-hide") as ref:
        ref.add("entry-1", hashes=[made_up(1)])
        write_bundle(ref, tmp_path / "b", KEY, recipients=[others.recipient, ours.recipient])
        assert refusal(write_bundle, ref, tmp_path / "c", KEY, recipients=["age1nobody"]) == "bad-key"
    assert b"a-name-to-hide" not in (tmp_path / "b").read_bytes()
    trust = KEY.verifiers
    assert refusal(take_bundle, tmp_path / "taker", tmp_path / "b", trust=trust) == "sealed"
    stranger = Identity.make()
    assert (
        refusal(take_bundle, tmp_path / "taker", tmp_path / "b", trust=trust, identity=stranger) == "not-for-this-key"
    )
    take_bundle(tmp_path / "taker", tmp_path / "b", trust=trust, identity=ours)
    assert sorted(os.listdir(tmp_path)) == ["b", "owner", "taker"]


def test_versions_out_of_bundles_that_were_kept(tmp_path: Path) -> None:
    """A whole bundle and differences lead to every version in their chain, also after they expired and keys changed."""
    digests, key, since = {}, key_of(3), None
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        for step in range(5):
            ref.add(f"entry-{step}", hashes=[made_up(step)])
            ref.withdraw(f"entry-{step - 2}")
            if step == 3:
                key = rotate(key)
            write_bundle(ref, tmp_path / f"b{step}", key, since=since, days=1, now=1_700_000_000 + step)
            since, digests[ref.version] = ref.version, ref.digest
    files = sorted(tmp_path.glob("b*"), reverse=True)
    for version, digest in digests.items():
        with list_from_bundles(tmp_path / f"v{version}", files, version=version, trust=key_of(3).verifiers) as then:
            assert (then.version, then.digest) == (version, digest)
    lacking = [file for file in files if file.name != "b2"]
    with pytest.raises(MissingVersionError) as caught:
        list_from_bundles(tmp_path / "no", lacking, version=max(digests), trust=key_of(3).verifiers)
    assert caught.value.at_hand == tuple(digests)[:2]
    assert refusal(list_from_bundles, tmp_path / "no", files, version=1, trust=key_of(4).verifiers) == "unknown-key"
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says why, and leaves no file."""
    small_list(tmp_path / "owner")
    with ReferenceList.open(tmp_path / "owner", writable=True) as ref:
        version = ref.version
        for since in (version + 1, -1, 10**9):
            assert refusal(write_bundle, ref, tmp_path / "b", KEY, since=since) == "no-history"
        assert refusal(write_bundle, ref, tmp_path / "b", KEY, since=version) == "nothing-new"
        ref.compact()
        assert refusal(write_bundle, ref, tmp_path / "b", KEY, since=version - 1) == "no-history"
        for days in (0, 3651):
            with pytest.raises(ValueError, match="days"):
                write_bundle(ref, tmp_path / "b", KEY, days=days)
        with pytest.raises(ReferenceListError, match="a file is already at the path of the bundle"):
            write_bundle(ref, tmp_path / "owner", KEY)
        with pytest.raises(ReferenceListError, match="the bundle cannot be made"):
            write_bundle(ref, tmp_path / "no" / "folder", KEY)
        monkeypatch.setattr(rows_module, "_MAX_PLAIN", 1000)
        assert refusal(write_bundle, ref, tmp_path / "b", KEY) == "too-large"
    assert os.listdir(tmp_path) == ["owner"]


def test_a_damaged_list_is_not_signed(tmp_path: Path) -> None:
    """Rows that are not what was written are found before anybody vouches for them."""
    path = made_list(tmp_path / "owner")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE entry SET entry_id = 'other' WHERE key = 3")
    with ReferenceList.open(path) as ref, pytest.raises(ReferenceListError, match="damaged"):
        write_bundle(ref, tmp_path / "b", KEY)
    assert os.listdir(tmp_path) == ["owner"]


def test_many_hashes_and_an_empty_list(tmp_path: Path) -> None:
    """An entry of several chunks' worth, and none at all."""
    with ReferenceList.create(tmp_path / "owner", name="owned") as ref:
        write_bundle(ref, tmp_path / "empty", KEY)
        ref.add_many([Entry.of("entry-1", hashes=[made_up(i) for i in range(3000)])])
        write_bundle(ref, tmp_path / "many", KEY, since=0)
    assert take_bundle(tmp_path / "taker", tmp_path / "empty", trust=KEY.verifiers).info.entries == 0
    assert take_bundle(tmp_path / "taker", tmp_path / "many").info.hashes == {"pdq": 3000}
    assert rows_of(tmp_path / "taker") == rows_of(tmp_path / "owner")
