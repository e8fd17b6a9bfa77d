"""What the strategies generate is what PVE takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_proxmox import strategies
from pytest_proxmox.simulator.schema import load, verify
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from pytest_proxmox.values import Vmid
from tests.contract.client import Client

CREATE = load().method("/nodes/{node}/lxc", "POST")
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
slow = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def refused(**params: Any) -> dict[str, str]:
    assert CREATE is not None
    needed = {"node": "pve", "vmid": 100, "ostemplate": TEMPLATE}
    return dict(verify(CREATE, needed | params).errors)


@given(strategies.vmids())
def test_vmids_are_taken(vmid: Vmid) -> None:
    assert not refused(vmid=str(vmid))


@given(strategies.hostnames())
def test_hostnames_are_taken(name: str) -> None:
    assert not refused(hostname=name)


@given(strategies.tags())
def test_tags_are_taken(tags: str) -> None:
    assert not refused(tags=tags)


@pytest.mark.parametrize(("kind", "key"), [("net", "net0"), ("rootfs", "rootfs"), ("mp", "mp0")])
def test_property_strings_are_taken(kind: str, key: str) -> None:
    @given(strategies.property_strings(kind))
    def check(text: str) -> None:
        assert not refused(**{key: text})

    check()


def test_an_unknown_property_string_is_named() -> None:
    @given(strategies.property_strings("nope"))
    def check(text: str) -> None:
        raise NotImplementedError

    with pytest.raises(ValueError, match="nope"):
        check()


@slow
@given(strategies.guest_configs())
def test_a_container_with_a_generated_configuration_can_be_made_and_read_back(
    config: dict[str, Any],
) -> None:
    sim = Simulator(World.preset("single"))
    client = Client.login(sim)
    made = client.post(
        "/nodes/pve/lxc", vmid=100, ostemplate=TEMPLATE, rootfs="local-lvm:8", **config
    )
    assert client.finish(made) == "OK"
    read = client.get("/nodes/pve/lxc/100/config").data
    for key in ("hostname", "cores", "memory", "swap", "onboot", "tags"):
        if key in config:
            assert read[key] == config[key]


@slow
@given(strategies.worlds())
def test_a_generated_world_can_be_loaded_and_has_its_guests(world: dict[str, Any]) -> None:
    sim = Simulator(World.parse(world, origin="strategy"))
    assert {guest.vmid for guest in sim.guests()} == {guest["vmid"] for guest in world["guests"]}
