"""VMs: lists, configuration as it is read, and status."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.lxc import ha_state
from pytest_proxmox.simulator.state import Guest, Snapshot
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()
QEMU: Final = "/nodes/{node}/qemu"
VM: Final = "/nodes/{node}/qemu/{vmid}"
_INDEX: Final = (
    "agent",
    "clone",
    "cloudinit",
    "config",
    "feature",
    "firewall",
    "migrate",
    "monitor",
    "move_disk",
    "pending",
    "resize",
    "rrd",
    "rrddata",
    "sendkey",
    "snapshot",
    "spiceproxy",
    "status",
    "template",
    "termproxy",
    "unlink",
    "vncproxy",
    "vncwebsocket",
)
_POWER: Final = ("current", "reboot", "reset", "resume", "shutdown", "start", "stop", "suspend")
FORCED_REMOVAL: Final = 2  # how ``pending`` shows a removal that takes the volume with it


@FAMILY.get(QEMU)
def list_machines(call: Call) -> list[dict[str, Any]]:
    """Return the VMs of a node that the caller may see."""
    full = bool(call.params.get("full"))
    return [
        machines.status_fields(call.sim, guest, full=full)
        for guest in call.state.guests.values()
        if (guest.kind, guest.node) == ("qemu", call.node)
        and call.may(f"/vms/{guest.vmid}", "VM.Audit")
    ]


@FAMILY.get(VM)
def index(call: Call) -> list[dict[str, str]]:
    """Return what there is below a VM."""
    guests.require(call, "qemu")
    return [{"subdir": name} for name in _INDEX]


@FAMILY.get(VM + "/status")
def status_index(call: Call) -> list[dict[str, str]]:
    """Return what there is below a VM's status."""
    guests.require(call, "qemu")
    return [{"subdir": name} for name in _POWER]


@FAMILY.get(VM + "/status/current")
def current(call: Call) -> dict[str, Any]:
    """Return what a VM does now."""
    guest = guests.require(call, "qemu")
    found = machines.status_fields(call.sim, guest, full=True) | {"ha": ha_state(call, guest)}
    if machines.agent_enabled(guest.config):
        found["agent"] = 1
    return found


@FAMILY.get(VM + "/config")
def read_config(call: Call) -> dict[str, Any]:
    """Return the configuration: with what is pending, as it runs, or of a snapshot."""
    guest = guests.require(call, "qemu")
    name = call.params.get("snapshot")
    if name:
        found = snapshot_config(require_snapshot(guest, name))
    else:
        found = dict(guest.config) if call.params.get("current") else hotplug.expected(guest)
    return machines.shown(found) | {"digest": guest.digest()}


def require_snapshot(guest: Guest, name: str) -> Snapshot:
    """Return a VM's snapshot.

    Raises:
        PveError: there is none of that name.
    """
    snapshot = guest.snapshots.get(name)
    if snapshot is None:
        raise PveError(500, f"snapshot '{name}' does not exist")
    return snapshot


def snapshot_config(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot's configuration as PVE shows it: with its time, words and parent."""
    found = {**snapshot.config, "snaptime": snapshot.snaptime}
    if snapshot.description:
        found["description"] = snapshot.description
    if snapshot.parent:
        found["parent"] = snapshot.parent
    return machines.shown(found)


@FAMILY.get(VM + "/pending")
def pending(call: Call) -> list[dict[str, Any]]:
    """Return each key with its value and what is pending for it."""
    guest = guests.require(call, "qemu")
    values = machines.shown(guest.config) | {"digest": call.sim.digest(guest)}
    rows: dict[str, dict[str, Any]] = {
        key: {"key": key, "value": value} for key, value in values.items()
    }
    for name in guest.pending.get("delete", ()):
        key = name.removeprefix(hotplug.FORCED)
        rows[key]["delete"] = FORCED_REMOVAL if name.startswith(hotplug.FORCED) else 1
    waiting = {key: value for key, value in guest.pending.items() if key != "delete"}
    for key, value in machines.shown(waiting).items():
        rows.setdefault(key, {"key": key})["pending"] = value
    return list(rows.values())


@FAMILY.get(VM + "/feature")
def feature(call: Call) -> dict[str, Any]:
    """Return whether a VM's disks can be snapshotted, be the base of clones, or be copied."""
    guest = guests.require(call, "qemu")
    name = call.params.get("snapname")
    config = require_snapshot(guest, name).config if name else guest.config
    able = True
    if call.params["feature"] == "snapshot":
        able = drives.can_snapshot(call.sim, config)
    elif call.params["feature"] == "clone":
        able = all(drives.can_link(call.sim, drive) for drive in machines.disks(config))
    return {"hasFeature": int(able), "nodes": _nodes_with_disks(call, guest)}


def _nodes_with_disks(call: Call, guest: Guest) -> list[str]:
    """Return the nodes that see every volume of a VM."""
    shared = True
    for volid in machines.volids(guest.config):
        storage = call.state.storages.get(volid.partition(":")[0])
        shared = shared and storage is not None and storage.shared
    return list(call.state.nodes) if shared else [guest.node]
