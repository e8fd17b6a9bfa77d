"""Consoles, keys and the monitor of VMs (golden 10 seq 101 for the monitor)."""

from __future__ import annotations

import pytest

from .client import Client
from .machine_room import VM, create, login, power, status


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 runs."""
    client = login()
    create(client, name="web", scsi0="thin:1", serial0="socket", vga="qxl")
    power(client, "start")
    return client


def test_a_ticket_opens_the_screen(pve: Client) -> None:
    found = pve.post(VM + "/vncproxy", websocket=1, **{"generate-password": 1}).data
    assert found["ticket"].startswith("PVEVNC:")
    assert found["upid"].split(":")[5] == "vncproxy"
    assert found["user"] == "root@pam"
    opened = pve.get(VM + "/vncwebsocket", port=found["port"], vncticket=found["ticket"])
    assert opened.data == {"port": found["port"]}


def test_a_made_up_ticket_opens_nothing(pve: Client) -> None:
    assert pve.get(VM + "/vncwebsocket", port=5900, vncticket="x").status == 403


def test_a_serial_console_needs_a_serial_port(pve: Client) -> None:
    assert pve.post(VM + "/termproxy").data["ticket"].startswith("PVEVNC:")
    said = pve.post(VM + "/termproxy", serial="serial1")
    assert said.refusal == (500, "unable to find serial interface 'serial1'")
    power(pve, "stop")
    pve.put(VM + "/config", delete="serial0")
    assert pve.post(VM + "/termproxy").refusal == (500, "unable to find a serial interface")


def test_spice_needs_a_running_vm_with_such_a_display(pve: Client) -> None:
    found = pve.post(VM + "/spiceproxy").data
    assert (found["type"], found["title"]) == ("spice", "VM 100 - web")
    power(pve, "stop")
    assert pve.post(VM + "/spiceproxy").refusal == (500, "VM 100 not running")


def test_a_proxy_ends_when_nobody_comes(pve: Client) -> None:
    upid = pve.post(VM + "/vncproxy").data["upid"]
    task = pve.sim.tasks.get(upid)
    assert task is not None
    assert task.running
    pve.sim.clock.advance(20)
    task = pve.sim.tasks.get(upid)
    assert task is not None
    assert not task.running


def test_pressed_keys_are_there_to_be_looked_at(pve: Client) -> None:
    assert pve.put(VM + "/sendkey", key="ctrl-alt-delete").refusal == (200, "OK")
    guest = pve.sim.guest(100)
    assert guest is not None
    assert guest.extra["keys"] == ("ctrl-alt-delete",)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("info version", "7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n"),
        ("info status", "VM status: running\r\n"),
        ("info name", "web\r\n"),
        ("info block", "drive-scsi0: thin:vm-100-disk-0\r\n"),
        ("nonsense", "unknown command: 'nonsense'\r\n"),
    ],
    ids=["version", "status", "name", "block", "nonsense"],
)
def test_the_monitor_answers(pve: Client, command: str, answer: str) -> None:
    assert pve.post(VM + "/monitor", command=command).data == answer


def test_the_monitor_can_stop_and_go_on(pve: Client) -> None:
    pve.post(VM + "/monitor", command="stop")
    assert status(pve)["qmpstatus"] == "paused"
    assert pve.post(VM + "/monitor", command="info status").data == "VM status: paused\r\n"
    pve.post(VM + "/monitor", command="cont")
    assert status(pve)["qmpstatus"] == "running"


@pytest.mark.parametrize("path", ["/monitor", "/sendkey", "/spiceproxy"])
def test_a_stopped_vm_has_nobody_to_talk_to(pve: Client, path: str) -> None:
    power(pve, "stop")
    said = (
        pve.put(VM + path, key="a")
        if path == "/sendkey"
        else pve.post(VM + path, **({"command": "info name"} if path == "/monitor" else {}))
    )
    assert said.refusal == (500, "VM 100 not running")
