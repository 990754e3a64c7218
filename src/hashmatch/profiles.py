"""Named, frozen match policies, each with the source of its numbers.

``FAST`` searches the picture as it is; ``STANDARD`` also its seven other turns and what lies inside its borders;
``THOROUGH`` also pictures from which it may have been cut. Derive your own with
``dataclasses.replace(profiles.STANDARD, name="mine", ...)``: a policy's name stands in every report.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from hashmatch.errors import PolicyError
from hashmatch.forms import NONE
from hashmatch.picture.policy import DecodePolicy
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule

__all__ = [
    "FAST",
    "PRESETS",
    "REDUCED",
    "RULES",
    "STANDARD",
    "THOROUGH",
    "policy_from_dict",
    "policy_from_toml",
    "policy_to_toml",
]

RULES: Final = (
    Rule(algorithm="md5", threshold=0),
    Rule(algorithm="sha1", threshold=0),
    Rule(algorithm="sha256", threshold=0),
    # PDQ's authors: match at 31 bits or less, discard quality 49 and below (facebook/ThreatExchange, pdq/README).
    Rule(algorithm="pdq", threshold=31, min_quality=50),
    # Squared distance of at most 40,000 is IPED's default for PhotoDNA; the owner's own threshold is not public.
    Rule(algorithm="photodna", threshold=200),
    # No authority publishes a radius for these; ours are tight, because a hash of 64 bits holds little. Measured in
    # docs/how-to/choosing-a-radius.md.
    Rule(algorithm="phash", threshold=6, min_quality=50),
    Rule(algorithm="dhash", threshold=4, min_quality=50),
    Rule(algorithm="whash", threshold=1, min_quality=50),
    Rule(algorithm="ahash", threshold=1, min_quality=50),
    Rule(algorithm="phash-256", threshold=31, min_quality=50),
    Rule(algorithm="dhash-256", threshold=20, min_quality=50),
    Rule(algorithm="whash-256", threshold=8, min_quality=50),
    Rule(algorithm="ahash-256", threshold=8, min_quality=50),
)
"""A rule for every algorithm that can be stored."""

_DECODE: Final = DecodePolicy(salvage=True, as_others=True)

FAST: Final = MatchPolicy(name="fast", rules=RULES, turns=False, stop_at_digest=True, decode=_DECODE)
"""One view of the picture; the digest alone reports a known file, without a decode.

Truncated files are searched as far as they decode, because browsers show the decoded part. Files that other clients
read differently from browsers are also searched as those clients read them. Of an animation only the first frame is
searched: without a match the outcome is undecidable.
"""

REDUCED: Final = DecodePolicy(salvage=True, reduced=True, as_others=True)
"""Decode policy for searching at the least cost: ``replace(profiles.FAST, decode=profiles.REDUCED)``.

JPEGs whose shorter side is 1,024 px or more are decoded in grey, at a fraction of their size; see
``docs/reference/pixel-contract.md``.
"""

STANDARD: Final = replace(
    FAST,
    name="standard",
    turns=True,
    trims=True,
    stop_at_digest=False,
    decode=replace(FAST.decode, frames="all", max_total_pixels=300_000_000),
)
"""The eight turns of the picture, with and without borders, bars and caption bands, of every frame; the default.

Up to 1,000 frames are searched, or 300 million pixels together (1,000 frames of 640 x 480). If a file holds more
frames, the report counts them, and without a match the outcome is undecidable.

Measured on synthetic photographs (``benchmarks/results/robustness.md``): flips and quarter turns 100 %, borders and
letterboxes of up to 25 % a side 99.9 %, caption bands and phone screens 99 %. Expected false reports against 1,000,000
PDQ hashes: 1.4e-4 for a photograph, extrapolated; ``docs/explanation/budget.md``. Cost:
``benchmarks/results/policies.md``.
"""

THOROUGH: Final = replace(
    STANDARD,
    name="thorough",
    rotations=True,
    shrinks=True,
    negatives=True,
    crops=CropRule(min_evidence=24.0),
    keypoints=KeypointRule(max_chance=-6.0),
)
"""STANDARD, and also: the picture turned back by a few degrees, shrunk as other producers do, as a negative, as a crop
of the picture behind a PDQ entry, and by keypoint records if a list has them. Up to ten frames of an animation are
searched in these ways, and every frame as by STANDARD.

