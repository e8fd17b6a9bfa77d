"""Proxmox's refusals become typed errors that say what to do, and never a secret."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from proxmoxer.core import AuthenticationError, ResourceException
from urllib3.exceptions import InsecureRequestWarning, NewConnectionError

from src_app.proxmox.connection import Call, Connection
from src_app.proxmox.endpoint import Endpoint, Login
from src_app.proxmox.errors import (
    CertificateRefused,
    InvalidRequest,
    LoginRefused,
    OutcomeUnknown,
    PermissionDenied,
    ProxmoxError,
    RequestFailed,
    SettingError,
    Unreachable,
)

SECRET = "correct horse"
BY_PASSWORD = Endpoint("pve", 8006, Login("root@pam", password=SECRET), verify=True)
BY_TOKEN = Endpoint(
    "pve", 8006, Login("root@pam", token_name="ci", token_value=SECRET), verify=True
)


class FakeApi:
    """proxmoxer's object: path in, verb called, the next outcome given or raised."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.outcomes = outcomes
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self._path = ""

    def __call__(self, path: list[str]) -> FakeApi:
        self._path = "/".join(path)
        return self

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return lambda **params: self._answer(verb, params)

    def _answer(self, verb: str, params: dict[str, Any]) -> Any:
        self.sent.append((verb, self._path, params))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Opener:
    """Stands for ``ProxmoxAPI``: each login gives an API with the outcomes that are left."""

    def __init__(self, *outcomes: Any, login: Exception | None = None) -> None:
        self.outcomes = list(outcomes)
        self.logins: list[dict[str, Any]] = []
        self.api = FakeApi(self.outcomes)
        self._login = login

    def __call__(self, host: str, **arguments: Any) -> FakeApi:
        self.logins.append({"host": host} | arguments)
        if self._login is not None:
            raise self._login
        return self.api


def refused(status: int, reason: str, errors: dict[str, str] | None = None) -> ResourceException:
    return ResourceException(status, "Server Error", reason, errors=errors)


def opened(*outcomes: Any, endpoint: Endpoint = BY_PASSWORD) -> tuple[Connection, Opener]:
    opener = Opener({"version": "9.2.11"}, *outcomes)
    connection = Connection(endpoint, opener=opener)
    connection.open()
    return connection, opener


def refused_connection() -> requests.ConnectionError:
    cause = NewConnectionError(None, "Connection refused")  # type: ignore[arg-type]
    error = requests.ConnectionError("Max retries exceeded")
    error.__cause__ = cause
    return error


def bad_certificate() -> requests.exceptions.SSLError:
    error = requests.exceptions.SSLError("Max retries exceeded")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    return error


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        pytest.param(
            AuthenticationError("Couldn't authenticate user: r to u code: 401"),
            LoginRefused,
            "refused the password of root@pam",
            id="wrong-password",
        ),
        pytest.param(
            AuthenticationError("Couldn't authenticate user: r to u code: 404"),
            Unreachable,
            "not as a Proxmox",
            id="another-web-server",
        ),
        pytest.param(refused_connection(), Unreachable, "no Proxmox answers", id="refused"),
        pytest.param(requests.ConnectTimeout(), Unreachable, "no Proxmox answers", id="timeout"),
        pytest.param(bad_certificate(), CertificateRefused, "verify_ssl=PATH", id="certificate"),
        pytest.param(KeyError("data"), Unreachable, "not as a Proxmox", id="odd-json"),
        pytest.param(
            requests.JSONDecodeError("x", "y", 0), Unreachable, "not as a Proxmox", id="no-json"
        ),
        pytest.param(OSError("no such file"), SettingError, "cannot be read", id="no-ca-file"),
    ],
)
def test_failed_login_names_its_reason(
    failure: Exception, kind: type[ProxmoxError], says: str
) -> None:
    connection = Connection(BY_PASSWORD, opener=Opener(login=failure))

    with pytest.raises(kind, match=says) as caught:
        connection.open()

    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_refused_token_is_called_a_token() -> None:
    opener = Opener(refused(401, "Authentication failed!"))

    with pytest.raises(LoginRefused, match=r"refused the token of root@pam!ci"):
        Connection(BY_TOKEN, opener=opener).open()


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        pytest.param(
            refused(400, "Parameter verification failed.", {"vmid": "invalid format\n"}),
            InvalidRequest,
            "vmid: invalid format",
            id="400",
        ),
        pytest.param(
            refused(403, "Permission check failed (/vms/9001, VM.Allocate)"),
            PermissionDenied,
            "VM.Allocate.*Give root@pam the right",
            id="403",
        ),
        pytest.param(
            refused(500, "CT is locked (backup)"),
            RequestFailed,
            r"CT is locked \(backup\)",
            id="500",
        ),
        pytest.param(refused(596, "Broken pipe"), OutcomeUnknown, "may have run", id="596"),
        pytest.param(requests.ReadTimeout(), OutcomeUnknown, "may have run", id="no-answer"),
        pytest.param(
            requests.ConnectionError("reset"), OutcomeUnknown, "may have run", id="connection-cut"
        ),
        pytest.param(refused_connection(), Unreachable, "no Proxmox answers", id="never-sent"),
    ],
)
def test_refused_write_names_its_reason(
    answer: Exception, kind: type[ProxmoxError], says: str
) -> None:
    connection, _ = opened(answer)

    with pytest.raises(kind, match=says):
        connection.post("/nodes/pve/lxc", vmid=9001, password=SECRET)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(requests.ReadTimeout(), id="no-answer"),
        pytest.param(requests.ConnectionError("reset"), id="connection-cut"),
    ],
)
def test_read_without_an_answer_leaves_nothing_unknown(answer: Exception) -> None:
    connection, _ = opened(answer)

    with pytest.raises(Unreachable):
        connection.get("/nodes")


