"""Forwarding: one request to the Proxmox as it came, with our own login, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from pytest_proxmox.target.calls import Api
from pytest_proxmox.target.endpoint import Endpoint

CONNECTIONS: Final = 32  # calls at a time; pveproxy has three workers
# The caller's own login and connection are not the Proxmox's business; we read bodies whole.
_OURS: Final = frozenset(
    "host connection cookie authorization csrfpreventiontoken accept-encoding content-length"
    " transfer-encoding keep-alive te upgrade proxy-authorization expect".split()
)
_HOP: Final = frozenset(
    "connection content-length transfer-encoding keep-alive content-encoding set-cookie"
    " date server".split()
)
Forwarded = tuple[int, str, list[tuple[str, str]], bytes]


class Forwarder:
    """Sends requests on over the login of ``api``, which ``session.connect`` made."""

    def __init__(self, endpoint: Endpoint, api: Api) -> None:
        self._base = endpoint.url
        self._timeout_s = endpoint.timeout_s
        self._verify: bool | str = endpoint.verify_ssl
        if endpoint.verify_ssl and endpoint.ca_file is not None:
            self._verify = str(endpoint.ca_file)
        self._session = requests.Session()
        self._session.trust_env = not endpoint.is_loopback
        handle: Any = api
        self._session.auth = handle._backend.auth  # renews itself: see login
        self._session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Forwarded:
        """Return status, reason, headers and body of the Proxmox's answer.

        Raises:
            ConnectionError: it cannot be reached.
            TimeoutError: it does not answer.
        """
        passed = {name: value for name, value in headers.items() if name.lower() not in _OURS}
        passed["Accept-Encoding"] = "identity"
        url = self._base + target
        request = requests.Request(method, url, headers=passed, data=body or None)
        prepared = self._session.prepare_request(request)
        prepared.url = url  # as it came: requests would decode what it thinks needs no escape
        settings = self._session.merge_environment_settings(url, {}, False, self._verify, None)
        try:
            answer = self._session.send(
                prepared, timeout=self._timeout_s, allow_redirects=False, **settings
            )
        except requests.exceptions.Timeout as exc:
            raise TimeoutError(f"{self._base} did not answer in {self._timeout_s:.0f} s") from exc
        except requests.exceptions.RequestException as exc:
            raise ConnectionError(f"{self._base}: {exc}") from exc
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP]
        return answer.status_code, answer.reason or "", kept, answer.content

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
