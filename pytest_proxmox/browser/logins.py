"""How an app lets users in: adapters that log in by API and say whether a login still holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pytest_proxmox.errors import AuthFailed

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, APIResponse

_CREATED = (200, 201, 204)


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in; the password is in no repr. ``is_new`` accounts are registered first."""

    username: str
    password: str = field(repr=False)
    is_new: bool = False


@dataclass(frozen=True)
class Login:
    """A login that worked: what a fresh context needs to be logged in, with secrets in no repr.

    ``headers`` are those of an API call, ``state`` is Playwright's storage state.
    """

    account: Account
    headers: dict[str, str] = field(repr=False)
    state: dict[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())


class Adapter(Protocol):
    """Logs in by API, once; ``holds`` asks whether the app still takes that login."""

    def log_in(self, api: APIRequestContext, base_url: str, account: Account) -> Login:
        """Return the login of ``account``, or raise ``AuthFailed`` with the app's answer."""

    def holds(self, api: APIRequestContext, base_url: str, login: Login) -> bool:
        """Return whether the app still takes ``login``."""


@dataclass(frozen=True)
class BearerLogin:
    """A token in ``localStorage``, sent as ``Authorization: Bearer``."""

    storage_key: str = "token"
    token_field: str = "access_token"  # noqa: S105 - a name
    login_path: str = "/api/v1/auth/login"
    me_path: str = "/api/v1/auth/me"
    register_path: str | None = "/api/v1/auth/register"

    def log_in(self, api: APIRequestContext, base_url: str, account: Account) -> Login:
        """Return a login whose state has the token where the app looks for it."""
        body = _entered(api, base_url, account, self.login_path, self.register_path)
        token = body.get(self.token_field)
        if not isinstance(token, str):
            raise AuthFailed(
                "login",
                f"the answer of POST {self.login_path} has no {self.token_field!r}",
                evidence=f"its fields: {', '.join(body)}",
                hint="Name the field with BearerLogin(token_field=...) in the fixture auth_flow",
            )
        origin = {"origin": origin_of(base_url), "localStorage": [_item(self.storage_key, token)]}
        headers = {"Authorization": f"Bearer {token}"}
        return Login(account, headers, {"cookies": [], "origins": [origin]}, (token,))

    def holds(self, api: APIRequestContext, base_url: str, login: Login) -> bool:
        """Return whether the app knows the token's user."""
        return bool(api.get(base_url + self.me_path, headers=login.headers).ok)


@dataclass(frozen=True)
class CookieLogin:
    """A session in a cookie, with a CSRF token that writes have to send back."""

    login_path: str = "/api/v1/auth/login"
    me_path: str = "/api/v1/auth/me"
    register_path: str | None = None
    csrf_cookie: str | None = "csrftoken"
    csrf_header: str = "X-CSRFToken"

    def log_in(self, api: APIRequestContext, base_url: str, account: Account) -> Login:
        """Return a login whose state has the session's cookies."""
        before = _cookies(api.storage_state())
        csrf = self._csrf(before)
        _entered(api, base_url, account, self.login_path, self.register_path, headers=csrf)
        state = dict(api.storage_state())
        cookies = _cookies(state)
        if not cookies.keys() - before.keys():
            raise AuthFailed(
                "login",
                f"POST {self.login_path} set no cookie",
                hint="Name the path that sets it with CookieLogin(login_path=...) in the fixture "
                "auth_flow, or use BearerLogin where the app gives a token",
            )
        state["origins"] = []
        return Login(account, self._csrf(cookies), state, tuple(cookies.values()))

    def holds(self, api: APIRequestContext, base_url: str, login: Login) -> bool:
        """Return whether the app knows the session's user."""
        pairs = _cookies(login.state)
        cookie = "; ".join(f"{name}={value}" for name, value in pairs.items())
        return bool(api.get(base_url + self.me_path, headers={"Cookie": cookie}).ok)

    def _csrf(self, cookies: dict[str, str]) -> dict[str, str]:
        token = cookies.get(self.csrf_cookie or "")
        return {self.csrf_header: token} if token else {}


@dataclass(frozen=True)
class PveTicketLogin:
    """Proxmox VE's own web page: a ticket in a cookie, and its CSRF token."""

    def log_in(self, api: APIRequestContext, base_url: str, account: Account) -> Login:
        """Return a login with the ticket; ``account.username`` has its realm, ``root@pam``."""
        path = "/api2/json/access/ticket"
        form: dict[str, str | float | bool] = {
            "username": account.username,
            "password": account.password,
        }
        answer = api.post(base_url + path, form=form)
        data = _json(answer, f"POST {path}").get("data") or {}
        ticket, csrf = data.get("ticket"), data.get("CSRFPreventionToken")
        if not ticket or not csrf:
            raise AuthFailed(
                "login",
                f"POST {path} gave no ticket",
                evidence=answer.status_text,
                hint="Log in as a user with its realm and without a second factor, e.g. root@pam",
            )
        cookie = {
            "name": "PVEAuthCookie", "value": ticket, "domain": urlsplit(base_url).hostname or "",
            "path": "/", "expires": -1, "httpOnly": False, "secure": True, "sameSite": "Lax",
        }  # fmt: skip
        headers = {"CSRFPreventionToken": csrf}
        return Login(account, headers, {"cookies": [cookie], "origins": []}, (ticket, csrf))

    def holds(self, api: APIRequestContext, base_url: str, login: Login) -> bool:
        """Return whether the ticket is good: it is for two hours."""
        cookie = f"PVEAuthCookie={login.secrets[0]}"
        return bool(api.get(f"{base_url}/api2/json/version", headers={"Cookie": cookie}).ok)


def origin_of(url: str) -> str:
    """Return scheme, host and port of ``url``: what browsers keep storage by."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _entered(
    api: APIRequestContext,
    base_url: str,
    account: Account,
    login_path: str,
    register_path: str | None,
    *,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Register where the account is new, log in, and return the answer's fields."""
    name, password = account.username, account.password
    if account.is_new and register_path is not None:
        data = {"username": name, "password": password, "email": f"{name}@example.com"}
        answer = api.post(base_url + register_path, data=data, headers=headers)
        if answer.status not in _CREATED:
            raise _refused("register", f"POST {register_path}", answer)
    data = {"username": name, "password": password}
    answer = api.post(base_url + login_path, data=data, headers=headers)
    if not answer.ok:
        raise _refused("login", f"POST {login_path} as {name}", answer)
    return _json(answer, f"POST {login_path}")


def _json(answer: APIResponse, call: str) -> dict[str, Any]:
    if not answer.ok:
        raise _refused("login", call, answer)
    try:
        body = json.loads(answer.text() or "{}")
    except ValueError as exc:
        raise _refused("login", f"{call}: the answer is no JSON", answer) from exc
    return body if isinstance(body, dict) else {}


def _refused(layer: str, call: str, answer: APIResponse) -> AuthFailed:
    what = f"{call} was answered {answer.status} {answer.status_text}"
    return AuthFailed(
        layer,
        what,
        evidence=answer.text(),
        hint=f"Give an account that the app takes, or the adapter's {layer}_path, in the fixture "
        "auth_flow",
    )


def _item(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _cookies(state: Any) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in state.get("cookies", ())}
