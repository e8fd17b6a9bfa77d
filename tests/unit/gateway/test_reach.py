"""What a write reaches for is read as PVE reads it; what is unclear is not let pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.gateway.policy import Policy
from pytest_proxmox.gateway.reach import Unclear, call_of, reach_of
from pytest_proxmox.gateway.upstream import parsed
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.values import VmidRange

LEASED = {9000, 9001}
POLICY = Policy(VmidRange.parse("9000-9099"), frozenset({500}))
FORM = {"content-type": "application/x-www-form-urlencoded"}


def objection(method: str, path: str, **params: Any) -> str:
    """Return why a call would be refused, empty where it would not."""
    named = {name.replace("_", "-"): value for name, value in params.items()}
    call = call_of(method, f"/api2/json{path}", named)
    assert call is not None
    return POLICY.objection(call, reach_of(call), LEASED.__contains__)


ALLOWED = {
    "create in the range": ("POST", "/nodes/pve/lxc", {"vmid": 9050}),
    "restore of any backup": (
        "POST",
        "/nodes/pve/lxc",
        {"vmid": 9000, "restore": 1, "ostemplate": "local:backup/vzdump-lxc-100-x.tar.zst"},
    ),
    "disk of its own": (
        "PUT",
        "/nodes/pve/lxc/9000/config",
        {"mp0": "local:9000/vm-9000-disk-1.raw,mp=/data/100/x"},
    ),
    "linked clone's disk": (
        "PUT",
        "/nodes/pve/qemu/9000/config",
        {"scsi0": "local:100/base-100-disk-0.qcow2/9000/vm-9000-disk-0.qcow2"},
    ),
    "import of a foreign disk": (
        "POST",
        "/nodes/pve/qemu",
        {"vmid": 9000, "scsi0": "local:0,import-from=local:100/vm-100-disk-0.raw"},
    ),
    "clone of a leased one": ("POST", "/nodes/pve/lxc/9000/clone", {"newid": 9001}),
    "clone of a named one": ("POST", "/nodes/pve/lxc/500/clone", {"newid": 9001}),
    "power": ("POST", "/nodes/pve/qemu/9000/status/start", {}),
    "backup": ("POST", "/nodes/pve/vzdump", {"vmid": "9000,9001"}),
    "delete of a backup": (
        "DELETE",
        "/nodes/pve/storage/local/content/local:backup/vzdump-lxc-9000-x.tar.zst",
        {},
    ),
    "stop of a task": (
        "DELETE",
        "/nodes/pve/tasks/UPID:pve:00000001:00000001:6B000001:vzcreate:9000:root@pam:",
        {},
    ),
    "bulk of leased ones": ("POST", "/nodes/pve/stopall", {"vms": "9000,9001"}),
    "bulk by array": ("POST", "/cluster/bulk-action/guest/start", {"vms": [9000, 9001]}),
    "HA": ("POST", "/cluster/ha/resources", {"sid": "ct:9000"}),
}
REFUSED = {
    "create outside the range": ("POST", "/nodes/pve/lxc", {"vmid": 100}, "outside the range"),
    "delete": ("DELETE", "/nodes/pve/lxc/100", {}, "guest 100 is not leased"),
    "config": ("PUT", "/nodes/pve/qemu/100/config", {"memory": 1}, "guest 100"),
    "foreign disk": (
        "PUT",
        "/nodes/pve/lxc/9000/config",
        {"mp0": "local-lvm:vm-100-disk-0,mp=/x"},
        "guest 100",
    ),
    "foreign disk by its key": (
        "PUT",
        "/nodes/pve/lxc/9000/config",
        {"mp0": "mp=/x,volume=local:100/vm-100-disk-0.raw"},
        "guest 100",
    ),
    "bind mount": ("POST", "/nodes/pve/lxc", {"vmid": 9000, "mp0": "/etc,mp=/x"}, "the node"),
    "hook": ("PUT", "/nodes/pve/qemu/9000/config", {"hookscript": "local:x"}, "the node itself"),
    "device": ("PUT", "/nodes/pve/qemu/9000/config", {"hostpci0": "01:00"}, "the node itself"),
    "shared folder": (
        "PUT",
        "/nodes/pve/qemu/9000/config",
        {"virtiofs0": "dirid=x"},
        "the node itself",
    ),
    "monitor": ("POST", "/nodes/pve/qemu/9000/monitor", {"command": "x"}, "the node itself"),
    "image that is named like ours": (
        "DELETE",
        "/nodes/pve/storage/local/content/local:iso%2Fvm-9000-disk.iso",
        {},
        "no guest's",
    ),
    "arguments": ("POST", "/nodes/pve/qemu", {"vmid": 9000, "args": "-x"}, "the node itself"),
    "disk moved to a foreign guest": (
        "POST",
        "/nodes/pve/lxc/9000/move_volume",
        {"volume": "mp0", "target_vmid": 100},
        "guest 100",
    ),
    "clone of a foreign one": ("POST", "/nodes/pve/lxc/100/clone", {"newid": 9000}, "--clone-from"),
    "clone over a foreign one": (
        "POST",
        "/nodes/pve/lxc/9000/clone",
        {"newid": 100},
        "outside the range",
    ),
    "to another cluster": ("POST", "/nodes/pve/lxc/9000/remote_migrate", {}, "another cluster"),
    "backup of a foreign one": ("POST", "/nodes/pve/vzdump", {"vmid": "9000,100"}, "guest 100"),
    "backup of all": ("POST", "/nodes/pve/vzdump", {"all": 1}, "vzdump's parameter all"),
    "volume of a foreign one": (
        "DELETE",
        "/nodes/pve/storage/local/content/local:100%2Fvm-100-disk-0.raw",
        {},
        "guest 100",
    ),
    "template": ("DELETE", "/nodes/pve/storage/local/content/local:vztmpl%2Fx.tar", {}, "no guest"),
    "foreign task": (
        "DELETE",
        "/nodes/pve/tasks/UPID:pve:00000001:00000001:6B000001:vzcreate:100:root@pam:",
        {},
        "guest 100",
    ),
    "foreign HA": ("DELETE", "/cluster/ha/resources/vm:100", {}, "guest 100"),
    "foreign bulk": ("POST", "/cluster/bulk-action/guest/start", {"vms": [9000, 100]}, "guest 100"),
    "user": ("POST", "/access/users", {"userid": "x@pve"}, "POST /access/users"),
    "node": ("POST", "/nodes/pve/status", {"command": "reboot"}, "POST /nodes/pve/status"),
    "pool": ("PUT", "/pools", {"poolid": "x", "vms": "9000"}, "PUT /pools"),
    "upload": ("POST", "/nodes/pve/storage/local/upload", {"content": "iso"}, "upload"),
}


@pytest.mark.parametrize("call", ALLOWED.values(), ids=list(ALLOWED))
def test_what_reaches_leased_guests_only_may_pass(call: tuple[str, str, dict[str, Any]]) -> None:
    method, path, params = call
    assert objection(method, path, **params) == ""


@pytest.mark.parametrize("call", REFUSED.values(), ids=list(REFUSED))
def test_what_reaches_further_is_refused(call: tuple[str, str, dict[str, Any], str]) -> None:
    method, path, params, why = call
    assert why in objection(method, path, **params)


UNCLEAR = {
    "two VMIDs": ("POST", "/nodes/pve/lxc", {"vmid": [9000, 100]}),
    "no VMID": ("POST", "/nodes/pve/lxc", {}),
    "no number": ("POST", "/nodes/pve/lxc", {"vmid": "9000 "}),
    "dots": ("DELETE", "/nodes/pve/lxc/9000/../100", {}),
    "encoded dots": ("DELETE", "/nodes/pve/lxc/9000%2f..%2f100", {}),
    "empty part": ("DELETE", "/nodes/pve//lxc/9000", {}),
    "bulk of all": ("POST", "/nodes/pve/stopall", {}),
    "backup of nothing named": ("POST", "/nodes/pve/vzdump", {}),
}


@pytest.mark.parametrize("call", UNCLEAR.values(), ids=list(UNCLEAR))
def test_what_can_be_read_in_two_ways_is_unclear(call: tuple[str, str, dict[str, Any]]) -> None:
    method, path, params = call
    with pytest.raises(Unclear):
        objection(method, path, **params)


def test_parameter_in_query_and_body_is_unclear() -> None:
    request = Request("POST", "/api2/json/nodes/pve/lxc?vmid=100", FORM, b"vmid=9000")
    with pytest.raises(Unclear, match="in the query and in the body"):
        parsed(request)


def test_json_body_is_read_too() -> None:
    kind = {"content-type": "application/json"}
    call = parsed(Request("POST", "/api2/json/nodes/pve/lxc", kind, b'{"vmid": 100}'))
    assert call is not None
    assert "outside the range" in POLICY.objection(call, reach_of(call), LEASED.__contains__)


@given(
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.lists(
        st.sampled_from(
            "nodes pve lxc qemu 100 9000 %39000 clone config snapshot status storage content local"
            " local:100%2Fvm-100-disk-0 tasks pools access cluster ha resources ct:100".split()
        ),
        min_size=1,
        max_size=7,
    ),
)
def test_no_path_with_a_foreign_vmid_passes(method: str, parts: list[str]) -> None:
    try:
        why = objection(method, "/" + "/".join(parts), newid=9050, vmid=9051)
    except Unclear:
        return
    is_foreign = any("100" in part for part in parts)
    assert why or not is_foreign
