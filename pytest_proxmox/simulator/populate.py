"""From a world to a state: nodes, storages, users, and guests that were always there."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.errors import WorldError
from pytest_proxmox.simulator.identity import ROOT
from pytest_proxmox.simulator.records import INITIAL
from pytest_proxmox.simulator.state import (
    EMPTY,
    GIB,
    AclEntry,
    Guest,
    Node,
    Pool,
    Storage,
    Token,
    User,
    Volume,
)
from pytest_proxmox.simulator.volumes import parse_size
from pytest_proxmox.simulator.world import PASSWORD, World

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

UPTIME_AT_START_S: Final = 2239  # the recorded node had been up for about that long
_STORAGE_FIELDS: Final = ("type", "content", "size", "path", "avail", "shared")
_DISKS: Final = (
    "rootfs",
    "mp",
    "unused",
    "ide",
    "sata",
    "scsi",
    "virtio",
    "efidisk",
    "tpmstate",
)
_SIZE: Final = re.compile(r"(?:^|,)size=([\d.]+[KMGT]?)(?:,|$)")
_UNIX_REALM: Final = {"type": "pam", "comment": "Linux PAM standard authentication"}
_PVE_REALM: Final = {"type": "pve", "comment": "Proxmox VE authentication server"}


def fill(sim: Simulator, world: World) -> None:
    """Put everything that a world describes into an empty state."""
    data, state = world.data, sim.state
    state.settings["version"] = data["version"]
    state.settings["cluster.name"] = data["cluster"]
    state.settings["quorate"] = True
    for number, (name, node) in enumerate(data["nodes"].items(), 1):
        state.nodes[name] = Node(
            name,
            node["maxcpu"],
            node["maxmem"],
            tuple(node["bridges"]),
            node["address"] or f"198.51.100.{9 + number}/24",
            node["online"],
            sim.clock.now() - UPTIME_AT_START_S,
            number,
            kvm=node["kvm"],
        )
    for name, storage in data["storages"].items():
        state.storages[name] = _storage(name, storage)
    for volume in data["volumes"]:
        _put_volume(sim, volume)
    _fill_access(sim, data)
    for key, record in INITIAL.items():
        state.records[key] = record
    state.settings["workloads"] = data["workloads"]
    state.settings["downloads"] = data["downloads"]
    for sid, resource in data["ha"].items():
        state.ha[sid] = resource
    for guest in data["guests"]:
        _put_guest(sim, guest)
    arm(sim, world)


def arm(sim: Simulator, world: World) -> None:
    """Put the fault rules of a world in force."""
    for rule in world.data["faults"]:
        sim.faults.add(**rule)


def _storage(name: str, data: Mapping[str, Any]) -> Storage:
    config = {key: value for key, value in data.items() if key not in _STORAGE_FIELDS}
    return Storage(
        name,
        data["type"],
        tuple(data["content"]),
        data["size"],
        data.get("path", ""),
        data.get("avail"),
        data["shared"],
        config,
    )


def _put_volume(sim: Simulator, data: Mapping[str, Any]) -> None:
    storage = sim.state.storages[data["volid"].partition(":")[0]]
    name = data["volid"].partition(":")[2]
    nodes = [""] if storage.shared else list(sim.state.nodes)
    content = data.get("content") or content_of(name)
    extra = {k: v for k, v in data.items() if k not in ("volid", "size", "format", "content")}
    for node in nodes:
        sim.state.volumes[node, data["volid"]] = Volume(
            data["volid"],
            node,
            content,
            data.get("format") or format_of(name, content),
            data["size"],
            data["size"],
            ctime=int(sim.clock.now()) - UPTIME_AT_START_S,
            data=extra,
        )


def content_of(name: str) -> str:
    """Return the content type that a volume's name shows."""
    prefix = name.partition("/")[0]
    return prefix if prefix in ("vztmpl", "iso", "backup", "snippets", "import") else "images"


def format_of(name: str, content: str) -> str:
    """Return the format that a volume's name shows, as storage listings give it."""
    if content == "vztmpl":
        return "t" + name.rpartition(".")[2] if ".tar." in name else "tar"
    if content in ("iso", "snippets"):
        return "iso" if content == "iso" else "snippet"
    if content == "backup":
        return name.partition(".")[2] or "tar"
    suffix = name.rpartition(".")[2]
    return suffix if suffix in ("raw", "qcow2", "vmdk") else "raw"


