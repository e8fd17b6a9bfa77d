"""The in-process transport: everything requests does, without a socket."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

from pytest_proxmox.target.inprocess import InProcess
from tests.unit.target.doorman import Doorman, data

PATCHED = (requests.Session.get_adapter, requests.Session.merge_environment_settings)


def test_a_proxmoxer_that_a_user_makes_logs_in_and_asks() -> None:
    with InProcess(Doorman()) as door:
        api = ProxmoxAPI(door.host, user="root@pam", password="secret", port=door.port)

        assert api.version.get()["version"] == "9.2.11"


def test_a_ticket_is_renewed_over_the_same_way() -> None:
    """proxmoxer renews with the module-level requests.post, which no mounted adapter sees."""
    doorman = Doorman()
    with InProcess(doorman) as door:
        api = ProxmoxAPI(door.host, user="root@pam", password="secret", port=door.port)
        doorman.password, _ = api.get_tokens()  # PVE takes the old ticket as password
        api._backend.auth.renew_age = 0
        api.version.get()

    assert doorman.logins == 2


def test_status_reason_and_errors_arrive_as_they_were_sent() -> None:
    doorman = Doorman()
    doorman.answers["/x"] = (500, "CT is locked (backup)", {}, b'{"data":null}')
    with InProcess(doorman) as door:
        api = ProxmoxAPI(door.host, user="root@pam", password="secret", port=door.port)
        with pytest.raises(ResourceException) as caught:
            api("x").get()

    assert (caught.value.status_code, caught.value.content) == (500, "CT is locked (backup)")


def test_query_and_form_arrive() -> None:
    doorman = Doorman()
    with InProcess(doorman) as door:
        api = ProxmoxAPI(door.host, user="root@pam", password="secret", port=door.port)
        api("nodes/pve/lxc").post(vmid=9000, hostname="a b")
        api("nodes/pve/lxc/9000").delete(purge=1)

    post, delete = doorman.seen[-2:]
    assert post[3] == b"vmid=9000&hostname=a+b"
    assert delete[:2] == ("DELETE", "/api2/json/nodes/pve/lxc/9000?purge=1")
    assert delete[3] == b""


def test_an_upload_arrives_whole() -> None:
    doorman = Doorman()
    content = io.BytesIO(b"\0image" * 1000)
    content.name = "alpine.tar"
    with InProcess(doorman) as door:
        api = ProxmoxAPI(door.host, user="root@pam", password="secret", port=door.port)
        api("nodes/pve/storage/local/upload").post(content="vztmpl", filename=content)

    _, _, headers, body = doorman.seen[-1]
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"\0image" * 1000 in body
    assert b'filename="alpine.tar"' in body


@pytest.mark.parametrize(
    "body",
    [b"abc", "abc", io.BytesIO(b"abc"), iter([b"a", b"bc"])],
    ids=["bytes", "text", "a stream", "parts"],
)
def test_a_body_arrives_whole_as(body: Any) -> None:
    seen: list[bytes] = []

    def handler(method: str, target: str, headers: object, body: bytes) -> Any:
        seen.append(body)
        return data(None)

    with InProcess(handler) as door:
        requests.post(door.url, data=body, timeout=5)

    assert seen == [b"abc"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionResetError("cut"), requests.exceptions.ConnectionError),
        (TimeoutError("late"), requests.exceptions.ReadTimeout),
    ],
    ids=["cut", "late"],
)
def test_a_lost_line_looks_as_it_does_over_sockets(
    raised: Exception, expected: type[Exception]
) -> None:
    def handler(*_: object) -> Any:
        raise raised

    with InProcess(handler) as door, pytest.raises(expected):
        requests.get(door.url, timeout=5)


def test_two_hosts_answer_for_themselves() -> None:
    with InProcess(lambda *_: data("a")) as one, InProcess(lambda *_: data("b")) as two:
        assert requests.get(one.url, timeout=5).json() == {"data": "a"}
        assert requests.get(two.url, timeout=5).json() == {"data": "b"}


def test_closing_in_any_order_restores_requests() -> None:
    one, two = InProcess(lambda *_: data("a")), InProcess(lambda *_: data("b"))
    one.__enter__()
    two.__enter__()

    one.__exit__(None, None, None)
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(one.url, timeout=5)
    assert requests.get(two.url, timeout=5).json() == {"data": "b"}

    two.__exit__(None, None, None)
    methods = (requests.Session.get_adapter, requests.Session.merge_environment_settings)
    assert methods == PATCHED


def test_other_hosts_go_their_usual_way() -> None:
    with InProcess(lambda *_: data(None)), requests.Session() as session:
        adapter = session.get_adapter("https://pve.example.org:8006/api2/json")

        assert adapter is session.adapters["https://"]


def test_a_proxy_in_the_environment_is_for_other_hosts_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    with InProcess(lambda *_: data("a")) as door, requests.Session() as session:
        here = session.merge_environment_settings(door.url, {}, None, None, None)
        elsewhere = session.merge_environment_settings("https://a.example", {}, None, None, None)

        assert not here["proxies"]
        assert elsewhere["proxies"]["https"] == "http://proxy.invalid:3128"
