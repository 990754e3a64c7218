"""``/openapi.json``: the document of the routes, and the schemas that its paths name.

Floor: service. A module of routes writes its ``PATHS`` with what is here; scopes and the errors that the door itself
answers are added to all of them by `document`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.matching import Outcome
from hashmatch.service.doorway import ScopedRoute
from hashmatch.service.service import Service

__all__ = ["CODES", "asked", "document", "error", "json_body", "named", "operation"]

CODES: Final[Mapping[str, str]] = {
    "400": "The request is of another form.",
    "401": "A token is needed.",
    "403": "The token has not the scope.",
    "404": "There is none of this name.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "429": "As much is asked as can be answered in time: ask again after Retry-After seconds.",
    "500": "The service has a fault.",
    "503": "There is no answer now: ask again after Retry-After seconds.",
}
"""Errors of all routes, with what they mean."""

_OF_BODIES: Final = ("400", "408", "413", "415", "429", "503")


def named(name: str) -> dict[str, Any]:
    """Name a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: Mapping[str, Any], text: str = "The answer.") -> dict[str, Any]:
    """Write an answer in JSON."""
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def error(code: str) -> dict[str, Any]:
    """Write the answer of an error."""
    return json_body(named("Error"), CODES[code])


def asked(name: str, schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Write a parameter of the query."""
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


def operation(summary: str, good: Mapping[str, Any], *codes: str, **more: Any) -> dict[str, Any]:
    """Write what a method of a path does."""
    return {"summary": summary, "responses": {"200": good} | {code: error(code) for code in codes}} | more


def document(service: Service, paths: Iterable[Mapping[str, Any]], routes: Iterable[ScopedRoute]) -> dict[str, Any]:
    """Write the OpenAPI document of a service.

    Parameters
    ----------
    service : Service
        Its limits and the algorithms of its policy stand in the schemas.
    paths : iterable of mapping
        ``PATHS`` of the modules whose routes are served.
    routes : iterable of ScopedRoute
        These routes, which say the scopes.

    Returns
    -------
    dict
        OpenAPI 3.1, JSON-ready.
    """
    found: dict[str, Any] = copy.deepcopy({path: item for part in paths for path, item in part.items()})
    if service.second is None:
        asks = found["/v1/match"]["post"]["parameters"]
        asks[:] = [item for item in asks if item["name"] != "second"]
    for route in routes:
        for method in (route.methods or set()) - {"HEAD"}:
            told = found[route.path][method.lower()]
            told["responses"].setdefault("500", error("500"))
            if method == "POST":
                told["responses"] = {code: error(code) for code in _OF_BODIES} | told["responses"]
            if route.scope is not None and service.tokens:
                told["security"] = [{"token": []}]
                told["description"] = f"Scope: {route.scope}."
                told["responses"] = {code: error(code) for code in ("401", "403")} | told["responses"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "hashmatch", "version": __version__, "description": "Hashes and pictures against lists."},
        "paths": found,
        "components": {
            "schemas": _schemas(service),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    } | more


def _many(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _hash_pattern(service: Service) -> str:
    """Write which texts are hashes that the policy has a rule for."""
    kinds = []
    for rule in service.matcher.policy.searches:
        kinds.append(f"{rule.algorithm}:[0-9a-fA-F]{{{2 * ALGORITHMS[rule.algorithm].n_bytes}}}")  # noqa: PERF401
    if service.matcher.policy.keypoints is not None:
        kinds.append("keypoint:([0-9a-fA-F]{2})+")
    return f"^({'|'.join(kinds)})$"


_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_NUMBER: Final = {"type": "number"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MAYBE_NUMBER: Final = {"type": ["number", "null"]}
_COUNTS: Final = {"type": "object", "additionalProperties": _COUNT}
_QUALITY: Final = {"type": ["integer", "null"], "minimum": 0, "maximum": 100}


def _schemas(service: Service) -> dict[str, Any]:
    listed = {"list": _TEXT, "list_id": _TEXT, "list_version": _COUNT, "list_digest": _TEXT}
    match = listed | {
        "entry_id": _TEXT,
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "sources": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": _TEXT}},
        "algorithm": {"enum": list(ALGORITHMS)},
        "distance": {"type": ["integer", "null"]},
        "threshold": {"type": ["integer", "null"]},
        "evidence": _MAYBE_NUMBER,
        "min_evidence": _MAYBE_NUMBER,
        "placement": {"type": ["object", "null"]},
        "quality": _QUALITY,
        "view": {"type": "object"},
        "action": _MAYBE_TEXT,
        "classes": _many(_TEXT),
        "confirmed_by": _many(_TEXT),
        "unconfirmed": {"type": "boolean"},
        "quarantined": {"type": "boolean"},
    }
    compared = listed | {
        "entries": _COUNT,
        "compared": _COUNTS,
        "not_compared": _COUNTS,
        "entries_not_compared": _COUNT,
    }
    report = {
        "request_id": _TEXT,
        "retryable": {"type": "boolean"},
        "lists_left_out": _many(_TEXT),
        "outcome": {"enum": [item.value for item in Outcome]},
        "reason": _MAYBE_TEXT,
        "format": _MAYBE_TEXT,
        "advice": _MAYBE_TEXT,
        "matches": _many(named("Match")),
        "n_matches": _COUNT,
        "lists": _many(_object(compared)),
        "quality": _QUALITY,
        "policy": _TEXT,
        "software": _TEXT,
        "decode": _TEXT,
        "partial": {"type": "boolean"},
        "views_compared": _many(_TEXT),
        "views_not_compared": _many(_TEXT),
        "frames": {"type": ["object", "null"]},
        "suppressed": _many(_object({"match": named("Match"), "by": named("Match")})),
        "comparisons": _many(named("Match")),
        "held": _many(named("Match")),
        "n_suppressed": _COUNT,
        "n_comparisons": _COUNT,
        "n_held": _COUNT,
        "protection": {"type": ["object", "null"]},
    }
    hash_text = {"type": "string", "pattern": _hash_pattern(service)}
    hashed = _object({"hash": hash_text}, {"quality": _QUALITY})
    limits = service.config.limits
    hashes = {"type": "array", "minItems": 1, "maxItems": limits.hashes, "items": {"anyOf": [hash_text, hashed]}}
    of_list = listed | {"entries": _COUNT, "age_seconds": _MAYBE_NUMBER, "sources": _COUNTS, "share": _NUMBER}
    more = {"hashes": _many(_object({"hash": _TEXT, "quality": _QUALITY})), "second": _MAYBE_TEXT}
    return {
        "Error": _object({"error": _object({"code": _TEXT, "message": _TEXT})}),
        "Hashes": _object({"hashes": hashes}, {"seed": _TEXT}),
        "Match": _object(match),
        "Report": _object(report, more),
        "Second": _object({"id": _TEXT, "state": {"const": "done"}} | report),
        "Waiting": _object({"id": _TEXT, "state": {"enum": ["waiting", "failed"]}}),
        "List": _object(of_list),
        "Ready": _object(
            {
                "ready": {"type": "boolean"},
                "reasons": _many(
                    _object({"reason": _TEXT}, {"list": _TEXT, "source": _TEXT, "seconds": _MAYBE_NUMBER})
                ),
                "protection": {"type": ["object", "null"]},
            }
        ),
    }
