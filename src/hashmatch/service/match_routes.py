"""``/v1/match`` and ``/v1/match/hashes``: one picture, or some hashes, against the lists.

Floor: service.
"""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hashmatch.hashes import Fingerprint, HashValue, ViewHash
from hashmatch.service.doorway import Refused, answer, handled_by, read_body, read_file, route
from hashmatch.service.service import Service
from hashmatch.view import PLAIN_VIEW

__all__ = ["PATHS", "hashes_from", "routes", "told_hashes"]

PATHS: Final[dict[str, Any]] = {}


def routes(service: Service) -> list[Route]:
    """Make the routes."""
    return [
        route(service, "/v1/match", match, scope="match"),
        route(service, "/v1/match/hashes", match_hashes, scope="match"),
    ]


async def match(service: Service, request: Request) -> Response:
    """Answer for the picture that a request carries."""
    handled, asked = handled_by(request), request.query_params
    chosen, left_out = service.choose(asked.get("seed", handled.request_id))
    wants_hashes = asked.get("hashes", "0")
    if wants_hashes not in ("0", "1"):
        raise Refused(400, "bad-request", "hashes is 0 or 1")
    data = await read_file(service, request)
    report = await service.checks.match(
        data,
        return_fingerprint=wants_hashes == "1",
        timeout=service.config.limits.answer_seconds,
        lists=chosen,
    )
    told = service.report(report, handled, left_out)
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
        is_quality = quality is None or (isinstance(quality, int) and 0 <= quality <= 100 and quality is not True)
        if not isinstance(text, str) or not set(form) <= {"hash", "quality"} or not is_quality or quality is False:
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
