"""Recipes: what is asked of PVE for a container, a VM and a clone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_proxmox.sandbox.recipes import Recipe, clone, container, machine
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import GuestRef, NodeName, Vmid

FACTS = TargetFacts(
    kind="real",
    url="https://pve",
    node="pve",
    storage="fast",
    backup_storage="bak",
    template="local:vztmpl/alpine.tar.gz",
    bridge="vmbr0",
    version="9",
)
NODE = NodeName("pve")


def test_a_container_is_small_and_closed() -> None:
    recipe = container(FACTS, {})

    password = recipe.parameters["password"]
    assert len(password) == 24
    assert container(FACTS, {}).parameters["password"] != password
    wanted = {
        "ostemplate": "local:vztmpl/alpine.tar.gz",
        "rootfs": "fast:1",
        "unprivileged": 1,
        "password": password,
        "cores": 1,
        "memory": 256,
        "swap": 0,
        "net0": "name=eth0,bridge=vmbr0,ip=dhcp",
    }
    assert recipe == Recipe(
        "create", "lxc", NODE, "nodes/pve/lxc", "hostname", "fast", parameters=wanted
    )


def test_a_vm_has_one_disk_and_nothing_to_boot() -> None:
    wanted = {"scsi0": "fast:1", "cores": 1, "memory": 256, "net0": "virtio,bridge=vmbr0"}

    assert machine(FACTS, {}) == Recipe(
        "create", "qemu", NODE, "nodes/pve/qemu", "name", "fast", parameters=wanted
    )


@pytest.mark.parametrize("write", [container, machine], ids=["container", "VM"])
def test_wishes_win(write: Any) -> None:
    wishes = {"node": "two", "storage": "slow", "bridge": "vmbr7", "memory": None, "onboot": True}

    recipe = write(FACTS, {**wishes, "ssh_public_keys": "key"})

    kind = recipe.kind
    assert (recipe.node, recipe.path, recipe.storage) == ("two", f"nodes/two/{kind}", "slow")
    assert recipe.parameters["rootfs" if kind == "lxc" else "scsi0"] == "slow:1"
    assert "bridge=vmbr7" in recipe.parameters["net0"]
    assert (recipe.parameters["onboot"], recipe.parameters["ssh-public-keys"]) == (1, "key")
    assert {"memory", "node", "storage", "bridge", "ssh_public_keys"}.isdisjoint(recipe.parameters)
    assert wishes["node"] == "two"


@pytest.mark.parametrize(
    ("write", "disk"), [(container, "rootfs"), (machine, "scsi0")], ids=["container", "VM"]
)
def test_the_storage_is_where_the_wished_disk_is(write: Any, disk: str) -> None:
    assert write(FACTS, {disk: "slow:8,ssd=1"}).storage == "slow"


def test_a_restored_container_is_what_its_backup_says() -> None:
    recipe = container(FACTS, {"ostemplate": "bak:backup/x", "restore": 1})

    assert recipe.parameters == {"storage": "fast", "ostemplate": "bak:backup/x", "restore": 1}


@pytest.mark.parametrize("write", [container, machine], ids=["container", "VM"])
@pytest.mark.parametrize(
    ("kind", "found", "has_net"),
    [("real", True, False), ("real", False, True), ("simulator", True, True)],
    ids=["real, found", "real, named", "simulator"],
)
def test_a_bridge_that_nobody_named_is_nobodys_network_on_a_simulator_only(
    write: Any, kind: Any, found: bool, has_net: bool
) -> None:
    facts = replace(FACTS, kind=kind, found=frozenset({"bridge"} if found else ()))

    assert ("net0" in write(facts, {}).parameters) is has_net


@pytest.mark.parametrize(
    ("kind", "name_field"), [("lxc", "hostname"), ("qemu", "name")], ids=["container", "VM"]
)
def test_a_clone_is_asked_of_its_source(kind: Any, name_field: str) -> None:
    source = GuestRef(Vmid(9000), kind, NODE)

    recipe = clone(FACTS, source, {"full": True, "target": "two", "storage": "slow"})

    assert recipe == Recipe(
        f"clone of {source} as",
        kind,
        NodeName("two"),
        f"nodes/pve/{kind}/9000/clone",
        name_field,
        "slow",
        vmid_field="newid",
        source=Vmid(9000),
        parameters={"full": 1, "target": "two", "storage": "slow"},
    )
    plain = clone(FACTS, source, {})
    assert (plain.node, plain.storage, plain.parameters) == ("pve", "fast", {})


@pytest.mark.parametrize(
    ("said", "pool", "expected"),
    [
        ({}, None, {"newid": 9000, "name": "pytest-9000", "description": "mark"}),
        (
            {"name": "web", "description": "mine"},
            "pytest/b",
            {"newid": 9000, "name": "web", "description": "mine\n\nmark", "pool": "pytest/b"},
        ),
    ],
    ids=["nothing said", "all said"],
)
def test_an_order_has_name_mark_and_pool(
    said: dict[str, Any], pool: str | None, expected: dict[str, Any]
) -> None:
    recipe = Recipe("x", "qemu", NODE, "p", "name", "s", vmid_field="newid", parameters=said)

    assert recipe.order(Vmid(9000), mark="mark", pool=pool) == expected
