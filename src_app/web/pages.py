"""The manager's own pages: one document for all views, and the files it is made of."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

UI = Path(__file__).parent / "ui"
DOCUMENT = UI / "index.html"
VIEWS = ("dashboard", "apps", "catalog", "backups", "nodes", "monitoring", "settings")


class Files(StaticFiles):
    """The files of the page; browsers ask each time whether theirs is still the newest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or that nothing changed."""
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def install(app: FastAPI) -> None:
    """Serve the pages beside the API."""
    app.mount("/ui", Files(directory=UI), name="ui")
    for path in ("/", *(f"/{view}" for view in VIEWS)):
        app.get(path, include_in_schema=False, response_model=None)(document)


def document() -> Response:
    """Return the one document; its script shows the view that the address names."""
    return FileResponse(DOCUMENT, headers={"Cache-Control": "no-cache"})


def wants_page(request: Request) -> bool:
    """Whether a person typed the address, who is better served with a page than with JSON."""
    is_page = not request.url.path.startswith(("/api/", "/apps/", "/ui/"))
    return is_page and request.method == "GET" and "text/html" in request.headers.get("accept", "")
