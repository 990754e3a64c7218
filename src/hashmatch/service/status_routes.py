"""What operators ask: ``/livez``, ``/readyz``, ``/v1/lists``, ``/v1/status``, ``/v1/reload``.

Floor: service.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from hashmatch.service.doorway import ScopedRoute, answer, route
from hashmatch.service.openapi import json_body, named, operation
from hashmatch.service.service import Service

__all__ = ["PATHS", "routes"]

_OPEN: Final = {"type": "object"}

PATHS: Final[dict[str, Any]] = {
    "/livez": {"get": operation("Whether the process lives.", json_body(_OPEN))},
    "/readyz": {
        "get": operation("Whether to send pictures here.", json_body(named("Ready")))
        | {
            "responses": {
                "200": json_body(named("Ready"), "It is ready."),
                "503": json_body(named("Ready"), "It is not, and why."),
            }
        }
    },
    "/v1/lists": {
        "get": operation(
            "What is searched.",
            json_body(
                {
                    "type": "object",
                    "required": ["policy", "lists"],
                    "properties": {"policy": {"type": "string"}, "lists": {"type": "array", "items": named("List")}},
                }
            ),
            "503",
        )
    },
    "/v1/status": {"get": operation("What was done and what waits.", json_body(_OPEN))},
    "/v1/reload": {"post": operation("Take up changes of the lists now.", json_body(_OPEN))},
}


def routes(service: Service) -> list[ScopedRoute]:
    """Make the routes."""
    return [
        route(service, "/livez", live, method="GET", scope=None),
        route(service, "/readyz", ready, method="GET", scope=None),
        route(service, "/v1/lists", lists, method="GET", scope="status"),
        route(service, "/v1/status", status, method="GET", scope="status"),
        route(service, "/v1/reload", reload, scope="admin"),
    ]


async def live(_service: Service, _request: Request) -> Response:
    """Say that the loop turns."""
    return answer({"live": True})


async def ready(service: Service, request: Request) -> Response:
    """Say whether to send pictures here; which list is meant is told to who may see the lists."""
    await service.revive()
    reasons = await asyncio.to_thread(service.why_not_ready)
    caller = service.tokens.caller(request.headers.get("authorization"))
    if caller is None or "status" not in caller.scopes:
        reasons = [{"reason": item["reason"]} for item in reasons]
    protection = service.matcher.protection
    told = {"ready": not reasons, "reasons": reasons, "protection": protection and protection.to_dict()}
    return answer(told, 503 if reasons else 200)


async def lists(service: Service, _request: Request) -> Response:
    """Tell what is searched."""
    found = await asyncio.to_thread(service.ages)
    told = [
        {
            "list": item.name,
            "list_id": item.list_id,
            "list_version": item.version,
            "list_digest": item.digest,
            "entries": item.n_entries,
            "age_seconds": age,
            "sources": dict(item.heard),
            "share": settings.share if (settings := service.config.lists.get(item.name)) else 1.0,
        }
        for item, age in found.values()
    ]
    return answer({"policy": service.matcher.policy.name, "lists": told})


async def status(service: Service, _request: Request) -> Response:
    """Tell the counts."""
    matcher = service.matcher
    return answer(
        {
            "counts": matcher.counts(),
            "upkeep": matcher.upkeep.to_dict(),
            "in_flight": service.in_flight,
            "expected_wait_seconds": matcher.expected_wait(),
            "stopping": service.is_stopping,
        }
    )


async def reload(service: Service, _request: Request) -> Response:
    """Take up changes of the lists now."""
    return answer({"changed": await service.reload()})
