"""What goes over the wire: requests, answers, and the envelope round the data.

Shapes from golden 01 and 02: errors carry their text in the reason phrase and in ``message``,
a refused login has neither body nor content type, and ``extjs`` always answers 200.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from pytest_proxmox.simulator import multipart
from pytest_proxmox.simulator.multipart import Upload

JSON_TYPE: Final = "application/json;charset=UTF-8"
_TEXT_TYPE: Final = "text/plain"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")  # a status line cannot carry these
_DUMPS: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as any transport hands it over; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a transport must deliver an answer: late, never, or by cutting the line."""

    delay_s: float = 0.0
    drop: bool = False
    hang: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line, headers and a body."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler returns when there is more than ``data``, e.g. ``total``."""

    data: Any
    extra: Mapping[str, Any] = field(default_factory=dict)


class Rendered(bytes):
    """Data that is JSON already: the handler kept it rendered."""

    __slots__ = ()


class PveError(Exception):
    """An answer that is not 200: its status, its text and the errors by field."""

    def __init__(
        self, status: int, message: str, *, errors: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors

    @classmethod
    def parameters(cls, **errors: str) -> PveError:
        """Return the 400 that names each wrong field (a dash is written as ``_``)."""
        return cls.fields({key.replace("_", "-"): text for key, text in errors.items()})

    @classmethod
    def fields(cls, errors: Mapping[str, str]) -> PveError:
        """Return the 400 that names each wrong field."""
        return cls(400, "Parameter verification failed.", errors=errors)

    @classmethod
    def forbidden(cls, detail: str = "") -> PveError:
        """Return the 403 of a failed permission check, e.g. ``/vms/100, VM.Audit``."""
        return cls(403, f"Permission check failed ({detail})" if detail else PERMISSION_FAILED)


PERMISSION_FAILED: Final = "Permission check failed"


def dumps(data: Any) -> bytes:
    """Return ``data`` as compact JSON in UTF-8."""
    return data if isinstance(data, Rendered) else _DUMPS.encode(data).encode()


def success(reply: Any, *, extjs: bool) -> Answer:
    """Return the 200 round what a handler returned."""
    extra: Mapping[str, Any] = {}
    if isinstance(reply, Reply):
        reply, extra = reply.data, reply.extra
    body = b'{"data":' + dumps(reply)
    for key, value in extra.items():
        body += b"," + dumps(key) + b":" + dumps(value)
    body += b',"success":1}' if extjs else b"}"
    return Answer(200, "OK", (("content-type", JSON_TYPE),), body)


def failure(error: PveError, *, extjs: bool) -> Answer:
    """Return the answer that says an error; a 501 has no newline behind its message."""
    message = error.message if error.status == 501 else error.message.rstrip("\n") + "\n"
    body: dict[str, Any] = {"message": message, "data": None}
    if error.errors is not None:
        body["errors"] = dict(error.errors)
    headers = (("content-type", JSON_TYPE),)
    if extjs:
        # a refused parameter's status is a string there (golden 02 seq 160)
        status = error.status if error.errors is None else str(error.status)
        body |= {"success": 0, "status": status}
        return Answer(200, "OK", headers, dumps(body))
    return Answer(error.status, reason_phrase(error.message), headers, dumps(body))


def page(answer: Answer, path: str) -> Answer:
    """Return an answer as the page that ``/api2/html`` shows."""
    shown = html.escape(answer.body.decode())
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(path)}</title></head><body><pre>{shown}</pre></body></html>\n"
    )
    headers = (("content-type", "text/html;charset=UTF-8"),)
    return Answer(answer.status, answer.reason, headers, text.encode())


def bare(status: int, reason: str, *, text: bool = False) -> Answer:
    """Return an answer without JSON: a 401 has no body at all, others repeat their text."""
    if not text:
        return Answer(status, reason_phrase(reason))
    return Answer(status, reason_phrase(reason), (("content-type", _TEXT_TYPE),), reason.encode())


def reason_phrase(message: str) -> str:
    """Return a text's first line: what a status line can carry (golden 01 seq 48)."""
    return _CONTROL.sub("?", message.partition("\n")[0].strip())


def parameters(request: Request) -> tuple[dict[str, Any], Upload | None]:
    """Return the parameters of query and body, and the file in the body; repeats make a list.

    Raises:
        PveError: 501 for a body where the method has none, 500 for broken JSON, 400 for a
            broken form.
    """
    _, _, query = request.target.partition("?")
    found = _pairs(query)
    if not request.body:
        return found, None
    if request.method in ("GET", "DELETE", "HEAD"):
        raise PveError(501, f"Unexpected content for method '{request.method}'")
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return found | _json(request.body), None
    if multipart.is_form(kind):
        form = _form(kind, request.body)
        return found | _gathered(form.parameters()), form.upload
    return found | _pairs(request.body.decode(errors="replace")), None


def _form(kind: str, body: bytes) -> multipart.Form:
    try:
        return multipart.parse(kind, body)
    except ValueError as exc:  # no recording says how a node puts it
        raise PveError(400, f"error parsing form data: {exc}") from exc


def _pairs(text: str) -> dict[str, Any]:
    if "%" not in text and "+" not in text:  # nearly every query: nothing in it is escaped
        pairs = (part.partition("=") for part in text.split("&") if part)
        return _gathered((key, value) for key, _, value in pairs)
    return _gathered(parse_qsl(text, keep_blank_values=True))


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key].append(value)
        else:
            found[key] = [found[key], value]
    return found


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as exc:
        raise _malformed(body, exc) from exc
    if not isinstance(found, dict):
        raise PveError(500, "Not a HASH reference")
    return found


def _malformed(body: bytes, exc: ValueError) -> PveError:
    """Return the text of PVE's JSON parser for the place where ours stopped (golden 01 seq 16)."""
    position = getattr(exc, "pos", len(body))
    rest = body[position : position + 20].decode(errors="replace") or "(end of string)"
    return PveError(
        500,
        "malformed JSON string, neither tag, array, object, number, string or atom,"
        f' at character offset {position} (before "{rest}")'
        " at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.",
    )
