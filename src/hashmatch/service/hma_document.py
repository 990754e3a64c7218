"""What the OpenAPI document says of the routes of `hashmatch.service.hma`.

Floor: service.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["PATHS"]

_MATCH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["bank_content_id", "distance"],
    "properties": {
        "bank_content_id": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        "distance": {"type": "string"},
    },
}
_BY_BANK: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "array", "items": _MATCH}}
_BY_TYPE: Final[dict[str, Any]] = {"type": "object", "additionalProperties": _BY_BANK}
_ERROR: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
        {"type": "object", "required": ["error"]},
        {"type": "array"},
    ]
}
_WORTH: Final[dict[str, Any]] = {
    "X-Hashmatch-Outcome": {
        "description": "match, no-match, or the reason why nothing can be said, such as too-plain.",
        "schema": {"type": "string"},
    }
}
_FORM: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo"],
                "properties": {"photo": {"type": "string", "format": "binary"}},
            }
        }
    },
}


def _asked(*names: str, required: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "required": name in required, "schema": {"type": "string"}} for name in names]


def _json(schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
    return found | ({} if headers is None else {"headers": headers})


def _text() -> dict[str, Any]:
    return {"description": "One word.", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _errors(*codes: int) -> dict[str, Any]:
    return {
        str(code): {"description": "An error.", "content": {"application/json": {"schema": _ERROR}}} for code in codes
    }


def _path(summary: str, good: dict[str, Any], *codes: int, **more: Any) -> dict[str, Any]:
    return {"summary": summary, "tags": ["hma"], "responses": {"200": good} | _errors(*codes, 401, 403)} | more


_UPLOADED: Final = (400, 408, 413, 415, 429, 500, 503)
_TEXTS: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "string"}}
_LISTED: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}

PATHS: Final[dict[str, Any]] = {
    "/h/hash": {
        "post": _path(
            "Hash a picture.", _json(_TEXTS, _WORTH), *_UPLOADED, parameters=_asked("types"), requestBody=_FORM
        ),
        "get": {
            "summary": "Refused: nothing is fetched.",
            "tags": ["hma"],
            "parameters": _asked("url", required=("url",)),
            "responses": _errors(400, 401, 403, 422),
        },
    },
    "/m/lookup": {
        "get": _path(
            "Look a hash up, bank by bank.",
            _json(_BY_BANK, _WORTH),
            *(400, 429, 503),
            parameters=_asked(
                *("signal", "signal_type", "banks", "seed", "bypass_coinflip"), required=("signal", "signal_type")
            ),
        ),
        "post": _path(
            "Look a picture up, by type and bank by bank.",
            _json(_BY_TYPE, _WORTH),
            *_UPLOADED,
            parameters=_asked("types", "banks", "seed", "bypass_coinflip"),
            requestBody=_FORM,
        ),
    },
    "/m/raw_lookup": {
        "get": _path(
            "Look a hash up, whatever the shares of the banks.",
            _json(
                {
                    "type": "object",
                    "required": ["matches"],
                    "properties": {
                        "matches": {"type": "array", "items": {"anyOf": [{"type": "integer"}, _MATCH]}},
                    },
                },
                _WORTH,
            ),
            *(400, 422, 429, 503),
            parameters=_asked(
                *("signal", "signal_type", "banks", "include_distance"), required=("signal", "signal_type")
            ),
        ),
    },
    "/m/compare": {
        "post": _path(
            "Compare pairs of hashes.",
            _json({"type": "object", "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}}),
            *_UPLOADED,
            requestBody={
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "array",
                                "minItems": 2,
                                "maxItems": 2,
                                "items": {"type": "string"},
                            },
                        }
                    }
                },
            },
        ),
    },
    "/m/index/status": {
        "get": _path(
            "What can be searched, by type.",
            _json({"type": "object", "additionalProperties": {"type": "object"}}),
            *(400, 503),
            parameters=_asked("signal_type"),
        ),
    },
    "/c/banks": {"get": _path("Banks and their shares.", _json(_LISTED))},
    "/c/signal_type": {"get": _path("Types that can be looked up.", _json(_LISTED))},
    "/c/content_type": {"get": _path("What can be uploaded.", _json(_LISTED))},
    "/status": {
        "get": {
            "summary": "Whether the lists can be searched and are as young as they have to be.",
            "tags": ["hma"],
            "responses": {"200": _text(), "503": _text()},
        }
    },
    "/status/live": {"get": {"summary": "Whether it answers.", "tags": ["hma"], "responses": {"200": _text()}}},
}
