"""A `MatchPolicy` on its way to a worker: JSON from the host, which the worker trusts. Never the other way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from hashmatch.picture.policy import DecodePolicy
from hashmatch.policy import CropRule, KeypointRule, MatchPolicy, Rule
from hashmatch.view import Turn

__all__ = ["only_decoding", "policy_from_json", "policy_to_json"]

_KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {kind.__name__: kind for kind in (MatchPolicy, Rule, CropRule, KeypointRule, DecodePolicy, Turn)}
)


def policy_to_json(policy: MatchPolicy) -> bytes:
    """Write a policy down, the key of its keypoint rule included: the worker makes keyed descriptors."""
    return json.dumps(_plain(policy)).encode()


def policy_from_json(data: bytes) -> MatchPolicy:
    """Read what `policy_to_json` wrote.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    found = _built(json.loads(data))
    if not isinstance(found, MatchPolicy):
        raise ValueError("no policy")
    return found


def only_decoding(policy: MatchPolicy) -> MatchPolicy:
    """Take every view but the plain one away: for lists without hashes of pixels, where reading is all that counts."""
    return replace(policy, turns=False, trims=False, rotations=False, shrinks=False, crops=None)


def _plain(value: Any) -> Any:
    kind = type(value).__name__
    if isinstance(value, Enum):
        return {"kind": kind, "value": value.value}
    if is_dataclass(value):
        return {"kind": kind, "fields": {item.name: _plain(getattr(value, item.name)) for item in fields(value)}}
    if isinstance(value, bytes):
        return {"kind": "bytes", "value": value.hex()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_built(item) for item in value)
    if not isinstance(value, dict):
        return value
    if value["kind"] == "bytes":
        return bytes.fromhex(value["value"])
    kind = _KINDS[value["kind"]]
    if "fields" not in value:
        return kind(value["value"])
    return kind(**{name: _built(item) for name, item in value["fields"].items()})
