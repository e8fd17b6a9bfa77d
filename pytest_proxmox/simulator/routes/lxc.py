"""Containers: lists, configuration and status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.state import EMPTY, Guest
from pytest_proxmox.simulator.volumes import print_size
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()
LXC: Final = "/nodes/{node}/lxc"
CT: Final = "/nodes/{node}/lxc/{vmid}"
_INDEX: Final = [
    "config",
    "pending",
    "status",
    "vncproxy",
    "termproxy",
    "vncwebsocket",
    "spiceproxy",
    "migrate",
    "clone",
    "rrd",
    "rrddata",
    "firewall",
    "snapshot",
    "resize",
    "interfaces",
]
_NOT_OPTIONS: Final = ("node", "vmid", "delete", "revert", "digest")
HA_ROUND_S: Final = 10.0  # how long the manager takes to notice a resource
_INTERNAL_ARCH: Final = "missing 'arch' - internal error at /usr/share/perl5/PVE/LXC.pm line 729."


@FAMILY.get(LXC)
def list_containers(call: Call) -> list[dict[str, Any]]:
    """Return the containers of a node that the caller may see."""
    return [
        containers.status_fields(call.sim, guest)
        for guest in call.state.guests.values()
        if (guest.kind, guest.node) == ("lxc", call.node)
        and call.may(f"/vms/{guest.vmid}", "VM.Audit")
    ]


@FAMILY.get(CT)
def index(call: Call) -> list[dict[str, str]]:
    """Return what there is below a container."""
    guests.require(call, "lxc")
    return [{"subdir": name} for name in _INDEX]


@FAMILY.get(CT + "/status")
def status_index(call: Call) -> list[dict[str, str]]:
    """Return what there is below a container's status."""
    guests.require(call, "lxc")
    names = ["current", "start", "stop", "shutdown", "reboot", "migrate"]
    return [{"subdir": name} for name in names]


@FAMILY.get(CT + "/status/current")
def current(call: Call) -> dict[str, Any]:
    """Return what a container does now."""
    guest = guests.require(call, "lxc")
    return containers.status_fields(call.sim, guest) | {"ha": ha_state(call, guest)}


def ha_state(call: Call, guest: Guest) -> dict[str, Any]:
    """Return whether high availability manages a guest, and how."""
    sid = f"{'ct' if guest.kind == 'lxc' else 'vm'}:{guest.vmid}"
    resource = call.state.ha.get(sid)
    if resource is None:
        return {"managed": 0}
    known = call.sim.clock.now() - resource.get("since", 0.0) >= HA_ROUND_S
    return {"managed": 1, "state": resource.get("state", "started") if known else None}


@FAMILY.get(CT + "/config")
def read_config(call: Call) -> dict[str, Any]:
    """Return the configuration: with what is pending, as it runs, or of a snapshot."""
    guest = guests.require(call, "lxc")
    name = call.params.get("snapshot")
    if name:
        snapshot = guest.snapshots.get(name)
        if snapshot is None:
            raise PveError(500, f"snapshot '{name}' does not exist")
        return snapshot_config(snapshot.config, snapshot) | {"digest": guest.digest()}
    shown = guest if call.params.get("current") else containers.apply_pending(call.sim, guest)
    return {**shown.config, "digest": call.sim.digest(guest)}


def snapshot_config(config: Mapping[str, Any], snapshot: Any) -> dict[str, Any]:
    """Return a snapshot's configuration as PVE shows it: with its time, words and parent."""
    found = {**config, "snaptime": snapshot.snaptime}
    if snapshot.description:
        found["description"] = snapshot.description
    if snapshot.parent:
        found["parent"] = snapshot.parent
    return found


@FAMILY.get(CT + "/pending")
def pending(call: Call) -> list[dict[str, Any]]:
    """Return each key with its value and what is pending for it."""
    guest = guests.require(call, "lxc")
    return pending_list(guest)


