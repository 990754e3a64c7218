"""Rules by list, source and class: the first selection that holds for a listing judges it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import Matcher, Outcome, ReferenceList, hash_image, profiles
from hashmatch.budget.spending import budget_of
from hashmatch.errors import PolicyError
from hashmatch.features.policy_json import policy_from_json, policy_to_json
from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.matching import MatchReport
from hashmatch.policy import MatchPolicy, Rule, Selection, Where
from hashmatch.profiles import policy_from_dict, policy_from_toml, policy_to_toml
from hashmatch.store.coverage import unused_names
from hashmatch.synthetic import picture

BASE = HashValue("pdq", hashlib.sha256(b"base").digest())
RULES = (Rule(algorithm="md5", threshold=0), Rule(algorithm="pdq", threshold=10))
PLAIN = MatchPolicy(name="plain", rules=RULES)


def near(bits: int) -> HashValue:
    """Make a hash so far from `BASE`."""
    return HashValue("pdq", (int.from_bytes(BASE.data) ^ ((1 << bits) - 1)).to_bytes(32))


def pdq(threshold: int, min_quality: int = 0) -> tuple[Rule, ...]:
    """Make a rule."""
    return (Rule(algorithm="pdq", threshold=threshold, min_quality=min_quality),)


def selecting(*selections: Selection, base: MatchPolicy = PLAIN) -> MatchPolicy:
    """Give a policy selections."""
    return replace(base, selections=selections)


def made(path: Path, name: str = "demo", **listed: tuple[str, dict[str, str], int]) -> Path:
    """Make a list of ``entry=(source, labels, distance)``."""
    with ReferenceList.create(path, name=name) as ref:
        for entry_id, (source, labels, far) in listed.items():
            ref.add(entry_id, hashes=[near(far)], source=source, labels=labels)
    return path


def asked(policy: MatchPolicy, *paths: Path, quality: int | None = None) -> MatchReport:
    """Match `BASE`."""
    with Matcher.open(*paths, policy=policy) as matcher:
        report = matcher.match_fingerprint(Fingerprint((ViewHash(value=BASE, quality=quality),)))
    assert MatchReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    return report


def found(report: MatchReport) -> dict[str, str | None]:
    """Actions by entry."""
    return {item.entry_id: item.action for item in report.matches}


def test_by_class_source_and_list(tmp_path: Path) -> None:
    """One search serves all: each listing by the threshold and the action of the first selection that holds for it."""
    first = made(
        tmp_path / "a",
        "first",
        worst=("ncmec", {"tech-coalition": "A1"}, 20),
        same=("ncmec", {"tech-coalition": "A1 | B2"}, 15),
        mild=("ncmec", {"tech-coalition": "B2"}, 15),
        mild_near=("ncmec", {"tech-coalition": "B2"}, 5),
        other=("hotline", {}, 8),
    )
    second = made(tmp_path / "b", "second", far=("ncmec", {"tech-coalition": "A1"}, 3), near=("x", {}, 1))
    policy = selecting(
        Selection(where=Where(lists=("second",)), action="log", rules=pdq(2)),
        Selection(where=Where(classes=("tech-coalition:A1", "uk:A")), action="block", rules=pdq(20)),
        Selection(where=Where(sources=("ncmec",), classes=("tech-coalition:B2",)), action="review"),
        Selection(rules=pdq(7)),
    )
    report = asked(policy, first, second)
    assert found(report) == {"worst": "block", "same": "block", "mild_near": "review", "near": "log"}
    assert {item.entry_id: item.threshold for item in report.matches}["worst"] == 20
    assert {item.entry_id: item.classes for item in report.matches}["same"] == (
        "tech-coalition:A1",
        "tech-coalition:B2",
    )
    assert report.n_matches == 4
    with ReferenceList.open(second) as ref:
        by_id = selecting(Selection(where=Where(lists=(ref.list_id,)), action="by id"), Selection())
    assert found(asked(by_id, first, second)) == {"mild_near": None, "other": None, "far": "by id", "near": "by id"}


def test_what_no_selection_covers_is_told(tmp_path: Path) -> None:
    """It is not compared, is counted so, and a list of which nothing is compared forbids "no match"."""
    path = made(
        tmp_path / "a", a=("s", {"c": "1"}, 200), b=("s", {"c": "2"}, 190), c=("t", {"c": "1"}, 2), d=("u", {}, 3)
    )
    with ReferenceList.open(path, writable=True) as ref:
        ref.add("a", hashes=[HashValue("md5", bytes(range(16)))], source="s")
    policy = selecting(
        Selection(where=Where(sources=("s",), classes=("c:1",))),
        Selection(where=Where(sources=("t",)), without=("pdq",)),
    )
    report = asked(policy, path)
    assert report.outcome is Outcome.NO_MATCH
    assert (dict(report.lists[0].compared), dict(report.lists[0].not_compared)) == ({"pdq": 1}, {"md5": 1, "pdq": 3})
    with Matcher.open(path, policy=policy) as matcher:  # a change of labels alone changes what is covered
        with ReferenceList.open(path, writable=True) as ref:
            ref.add("b", hashes=[near(190)], source="s", labels={"c": "1"})
        matcher.reload()
        assert matcher.match_hash(BASE).lists[0].not_compared["pdq"] == 2
    other = made(tmp_path / "b", "other", a=("s", {}, 1))
    report = asked(policy, path, other)
    assert (report.outcome, report.reason) == (Outcome.UNDECIDABLE, "nothing-to-compare")
    assert dict(report.lists[1].not_compared) == {"pdq": 1}
    whole = selecting(*policy.selections, Selection())
    assert dict(asked(whole, path, other).lists[0].not_compared) == {"md5": 1, "pdq": 1}


def test_quality_by_selection(tmp_path: Path) -> None:
    """The least quality of query and entry is that of the selection."""
    path = made(tmp_path / "a", a=("s", {}, 1), b=("t", {}, 1))
    policy = selecting(
        Selection(where=Where(sources=("s",)), rules=pdq(10, 60), action="strict"), Selection(rules=pdq(10, 20))
    )
    assert found(asked(policy, path, quality=70)) == {"a": "strict", "b": None}
    assert found(asked(policy, path, quality=40)) == {"b": None}
    assert asked(policy, path, quality=10).reason == "too-plain"


def test_crops_rotations_and_keypoints(tmp_path: Path) -> None:
    """They are left out, asked for more, and named by an action, like all else."""
    whole = picture("photo", 7, size=(480, 640))
    path = tmp_path / "a"
    with ReferenceList.create(path, name="a") as ref:
        for source in ("s", "t"):
            hashes = [hash_image(whole), hash_image(whole, "keypoint")]
            ref.add(f"by-{source}", hashes=hashes, source=source, quality=90)

    def by(*selections: Selection) -> set[tuple[str, str, str | None]]:
        with Matcher.open(path, policy=selecting(*selections, base=profiles.THOROUGH)) as matcher:
            report = matcher.match(whole[:, 60:])
        return {(item.entry_id, item.algorithm, item.action) for item in report.matches}

    both = {(f"by-{source}", name, "x") for source in "st" for name in ("pdq", "keypoint")}
    assert by(Selection(action="x")) == both
    only = Where(sources=("s",))
    assert by(Selection(where=only, action="x", without=("crops",)), Selection(action="x")) == both - {
        ("by-s", "pdq", "x")
    }
    assert by(Selection(where=only, crop_evidence=900.0), Selection(action="x")) - {
        ("by-s", "keypoint", None)
    } == both - {
        ("by-s", "pdq", "x"),
        ("by-s", "keypoint", "x"),
    }
    assert by(Selection(where=only, keypoint_chance=-300.0, action="x"), Selection(action="x")) == both - {
        ("by-s", "keypoint", "x")
    }
    assert by(Selection(action="x", without=("pdq", "keypoint"))) == set()


@pytest.mark.parametrize(
    ("selections", "says"),
    [
        ((Selection(), Selection(where=Where(lists=("a",)))), "selection 1 holds for everything"),
        ((Selection(crop_evidence=1.0),), "crop_evidence"),
        ((Selection(rotation_evidence=1.0),), "rotation_evidence"),
        ((Selection(keypoint_chance=-9.0),), "keypoint_chance"),
        ("x", "tuple of Selection"),
    ],
)
def test_what_can_never_hold_is_refused(selections: Any, says: str) -> None:
    """Also a change of what the policy does not look for."""
    with pytest.raises(PolicyError, match=says):
        replace(PLAIN, selections=selections)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": ""},
        {"action": "x" * 33},
        {"action": "a\nb"},
        {"action": " a"},
        {"where": Where},
        {"rules": RULES + RULES},
        {"without": ("nothing",)},
        {"without": ("pdq",), "rules": pdq(3)},
        {"crop_evidence": -1.0},
        {"keypoint_chance": 0.0},
    ],
)
def test_bad_selections(fields: dict[str, Any]) -> None:
    """What means nothing is refused when it is made."""
    with pytest.raises(PolicyError):
        Selection(**fields)


@pytest.mark.parametrize("fields", [{"lists": "a"}, {"classes": ("a",)}, {"classes": (":a",)}, {"sources": ("",)}])
def test_bad_wheres(fields: dict[str, Any]) -> None:
    """Names are tuples of text, classes have a scheme."""
    with pytest.raises(PolicyError):
        Where(**fields)


def test_as_a_file() -> None:
    """A policy with selections is written and read; a rule takes what it does not say from the policy's."""
    text = """
    base = "standard"
    [[selections]]
    action = "block"
    where = {classes = ["uk:A"], lists = ["a list"]}
    [selections.rules.pdq]
    threshold = 40
    [[selections]]
    action = "none"
    without = ["ahash"]
    """
    policy = policy_from_toml(text)
    assert policy.name == "standard, selections=2"
    first, second = policy.selections
    assert first.rules == (Rule(algorithm="pdq", threshold=40, min_quality=50),)
    assert (first.where, second.action) == (Where(lists=("a list",), classes=("uk:A",)), None)
    assert policy_from_toml(policy_to_toml(policy)) == policy == MatchPolicy.from_dict(policy.to_dict())
    assert policy_from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert policy.rule_for("pdq") == Rule(algorithm="pdq", threshold=40, min_quality=50)
    with pytest.raises(PolicyError, match=r"selection 1: rules\.pdq.*threshold"):
        policy_from_toml('base = "fast"\n[[selections]]\n[selections.rules.pdq]\nthreshold = 999')
    with pytest.raises(PolicyError, match="unknown key 'wher' in selection 1"):
        policy_from_toml('base = "fast"\n[[selections]]\nwher = {}')


