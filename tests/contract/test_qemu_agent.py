"""The guest agent of VMs (golden 10 seq 99 and 100 for the refusals)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from .client import Client, Said
from .machine_room import QEMU, VM, create, login, power, status

AGENT = VM + "/agent"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 runs with an agent."""
    client = login()
    create(
        client,
        name="web",
        agent="enabled=1",
        cores=2,
        memory=512,
        scsi0="thin:4",
        net0="virtio=BC:24:11:00:00:01,bridge=vmbr0",
        net1="virtio,bridge=vmbr0",
        ipconfig0="ip=192.0.2.7/24,gw=192.0.2.1",
    )
    power(client, "start")
    return client


def asked(client: Client, name: str) -> Any:
    return client.get(f"{AGENT}/{name}").data["result"]


def told(client: Client, name: str) -> Any:
    return client.post(f"{AGENT}/{name}").data["result"]


def run(client: Client, *command: str, **params: Any) -> dict[str, Any]:
    pid = client.post(AGENT + "/exec", command=list(command), **params).data["pid"]
    found: dict[str, Any] = client.get(AGENT + "/exec-status", pid=pid).data
    return found


def test_an_agent_answers(pve: Client) -> None:
    assert told(pve, "ping") == {}
    assert pve.post(AGENT, command="ping").data == {"result": {}}
    assert status(pve)["agent"] == 1


def test_what_can_be_asked_is_listed(pve: Client) -> None:
    names = {row["name"] for row in pve.get(AGENT).data}
    assert {"ping", "exec", "get-osinfo", "file-read"} <= names


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "No QEMU guest agent configured"),
        ({"agent": "0"}, "No QEMU guest agent configured"),
        ({"agent": "1"}, "VM 101 is not running"),
    ],
    ids=["none", "off", "stopped"],
)
def test_without_an_agent_that_runs_nobody_answers(
    pve: Client, params: dict[str, str], reason: str
) -> None:
    create(pve, 101, name="x", **params)
    assert pve.post(f"{QEMU}/101/agent/ping").refusal == (500, reason)
    assert pve.get(f"{QEMU}/101/agent/get-osinfo").refusal == (500, reason)


def test_a_paused_vm_does_not_answer(pve: Client) -> None:
    power(pve, "suspend")
    assert pve.post(AGENT + "/ping").refusal == (500, "QEMU guest agent is not running")


def test_ping_is_no_question(pve: Client) -> None:
    assert pve.get(AGENT + "/ping").refusal == (
        501,
        f"Method 'GET {AGENT}/ping' not implemented",
    )


def test_the_system_tells_its_name_kind_and_parts(pve: Client) -> None:
    assert asked(pve, "get-host-name") == {"host-name": "web"}
    assert asked(pve, "get-osinfo")["id"] == "debian"
    assert len(asked(pve, "get-vcpus")) == 2
    blocks = asked(pve, "get-memory-blocks")
    assert len(blocks) * asked(pve, "get-memory-block-info")["size"] == 512 << 20
    assert asked(pve, "get-timezone") == {"zone": "UTC", "offset": 0}
    assert asked(pve, "get-users") == []
    assert "guest-ping" in {c["name"] for c in asked(pve, "info")["supported_commands"]}


def test_the_systems_time_is_the_nodes(pve: Client) -> None:
    assert abs(asked(pve, "get-time") / 1e9 - pve.sim.clock.now()) < 5


def test_the_file_system_lies_on_the_boot_disk(pve: Client) -> None:
    mounted = asked(pve, "get-fsinfo")[0]
    assert (mounted["mountpoint"], mounted["total-bytes"]) == ("/", 4 << 30)


