"""Cloud-init of VMs: shapes from the API's schema and the public documentation."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .client import Client
from .machine_room import VM, config, create, login, power

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBo me@here"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands with a cloud-init drive."""
    client = login()
    create(
        client,
        name="web",
        scsi0="thin:1",
        ide2="thin:cloudinit",
        net0="virtio=BC:24:11:00:00:01,bridge=vmbr0",
        ciuser="joe",
        cipassword="very secret",
        sshkeys=quote(KEY, safe=""),
        ipconfig0="ip=192.0.2.7/24,gw=192.0.2.1,ip6=auto",
        nameserver="192.0.2.53",
        searchdomain="example.org",
    )
    return client


def rows(client: Client) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in client.get(VM + "/cloudinit").data}


def dump(client: Client, kind: str) -> str:
    return str(client.get(VM + "/cloudinit/dump", type=kind).data)


def test_what_the_drive_says_is_listed_without_the_password(pve: Client) -> None:
    found = rows(pve)
    assert found["ciuser"] == {"key": "ciuser", "value": "joe"}
    assert found["cipassword"]["value"] == "**********"
    assert "pending" not in found["ipconfig0"]


def test_a_change_waits_until_the_drive_is_made_again(pve: Client) -> None:
    power(pve, "start")
    pve.put(VM + "/config", ciuser="ann", delete="searchdomain")
    found = rows(pve)
    assert (found["ciuser"]["value"], found["ciuser"]["pending"]) == ("joe", "ann")
    assert found["searchdomain"]["delete"] == 1
    assert pve.put(VM + "/cloudinit").refusal == (200, "OK")
    found = rows(pve)
    assert found["ciuser"] == {"key": "ciuser", "value": "ann"}
    assert "searchdomain" not in found
    assert config(pve, current=1)["ciuser"] == "ann"


def test_the_drive_is_made_again_at_every_start(pve: Client) -> None:
    power(pve, "start")
    pve.put(VM + "/config", ciuser="ann")
    power(pve, "stop")
    power(pve, "start")
    assert rows(pve)["ciuser"] == {"key": "ciuser", "value": "ann"}


def test_user_data_says_who_logs_in(pve: Client) -> None:
    lines = dump(pve, "user").splitlines()
    assert lines[0] == "#cloud-config"
    assert {"hostname: web", "fqdn: web.example.org", "user: joe", f"  - {KEY}"} <= set(lines)
    assert "very secret" not in dump(pve, "user")


def test_the_network_is_as_configured(pve: Client) -> None:
    lines = [line.strip() for line in dump(pve, "network").splitlines()]
    assert {
        "name: eth0",
        "mac_address: 'bc:24:11:00:00:01'",
        "address: '192.0.2.7/24'",
        "gateway: '192.0.2.1'",
        "- type: ipv6_slaac",
        "- '192.0.2.53'",
        "- 'example.org'",
    } <= set(lines)


def test_dhcp_is_asked_for(pve: Client) -> None:
    pve.put(VM + "/config", ipconfig0="ip=dhcp")
    assert "- type: dhcp4" in dump(pve, "network")


def test_the_instance_changes_with_what_it_is_told(pve: Client) -> None:
    before = dump(pve, "meta")
    assert before.startswith("instance-id: ")
    assert dump(pve, "meta") == before
    pve.put(VM + "/config", ciuser="ann")
    assert dump(pve, "meta") != before


def test_root_needs_no_other_user(pve: Client) -> None:
    pve.put(VM + "/config", ciuser="root", ciupgrade=0)
    text = dump(pve, "user")
    assert "users:" not in text
    assert "package_upgrade: false" in text
