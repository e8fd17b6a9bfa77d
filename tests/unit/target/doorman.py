"""A small API server as a function: logs in, checks tickets, counts what came."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

Answer = tuple[int, str, dict[str, str], bytes]
JSON = {"Content-Type": "application/json;charset=UTF-8"}


class Doorman:
    """Answers whoever shows a valid ticket or the token; ``expire`` ends all tickets."""

    def __init__(self, *, password: str = "secret", token: str = "pt@pve!ci=uuid") -> None:
        self.password = password
        self.token = token
        self.logins = 0
        self.valid: dict[str, str] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, Answer] = {}

    def __call__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return the answer to one request."""
        self.seen.append((method, target, headers, body))
        path = target.partition("?")[0].removeprefix("/api2/json")
        if path in self.answers:
            return self.answers[path]
        if path == "/access/ticket":
            return self._log_in(parse_qs(body.decode()))
        if not self._is_known(method, headers):
            return 401, "No ticket", {}, b""
        return data({"version": "9.2.11", "path": path, "method": method})

    def expire(self) -> None:
        """Make every ticket that was given out invalid."""
        self.valid.clear()

    def _log_in(self, form: dict[str, list[str]]) -> Answer:
        if form.get("password") != [self.password]:
            return 401, "authentication failure", JSON, b'{"data":null}'
        self.logins += 1
        ticket, csrf = f"PVE:root@pam:{self.logins:08X}::sig+nature/==", f"csrf{self.logins}"
        self.valid[f"PVEAuthCookie={ticket}"] = csrf
        return data({"ticket": ticket, "CSRFPreventionToken": csrf})

    def _is_known(self, method: str, headers: dict[str, str]) -> bool:
        if headers.get("authorization") == f"PVEAPIToken={self.token}":
            return True
        csrf = self.valid.get(headers.get("cookie", ""))
        return csrf is not None and (method == "GET" or headers.get("csrfpreventiontoken") == csrf)


def data(value: Any) -> Answer:
    """Return a 200 round some data."""
    return 200, "OK", JSON, json.dumps({"data": value}).encode()
