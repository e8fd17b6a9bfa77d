"""Who may do what with VMs: users and tokens with little (golden 01, 14; public documentation)."""

from __future__ import annotations

import pytest

from .client import Client
from .machine_room import QEMU, VM, config, create, login

USER = "joe@pve"


@pytest.fixture
def pve() -> Client:
    """Root on a node where VM 100 stands and a user without rights."""
    client = login()
    create(client, name="web", memory=64, scsi0="local:1,format=qcow2", ide2="none,media=cdrom")
    client.post("/access/users", userid=USER, password="secret123")
    client.post("/pools", poolid="p")
    return client


def allow(pve: Client, path: str, *privileges: str) -> Client:
    """Give the user privileges at a path and return a client of his."""
    role = f"role-{len(pve.get('/access/roles').data)}"
    pve.post("/access/roles", roleid=role, privs=",".join(privileges))
    pve.put("/access/acl", path=path, users=USER, roles=role)
    return pve.as_user(USER)


def test_nobody_makes_a_vm_without_a_right(pve: Client) -> None:
    joe = pve.as_user(USER)
    assert joe.post(QEMU, vmid=101).refusal == (403, "Permission check failed")
    assert joe.get(QEMU).data == []
    assert joe.get(VM + "/config").status == 403


def test_a_pool_is_enough_to_make_one_in_it(pve: Client) -> None:
    allow(pve, "/storage/thin", "Datastore.AllocateSpace")
    joe = allow(pve, "/pool/p", "VM.Allocate", "VM.Audit", "VM.Config.Disk", "VM.Config.Options")
    assert joe.post(QEMU, vmid=101, pool="p", name="x", scsi0="thin:1").status == 200
    said = joe.post(QEMU, vmid=102, pool="p", memory=64)
    assert said.refusal == (403, "Permission check failed (/vms/102, VM.Config.Memory)")


def test_space_on_a_storage_must_be_given(pve: Client) -> None:
    joe = allow(pve, "/pool/p", "VM.Allocate", "VM.Config.Disk")
    said = joe.post(QEMU, vmid=101, pool="p", scsi0="thin:1")
    assert said.refusal == (403, "Permission check failed (/storage/thin, Datastore.AllocateSpace)")


@pytest.mark.parametrize(
    ("params", "privilege"),
    [
        ({"memory": 128}, "VM.Config.Memory"),
        ({"cores": 2}, "VM.Config.CPU"),
        ({"net0": "virtio"}, "VM.Config.Network"),
        ({"delete": "scsi0"}, "VM.Config.Disk"),
        ({"ide2": "none,media=cdrom"}, "VM.Config.CDROM"),
        ({"ciuser": "ann"}, "VM.Config.Cloudinit"),
        ({"serial0": "socket"}, "VM.Config.HWType"),
        ({"name": "x"}, "VM.Config.Options"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_kind_of_option_has_a_privilege_of_its_own(
    pve: Client, params: dict[str, object], privilege: str
) -> None:
    other = "VM.Config.CPU" if privilege == "VM.Config.Options" else "VM.Config.Options"
    joe = allow(pve, "/vms/100", other, "VM.Audit")
    refusal = (403, f"Permission check failed (/vms/100, {privilege})")
    assert joe.put(VM + "/config", **params).refusal == refusal
    allow(pve, "/vms/100", privilege, "VM.Audit")
    assert pve.as_user(USER).put(VM + "/config", **params).refusal == (200, "OK")


@pytest.mark.parametrize("key", ["args", "hookscript"])
def test_some_options_are_roots_alone(pve: Client, key: str) -> None:
    joe = allow(pve, "/vms/100", "VM.Config.Options", "VM.Config.HWType", "VM.Audit")
    value = "local:snippets/x.sh" if key == "hookscript" else "-x"
    said = joe.put(VM + "/config", **{key: value})
    assert said.refusal == (500, f"only root can set '{key}' config")
    assert key not in config(pve)


def test_a_path_is_roots_alone(pve: Client) -> None:
    allow(pve, "/storage/thin", "Datastore.AllocateSpace")
    joe = allow(pve, "/vms/100", "VM.Config.Disk", "VM.Audit")
    said = joe.put(VM + "/config", scsi1="thin:0,import-from=/etc/shadow")
    assert said.refusal == (500, "Only root can pass arbitrary filesystem paths.")


def test_another_vms_disk_is_imported_by_who_may_clone_it(pve: Client) -> None:
    create(pve, 101, name="mine")
    allow(pve, "/storage", "Datastore.AllocateSpace")
    joe = allow(pve, "/vms/101", "VM.Config.Disk", "VM.Audit")
    params = {"scsi0": "thin:0,import-from=local:100/vm-100-disk-0.qcow2"}
    said = joe.put(f"{QEMU}/101/config", **params)
    assert said.refusal == (403, "Permission check failed (/vms/100, VM.Clone)")


def test_a_token_that_may_little_sees_little(pve: Client) -> None:
    create(pve, 101, name="other")
    allow(pve, "/vms/100", "VM.Audit")
    token = pve.post(f"/access/users/{USER}/token/ci", privsep=0).data
    client = pve.as_token(token["full-tokenid"], token["value"])
    assert [row["vmid"] for row in client.get(QEMU).data] == [100]
    assert client.post(VM + "/status/start").status == 403
