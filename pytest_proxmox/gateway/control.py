"""The control plane of a gateway: its records, refusals, faults and clean-up, as JSON.

So that suites in other languages have what the fixtures have. Every request needs the header
``Authorization: Bearer <control_token>``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.faults import FaultRule
from pytest_proxmox.gateway.gateway import Gateway
from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.wire import Answer, Request

PREFIX: Final = "/_gateway"


class Control:
    """Answers below ``/_gateway``; ``release`` frees what the app made and says what stays."""

    def __init__(self, gateway: Gateway, token: str, *, release: Callable[[], list[str]]) -> None:
        self._gateway = gateway
        self._token = token
        self._release = release

    def owns(self, target: str) -> bool:
        """Whether a request is for the control plane."""
        return target.partition("?")[0].startswith(PREFIX + "/")

    def handle(self, request: Request) -> Answer:
        """Return the answer to a request."""
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return _json(401, {"error": "the header Authorization has not the control token"})
        path = request.target.partition("?")[0].removeprefix(PREFIX)
        try:
            return _json(200, self._do(f"{request.method} {path}", request.body))
        except KeyError:
            return _json(404, {"error": f"there is no {request.method} {path}"})
        except (InvalidValue, ValueError, TypeError) as exc:
            return _json(400, {"error": str(exc)})

    def _do(self, what: str, body: bytes) -> Any:
        gateway = self._gateway
        if what == "GET /calls":
            return [asdict(one) for one in gateway.recorder.all()]
        if what == "GET /refusals":
            return [asdict(one) for one in gateway.refusals()]
        if what == "GET /faults":
            return [rule.to_json() for rule in gateway.faults.rules()]
        if what == "POST /faults":
            rule = FaultRule.parse(json.loads(body), origin="POST /faults")
            return {"id": gateway.faults.add(rule)}
        if what == "DELETE /faults":
            gateway.faults.clear()
            return {}
        if what == "POST /release":
            return {"leftovers": self._release()}
        raise KeyError(what)


def _json(status: int, data: Any) -> Answer:
    reason = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}[status]
    return Answer(status, reason, (("content-type", "application/json"),), wire.dumps(data))
