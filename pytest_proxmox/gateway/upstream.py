"""Upstream: what lies behind a gateway, a Proxmox or the recording of one, all of it recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.gateway.reach import Call, Unclear, call_of
from pytest_proxmox.gateway.record import Exchange, Recorder
from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.wire import Answer, PveError, Request

Send = Callable[[str, str, Mapping[str, str], bytes], tuple[int, str, list[tuple[str, str]], bytes]]
NO_ROUTE = 595  # how PVE's own proxy says that a node cannot be reached
NO_ANSWER = 596


class Upstream(Protocol):
    """Answers calls; ``door`` says for whom."""

    def __call__(self, request: Request, call: Call, *, door: str) -> Answer:
        """Return the answer to a call."""


class Recorded:
    """A Proxmox behind a ``Forwarder``, whose exchanges are recorded."""

    def __init__(self, send: Send, recorder: Recorder, *, clock: Clock | None = None) -> None:
        self._send = send
        self._recorder = recorder
        self._now = (clock or SystemClock()).now

    def __call__(self, request: Request, call: Call, *, door: str) -> Answer:
        """Return the Proxmox's answer, or 595 and 596 where there is none."""
        at, begun = self._now(), time.perf_counter()
        answer = self._answer(request)
        self._recorder.add(
            Exchange(
                call.method,
                call.path,
                call.parameters,
                answer.status,
                answer.reason,
                data_of(answer),
                at=at,
                seconds=round(time.perf_counter() - begun, 4),
                door=door,
            )
        )
        return answer

    def _answer(self, request: Request) -> Answer:
        try:
            status, reason, headers, body = self._send(
                request.method, request.target, request.headers, request.body
            )
        except TimeoutError:
            return wire.bare(NO_ANSWER, "Connection timed out")
        except ConnectionError:
            return wire.bare(NO_ROUTE, "Connection refused")
        return Answer(status, reason, tuple(headers), body)


def data_of(answer: Answer) -> Any:
    """Return an answer's JSON, its text where it is none, None where there is no body."""
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body.decode(errors="replace")


def parsed(request: Request) -> Call | None:
    """Return the call that a request means; None where it is not one to the API.

    Raises:
        Unclear: two readers could take it for different calls.
        PveError: its parameters cannot be read.
    """
    path, _, query = request.target.partition("?")
    in_query, _ = wire.parameters(Request("GET", f"{path}?{query}"))
    parameters, upload = wire.parameters(replace(request, target=path))
    if twice := sorted(set(in_query) & set(parameters)):
        raise Unclear(f"parameter {twice[0]} is given in the query and in the body")
    parameters = {**in_query, **parameters}
    if upload is not None:
        parameters = {**parameters, "filename": upload.filename}
    return call_of(request.method, request.target, parameters)


class Passage:
    """A way to an upstream that guards nothing: the sandbox's own, so that it is recorded too.

    A handler for ``target.inprocess.InProcess``; the login that comes with a call is checked by
    nobody, because nobody but this process can reach it.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def __call__(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, tuple[tuple[str, str], ...], bytes]:
        """Return status, reason, headers and body of an answer."""
        request = Request(method, target, headers, body)
        try:
            call = parsed(request)
        except PveError as exc:
            answer = wire.failure(exc, extjs=False)
        else:
            if call is None:
                answer = wire.bare(501, f"no such path: {target}")
            elif (call.method, call.path) == ("POST", "/access/ticket"):
                data = {"ticket": "PVE:passage", "CSRFPreventionToken": "passage"}
                answer = wire.success(data, extjs=False)
            else:
                answer = self._upstream(request, call, door="sandbox")
        return answer.status, answer.reason, answer.headers, answer.body
