"""A container's configuration: what PVE makes of the parameters it is given.

Order of keys, defaults and refusals from golden 02, 03, 08 and 16.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.keys import KeyPattern
from pytest_proxmox.simulator.schema.catalog import load
from pytest_proxmox.simulator.schema.property_strings import properties
from pytest_proxmox.simulator.state import EMPTY, GIB, MIB, Guest, Storage, altered
from pytest_proxmox.simulator.tasks import TaskDied
from pytest_proxmox.simulator.volumes import (
    ability,
    parse_size,
    print_size,
)
from pytest_proxmox.simulator.volumes import (
    gib_to_bytes as gib_to_bytes,
)
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

CREATE: Final = load().method("/nodes/{node}/lxc", "POST")
DEFAULT_DISK_GIB: Final = "4"
DEFAULTS: Final = {"arch": "amd64", "memory": 512, "swap": 512}
MOUNT: Final = KeyPattern(r"rootfs|mp\d+")
NET: Final = KeyPattern(r"net\d+")
UNUSED: Final = KeyPattern(r"unused\d+")
TAG_SEPARATORS: Final = re.compile(r"[,;\s]+")
READ_ONLY: Final = ("unprivileged",)
REQUIRED: Final = ("rootfs",)
# what a running container takes over only at its next start
PENDING_WHILE_RUNNING: Final = frozenset(
    [
        "arch",
        "cmode",
        "console",
        "debug",
        "dev0",
        "entrypoint",
        "env",
        "features",
        "ostype",
        "timezone",
        "tty",
    ]
)
_KIND_OF_KEY: Final[Mapping[str, str]] = {
    "cores": "VM.Config.CPU",
    "cpulimit": "VM.Config.CPU",
    "cpuunits": "VM.Config.CPU",
    "hostname": "VM.Config.Network",
    "memory": "VM.Config.Memory",
    "nameserver": "VM.Config.Network",
    "searchdomain": "VM.Config.Network",
    "swap": "VM.Config.Memory",
}
_FIRST: Final = {"rootfs": ("volume",), "mp": ("volume", "mp"), "net": ("name",)}


def parse(field: str, text: str) -> dict[str, Any]:
    """Return the values in a property string of a container's configuration."""
    return dict(_parsed(field, text))


@lru_cache(maxsize=20_000)  # a list of ten thousand containers reads each one's disk
def _parsed(field: str, text: str) -> Mapping[str, Any]:
    if CREATE is None:
        raise LookupError("the schema has no POST /nodes/{node}/lxc")
    return properties(CREATE, field, text)


def render(field: str, values: Mapping[str, Any]) -> str:
    """Return a property string as PVE writes it: what is required first, then by name."""
    first = _FIRST[field.rstrip("0123456789")]
    keys = [*first, *sorted(key for key in values if key not in first)]
    parts = [f"{key}={values[key]}" for key in keys if key in values]
    return ",".join(parts).removeprefix("volume=")