def test_secret_parameter_is_in_no_error() -> None:
    connection, _ = opened(refused(500, "unable to create CT 9001"))

    with pytest.raises(RequestFailed) as caught:
        connection.post("/nodes/pve/lxc", vmid=9001, password=SECRET)

    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_expired_ticket_is_renewed_once_and_the_request_sent_again() -> None:
    connection, opener = opened(refused(401, "permission denied - invalid PVE ticket"), None)

    connection.post("/nodes/pve/lxc/9001/status/start")

    assert len(opener.logins) == 2
    assert [verb for verb, _, _ in opener.api.sent] == ["get", "post", "post"]


def test_ticket_that_stays_refused_is_not_asked_for_again() -> None:
    connection, opener = opened(refused(401, "No ticket"), refused(401, "No ticket"))

    with pytest.raises(LoginRefused):
        connection.get("/nodes")

    assert len(opener.logins) == 2


def test_refused_token_is_not_sent_again() -> None:
    connection, opener = opened(refused(401, "Authentication failed!"), endpoint=BY_TOKEN)

    with pytest.raises(LoginRefused):
        connection.get("/nodes")

    assert len(opener.logins) == 1


def test_yes_and_no_become_one_and_zero() -> None:
    connection, opener = opened(None)

    connection.post("/nodes/pve/lxc/9001/clone", full=True, newid=9002)

    assert opener.api.sent[-1] == ("post", "nodes/pve/lxc/9001/clone", {"full": 1, "newid": 9002})


def test_patience_is_longer_than_proxmoxs_own_locks() -> None:
    _, opener = opened()

    assert opener.logins[0]["timeout"] == (5.0, 35.0)


def test_ipv6_address_reaches_proxmoxer_in_brackets() -> None:
    opener = Opener({"version": "9"})
    Connection(Endpoint("2001:db8::1", 8006, BY_PASSWORD.login, verify=True), opener=opener).open()

    assert opener.logins[0]["host"] == "[2001:db8::1]"


def test_unverified_connection_asked_for_is_no_warning() -> None:  # lint: no-assertion
    connection, _ = opened(None, endpoint=replace(BY_PASSWORD, verify=False))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connection.get("/nodes")
        warnings.warn("unverified", InsecureRequestWarning, stacklevel=1)


def test_unverified_connection_still_warns_where_verification_was_asked_for() -> None:
    connection, _ = opened(None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connection.get("/nodes")
        with pytest.raises(InsecureRequestWarning):
            warnings.warn("unverified", InsecureRequestWarning, stacklevel=1)


def test_each_request_is_told_to_who_watches() -> None:
    connection, _ = opened(["a"], refused(500, "broken"))
    calls: list[Call] = []
    connection.watch = calls.append
    connection.get("/nodes")
    with pytest.raises(RequestFailed):
        connection.delete("/nodes/pve/lxc/100")
    assert [(call.verb, call.path, call.error) for call in calls] == [
        ("get", "/nodes", ""),
        ("delete", "/nodes/pve/lxc/100", "RequestFailed"),
    ]
    assert all(call.duration_s >= 0 for call in calls)
