"""The HTTP application of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi

from src_app.services.manager import Manager
from src_app.web import pages, problems, view
from src_app.web.api import (
    administration,
    apps,
    auth,
    backups,
    catalog,
    monitoring,
    operations,
    system,
)
from src_app.web.problems import Problem
from src_app.web.rendered import Rendered
from src_app.web.shield import Shield

API = "/api/v1"
# The fixed paths below /apps come before /apps/{id}.
MODULES = (auth, catalog, operations, system, administration, monitoring, backups, apps)


def create_app(manager: Manager) -> FastAPI:
    """Return the application around a manager, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await manager.start()
        yield
        await manager.stop()

    app = FastAPI(
        title="App manager",
        version=system.VERSION,
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.manager = manager
    app.state.rendered = Rendered(manager.store)
    problems.install(app)
    for module in MODULES:
        app.include_router(module.router, prefix=API)
    app.include_router(view.router)
    pages.install(app)
    app.add_middleware(Shield, max_body_bytes=manager.config.max_body_bytes)
    if manager.config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(manager.config.cors_origins),
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own recipe
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the document, with the shape of errors in it."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        shapes = document.setdefault("components", {}).setdefault("schemas", {})
        shapes["Problem"] = Problem.model_json_schema()
        for path in document["paths"].values():
            for operation in path.values():
                _problem_for_invalid(operation)
        for name in ("HTTPValidationError", "ValidationError"):
            shapes.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema


def _problem_for_invalid(operation: dict[str, Any]) -> None:
    """Say that invalid input is answered as all other errors are."""
    if "422" in operation["responses"]:
        operation["responses"]["422"] = problems.responses(422)[422]