def test_addresses_are_as_configured_or_leased(pve: Client) -> None:
    found = {entry["name"]: entry for entry in asked(pve, "network-get-interfaces")}
    assert list(found) == ["lo", "eth0", "eth1"]
    assert found["eth0"]["hardware-address"] == "bc:24:11:00:00:01"
    first = [entry["ip-addresses"][0] for entry in found.values()]
    assert first[0]["ip-address"] == "127.0.0.1"
    assert first[1] == {"ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 24}
    assert first[2]["ip-address"].startswith("198.51.100.")


def test_file_systems_freeze_and_thaw(pve: Client) -> None:
    assert told(pve, "fsfreeze-status") == "thawed"
    assert told(pve, "fsfreeze-freeze") == 1
    assert told(pve, "fsfreeze-status") == "frozen"
    assert (told(pve, "fsfreeze-thaw"), told(pve, "fsfreeze-thaw")) == (1, 0)
    assert told(pve, "fstrim")["paths"][0]["path"] == "/"


def test_a_file_that_is_written_can_be_read(pve: Client) -> None:
    assert pve.post(AGENT + "/file-write", file="/etc/app", content="one\n").refusal == (200, "OK")
    found = pve.get(AGENT + "/file-read", file="/etc/app").data
    assert found == {"content": "one\n", "bytes-read": 4}
    assert run(pve, "cat", "/etc/app")["out-data"] == "one\n"


def test_bytes_travel_as_base64(pve: Client) -> None:
    text = base64.b64encode(bytes(range(256))).decode()
    pve.post(AGENT + "/file-write", file="/blob", content=text, encode=0)
    assert pve.get(AGENT + "/file-read", file="/blob", decode=0).data["content"] == text
    said = pve.post(AGENT + "/file-write", file="/blob", content="?", encode=0)
    assert said.errors == {"content": "value is not base64"}


def test_a_part_of_a_file_is_truncated(pve: Client) -> None:
    pve.post(AGENT + "/file-write", file="/f", content="0123456789")
    found = pve.get(AGENT + "/file-read", file="/f", offset=2, count=3).data
    assert found == {"content": "234", "bytes-read": 3, "truncated": 1}


def test_files_stay_when_the_vm_stops(pve: Client) -> None:
    pve.post(AGENT + "/file-write", file="/f", content="kept")
    power(pve, "stop")
    power(pve, "start")
    assert pve.get(AGENT + "/file-read", file="/f").data["content"] == "kept"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("echo", "a", "b"), {"exited": 1, "exitcode": 0, "out-data": "a b\n"}),
        (("/bin/false",), {"exited": 1, "exitcode": 1}),
        (("true",), {"exited": 1, "exitcode": 0}),
        (("hostname",), {"exited": 1, "exitcode": 0, "out-data": "web\n"}),
        (("whoami",), {"exited": 1, "exitcode": 0, "out-data": "root\n"}),
        (("uname",), {"exited": 1, "exitcode": 0, "out-data": "Linux\n"}),
        (
            ("cat", "/nope"),
            {
                "exited": 1,
                "exitcode": 1,
                "err-data": "cat: /nope: No such file or directory\n",
            },
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_few_programs_run(
    pve: Client, command: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert run(pve, *command) == expected


def test_a_program_reads_what_it_is_given(pve: Client) -> None:
    assert run(pve, "cat", **{"input-data": "in"})["out-data"] == "in"


def refused(said: Said) -> str:
    assert said.status == 500
    prefix = "Agent error: Guest agent command failed, error was "
    assert said.reason.startswith(prefix)
    return said.reason.removeprefix(prefix).strip("'")


def test_a_refusal_of_the_agent_is_an_error(pve: Client) -> None:
    no_file = pve.get(AGENT + "/file-read", file="/nope")
    assert refused(no_file).startswith("failed to open file '/nope'")
    no_program = pve.post(AGENT + "/exec", command=["/bin/nope"])
    assert refused(no_program).startswith("Failed to execute child process")
    assert refused(pve.get(AGENT + "/exec-status", pid=4)) == "PID 4 does not exist"


def test_how_a_program_ended_is_told_once(pve: Client) -> None:
    pid = pve.post(AGENT + "/exec", command=["true"]).data["pid"]
    assert pve.get(AGENT + "/exec-status", pid=pid).status == 200
    assert pve.get(AGENT + "/exec-status", pid=pid).status == 500


def test_a_password_is_kept_as_a_mark_only(pve: Client) -> None:
    said = pve.post(AGENT + "/set-user-password", username="root", password="very secret")
    assert said.data == {"result": {}}
    found = pve.get(AGENT + "/file-read", file="/etc/shadow.d/root").data["content"]
    assert "very secret" not in found


@pytest.mark.parametrize(
    ("command", "after"),
    [
        ("shutdown", "stopped"),
        ("suspend-disk", "stopped"),
        ("suspend-ram", "paused"),
        ("suspend-hybrid", "paused"),
    ],
    ids=str,
)
def test_a_system_can_be_sent_away(pve: Client, command: str, after: str) -> None:
    assert told(pve, command) == {}
    assert status(pve)["qmpstatus"] == after
