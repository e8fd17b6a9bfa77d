"""Sessions: logging in, staying logged in, and saying why not."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from proxmoxer.core import ResourceException

from pytest_proxmox.errors import LoginRefused, TargetUnreachable
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.inprocess import InProcess
from pytest_proxmox.target.session import connect
from tests.unit.target.doorman import JSON, Doorman, data


@pytest.fixture
def doorman() -> Doorman:
    """A server that lets root@pam and a token in."""
    return Doorman()


@pytest.fixture
def door(doorman: Doorman) -> Iterator[InProcess]:
    """The way to the doorman."""
    with InProcess(doorman) as door:
        yield door


def by_password(door: InProcess, password: str = "secret") -> Any:
    """Log in with a password."""
    return connect(Endpoint(door.host, door.port, password=password, timeout_s=5))


def test_a_password_logs_in(door: InProcess, doorman: Doorman) -> None:
    assert by_password(door)("version").get()["version"] == "9.2.11"
    assert doorman.logins == 1


def test_a_token_needs_no_login(door: InProcess, doorman: Doorman) -> None:
    endpoint = Endpoint(door.host, user="pt@pve", token_name="ci", token_value="uuid")

    assert connect(endpoint)("version").get()["version"] == "9.2.11"
    assert doorman.logins == 0


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_expired_ticket_is_replaced_once_and_the_call_repeated(
    door: InProcess, doorman: Doorman, method: str
) -> None:
    api = by_password(door)
    doorman.expire()

    answer = getattr(api("nodes/pve/lxc"), method)()

    assert answer["method"] == method.upper()
    assert doorman.logins == 2


def test_a_ticket_that_lay_idle_too_long_is_replaced_before_it_is_used(
    door: InProcess, doorman: Doorman
) -> None:
    """proxmoxer would show the old ticket as password, which PVE refuses after two hours."""
    api = by_password(door)
    api._backend.auth.birth_time = time.monotonic() - 3 * 3600
    doorman.expire()

    assert api("version").get()["version"] == "9.2.11"
    assert [target for _, target, _, _ in doorman.seen].count("/api2/json/access/ticket") == 2


def test_a_changed_password_ends_in_the_401_itself(door: InProcess, doorman: Doorman) -> None:
    api = by_password(door)
    doorman.expire()
    doorman.password = "changed"

    with pytest.raises(ResourceException, match="401"):
        api("version").get()


def test_threads_that_meet_one_expired_ticket_log_in_once(
    door: InProcess, doorman: Doorman
) -> None:
    api = by_password(door)
    doorman.expire()
    threads = [threading.Thread(target=api("version").get) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert doorman.logins == 2


def test_an_upload_is_not_sent_a_second_time(door: InProcess, doorman: Doorman) -> None:
    """Its stream was read: what would arrive is an empty file."""
    api = by_password(door)
    doorman.expire()

    with requests.Session() as session:
        session.auth = api._backend.auth
        response = session.put(door.url + "/x", data=iter([b"once"]), timeout=5)

    assert response.status_code == 401


@pytest.mark.parametrize("secret", ["token", "password"])
def test_a_refused_login_names_the_user_and_no_secret(door: InProcess, secret: str) -> None:
    if secret == "token":
        endpoint = Endpoint(door.host, user="pt@pve", token_name="ci", token_value="hunter2")
    else:
        endpoint = Endpoint(door.host, user="pt@pve", password="hunter2")

    with pytest.raises(LoginRefused, match="pt@pve") as caught:
        connect(endpoint)

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_secrets_are_in_no_log(
    door: InProcess, doorman: Doorman, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api = by_password(door)
    doorman.expire()
    api("version").get()

    assert "secret" not in caplog.text
    assert "secret" not in repr(api._backend.auth)


@pytest.mark.parametrize(
    "answer",
    [
        (200, "OK", {"Content-Type": "text/html"}, b"<html>welcome</html>"),
        data(None),
        data({"ticket": None}),
        (200, "OK", JSON, b"[]"),
    ],
    ids=["a web page", "no data", "half a login", "another API"],
)
def test_something_else_than_a_proxmox_is_said_so(
    door: InProcess, doorman: Doorman, answer: Any
) -> None:
    doorman.answers["/access/ticket"] = answer

    with pytest.raises(TargetUnreachable, match="not as a Proxmox VE API does"):
        by_password(door)


def test_a_server_error_at_login_is_not_called_a_wrong_password(
    door: InProcess, doorman: Doorman
) -> None:
    doorman.answers["/access/ticket"] = (596, "Connection timed out", {}, b"")

    with pytest.raises(TargetUnreachable, match="answered a login with"):
        by_password(door)


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TargetUnreachable, match=f"nothing listens at .*:{port}"):
            connect(Endpoint("127.0.0.1", port, password="x", timeout_s=5))


def test_a_silent_server_is_unreachable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(TargetUnreachable, match="did not answer"):
            connect(Endpoint("127.0.0.1", port, password="x", timeout_s=0.3))
