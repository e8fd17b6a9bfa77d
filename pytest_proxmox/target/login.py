"""Ticket logins that outlive their tickets.

proxmoxer renews a ticket with the old ticket as password, and only when it is used: after two
idle hours neither works, and a clean-up that comes then leaks everything (demand.md 1.2 row 13).
Imported only when a session is made: proxmoxer and requests are heavy.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
from proxmoxer.backends.https import ProxmoxHTTPAuth
from proxmoxer.core import AuthenticationError


class FreshLogin(ProxmoxHTTPAuth):  # type: ignore[misc]  # proxmoxer ships no types
    """A ticket login that logs in again with the password: by age, and once after a 401."""

    def __init__(self, made: ProxmoxHTTPAuth, password: str) -> None:
        # No call to super: that would log in a second time. ``made`` has everything it sets.
        self.__dict__.update(made.__dict__)
        self._password = password
        self._renewal = threading.Lock()

    def __repr__(self) -> str:
        return f"FreshLogin({self.username}, ***)"

    def __call__(self, request: Any) -> Any:
        """Return the request with a ticket that is valid now."""
        if time.monotonic() - self.birth_time >= self.renew_age:
            self._log_in(instead_of=self.pve_auth_ticket)
        self._sign(request)
        request.register_hook("response", self._after)
        return request

    def _sign(self, request: Any) -> None:
        # The cookie was set before the auth was asked, so it may still hold the old ticket.
        request.headers.pop("Cookie", None)
        request.prepare_cookies(self.get_cookies())
        if request.method != "GET":
            request.headers["CSRFPreventionToken"] = self.csrf_prevention_token

    def _after(self, response: Any, **settings: Any) -> Any:
        """Return the answer, or for a 401 the answer to the same request after a fresh login.

        The text of a 401 says nothing (it differs by version, and it is empty on PVE 9).
        """
        if response.status_code != 401 or not _can_repeat(response.request):
            return response
        used = self.pve_auth_ticket
        try:
            self._log_in(instead_of=used)
        except (AuthenticationError, requests.exceptions.RequestException):
            return response  # the first answer says what the caller must know: 401
        response.content  # noqa: B018  # read to the end, or the connection cannot be reused
        response.close()
        again = response.request.copy()
        self._sign(again)
        fresh = response.connection.send(again, **settings)
        fresh.history.append(response)
        fresh.request = again
        return fresh

    def _log_in(self, *, instead_of: str) -> None:
        """Get a new ticket, unless another thread has replaced ``instead_of`` meanwhile."""
        with self._renewal:
            if self.pve_auth_ticket == instead_of:
                self._get_new_tokens(password=self._password)


def _can_repeat(request: Any) -> bool:
    """Whether the body can be sent again, which a stream that was read cannot."""
    return request.body is None or isinstance(request.body, str | bytes)
