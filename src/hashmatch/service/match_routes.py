"""``/v1/match`` and ``/v1/match/hashes``: one picture, or some hashes, against the lists.

Floor: service.
"""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.service.doorway import Refused, ScopedRoute, answer, handled_by, read_body, read_file, route
from hashmatch.service.openapi import asked, json_body, named, operation
from hashmatch.service.service import Service
from hashmatch.view import PLAIN_VIEW

__all__ = ["PATHS", "hashes_from", "routes", "told_hashes"]

_SEED: Final = asked(
    "seed", {"type": "string"}, "Draws which lists are left out by their shares; else the request's id."
)

PATHS: Final[dict[str, Any]] = {
    "/v1/match": {
        "post": operation(
            "Look a picture up.",
            json_body(named("Report")),
            parameters=[
                asked("hashes", {"enum": ["0", "1"]}, "1: the answer has the hashes of the upload."),
                asked("second", {"enum": ["0", "1"]}, "1: the picture gets a second look."),
                _SEED,
            ],
            requestBody={
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["file"],
                            "properties": {"file": {"type": "string", "format": "binary", "minLength": 1}},
                        }
                    },
                },
            },
        )
    },
    "/v1/match/hashes": {
        "post": operation(
            "Look hashes of one picture up.",
            json_body(named("Report")),
            requestBody={"required": True, "content": {"application/json": {"schema": named("Hashes")}}},
        )
    },
}


def routes(service: Service) -> list[ScopedRoute]:
    """Make the routes."""
    return [
        route(service, "/v1/match", match, scope="match"),
        route(service, "/v1/match/hashes", match_hashes, scope="match"),
    ]


async def match(service: Service, request: Request) -> Response:
    """Answer for the picture that a request carries."""
    handled, query = handled_by(request), request.query_params
    chosen, left_out = service.choose(query.get("seed", handled.request_id))
    wants_hashes = query.get("hashes", "0")
    wants_second = query.get("second", "0")
    if wants_hashes not in ("0", "1") or wants_second not in ("0", "1"):
        raise Refused(400, "bad-request", "hashes and second are 0 or 1")
    if wants_second == "1" and service.second is None:
        raise Refused(400, "no-second-stage", "the service has no second stage: [second_stage] of its configuration")
    data = await read_file(service, request)
    report = await service.checks.match(
        data,
        return_fingerprint=wants_hashes == "1",
        timeout=service.config.limits.answer_seconds,
        lists=chosen,
    )
    told = service.report(report, handled, left_out)
    if wants_second == "1" and service.second is not None:
        told["second"] = service.second.take(data, handled.caller, handled.request_id, chosen, left_out)
    return answer(told | ({"hashes": told_hashes(report.fingerprint)} if report.fingerprint is not None else {}))


def told_hashes(fingerprint: Fingerprint) -> list[dict[str, Any]]:
    """Write the hashes of a picture as it is; those are of the caller's own file, and none comes from a list."""
    return [
        {"hash": str(item.value), "quality": item.quality}
        for item in fingerprint.view_hashes
        if item.view == PLAIN_VIEW
    ]


async def match_hashes(service: Service, request: Request) -> Response:
    """Answer for hashes of one picture."""
    handled = handled_by(request)
    data = json_from(await read_body(service, request))
    if not isinstance(data, dict) or not set(data) <= {"hashes", "seed"}:
        raise Refused(400, "bad-request", 'the body is {"hashes": [...]}, with "seed" if need be')
    fingerprint = hashes_from(data.get("hashes"), service.config.limits.hashes)
    seed = data.get("seed", handled.request_id)
    if not isinstance(seed, str):
        raise Refused(400, "bad-request", "seed is text")
    chosen, left_out = service.choose(seed)
    report = await service.checks.match_fingerprint(
        fingerprint, timeout=service.config.limits.answer_seconds, lists=chosen
    )
    return answer(service.report(report, handled, left_out))


def hashes_from(given: Any, most: int) -> Fingerprint:
    """Read hashes of one picture: texts ``"pdq:..."``, or objects with ``hash`` and ``quality``.

    Raises
    ------
    Refused
        400 if they are of another form.
    HashFormatError
        If one is no hash.
    """
    if not isinstance(given, list) or not 1 <= len(given) <= most:
        raise Refused(400, "bad-request", f"hashes is a list of 1 to {most} hashes of one picture")
    found = []
    for item in given:
        form = item if isinstance(item, dict) else {"hash": item}
        text, quality = form.get("hash"), form.get("quality")
        if isinstance(quality, float) and quality.is_integer():
            quality = int(quality)  # as JSON has it, 50.0 is a whole number
        is_quality = quality is None or (type(quality) is int and 0 <= quality <= 100)
        if not isinstance(text, str) or not set(form) <= {"hash", "quality"} or not is_quality:
            raise Refused(400, "bad-request", 'a hash is "ALGORITHM:HEX", or {"hash": ..., "quality": 0 to 100}')
        found.append(ViewHash(value=HashValue.parse(text), quality=quality))
    return Fingerprint(tuple(found))


def json_from(body: bytes) -> Any:
    """Read a JSON body.

    Raises
    ------
    Refused
        400 if it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "bad-json", "the body is no JSON") from None
