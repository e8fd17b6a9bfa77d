"""Observation: what goes through a login, told to somebody as it happens, unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pytest_proxmox.target.calls import Api

Told = Callable[[str, str, dict[str, Any], int, str, Any, float], None]
"""``(method, path, params, status, reason, data, seconds)``; ``path`` is below ``/api2/json``."""


def observe(api: Api, tell: Told) -> None:
    """Tell of each answer that comes to ``api``, which ``session.connect`` made."""

    def hear(answer: Any, **settings: Any) -> None:
        request = answer.request
        parts = urlsplit(request.url)
        path = unquote(parts.path).removeprefix("/api2/json")
        params = dict(parse_qsl(parts.query)) | _form(request.body)
        seconds = answer.elapsed.total_seconds()
        data = _data(answer.content)
        tell(request.method, path, params, answer.status_code, answer.reason or "", data, seconds)

    handle: Any = api
    handle._store["session"].hooks["response"].append(hear)


def _form(body: Any) -> dict[str, str]:
    """The parameters in a body; of an upload, which is a stream, none."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    return dict(parse_qsl(text)) if isinstance(text, str) else {}


def _data(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None
