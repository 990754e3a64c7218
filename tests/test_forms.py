"""Policies as dictionaries and files: nothing is lost on the way, and what is wrong is named."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import profiles
from hashmatch.algorithms import ALGORITHMS, Metric
from hashmatch.errors import PolicyError
from hashmatch.features.policy_json import policy_from_json, policy_to_json
from hashmatch.picture import KNOWN_FORMATS, DecodePolicy
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.view import Turn

NAMES = [name for name, algorithm in ALGORITHMS.items() if algorithm.metric is not Metric.ALIGNMENT]
COUNTS = st.integers(1, 10**12)


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Draw a rule for PDQ and some others."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5)):
        algorithm = ALGORITHMS[name]
        largest = 0 if algorithm.metric is Metric.EXACT else algorithm.max_distance - 1
        found.append(
            Rule(
                algorithm=name,
                threshold=draw(st.integers(0, largest)),
                min_quality=draw(st.integers(0, 100)),
                view_threshold=draw(st.none() | st.integers(0, largest)),
            )
        )
    return (*(rule for rule in found if rule.algorithm != "pdq"), Rule(algorithm="pdq", threshold=31))


DECODE = st.builds(
    DecodePolicy,
    formats=st.just("default") | st.lists(st.sampled_from(KNOWN_FORMATS), min_size=1, unique=True).map(tuple),
    max_bytes=COUNTS,
    max_pixels=COUNTS,
    max_side=COUNTS,
    max_frames=COUNTS,
    frames=st.sampled_from(["first", "spread", "all"]),
    n_spread=COUNTS,
    salvage=st.booleans(),
    reduced=st.booleans(),
    as_others=st.booleans(),
)
CROPS = st.builds(
    CropRule,
    min_evidence=st.floats(0, 1000),
    turns=st.lists(st.sampled_from(Turn), min_size=1, unique=True).map(tuple),
    min_quality=st.integers(0, 100),
)
POLICIES = st.builds(
    MatchPolicy,
    name=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20),
    rules=rules(),
    turns=st.booleans(),
    trims=st.booleans(),
    rotations=st.booleans(),
    rotation_evidence=st.floats(0, 1000) | st.integers(0, 1000),
    shrinks=st.booleans(),
    negatives=st.booleans(),
    crops=st.none() | CROPS,
    keypoints=st.none() | st.builds(KeypointRule, max_chance=st.floats(-300, -6)),
    stop_at_digest=st.booleans(),
    max_matches=COUNTS,
    max_false_reports=st.none() | st.floats(0, 1),
    decode=DECODE,
)


@settings(max_examples=150, deadline=None)
@given(POLICIES)
def test_nothing_is_lost(policy: MatchPolicy) -> None:
    """Through a dictionary, JSON, TOML and the form for workers, the policy comes back equal."""
    assert MatchPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert profiles.policy_from_toml(profiles.policy_to_toml(policy)) == policy
    assert policy_from_json(policy_to_json(policy)) == policy
    assert DecodePolicy.from_dict(policy.decode.to_dict()) == policy.decode
    for rule in policy.rules:
        assert Rule.from_dict(rule.to_dict()) == rule
    if policy.crops is not None:
        assert CropRule.from_dict(policy.crops.to_dict()) == policy.crops
    if policy.keypoints is not None:
        assert KeypointRule.from_dict(policy.keypoints.to_dict()) == policy.keypoints


@pytest.mark.parametrize("kind", [MatchPolicy, DecodePolicy, CropRule, Rule])
def test_every_field_is_written(kind: type[Any]) -> None:
    """No field is forgotten."""
    policy = profiles.THOROUGH
    value = {MatchPolicy: policy, DecodePolicy: policy.decode, CropRule: policy.crops, Rule: policy.rules[0]}[kind]
    assert set(value.to_dict()) == {item.name for item in dataclasses.fields(kind) if item.init}


def test_the_secret_key_is_never_written() -> None:
    """Neither a dictionary nor a file holds it, and neither may name it; workers get it apart."""
    keyed = dataclasses.replace(profiles.THOROUGH, keypoints=KeypointRule(max_chance=-8, key=b"S" * 16))
    for text in (json.dumps(keyed.to_dict()), profiles.policy_to_toml(keyed)):
        assert "SSSS" not in text
        assert (b"S" * 16).hex() not in text
        assert '"key"' not in text
    assert policy_from_json(policy_to_json(keyed)) == keyed
    with pytest.raises(PolicyError, match="--key-file"):
        profiles.policy_from_toml('base = "thorough"\n[keypoints]\nkey = "0123"\n')


def test_a_part_is_laid_over_a_preset() -> None:
    """Tables are changed field by field, rules go and come, and the name says all of it."""
    policy = profiles.policy_from_toml(
        'base = "thorough"\nmax_false_reports = 0.5\ncrops = "none"\n[rules]\nphotodna = "none"\n'
        '[rules.pdq]\nthreshold = 20\n[decode]\nframes = "all"\nformats = ["png", "TIFF"]\n'
    )
    assert policy.rule_for("photodna") is None
    assert policy.rule_for("pdq") == Rule(algorithm="pdq", threshold=20, min_quality=50)
    assert policy.rule_for("md5") == profiles.THOROUGH.rule_for("md5")
    assert (policy.crops, policy.rotations, policy.max_false_reports) == (None, True, 0.5)
    assert policy.decode == dataclasses.replace(profiles.THOROUGH.decode, frames="all", formats=("PNG", "TIFF"))
    for said in ("thorough, ", "crops=none", "rules.pdq.threshold=20", "decode.frames=all", "decode.formats=png+TIFF"):
        assert said in policy.name
    assert profiles.policy_from_toml('base = "fast"\nname = "mine"').name == "mine"
    assert MatchPolicy.from_dict({"turns": False}, profiles.STANDARD).turns is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("turns = ", "no TOML"),
        ("a = " + "[" * 5000, "no TOML"),
        ('base = "best"', "base must be one of fast, standard, thorough"),
        ("base = 3", "base must be one of"),
        ('name = "x"', "rules is missing"),
        ("rules = {}", "name is missing"),
        ('base = "fast"\nturn = true', "unknown key 'turn' in policy; allowed: name, rules, turns"),
        ('base = "fast"\nturns = 1', "policy: turns must be true or false, not 1"),
        ('base = "fast"\nturns = "yes"', "turns must be true or false"),
        ('base = "fast"\nname = 3', "name must be text"),
        ('base = "fast"\nname = ""', "printable"),
        ('base = "fast"\nmax_matches = 1.5', "max_matches must be a whole number"),
        ('base = "fast"\nmax_matches = true', "max_matches must be a whole number"),
        ('base = "fast"\nmax_matches = 0', "max_matches must be an integer of 1 or more"),
        ('base = "fast"\nrotation_evidence = nan', "rotation_evidence must be a number"),
        ('base = "fast"\nrules = 3', "rules must be a table"),
        ('base = "fast"\nrules = {pdq = 3}', "rules.pdq must be a table"),
        ('base = "fast"\nrules = {pdf = "none"}', "rules.pdf must be a table"),
        ('base = "fast"\n[rules.pdf]\nthreshold = 3', "choose one of"),
        ('base = "fast"\n[rules.keypoint]\nthreshold = 3', "KeypointRule"),
        ('base = "fast"\n[rules.pdq]\nthreshold = 300', "from 0 to 255"),
        ('base = "fast"\n[rules.pdq]\nthreshold = "31"', "rules.pdq: threshold must be a whole number"),
        ('base = "fast"\n[rules.pdq]\nradius = 3', "unknown key 'radius' in rules.pdq; allowed: algorithm, threshold"),
        ('base = "fast"\ncrops = true', "crops must be a table"),
        ('base = "fast"\n[crops]\nmin_quality = 3', "min_evidence is missing"),
        ('base = "thorough"\n[crops]\nturns = ["sideways"]', "must be of none, rotated 90"),
        ('base = "thorough"\n[crops]\nturns = "none"', "turns must be a list"),
        ('base = "fast"\n[decode]\nformats = "jpeg"', "formats"),
        ('base = "fast"\n[decode]\nformats = ["EXE"]', "one or more of JPEG, PNG"),
        ('base = "fast"\n[decode]\nformats = [3]', "formats"),
        ('base = "fast"\n[decode]\nframes = "some"', "frames must be one of first, spread, all"),
        ('base = "fast"\n[decode]\nmax_pixel = 3', "unknown key 'max_pixel' in"),
        ('base = "fast"\ndecode = "none"', "decode must be a table"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    """A policy error says which key, and what it may be."""
    with pytest.raises(PolicyError) as caught:
        profiles.policy_from_toml(text)
    assert says in str(caught.value)


@pytest.mark.parametrize("data", [None, 3, [], "fast"])
def test_what_is_no_table_is_refused(data: Any) -> None:
    """Every kind takes a mapping."""
    for read in (MatchPolicy.from_dict, DecodePolicy.from_dict, Rule.from_dict, profiles.policy_from_dict):
        with pytest.raises(PolicyError, match="must be a table"):
            read(data)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "rules", "pdq", "decode", "crops", "formats", "turns"]), inner)
        ),
        max_leaves=9,
    )
)
def test_anything_is_a_policy_or_a_policy_error(data: Any) -> None:
    """No input makes reading fail in another way."""
    for base in (None, profiles.THOROUGH):
        with contextlib.suppress(PolicyError):
            assert isinstance(MatchPolicy.from_dict(data, base), MatchPolicy)
