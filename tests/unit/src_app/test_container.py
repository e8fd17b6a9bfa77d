"""Both ways to ask for a container mean the same to Proxmox."""

from __future__ import annotations

from typing import Any

import pytest

from src_app.proxmox.container import (
    ContainerRequest,
    Secret,
    first_address,
    made,
    parse_vmid,
)
from src_app.proxmox.errors import SettingError
from src_app.proxmox.ownership import nonce_in

NONCE = "n0123456789abcdef"
KEYWORDS: dict[str, Any] = {
    "hostname": "web", "template": "local:vztmpl/a.tar.xz", "storage": "local-lvm",
    "cores": 2, "memory": 1024, "disk": 8,
}  # fmt: skip
ORIGINAL: dict[str, Any] = {
    "hostname": "web", "ostemplate": "local:vztmpl/a.tar.xz", "storage": "local-lvm",
    "cpu_cores": 2, "memory_mb": 1024, "disk_gb": 8,
}  # fmt: skip


def wire(request: ContainerRequest) -> dict[str, Any]:
    return request.parameters(template="local:vztmpl/a.tar.xz", storage="local-lvm", nonce=NONCE)


def test_keywords_and_config_dictionary_ask_for_the_same() -> None:
    by_keywords = ContainerRequest.of("pve", 9001, given=KEYWORDS)
    by_config = ContainerRequest.of("pve", 9001, config=ORIGINAL)

    assert by_keywords == by_config


def test_request_becomes_the_parameters_of_proxmox() -> None:
    assert wire(ContainerRequest.of("pve", 9001, given=KEYWORDS)) == {
        "vmid": 9001, "ostemplate": "local:vztmpl/a.tar.xz", "hostname": "web", "cores": 2,
        "memory": 1024, "rootfs": "local-lvm:8", "unprivileged": 1,
        "description": f"app-manager: claim {NONCE}",
    }  # fmt: skip


def test_keyword_wins_over_the_dictionary() -> None:
    request = ContainerRequest.of("pve", 9001, config=ORIGINAL, given={"memory": 256})

    assert request.memory_mib == 256


def test_none_counts_as_not_given() -> None:
    request = ContainerRequest.of("pve", 9001, config=ORIGINAL, given={"memory": None})

    assert request.memory_mib == 1024


def test_parameters_of_proxmox_are_passed_on() -> None:
    request = ContainerRequest.of("pve", 9001, config={"net0": "name=eth0"}, given={"onboot": 1})

    assert wire(request).items() >= {"net0": "name=eth0", "onboot": 1}.items()


def test_own_description_is_kept_beside_the_claim() -> None:
    description = wire(ContainerRequest.of("pve", 9001, given={"description": "shop"}))[
        "description"
    ]

    assert description.startswith("shop\n")
    assert nonce_in(description) == NONCE


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"cores": 0}, id="no-cores"),
        pytest.param({"memory": "much"}, id="memory-in-words"),
        pytest.param({"disk": -1}, id="negative-disk"),
        pytest.param({"disk": "inf"}, id="endless-disk"),
        pytest.param({"cores": True}, id="cores-as-yes"),
    ],
)
def test_size_that_is_none_is_refused_by_its_name(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(bad))} .* is not a positive number"):
        ContainerRequest.of("pve", 9001, given=bad)


@pytest.mark.parametrize("vmid", [99, 0, -1, "x", "9001 ", 1_000_000_000, None, 9001.5])
def test_number_that_is_no_vmid_is_refused(vmid: object) -> None:
    with pytest.raises(SettingError, match="is not a VMID"):
        parse_vmid(vmid)


def test_result_has_the_keys_of_the_plan_and_of_the_original() -> None:
    request = ContainerRequest.of("pve", 9001, given=KEYWORDS)
    result = made(request, upid="UPID:…", template="t", storage="s")

    assert result.keys() >= {
        "status", "vmid", "node", "hostname", "task_id", "upid", "root_password",
        "docker_preinstalled",
    }  # fmt: skip


def test_root_password_goes_over_the_wire_and_is_never_shown() -> None:
    request = ContainerRequest.of("pve", 9001, given={"root_password": "s3cret"})
    result = made(request, upid="UPID:…", template="t", storage="s")

    assert wire(request)["password"] == "s3cret"
    assert result["root_password"] == "s3cret"
    assert "s3cret" not in f"{request!r} {result!r} {Secret('s3cret')!r}"


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["127.0.0.1", "::1"], None, id="loopback-only"),
        pytest.param(["fe80::1"], None, id="link-local-only"),
        pytest.param(["2001:db8::5", "10.0.0.5"], "10.0.0.5", id="ipv4-first"),
        pytest.param(["2001:db8::5"], "2001:db8::5", id="ipv6"),
    ],
)
def test_address_is_one_that_others_can_reach(addresses: list[str], expected: str | None) -> None:
    listed = [{"name": "lo", "ip-addresses": []}] + [
        {"name": "eth0", "ip-addresses": [{"ip-address": address, "prefix": 24}]}
        for address in addresses
    ]

    assert first_address(listed) == expected