def pending_list(guest: Guest) -> list[dict[str, Any]]:
    """Return the list of keys with ``value``, ``pending`` and ``delete``."""
    rows: dict[str, dict[str, Any]] = {
        key: {"key": key, "value": value} for key, value in guest.config.items()
    }
    rows["digest"] = {"key": "digest", "value": guest.digest()}
    for key, value in guest.pending.items():
        if key == "delete":
            for name in value:
                rows.setdefault(name, {"key": name})["delete"] = 1
        else:
            rows.setdefault(key, {"key": key})["pending"] = value
    return list(rows.values())


@FAMILY.put(CT + "/config")
def change_config(call: Call) -> None:
    """Set, delete and revert keys of the configuration."""
    params, vmid = call.params, call.params["vmid"]
    changes = {key: value for key, value in params.items() if key not in _NOT_OPTIONS}
    deleted = _names(call, "delete", params.get("delete"))
    reverted = _names(call, "revert", params.get("revert"))
    if not changes and not deleted and not reverted:
        raise PveError(500, "no options specified")
    clash = next((key for key in deleted if key in changes), None)
    if clash is not None:
        text = f"you can't use '-{clash}' and -delete {clash}' at the same time"
        raise PveError.fields({"delete": text})
    containers.require_privileges(call, vmid, [*changes, *deleted])
    _require_changes(call, changes)
    guests.require(call, "lxc")
    call.sim.tasks.await_lock(guests.lock_file("lxc", vmid))
    guest = guests.require(call, "lxc")
    guests.require_writable(call.sim, guest)
    guests.refuse_locked(guest)
    guests.check_digest(guest, params.get("digest"))
    guest = _revert(guest, reverted)
    guest = _delete(call, guest, deleted)
    call.sim.put_guest(_set(call, guest, changes))


def _require_changes(call: Call, changes: Mapping[str, Any]) -> None:
    containers.require_bridges(call, changes)
    containers.require_features(call, changes)


def _names(call: Call, field: str, text: Any) -> list[str]:
    """Return the names in a list of keys; what is no key of a configuration is refused."""
    found = [
        name for name in str(text or "").replace(";", ",").replace(" ", ",").split(",") if name
    ]
    method = call.sim.schema.method(CT + "/config", "PUT")
    known = method.fields if method else EMPTY
    for name in found:
        if name not in known or name in _NOT_OPTIONS:
            raise PveError.fields({field: f"unknown option '{name}'"})
    return found


def _revert(guest: Guest, names: Iterable[str]) -> Guest:
    pending_now = {k: v for k, v in guest.pending.items() if k not in set(names)}
    if "delete" in pending_now:
        kept = tuple(name for name in pending_now["delete"] if name not in set(names))
        pending_now["delete"] = kept
        if not kept:
            del pending_now["delete"]
    return replace(guest, pending=pending_now)


def _delete(call: Call, guest: Guest, names: Iterable[str]) -> Guest:
    for name in names:
        if name in containers.READ_ONLY:
            raise PveError(500, f"unable to delete read-only option: '{name}'")
        if name in containers.REQUIRED:
            raise PveError(500, f"unable to delete required option '{name}'")
        if name == "arch":
            raise PveError(500, _INTERNAL_ARCH)
        if guest.running and name in containers.PENDING_WHILE_RUNNING:
            waiting = (*guest.pending.get("delete", ()), name)
            guest = replace(guest, pending={**guest.pending, "delete": waiting})
        else:
            guest = _delete_now(call, guest, name)
    return guest


def _delete_now(call: Call, guest: Guest, name: str) -> Guest:
    value = guest.config.get(name)
    guest = guest.with_config({}, remove=(name,))
    if value is None:
        return guest
    if containers.UNUSED.fullmatch(name):
        volume = call.sim.volumes.find(str(value), guest.node)
        if volume is not None:
            call.sim.volumes.drop(volume)
    elif containers.MOUNT.fullmatch(name):
        guest = keep_unused(guest, containers.parse(name, str(value))["volume"])
    return guest


def keep_unused(guest: Guest, volid: str) -> Guest:
    """Return the guest with a volume that it no longer mounts kept as unused."""
    if ":" not in volid or volid in containers.volids(guest.config):
        return guest
    return guest.with_config({guests.next_unused(guest.config): volid})


