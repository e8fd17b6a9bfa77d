"""The manager's own pages: one document for all views, and the files it is made of."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

UI = Path(__file__).parent / "ui"
DOCUMENT = "index.html"
VIEWS = ("dashboard", "apps", "catalog", "backups", "nodes", "monitoring", "settings")
ASK_EACH_TIME = "no-cache"
KEEP = "public, max-age=31536000, immutable"  # a year, the longest that caches know


@dataclass(frozen=True, slots=True)
class File:
    """One file as browsers get it."""

    content: bytes
    kind: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> File:
        """Return the file as it is now."""
        kind = mimetypes.guess_type(path.name)[0] or "text/plain"
        return cls.of(path.read_bytes(), kind)

    @classmethod
    def of(cls, content: bytes, kind: str) -> File:
        """Return the file with this content."""
        return cls(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    def answer(self, request: Request, *, caching: str, status: int = 200) -> Response:
        """Return the file, or that nothing changed since the browser's own copy."""
        headers = {"Cache-Control": caching, "ETag": self.etag}
        known = request.headers.get("if-none-match", "")
        etags = [etag.strip().removeprefix("W/") for etag in known.split(",")]
        if status == 200 and self.etag in etags:
            return Response(status_code=304, headers=headers)
        return Response(self.content, status, headers=headers, media_type=self.kind)


class Files:
    """The files of the page, in memory, below a folder that is named after their content.

    A browser keeps what it has from there for good: a page that is opened again asks for the
    document alone. That one looks whether a file changed, so that an edit shows at the next load.
    """

    def __init__(self, folder: Path = UI) -> None:
        self._folder = folder
        self._stamps: dict[str, tuple[int, int]] = {}
        self._files: dict[str, File] = {}
        self.version = ""
        self._look()

    def document(self, request: Request, *, status: int = 200) -> Response:
        """Return the one document; its script shows the view that the address names."""
        self._look()
        return self._files[DOCUMENT].answer(request, caching=ASK_EACH_TIME, status=status)

    def file(self, request: Request, path: str) -> Response:
        """Return a file: for good where the address names the present version.

        Raises:
            HTTPException: there is none.
        """
        version, slash, rest = path.partition("/")
        is_versioned = bool(slash) and version.startswith("~")
        found = self._files.get(rest if is_versioned else path)
        if found is None:
            raise HTTPException(404)
        is_present = version == f"~{self.version}"
        return found.answer(request, caching=KEEP if is_present else ASK_EACH_TIME)

    def _look(self) -> None:
        stamps = {name: _stamp(path) for name, path in self._paths().items()}
        if stamps == self._stamps:
            return
        files = {name: File.read(path) for name, path in self._paths().items()}
        told = "".join(f"{name}{files[name].etag}" for name in sorted(files))
        self.version = hashlib.sha256(told.encode()).hexdigest()[:16]
        document = files[DOCUMENT].content.replace(b'="/ui/', f'="/ui/~{self.version}/'.encode())
        files[DOCUMENT] = File.of(document, "text/html")
        self._files, self._stamps = files, stamps

    def _paths(self) -> dict[str, Path]:
        found = (path for path in self._folder.rglob("*") if path.is_file())
        return {path.relative_to(self._folder).as_posix(): path for path in found}


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes with a file's content."""
    seen = path.stat()
    return seen.st_mtime_ns, seen.st_size


def install(app: FastAPI) -> None:
    """Serve the pages beside the API."""
    files = app.state.pages = Files()

    async def document(request: Request) -> Response:
        return files.document(request)

    async def file(request: Request) -> Response:
        return files.file(request, request.path_params["path"])

    app.add_route("/ui/{path:path}", file, include_in_schema=False)
    for path in ("/", *(f"/{view}" for view in VIEWS)):
        app.add_route(path, document, include_in_schema=False)


def wants_page(request: Request) -> bool:
    """Whether a person typed the address, who is better served with a page than with JSON."""
    is_page = not request.url.path.startswith(("/api/", "/apps/", "/ui/"))
    return is_page and request.method == "GET" and "text/html" in request.headers.get("accept", "")
