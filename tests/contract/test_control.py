"""The control plane, over HTTPS and as a shell script would use it."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World


@pytest.fixture
def server() -> Iterator[Server]:
    """A served simulator with one guest planted after its start."""
    sim = Simulator(World.preset("single"))
    sim.plant(vmid=100)
    with Server(sim) as running:
        yield running


def call(server: Server, method: str, path: str, body: Any = None, token: str = "") -> Any:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    request = urllib.request.Request(
        server.control_url + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token or server.control_token}"},
    )
    with urllib.request.urlopen(request, context=context) as answer:
        return json.loads(answer.read())


def refusal(server: Server, *args: Any, **kwargs: Any) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(server, *args, **kwargs)
    with caught.value as error:
        return error.code, json.loads(error.read())["error"]


def test_without_the_token_nothing_is_told(server: Server) -> None:
    status, text = refusal(server, "GET", "/state", token="wrong")
    assert status == 401
    assert "Bearer" in text


def test_an_unknown_call_names_the_known_ones(server: Server) -> None:
    status, text = refusal(server, "GET", "/nope")
    assert status == 404
    assert "POST /snapshot" in text


def test_a_snapshot_can_be_restored(server: Server) -> None:
    mark = call(server, "POST", "/snapshot")["id"]
    server.simulator.plant(vmid=101)
    call(server, "POST", "/restore", {"id": mark})
    assert server.simulator.guest(101) is None


def test_an_unknown_snapshot_is_a_404(server: Server) -> None:
    assert refusal(server, "POST", "/restore", {"id": "nope"})[0] == 404


def test_reset_goes_back_to_the_start(server: Server) -> None:
    call(server, "POST", "/reset")
    assert server.simulator.guests() == []


def test_the_clock_can_be_advanced(server: Server) -> None:
    before = server.simulator.clock.now()
    assert call(server, "POST", "/clock", {"advance_s": 5})["now"] == before + 5


@pytest.mark.parametrize("seconds", [-1, "five", None, True], ids=repr)
def test_the_clock_refuses_what_is_no_time(server: Server, seconds: Any) -> None:
    status, text = refusal(server, "POST", "/clock", {"advance_s": seconds})
    assert status == 400
    assert "advance_s" in text


def test_faults_can_be_added_listed_and_cleared(server: Server) -> None:
    rule = {"effect": "error", "method": "GET", "path": "/version", "error": "no-route"}
    name = call(server, "POST", "/faults", rule)["id"]
    assert call(server, "GET", "/faults") == [{**rule, "id": name, "fired": 0}]
    call(server, "DELETE", "/faults")
    assert call(server, "GET", "/faults") == []


def test_a_wrong_fault_is_a_400_that_names_the_mistake(server: Server) -> None:
    status, text = refusal(server, "POST", "/faults", {"effect": "explode"})
    assert status == 400
    assert "explode" in text


def test_a_body_that_is_no_object_is_a_400(server: Server) -> None:
    assert refusal(server, "POST", "/faults", [1, 2])[0] == 400


def test_the_state_can_be_read_and_put_back(server: Server) -> None:
    state = call(server, "GET", "/state")
    call(server, "POST", "/reset")
    call(server, "PUT", "/state", state)
    assert [guest.vmid for guest in server.simulator.guests()] == [100]


def test_a_damaged_state_is_refused_with_its_place_and_changes_nothing(server: Server) -> None:
    state = call(server, "GET", "/state")
    state["tables"]["guests"][0][1]["~class"] = "Ghost"
    status, text = refusal(server, "PUT", "/state", state)
    assert status == 400
    assert "tables.guests[0]" in text
    assert [guest.vmid for guest in server.simulator.guests()] == [100]


def test_calls_are_listed_without_secrets(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    url = f"{server.url}/api2/json/access/ticket"
    form = b"username=root@pam&password=secret"
    with urllib.request.urlopen(url, data=form, context=context):
        calls = call(server, "GET", "/calls")
    assert calls[-1]["params"] == {"username": "root@pam", "password": "***"}


SCRIPT = """
set -eu
control() { curl -fsS --cacert "$CA" -H "Authorization: Bearer $TOKEN" -X "$@"; }
pve() { curl -sS --cacert "$CA" -H "Authorization: PVEAPIToken=$API_TOKEN" -o /dev/null \
  -w '%{http_code}' "$URL/api2/json$1"; }
control POST "$CONTROL/reset" >/dev/null
mark=$(control POST "$CONTROL/snapshot" | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
test "$(pve /version)" = 200
control POST "$CONTROL/faults" -d '{"effect":"error","path":"/version","error":"no-route"}' \
  >/dev/null
test "$(pve /version)" = 595
control DELETE "$CONTROL/faults" >/dev/null
control POST "$CONTROL/restore" -d "{\\"id\\":\\"$mark\\"}" >/dev/null
test "$(pve /version)" = 200
echo driven
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on PATH")
def test_a_shell_script_resets_injects_a_fault_sees_it_and_restores(server: Server) -> None:
    login = server.simulator.credentials
    env = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "CA": str(server.ca_file),
        "TOKEN": server.control_token,
        "CONTROL": server.control_url,
        "URL": server.url,
        "API_TOKEN": f"{login.token_id}={login.token_secret}",
    }
    done = subprocess.run(
        ["sh", "-c", SCRIPT], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "driven\n"), done.stderr