def _set(call: Call, guest: Guest, changes: Mapping[str, Any]) -> Guest:
    for key in changes:
        if key in containers.READ_ONLY and changes[key] != guest.config.get(key, 0):
            raise PveError(500, f"unable to modify read-only option: '{key}'")
    guest = _set_mounts(call, guest, changes)
    plain = {k: v for k, v in changes.items() if not containers.MOUNT.fullmatch(k)}
    for key, value in containers.normalize(call.sim, plain).items():
        if key == "description" and value == "\n":
            guest = guest.with_config({}, remove=(key,))
        elif guest.running and key in containers.PENDING_WHILE_RUNNING:
            guest = replace(guest, pending={**guest.pending, key: value})
        else:
            guest = guest.with_config({key: value})
    return guest


def _set_mounts(call: Call, guest: Guest, changes: Mapping[str, Any]) -> Guest:
    given = {k: v for k, v in changes.items() if containers.MOUNT.fullmatch(k)}
    for key, text in given.items():
        old = guest.config.get(key)
        entry = _mount_entry(call, guest, key, str(text))
        guest = guest.with_config({key: entry})
        if old is not None:
            guest = keep_unused(guest, containers.parse(key, str(old))["volume"])
        guest = _use(guest, containers.parse(key, entry)["volume"])
    return guest


def _use(guest: Guest, volid: str) -> Guest:
    """Return the guest without the unused entry of a volume that it now mounts."""
    again = tuple(
        key
        for key, value in guest.config.items()
        if containers.UNUSED.fullmatch(key) and value == volid
    )
    return guest.with_config({}, remove=again) if again else guest


def _mount_entry(call: Call, guest: Guest, key: str, text: str) -> str:
    fresh, kept = containers.wanted_mounts(
        call, {key: text, **({} if key == "rootfs" else _root(guest))}, default_storage="local"
    )
    for mount in fresh:
        if mount.key == key:
            return containers.make_mount(call.sim, guest, mount)[0]
    values = containers.parse(key, kept[key])
    volume = call.sim.volumes.find(values["volume"], guest.node)
    if volume is not None and volume.size:
        values["size"] = print_size(volume.size)
    else:
        values.pop("size", None)
    return containers.render(key, values)


def _root(guest: Guest) -> dict[str, Any]:
    return {"rootfs": guest.config["rootfs"]} if "rootfs" in guest.config else {}


@FAMILY.get(CT + "/interfaces")
def interfaces(call: Call) -> list[dict[str, Any]] | None:
    """Return a running container's network interfaces; null for one that does not run."""
    guest = guests.find(call.sim, call.node, "lxc", call.params["vmid"])
    if guest is None or not guest.running:
        return None
    loopback = "00:00:00:00:00:00"
    found = [_interface("lo", loopback, [{"ip-address": "127.0.0.1", "prefix": 8}])]
    for key, value in guest.config.items():
        if containers.NET.fullmatch(key):
            values = containers.parse(key, str(value))
            addresses = _static(values) or _served(call, guest)
            found.append(_interface(values["name"], values["hwaddr"].lower(), addresses))
    return found


def _served(call: Call, guest: Guest) -> list[dict[str, Any]]:
    """Return the address on which the guest's workload answers, as DHCP would have given it."""
    workloads = call.sim.workloads
    address = workloads.address(guest.vmid) if workloads is not None else None
    return [{"ip-address": address, "prefix": 8}] if address else []


def _static(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    address, slash, prefix = str(values.get("ip", "")).partition("/")
    return [{"ip-address": address, "prefix": int(prefix)}] if slash else []


def _interface(name: str, mac: str, addresses: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "hwaddr": mac, "hardware-address": mac}
    listed = [a | {"ip-address-type": "inet"} for a in addresses]
    found["ip-addresses"] = listed
    if addresses:
        found["inet"] = f"{addresses[0]['ip-address']}/{addresses[0]['prefix']}"
    return found
