"""`create_app`: the application, from the routes of all modules.

Floor: service. A module of routes is added to `MODULES` and to nothing else: its ``routes`` are served, and its
``PATHS`` stand in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hashmatch.service import batch, hma, match_routes, metrics, second, status_routes, url_routes
from hashmatch.service.doorway import Door, ScopedRoute, answer, route
from hashmatch.service.openapi import document, json_body, operation
from hashmatch.service.service import Service

__all__ = ["MODULES", "create_app", "served"]

PATHS: Final[dict[str, Any]] = {"/openapi.json": {"get": operation("This document.", json_body({"type": "object"}))}}
MODULES: Final = (match_routes, batch, status_routes, metrics, second, hma, url_routes)


def served(service: Service) -> list[ModuleType]:
    """Give the modules of which a service has routes: the document has the paths of these and of no other."""
    left_out = {
        hma: not service.config.server.hma,
        second: service.second is None,
        url_routes: service.config.urls is None,
    }
    return [module for module in MODULES if not left_out.get(module)]


def create_app(service: Service) -> Starlette:
    """Make the ASGI application of a service, which it closes at its end.

    Parameters
    ----------
    service : Service
        An open service.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await service.close()

    modules = served(service)
    routes: list[ScopedRoute] = [item for module in modules for item in module.routes(service)]

    async def show(_service: Service, _request: Request) -> Response:
        return answer(told)

    routes.append(route(service, "/openapi.json", show, method="GET", scope=None))
    told = document(service, [PATHS, *(module.PATHS for module in modules)], routes)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Door, service=service)],
        exception_handlers={HTTPException: _to_the_door},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def _to_the_door(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:  # Starlette knows the first route of a path alone
        here = [item for item in request.app.routes if isinstance(item, Route) and item.matches(request.scope)[0].value]
        allowed = sorted({method for item in here for method in item.methods or ()})
        raise HTTPException(405, error.detail, {"Allow": ", ".join(allowed)})
    raise error