def test_a_worker_learns_no_names() -> None:
    """It looks at pictures by the same rules, and is told no list, source or class."""
    policy = selecting(Selection(where=Where(lists=("secret",)), rules=pdq(30)), base=profiles.THOROUGH)
    data = policy_to_json(policy)
    assert b"secret" not in data
    assert policy_from_json(data).searches == policy.searches


def test_budget_is_that_of_the_widest() -> None:
    """A policy spends no more than its widest rule on everything."""
    wide = replace(PLAIN, rules=pdq(31))
    policy = selecting(Selection(where=Where(lists=("a",)), rules=pdq(31)), Selection(), base=PLAIN)
    assert budget_of(policy, {"pdq": 1000}).total == budget_of(wide, {"pdq": 1000}).total


def test_misspelt_names_are_told(tmp_path: Path) -> None:
    """Each name that no list has, by the selection that it stands in."""
    path = made(tmp_path / "a", a=("s", {"c": "1 | 2"}, 1))
    policy = selecting(
        Selection(where=Where(lists=("demo", "Demo"), sources=("s", "S"), classes=("c:2", "c:12", "d:1"))), Selection()
    )
    with ReferenceList.open(path) as ref, ref.pinned() as version:
        said = unused_names(policy, [version])
    assert said == (
        "selection 1: no list has the name or identifier 'Demo'",
        "selection 1: no list has the source 'S'",
        "selection 1: no list has the class 'c:12'",
        "selection 1: no list has the class 'd:1'",
    )


