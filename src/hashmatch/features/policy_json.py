"""A `MatchPolicy` on its way to a worker: JSON from the host, which the worker trusts. Never the other way."""

from __future__ import annotations

import json
from dataclasses import replace

from hashmatch.policy import MatchPolicy

__all__ = ["policy_from_json", "policy_to_json"]


def policy_to_json(policy: MatchPolicy) -> bytes:
    """Write a policy down, and beside it the key of its keypoint rule: the worker makes keyed descriptors."""
    # a worker looks at pictures and judges nothing: it learns no name of a list, a source or a class
    left = (rule for rule in policy.rules if policy.rule_for(rule.algorithm) is None)
    policy = replace(policy, rules=(*policy.searches, *left), selections=(), flood=None)
    key = None if policy.keypoints is None or policy.keypoints.key is None else policy.keypoints.key.hex()
    return json.dumps({"policy": policy.to_dict(), "key": key}).encode()


def policy_from_json(data: bytes) -> MatchPolicy:
    """Read what `policy_to_json` wrote.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    found = json.loads(data)
    if not isinstance(found, dict) or set(found) != {"policy", "key"}:
        raise ValueError("no policy")
    policy = MatchPolicy.from_dict(found["policy"])
    if found["key"] is None or policy.keypoints is None:
        return policy
    return replace(policy, keypoints=replace(policy.keypoints, key=bytes.fromhex(found["key"])))
