"""A second hash of the same entry confirms a match, if a rule asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.errors import PolicyError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.lists import Entry, ListedHash, Listing
from hashmatch.matching import MatchReport
from hashmatch.policy import MatchPolicy, Rule
from hashmatch.profiles import policy_from_dict
from hashmatch.synthetic import picture

PHOTO = picture("photo", 1, size=(180, 240))
OTHER = picture("photo", 2, size=(180, 240))
PDQ, DHASH, PHASH = (hash_image(PHOTO, name) for name in ("pdq", "dhash", "phash"))
FAR = hash_image(OTHER, "dhash")


def policy(*by: str, keep: bool = True, min_quality: int = 0) -> MatchPolicy:
    """Make a policy whose PDQ rule asks for one of these."""
    return MatchPolicy(
        name="confirmed",
        rules=(
            Rule(algorithm="pdq", threshold=31, confirm_by=by, keep_unconfirmed=keep),
            Rule(algorithm="dhash", threshold=4, min_quality=min_quality),
            Rule(algorithm="phash", threshold=6),
        ),
    )


def asked(
    path: Path, rules: MatchPolicy, *values: HashValue, hashes: list[HashValue], quality: int | None = None
) -> MatchReport:
    """Match hashes against one entry."""
    path.unlink(missing_ok=True)
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("e", hashes=hashes, quality=quality)
    with Matcher.open(path, policy=rules) as matcher:
        report = matcher.match_fingerprint(Fingerprint(tuple(ViewHash(value=item) for item in values)))
    assert MatchReport.from_dict(report.to_dict()) == report
    return report


def test_agrees_or_contradicts(tmp_path: Path) -> None:
    """A match counts if one of them is near by its own rule; it is no match if all that were compared are far."""
    path = tmp_path / "l"
    report = asked(path, policy("dhash"), PDQ, DHASH, hashes=[PDQ, DHASH])
    assert {item.algorithm: (item.confirmed_by, item.unconfirmed) for item in report.matches} == {
        "dhash": ((), False),
        "pdq": (("dhash",), False),
    }
    report = asked(path, policy("dhash"), PDQ, DHASH, hashes=[PDQ, FAR])
    assert (report.outcome, report.n_matches) == (Outcome.NO_MATCH, 0)
    report = asked(path, policy("dhash", "phash"), PDQ, DHASH, PHASH, hashes=[PDQ, FAR, PHASH])
    assert next(item for item in report.matches if item.algorithm == "pdq").confirmed_by == ("phash",)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("lacks", ["the entry", "the query", "quality"])
def test_what_cannot_be_confirmed(tmp_path: Path, lacks: str, keep: bool) -> None:
    """It counts and says so, or does not count and leaves the outcome open, as the rule says."""
    values = [PDQ] if lacks == "the query" else [PDQ, DHASH]
    hashes = [PDQ] if lacks == "the entry" else [PDQ, DHASH]
    rules = policy("dhash", keep=keep, min_quality=60 if lacks == "quality" else 0)
    report = asked(tmp_path / "l", rules, *values, hashes=hashes, quality=50 if lacks == "quality" else None)
    if keep:
        assert [(item.algorithm, item.unconfirmed, item.confirmed_by) for item in report.matches] == [("pdq", True, ())]
    else:
        assert (report.outcome, report.reason, report.matches) == (Outcome.UNDECIDABLE, "unconfirmed", ())


def test_hashes_of_another_entry_confirm_nothing(tmp_path: Path) -> None:
    """The other algorithm must agree in the same entry."""
    path = tmp_path / "l"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("e", hashes=[PDQ, FAR])
        ref.add("f", hashes=[DHASH])
    with Matcher.open(path, policy=policy("dhash")) as matcher:
        found = matcher.match(PHOTO)
    assert [(item.entry_id, item.algorithm) for item in found.matches] == [("f", "dhash")]


def test_a_contradicted_benign_hash_suppresses_nothing(tmp_path: Path) -> None:
    """The same is asked of every role."""
    path = tmp_path / "l"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("bad", hashes=[PDQ, DHASH])
        ref.add_many([Entry("good", (Listing("g", (ListedHash(PDQ), ListedHash(FAR)), role="benign"),))])
    with Matcher.open(path, policy=policy("dhash")) as matcher:
        found = matcher.match(PHOTO)
    assert {item.algorithm for item in found.matches} == {"pdq", "dhash"}
    assert found.suppressed == ()


def test_crops_need_no_confirmation(tmp_path: Path) -> None:
    """Evidence decides them; the rule is one of distance."""
    whole = picture("photo", 7, size=(480, 640))
    path = tmp_path / "l"
    with ReferenceList.create(path, name="demo") as ref:
        ref.add("e", hashes=[hash_image(whole), hash_image(OTHER, "dhash")], quality=90)
    rules = tuple(
        replace(rule, confirm_by=("dhash",)) if rule.algorithm == "pdq" else rule for rule in profiles.THOROUGH.rules
    )
    with Matcher.open(path, policy=replace(profiles.THOROUGH, rules=rules)) as matcher:
        (found,) = matcher.match(whole[:, 60:]).matches
    assert found.evidence is not None


@pytest.mark.parametrize("by", [("pdq",), ("md5",), ("nothing",), "dhash"])
def test_bad_rules(by: tuple[str, ...]) -> None:
    """No hash confirms itself, and no digest confirms what is near."""
    with pytest.raises(PolicyError, match="confirm_by"):
        Rule(algorithm="pdq", threshold=31, confirm_by=by)
    with pytest.raises(PolicyError, match="digest"):
        Rule(algorithm="md5", threshold=0, confirm_by=("pdq",))


def test_in_a_policy_file() -> None:
    """As every field."""
    found = policy_from_dict({"base": "standard", "rules": {"pdq": {"confirm_by": ["dhash"]}}})
    rule = found.rule_for("pdq")
    assert rule is not None
    assert rule.confirm_by == ("dhash",)
    assert found.name == "standard, rules.pdq.confirm_by=dhash"
