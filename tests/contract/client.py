"""A small client for contract tests: says what it heard, and raises nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Said:
    """An answer: ``data``, ``message`` and ``errors`` are from the body where there is one."""

    status: int
    reason: str
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        return self.body.get("data")

    @property
    def errors(self) -> dict[str, str]:
        found: dict[str, str] = self.body.get("errors", {})
        return found

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.reason


class Client:
    """Sends requests straight into a simulator, with one login."""

    def __init__(self, sim: Simulator, headers: dict[str, str]) -> None:
        self.sim = sim
        self.headers = headers

    @classmethod
    def login(cls, sim: Simulator, user: str = "root@pam", password: str = "secret") -> Client:
        said = cls(sim, {}).post("/access/ticket", username=user, password=password)
        assert said.status == 200, said
        return cls(
            sim,
            {
                "cookie": "PVEAuthCookie=" + quote(said.data["ticket"]),
                "csrfpreventiontoken": said.data["CSRFPreventionToken"],
            },
        )

    def as_user(self, user: str, password: str = "secret123") -> Client:
        return Client.login(self.sim, user, password)

    def as_token(self, token: str, secret: str) -> Client:
        return Client(self.sim, {"authorization": f"PVEAPIToken={token}={secret}"})

    def get(self, path: str, /, **params: Any) -> Said:
        return self._send("GET", path, params)

    def post(self, path: str, /, **params: Any) -> Said:
        return self._send("POST", path, params)

    def put(self, path: str, /, **params: Any) -> Said:
        return self._send("PUT", path, params)

    def delete(self, path: str, /, **params: Any) -> Said:
        return self._send("DELETE", path, params)

    def _send(self, method: str, path: str, params: dict[str, Any]) -> Said:
        text = urlencode(params, doseq=True)
        in_query = method in ("GET", "DELETE")
        target = "/api2/json" + path + ("?" + text if in_query and text else "")
        body = b"" if in_query else text.encode()
        answer = self.sim.handle(Request(method, target, self.headers | FORM, body))
        parsed = json.loads(answer.body) if answer.body.startswith(b"{") else {}
        return Said(answer.status, answer.reason, parsed)

    def finish(self, said: Said) -> str:
        """Let the task that an answer names end, and return its exit status."""
        assert said.status == 200, said
        upid = said.data
        found = self.get(f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}/status")
        return str(found.data["exitstatus"])

    def log(self, upid: str) -> list[str]:
        """Return the lines of a task's log."""
        path = f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe='')}/log"
        return [line["t"] for line in self.get(path, limit=0).data]