names = st.sampled_from(["a", "b"])
wheres = st.builds(
    Where,
    lists=st.sampled_from([(), ("one",), ("two",)]),
    sources=st.sampled_from([(), ("a",), ("b",)]),
    classes=st.sampled_from([(), ("c:a",), ("c:b",)]),
)
listings = st.lists(st.tuples(names, names, st.integers(0, 12)), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(wheres, st.integers(0, 12)), min_size=1, max_size=4),
    st.integers(0, 12),
    st.tuples(listings, listings),
)
def test_the_first_that_holds(
    drawn: list[tuple[Where, int]], left: int, lists: tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]
) -> None:
    """Thresholds, actions and what is not compared are those of the first selection that holds, for each listing."""
    some = [(where, threshold) for where, threshold in drawn if not where.is_everything]
    rules = [*some, *([(Where(), left)] if left < 12 else [])] or [(Where(), left)]
    policy = selecting(
        *(Selection(where=where, action=f"{n}", rules=pdq(threshold)) for n, (where, threshold) in enumerate(rules))
    )
    expected: dict[str, str] = {}
    n_left = {"one": 0, "two": 0}
    with TemporaryDirectory() as folder:
        paths = []
        for name, listed in zip(("one", "two"), lists, strict=True):
            paths.append(Path(folder) / name)
            with ReferenceList.create(paths[-1], name=name) as ref:
                for number, (source, value, far) in enumerate(listed):
                    ref.add(f"{name}-{number}", hashes=[near(far)], source=source, labels={"c": value})
                    holds = (
                        n
                        for n, (where, _) in enumerate(rules)
                        if (not where.lists or name in where.lists)
                        and (not where.sources or source in where.sources)
                        and (not where.classes or f"c:{value}" in where.classes)
                    )
                    place = next(holds, None)
                    if place is None:
                        n_left[name] += 1
                    elif far <= rules[place][1]:
                        expected[f"{name}-{number}"] = str(place)
        report = asked(policy, *paths)
    assert found(report) == expected
    assert {item.name: item.not_compared.get("pdq", 0) for item in report.lists} == n_left
