"""Logins: tickets, CSRF tokens, API tokens, passwords; and with them who may do what.

Rules from Proxmox's public documentation of user management and from golden 01.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pytest_proxmox.simulator.checks import Checks
from pytest_proxmox.simulator.identity import NOBODY, ROOT, Auth
from pytest_proxmox.simulator.permissions import Permissions
from pytest_proxmox.simulator.state import State
from pytest_proxmox.simulator.wire import Request

if TYPE_CHECKING:
    from pytest_proxmox.simulator.clock import SimulatorClock

__all__ = ["NOBODY", "ROOT", "Access", "Auth", "Unauthorized"]

TICKET_LIFETIME_S: Final = 7200
CLOCK_SKEW_S: Final = 300  # PVE takes tickets that are this much from the future
NO_TICKET: Final = "No ticket"
BAD_TICKET: Final = "Authentication failed!"
BAD_CSRF: Final = "Permission denied - invalid csrf token"


class Unauthorized(Exception):
    """A 401: an empty body and this reason."""


class Access(Permissions):
    """Logins and permissions over one state."""

    def __init__(self, state: State, clock: SimulatorClock) -> None:
        super().__init__(state)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._tickets: dict[str, tuple[str, int]] = {}
        self._csrf_users: dict[str, str] = {}  # of tokens that were found good: they do not expire
        self.judge = Checks(self, state).judge

    def ticket(self, userid: str) -> str:
        """Return a fresh ticket; it is good for two hours of virtual time."""
        plain = f"PVE:{userid}:{int(self._clock.lifetime()):08X}"
        return f"{plain}::{self._sign(plain)}"

    def csrf_token(self, userid: str) -> str:
        """Return the token that writes with a ticket must carry in a header."""
        stamp = f"{int(self._clock.now()):08X}"
        return f"{stamp}:{self._sign(f'{stamp}:{userid}')}"

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode().rstrip("=")

    def ticket_user(self, ticket: str) -> str | None:
        """Return whose ticket it is, or None where it is forged, expired or the user is gone."""
        found = self._tickets.get(ticket) or self._read_ticket(ticket)
        if found is None:
            return None
        userid, issued = found
        age = self._clock.lifetime() - issued
        if not -CLOCK_SKEW_S <= age <= TICKET_LIFETIME_S or not self.is_enabled(userid):
            return None
        return userid

    def _read_ticket(self, ticket: str) -> tuple[str, int] | None:
        plain, _, signature = ticket.partition("::")
        parts = plain.split(":")
        if len(parts) != 3 or not hmac.compare_digest(
            signature.encode(), self._sign(plain).encode()
        ):
            return None
        self._tickets[ticket] = found = (parts[1], int(parts[2], 16))
        return found

    def is_enabled(self, userid: str) -> bool:
        """Return whether the user exists, is enabled and has not expired."""
        user = self._state.users.get(userid)
        if user is None or not user.enable:
            return False
        return not user.expire or user.expire > self._clock.now()

    def check_password(self, userid: str, password: str) -> bool:
        """Return whether this is the user's password, or a good ticket of the user's."""
        user = self._state.users.get(userid)
        if user is None or not self.is_enabled(userid):
            return False
        if user.password is not None and hmac.compare_digest(
            user.password.encode(), password.encode()
        ):
            return True
        return password.startswith("PVE:") and self.ticket_user(password) == userid

    def authenticate(self, request: Request) -> Auth:
        """Return who sent the request.

        Raises:
            Unauthorized: no login, a wrong one, or a write without the right CSRF token.
        """
        header = request.headers.get("authorization", "")
        if header.startswith("PVEAPIToken") and header[11:12] in ("=", " "):
            return self._token(header[12:])
        ticket = _ticket_of(request, header)
        if not ticket:
            raise Unauthorized(NO_TICKET)
        userid = self.ticket_user(ticket)
        if userid is None:
            raise Unauthorized(BAD_TICKET)
        if request.method not in ("GET", "HEAD"):
            self._check_csrf(userid, request.headers.get("csrfpreventiontoken", ""))
        return Auth(userid)

    def _token(self, text: str) -> Auth:
        full, _, secret = text.partition("=")
        token = self.token(full)
        if (
            token is None
            or not hmac.compare_digest(token.secret.encode(), secret.encode())
            or (token.expire and token.expire <= self._clock.now())
            or not self.is_enabled(token.userid)
        ):
            raise Unauthorized(BAD_TICKET)
        return Auth(token.userid, full.partition("!")[2])

    def _check_csrf(self, userid: str, token: str) -> None:
        if self._csrf_users.get(token) == userid:
            return
        stamp, _, signature = token.partition(":")
        expected = self._sign(f"{stamp}:{userid}")
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise Unauthorized(BAD_CSRF)
        self._csrf_users[token] = userid


def _ticket_of(request: Request, authorization: str) -> str:
    if authorization.startswith("PVEAuthCookie="):
        return _plain(authorization.partition("=")[2])
    for part in request.headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == "PVEAuthCookie":
            return _plain(value)
    return ""


def _plain(value: str) -> str:
    return unquote(value) if "%" in value else value
