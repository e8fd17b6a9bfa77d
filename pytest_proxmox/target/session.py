"""Sessions with a Proxmox VE: log in once, stay logged in, say clearly why not."""

from __future__ import annotations

import re
from typing import Any

from pytest_proxmox.errors import LoginRefused, TargetUnreachable
from pytest_proxmox.target.calls import Api
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.failures import Code, Failure, parse
from pytest_proxmox.target.redaction import guard_logs


def connect(endpoint: Endpoint) -> Api:
    """Return a ``proxmoxer.ProxmoxAPI`` that is logged in and stays so.

    It waits ``endpoint.timeout_s`` for an answer, and after a 401 it logs in afresh once (with
    a password; a token has nothing to renew).

    Raises:
        TargetUnreachable: nothing, or something else, answers there, or its certificate is
            not to be trusted.
        LoginRefused: the user, the password or the token is wrong.
    """
    import proxmoxer

    guard_logs("proxmoxer.core", "proxmoxer.backends.https")  # they log parameters as they are
    try:
        api = proxmoxer.ProxmoxAPI(**endpoint.proxmoxer_arguments(), **_direct(endpoint))
        _stay_logged_in(api, endpoint)
        _check(api("version").get(), endpoint)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _not_a_proxmox(endpoint) from exc  # a login page, an empty body, plain text
    except Exception as exc:
        failure = parse(exc, write=False)
        if failure is None:
            raise
        raise _explain(failure, endpoint) from exc
    handle: Api = api
    return handle


def _direct(endpoint: Endpoint) -> dict[str, Any]:
    """No proxy for the way to this machine: HTTPS_PROXY of a CI would swallow it."""
    return {"proxies": {"https": None, "all": None}} if endpoint.is_loopback else {}


def _stay_logged_in(api: Any, endpoint: Endpoint) -> None:
    # proxmoxer has no public way to its session; these two names are as old as the library.
    session = api._store["session"]
    if endpoint.is_loopback:
        session.trust_env = False
    if endpoint.token_name is None and endpoint.password is not None:
        from pytest_proxmox.target.login import FreshLogin

        session.auth = api._backend.auth = FreshLogin(session.auth, endpoint.password)


def _check(version: Any, endpoint: Endpoint) -> None:
    if not isinstance(version, dict) or "version" not in version:
        raise _not_a_proxmox(endpoint)


def _not_a_proxmox(endpoint: Endpoint) -> TargetUnreachable:
    return TargetUnreachable(
        f"{endpoint.url} answers, but not as a Proxmox VE API does",
        hint=f"Check host and port; PVE listens on {8006}, a Proxmox Backup Server on 8007",
    )


def _explain(failure: Failure, endpoint: Endpoint) -> TargetUnreachable | LoginRefused:
    if failure.code == Code.CERTIFICATE:
        return TargetUnreachable(
            f"the certificate of {endpoint.url} cannot be verified",
            hint="Name its CA file in PROXMOX_VERIFY_SSL, or set PROXMOX_VERIFY_SSL=false",
        )
    if failure.code == Code.NOT_AUTHENTICATED and _login_status(failure.text) < 500:
        what = "token" if endpoint.token_name is not None else "password or user"
        return LoginRefused(
            f"{endpoint.url} refused the {what} of {endpoint.identity}",
            hint="Check user, realm and secret; a user with a second factor needs an API token",
        )
    if failure.code == Code.UNREACHABLE:
        return TargetUnreachable(
            f"nothing listens at {endpoint.url}",
            hint="Check PROXMOX_HOST and PROXMOX_PORT, and that this machine may reach it",
        )
    if failure.code in (Code.NO_ANSWER, Code.LINE_CUT):
        return TargetUnreachable(
            f"{endpoint.url} did not answer a login (waited up to {endpoint.timeout_s:.0f} s)",
            hint="Check that pveproxy runs and that it speaks HTTPS there",
        )
    return TargetUnreachable(
        f"{endpoint.url} answered a login with: {failure}",
        hint="See why on the node with: journalctl -u pveproxy -u pvedaemon",
    )


def _login_status(text: str) -> int:
    """proxmoxer has the status of a failed login in its message only."""
    match = re.search(r"code: (\d{3})", text)
    return int(match.group(1)) if match else 401
