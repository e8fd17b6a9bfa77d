"""The desk: the gateway's own logins, so that no app under test ever holds the Proxmox's."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import unquote

from pytest_proxmox.gateway.reach import Call

COOKIE: Final = "PVEAuthCookie"
TOKEN: Final = "PVEAPIToken="  # noqa: S105 - the name of a scheme
NO_TICKET: Final = "No ticket"
BAD_LOGIN: Final = "authentication failure"
BAD_TICKET: Final = "Authentication failed!"
BAD_CSRF: Final = "Permission denied - invalid csrf token"


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a gateway: a password for tickets, or a token."""

    user: str
    token_name: str = "gateway"  # noqa: S105 - a name
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    token_value: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def token_id(self) -> str:
        """The token's full id."""
        return f"{self.user}!{self.token_name}"


class Desk:
    """Checks logins as PVE does: tickets by cookie, with a CSRF token for writes, or a token."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._ticket = f"PVE:{keys.user}:{int(time.time()):08X}::{secrets.token_urlsafe(64)}"
        self._csrf = f"{int(time.time()):08X}:{secrets.token_urlsafe(24)}"

    def log_in(self, call: Call) -> dict[str, Any] | None:
        """Return the data of a ticket, None for a wrong name or password.

        A ticket in place of the password renews it, as with PVE.
        """
        name = call.one("username") or ""
        if call.one("realm") and "@" not in name:
            name = f"{name}@{call.one('realm')}"
        given = call.one("password") or ""
        right = [self.keys.password, self._ticket]
        if name != self.keys.user or not any(_same(given, one) for one in right):
            return None
        return {
            "username": self.keys.user,
            "ticket": self._ticket,
            "CSRFPreventionToken": self._csrf,
            "cap": {},
        }

    def objection(self, call: Call, headers: dict[str, str]) -> str:
        """Return PVE's reason for a 401, empty where the login is right."""
        authorization = headers.get("authorization", "")
        if authorization.startswith(TOKEN):
            wanted = f"{self.keys.token_id}={self.keys.token_value}"
            return "" if _same(authorization.removeprefix(TOKEN), wanted) else BAD_TICKET
        ticket = _cookie(headers.get("cookie", ""))
        if not ticket:
            return NO_TICKET
        if not _same(ticket, self._ticket):
            return BAD_TICKET
        if call.is_write and not _same(headers.get("csrfpreventiontoken", ""), self._csrf):
            return BAD_CSRF
        return ""


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return unquote(found.value) if found is not None else ""
