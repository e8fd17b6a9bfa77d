"""Errors as ``application/problem+json``: one shape for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from src_app.db import errors as rows
from src_app.domain import errors as domain
from src_app.proxmox.errors import ProxmoxError, Unreachable
from src_app.web import pages

MEDIA_TYPE = "application/problem+json"
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Invalid input",
    429: "Too many attempts",
    500: "Internal error",
    502: "Proxmox refused",
    503: "Proxmox is away",
}
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (domain.NotFoundError, 404),
    (domain.InvalidInput, 422),
    (domain.ConflictError, 409),
    (domain.NotAuthenticated, 401),
    (domain.NotAllowed, 403),
    (domain.TooManyAttempts, 429),
    (domain.AppOperationError, 502),
    (rows.NotFoundError, 404),
    (rows.ConflictError, 409),
    (rows.ValidationError, 422),
    (Unreachable, 503),
    (ProxmoxError, 502),
)


class Problem(BaseModel):
    """What went wrong; ``code`` is for programs, ``fields`` names inputs that are wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    fields: dict[str, str] = Field(default_factory=dict)


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer for something that went wrong."""
    body = Problem(
        title=TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        code=code,
        fields=dict(fields or {}),
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the errors of a route."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": TITLES.get(status, "Error"), "content": content}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Have the app answer all errors in this shape."""
    for kind, status in STATUS:
        app.add_exception_handler(kind, _handler(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _handler(status: int) -> Any:
    async def handle(_request: Request, exc: Exception) -> JSONResponse:
        return problem(
            status,
            str(exc),
            code=str(getattr(exc, "code", "proxmox")),
            fields=_fields(exc),
            headers=_headers(exc),
        )

    return handle


def _fields(exc: Exception) -> dict[str, str]:
    if isinstance(exc, rows.ValidationError):
        return {error.field: error.text for error in exc.errors}
    return {str(key): str(value) for key, value in getattr(exc, "fields", {}).items()}


def _headers(exc: Exception) -> dict[str, str]:
    if isinstance(exc, domain.TooManyAttempts):
        return {"Retry-After": str(exc.retry_after_s)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(exc, domain.NotAuthenticated) else {}


async def _invalid(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    fields = {
        ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]): str(error["msg"])
        for error in exc.errors()
    }
    told = "; ".join(f"{name}: {text}" for name, text in fields.items())
    return problem(422, told, code="invalid", fields=fields)


async def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 404 and pages.wants_page(request):
        files: pages.Files = request.app.state.pages
        return files.document(request, status=404)
    if exc.status_code == 400:  # FastAPI's word for a body that is no text at all
        return problem(422, str(exc.detail), code="invalid", fields={"body": str(exc.detail)})
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(
        exc.status_code, "error"
    )
    return problem(exc.status_code, str(exc.detail), code=code, headers=exc.headers)


async def _unexpected(_request: Request, exc: Exception) -> JSONResponse:
    """Say nothing of what it was: the server logs it."""
    return problem(500, "The manager met a mistake of its own; see its log", code="internal")