def _fill_access(sim: Simulator, data: Mapping[str, Any]) -> None:
    state = sim.state
    state.realms.replace_all({"pam": _UNIX_REALM, "pve": _PVE_REALM})
    for userid, user in {ROOT: {"password": PASSWORD}, **data["users"]}.items():
        state.users[userid] = User(
            userid,
            user.get("password"),
            bool(user.get("enable", 1)),
            int(user.get("expire", 0)),
            tuple(user.get("groups", ())),
        )
    for ident, token in data["tokens"].items():
        state.tokens[ident] = Token(ident, token["secret"], bool(token.get("privsep", 1)))
    for groupid, group in data["groups"].items():
        state.groups[groupid] = {"comment": (group or {}).get("comment")}
    for roleid, privileges in data["roles"].items():
        state.roles[roleid] = frozenset(privileges)
    for poolid, pool in data["pools"].items():
        state.pools[poolid] = Pool(poolid, (pool or {}).get("comment"))
    for acl in data["acls"]:
        entry = AclEntry(
            acl["path"], acl["type"], acl["ugid"], acl["roleid"], bool(acl["propagate"])
        )
        state.acls[entry.path, entry.type, entry.ugid, entry.roleid] = entry


def plant(sim: Simulator, data: Mapping[str, Any]) -> Guest:
    """Check one guest as a world file has it, and put it into the state.

    Raises:
        WorldError: a key is wrong, or the VMID is taken.
    """
    nodes: dict[str, dict[str, Any]] = {name: {} for name in sim.state.nodes}
    checked = World.parse({"nodes": nodes, "guests": [dict(data)]}, origin="plant()")
    guest = checked.data["guests"][0]
    if guest["vmid"] in sim.state.guests:
        raise WorldError(
            "guests[0].vmid",
            f"{guest['vmid']} is taken",
            origin="plant()",
            hint="Give the guest another VMID",
        )
    return _put_guest(sim, guest)


def _put_guest(sim: Simulator, data: Mapping[str, Any]) -> Guest:
    now = sim.clock.now()
    given = dict(data["config"])
    name = given.pop("name", None)
    if name is not None:
        given["hostname" if data["type"] == "lxc" else "name"] = name
    if data["type"] == "qemu" and "memory" in given:
        given["memory"] = str(given["memory"])  # a VM's memory is a text (golden README, point 19)
    config = _defaults(sim, data["type"], data["vmid"], data["node"]) | given
    running = data["status"] == "running"
    guest = Guest(
        data["vmid"],
        data["type"],
        data["node"],
        config,
        data["status"],
        started=now if running else 0.0,
        pid=sim.count("pid") if running else None,
        created=now - UPTIME_AT_START_S,
        changed=now - UPTIME_AT_START_S,
    )
    sim.state.guests[guest.vmid] = guest
    if data.get("pool"):
        sim.state.members[guest.vmid] = data["pool"]
    _put_disks(sim, guest, data.get("files") or EMPTY)
    return guest


def _defaults(sim: Simulator, kind: str, vmid: int, node: str) -> dict[str, Any]:
    if kind == "qemu":
        return {"cores": 1, "memory": "512", "smbios1": f"uuid={uuid.uuid4()}"}
    storage = next(
        (s for s in sim.state.storages.values() if "rootdir" in s.content and not s.disabled), None
    )
    config: dict[str, Any] = {
        "arch": "amd64",
        "hostname": f"CT{vmid}",
        "memory": 512,
        "ostype": "alpine",
        "swap": 512,
        "unprivileged": 1,
    }
    if storage is not None:
        config["rootfs"] = f"{storage.name}:{disk_name(storage, vmid)},size=8G"
    return config


def disk_name(storage: Storage, vmid: int, number: int = 0, suffix: str = "raw") -> str:
    """Return the name of a guest's disk on a storage of that type."""
    name = f"vm-{vmid}-disk-{number}"
    return f"{vmid}/{name}.{suffix}" if storage.path else name


def _put_disks(sim: Simulator, guest: Guest, files: Mapping[str, Any]) -> None:
    for key, value in guest.config.items():
        volid = str(value).partition(",")[0].removeprefix("file=").removeprefix("volume=")
        storage = sim.state.storages.get(volid.partition(":")[0])
        if not _is_disk(key, str(value)) or storage is None:
            continue
        node = "" if storage.shared else guest.node
        size = _SIZE.search(str(value))
        data: dict[str, Any] = {"files": files} if key == "rootfs" else {}
        if guest.kind == "qemu":
            data["system"] = "world"  # what always stood there has an operating system
        sim.state.volumes[node, volid] = Volume(
            volid,
            node,
            "rootdir" if guest.kind == "lxc" else "images",
            format_of(volid, "images"),
            parse_size(size[1]) if size else 8 * GIB,
            vmid=guest.vmid,
            ctime=int(guest.created),
            data=data,
        )


def _is_disk(key: str, text: str) -> bool:
    """Return whether an entry of a configuration names a volume of the guest's own."""
    if key.rstrip("0123456789") not in _DISKS:
        return False
    return "media=cdrom" not in text or "-cloudinit" in text