def mounts(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the volumes that a configuration names, ``rootfs`` first, with their options."""
    found = filter(MOUNT.fullmatch, config)
    for key in sorted(found, key=lambda key: (key != "rootfs", len(key), key)):
        yield key, parse(key, str(config[key]))


def volids(config: Mapping[str, Any]) -> list[str]:
    """Return the ids of all volumes that a configuration names, unused ones too."""
    found = [values["volume"] for _, values in mounts(config)]
    found += [str(value) for key, value in config.items() if UNUSED.fullmatch(key)]
    return [volid for volid in found if ":" in volid]


def normalize(sim: Simulator, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return configuration values as PVE stores them: networks, tags, description."""
    config: dict[str, Any] = {}
    for key, value in params.items():
        if NET.fullmatch(key):
            config[key] = render(
                key, {"type": "veth", "hwaddr": guests.mac_address(sim)} | parse(key, value)
            )
        elif key == "tags":
            config[key] = normalize_tags(value)
        elif key == "description":
            config[key] = value if value.endswith("\n") else value + "\n"
        else:
            config[key] = value
    return config


def normalize_tags(text: str) -> str:
    """Return tags in lower case, each once, sorted; none at all is a blank (golden 08 seq 33)."""
    tags = sorted({tag.lower() for tag in TAG_SEPARATORS.split(text) if tag})
    return ";".join(tags) or " "


def require_privileges(call: Call, vmid: int, keys: Iterable[str]) -> None:
    """Refuse unless the caller may change each of these keys.

    Raises:
        PveError: 403 with the first privilege that is missing.
    """
    if call.auth.is_root_ticket:
        return
    for key in keys:
        if MOUNT.fullmatch(key) or UNUSED.fullmatch(key):
            wanted = "VM.Config.Disk"
        elif NET.fullmatch(key):
            wanted = "VM.Config.Network"
        else:
            wanted = _KIND_OF_KEY.get(key, "VM.Config.Options")
        call.require(f"/vms/{vmid}", wanted)


def require_bridges(call: Call, params: Mapping[str, Any]) -> None:
    """Refuse a network on a bridge that the caller may not use."""
    for key, value in params.items():
        if NET.fullmatch(key) and (bridge := parse(key, value).get("bridge")):
            call.require(f"/sdn/zones/localnetwork/{bridge}", "SDN.Use")


def require_features(call: Call, params: Mapping[str, Any]) -> None:
    """Refuse feature flags other than nesting to everyone but root.

    Raises:
        PveError: 403 (golden 01 seq 86).
    """
    given = parse("features", params["features"]) if params.get("features") else {}
    if set(given) - {"nesting"} and not call.auth.is_root_ticket:
        raise PveError.forbidden(
            "changing feature flags (except nesting) is only allowed for root@pam"
        )


def require_rootdir(call: Call, name: str) -> Storage:
    """Return a storage that can hold containers and that the caller may use.

    Raises:
        PveError: it does not exist, is disabled, holds something else, or 403.
    """
    storage = call.sim.volumes.storage(name, node=call.node)
    call.require(f"/storage/{name}", "Datastore.AllocateSpace")
    if "rootdir" not in storage.content:
        raise PveError.fields(
            {"storage": f"storage '{name}' does not support container directories"}
        )
    return storage


@dataclass(frozen=True, slots=True)
class NewMount:
    """A volume to be made for a key of the configuration."""

    key: str
    storage: str
    gib: str
    options: Mapping[str, Any]


def wanted_mounts(
    call: Call, params: Mapping[str, Any], *, default_storage: str
) -> tuple[list[NewMount], dict[str, str]]:
    """Return the volumes to make, and the entries that use what is there already.

    ``rootfs`` may be ``storage:GiB``, a plain number of GiB, a volume, or missing.

    Raises:
        PveError: what cannot be a volume, or a storage that cannot hold it.
    """
    fresh: list[NewMount] = []
    kept: dict[str, str] = {}
    for key, values in mounts({"rootfs": DEFAULT_DISK_GIB} | dict(params)):
        volume = str(values.pop("volume"))
        storage, colon, name = volume.partition(":")
        if volume.startswith("/"):
            kept[key] = render(key, {"volume": volume} | values)
        elif not colon and _is_number(volume):
            require_rootdir(call, default_storage)
            fresh.append(NewMount(key, default_storage, volume, values))
        elif not colon:
            raise PveError(500, f"unable to parse volume ID '{volume}'")
        else:
            require_rootdir(call, storage)
            if "/" in name or call.sim.volumes.find(volume, call.node):
                kept[key] = render(key, {"volume": volume} | values)
            else:
                fresh.append(NewMount(key, storage, name, values))
    return fresh, kept


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def make_mount(
    sim: Simulator,
    guest: Guest,
    mount: NewMount,
    *,
    content: str = "rootdir",
    data: Mapping[str, Any] = EMPTY,
    used: int = 0,
) -> tuple[str, tuple[str, ...]]:
    """Make a volume for a key and return the entry and what the worker logs.

    Raises:
        TaskDied: the name is no size, or the storage refuses.
    """
    storage = sim.volumes.storage(mount.storage)
    if not _is_number(mount.gib):
        kind = "directory" if ability(storage).files else storage.type
        raise TaskDied(f"unable to parse {kind} volume name '{mount.gib}'")
    size = gib_to_bytes(mount.gib)
    subvolume = ability(storage).subvolume or size == 0
    try:
        volume = sim.volumes.allocate(
            storage,
            guest.node,
            guest.vmid,
            size,
            content=content,
            fmt="subvol" if subvolume else "raw",
            data=data,
            used=used,
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    options = {"volume": volume.volid, **mount.options, "size": print_size(size) if size else "0T"}
    return render(mount.key, options), () if subvolume else format_log(
        sim, volume.volid, guest.node
    )


def format_log(sim: Simulator, volid: str, node: str) -> tuple[str, ...]:
    """Return what making a file system in a fresh image logs."""
    volume = sim.volumes.find(volid, node)
    if volume is None:
        return ()
    small = volume.size < GIB // 2
    block = 1 if small else 4
    blocks = volume.size // (block * 1024)
    lines = [f"Creating filesystem with {blocks} {block}k blocks and {blocks // 4} inodes"]
    storage = sim.state.storages[volume.storage]
    if ability(storage).files and storage.type != "btrfs":
        lines.insert(
            0,
            f"Formatting '{sim.volumes.path(volume)}', fmt=raw size={volume.size}"
            " preallocation=off",
        )
    return tuple(lines)


def maxdisk(sim: Simulator, guest: Guest) -> int:
    """Return the size of the root volume as status and lists show it."""
    text = guest.config.get("rootfs")
    size = parse("rootfs", str(text)).get("size") if text else None
    return parse_size(size) if size else int(DEFAULT_DISK_GIB) * GIB


def status_fields(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return what ``status/current`` and the list of containers have in common."""
    config = guest.config
    half_made = "arch" not in config
    fields: dict[str, Any] = {
        "cpu": 0,
        "cpus": config.get("cores") or sim.state.nodes[guest.node].maxcpu,
        "disk": 0,
        "diskread": 0,
        "diskwrite": 0,
        "maxdisk": maxdisk(sim, guest),
        "maxmem": int(config.get("memory", 512)) * MIB,
        "maxswap": 0 if half_made else int(config.get("swap", 0)) * MIB,
        "mem": 0,
        "name": guest.name,
        "netin": 0,
        "netout": 0,
        "status": guest.status,
        "swap": 0,
        "type": "lxc",
        "uptime": 0,
        "vmid": guest.vmid,
    }
    for key in ("lock", "tags"):
        if config.get(key):
            fields[key] = config[key]
    if guest.template:
        fields["template"] = 1
    return fields | (_running_fields(sim, guest) if guest.running else {})


def _running_fields(sim: Simulator, guest: Guest) -> dict[str, Any]:
    uptime = max(1, int(sim.clock.now() - guest.started))
    pressures = {
        f"pressure{what}{part}": "0.00"
        for what, part in (
            ("cpu", "full"),
            ("cpu", "some"),
            ("io", "full"),
            ("io", "some"),
            ("memory", "full"),
            ("memory", "some"),
        )
    }
    return pressures | {
        "disk": used_disk(sim, guest),
        "mem": 1_507_328,  # what the recorded container used
        "pid": guest.pid,
        "uptime": uptime,
    }


def used_disk(sim: Simulator, guest: Guest) -> int:
    """Return how many bytes of the root volume are used."""
    text = guest.config.get("rootfs")
    volume = sim.volumes.find(str(text).partition(",")[0], guest.node) if text else None
    return volume.used if volume is not None else 0


def apply_pending(sim: Simulator, guest: Guest) -> Guest:
    """Return the container with its pending changes made, as a start or stop makes them."""
    if not guest.pending:
        return guest
    removed = tuple(guest.pending.get("delete", ()))
    changes = {key: value for key, value in guest.pending.items() if key != "delete"}
    return altered(guest.with_config(changes, remove=removed), pending=EMPTY)