Measured on synthetic photographs against PDQ lists: 1, 2 and 4 degrees of rotation 100 % of 240 each, with corners
filled or cut off (``docs/research/views.md``); 5, 10 and 20 % cut off one side 99.5, 98.1 and 89.4 %; 2.5, 5 and 10
% off every side 99.8, 97.6 and 80.4 %; own shares up to 10 % 95.9 % (``docs/explanation/crops.md``). Keypoint records
find parts down to a tenth (``benchmarks/results/keypoints.md``). Expected false reports against 1,000,000 PDQ hashes:
2.8e-4 for a photograph or portrait, extrapolated, of which crops spend 3.4e-5, rotations 1.9e-5, and the picture as it
is, its turns, trims, shrinks and negatives all else. Cost: ``benchmarks/results/policies.md``.
"""

PRESETS: Final[Mapping[str, MatchPolicy]] = MappingProxyType(
    {policy.name: policy for policy in (FAST, STANDARD, THOROUGH)}
)
"""The presets by name."""


def policy_from_dict(data: Mapping[str, Any]) -> MatchPolicy:
    """Make a policy from a dictionary that may begin with a preset.

    Parameters
    ----------
    data : mapping
        Fields as for `hashmatch.policy.MatchPolicy.from_dict`. ``base`` may name one of `PRESETS`; the other fields
        then say what differs from it. A policy without ``name`` is named after its base and all its changes.

    Raises
    ------
    PolicyError
        As for `hashmatch.policy.MatchPolicy.from_dict`, or if ``base`` is no preset.

    Examples
    --------
    >>> policy_from_dict({"base": "standard", "rules": {"pdq": {"threshold": 20}}}).name
    'standard, rules.pdq.threshold=20'
    """
    if not isinstance(data, Mapping) or "base" not in data:
        return MatchPolicy.from_dict(data)
    rest = {key: value for key, value in data.items() if key != "base"}
    base = PRESETS.get(data["base"]) if isinstance(data["base"], str) else None
    if base is None:
        raise PolicyError(f"policy: base must be one of {', '.join(PRESETS)}")
    if "name" not in rest:
        rest["name"] = ", ".join([base.name, *_changes(rest, "")])
    return MatchPolicy.from_dict(rest, base)


def _changes(table: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _changes(value, f"{where}{key}.")
        else:
            parts = (
                [f"{len(value)}"] if key == "selections" else map(str, value) if isinstance(value, list | tuple) else ()
            )
            said = "+".join(parts) or str(value)
            yield ascii(f"{where}{key}={said}")[1:-1]


def policy_from_toml(text: str) -> MatchPolicy:
    """Read a policy file; see ``docs/how-to/policies.md``.

    Raises
    ------
    PolicyError
        If the text is no TOML, or as for `policy_from_dict`.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"the policy file is no TOML: {str(error)[:200]}") from None
    return policy_from_dict(data)


def policy_to_toml(policy: MatchPolicy) -> str:
    """Write every field of a policy but its secret key, so that `policy_from_toml` gives an equal one."""
    form = policy.to_dict()
    selections = form.pop("selections")
    tables = {key: form.pop(key) for key in [key for key, value in form.items() if isinstance(value, dict)]}
    rules = tables.pop("rules")
    tables |= {f"rules.{name}": rule for name, rule in rules.items()}
    lines = list(_lines(form)) + ([] if rules else ["rules = {}"])
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_lines(table)]
    for item in selections:
        where, own = item.pop("where"), item.pop("rules")
        lines += ["", "[[selections]]", *_lines(item), "", "[selections.where]", *_lines(where)]
        for name, rule in own.items():
            lines += ["", f"[selections.rules.{name}]", *_lines(rule)]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{key} = {json.dumps(NONE if value is None else value, ensure_ascii=False)}"
