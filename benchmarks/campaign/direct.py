"""Direct: proxmoxer without HTTP, for campaigns whose time would go into building requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.target.calls import Api
from pytest_proxmox.target.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class _Answer:
    """What proxmoxer reads of an answer."""

    status_code: int
    reason: str
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()


class _Session:
    """What proxmoxer asks of a ``requests.Session``."""

    def __init__(self, simulator: Simulator, headers: Mapping[str, str]) -> None:
        self._simulator = simulator
        self._headers = headers

    def request(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> _Answer:
        """Return the simulator's answer."""
        target = urlsplit(url).path
        if params:
            target = f"{target}?{urlencode(params)}"
        headers, body = self._headers, b""
        if data:
            body = urlencode(data).encode()
            headers = {**headers, "content-type": "application/x-www-form-urlencoded"}
        answer = self._simulator.handle(Request(method, target, headers, body))
        if answer.delivery is not None and (answer.delivery.drop or answer.delivery.hang):
            raise requests.ConnectionError("cut off")
        return _Answer(answer.status, answer.reason, answer.body)


def direct(api: Api, simulator: Simulator, endpoint: Endpoint) -> Api:
    """Return the handle, which from now on asks the simulator itself; for tokens only."""
    token = f"PVEAPIToken={endpoint.identity}={endpoint.token_value}"
    session = _Session(simulator, {"authorization": token})
    api._store["session"] = session  # type: ignore[attr-defined]
    return api
