"""A VM's configuration: what PVE makes of the parameters it is given.

Defaults, forms and figures from golden 10 and 11; options as Proxmox's public documentation of
``qm.conf`` describes them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator import containers, guests
from pytest_proxmox.simulator.keys import KeyPattern
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.schema.catalog import load
from pytest_proxmox.simulator.schema.property_strings import properties
from pytest_proxmox.simulator.schema.property_strings import render as render_properties
from pytest_proxmox.simulator.state import EMPTY, MIB, Guest, Task
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

CREATE: Final = load().method("/nodes/{node}/qemu", "POST")
DRIVE: Final = re.compile(r"(ide|sata|scsi|virtio)\d+|efidisk0|tpmstate0")
BUS: Final = re.compile(r"(ide|sata|scsi|virtio)\d+")
NET: Final = KeyPattern(r"net\d+")
UNUSED: Final = KeyPattern(r"unused\d+")
CLOUDINIT_DRIVE: Final = re.compile(r"(?:.*/)?vm-\d+-cloudinit(?:\.\w+)?")
NO_BOOT: Final = " "  # how PVE writes that there is nothing to start from (golden 10 seq 29)
DEFAULT_MEMORY_MIB: Final = 512
DEFAULT_HOTPLUG: Final = "network,disk,usb"
QEMU_VERSION: Final = "7.2.22"  # of the recorded node (golden 10 seq 101)
HIDDEN_PASSWORD: Final = "**********"  # noqa: S105 - what PVE shows in place of one
CLOUDINIT_KEYS: Final = (
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
)
IPCONFIG: Final = re.compile(r"ipconfig\d+")
_MADE_BY_PVE: Final = frozenset(["boot", "digest", "meta", "smbios1", "vmgenid"])
_BUSES_BY_RANK: Final = ("ide", "scsi", "virtio", "sata")


def parse(key: str, text: str) -> dict[str, Any]:
    """Return the values in a property string of a VM's configuration."""
    if CREATE is None:
        raise LookupError("the schema has no POST /nodes/{node}/qemu")
    return properties(CREATE, key, text)


def render(key: str, values: Mapping[str, Any]) -> str:
    """Return a property string as PVE writes it."""
    if CREATE is None:
        raise LookupError("the schema has no POST /nodes/{node}/qemu")
    return render_properties(CREATE, key, values)


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive of a configuration: ``file`` is a volume id, ``none``, ``cdrom`` or a device."""

    key: str
    file: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, key: str, text: Any) -> Self:
        """Return the drive that an entry describes; one that nobody can read is its first word."""
        try:
            values = parse(key, str(text))
        except InvalidValue:
            values = {"file": str(text).partition(",")[0]}
        file = str(values.pop("file", "none"))
        return cls(key, file, values)

    @property
    def is_cdrom(self) -> bool:
        """Whether it is a CD-ROM drive, cloud-init's too."""
        return self.options.get("media") == "cdrom"

    @property
    def is_cloudinit(self) -> bool:
        """Whether it is the drive that cloud-init reads."""
        return CLOUDINIT_DRIVE.fullmatch(self.file.partition(":")[2]) is not None

    @property
    def volid(self) -> str | None:
        """The volume in it, None where there is none."""
        return self.file if ":" in self.file and not self.file.startswith("/") else None

    @property
    def owned(self) -> bool:
        """Whether its volume is the VM's own, not a CD image that others use as well."""
        return self.volid is not None and (not self.is_cdrom or self.is_cloudinit)

    def holding(self, volid: str, **options: Any) -> Self:
        """Return the drive with another volume, and options changed."""
        return replace(self, file=volid, options={**self.options, **options})

    def text(self) -> str:
        """Return the entry as the configuration has it."""
        return render(self.key, {**self.options, "file": self.file})


def rank(key: str) -> tuple[str, int]:
    """Return where a numbered key comes in order: ``scsi2`` before ``scsi10``."""
    stem = key.rstrip("0123456789")
    return stem, int(key[len(stem) :] or 0)


def drives(config: Mapping[str, Any]) -> Iterator[Drive]:
    """Yield the drives that a configuration names, in order."""
    for key in sorted((key for key in config if DRIVE.fullmatch(key)), key=rank):
        yield Drive.read(key, config[key])


def disks(config: Mapping[str, Any]) -> Iterator[Drive]:
    """Yield the drives with data of the VM's own: neither CDs nor cloud-init."""
    for drive in drives(config):
        if drive.owned and not drive.is_cdrom:
            yield drive


def volids(config: Mapping[str, Any]) -> list[str]:
    """Return the ids of all volumes of the VM's own that a configuration names."""
    found = [drive.file for drive in drives(config) if drive.owned]
    found += [str(config[key]) for key in sorted(filter(UNUSED.fullmatch, config), key=rank)]
    if config.get("vmstate"):
        found.append(str(config["vmstate"]))
    return found


def boot_order(config: Mapping[str, Any]) -> str:
    """Return what PVE starts from where nobody says: the first disk, CD and network."""
    found = []
    by_rank = sorted(
        (drive for drive in drives(config) if BUS.fullmatch(drive.key)),
        key=lambda drive: (_BUSES_BY_RANK.index(rank(drive.key)[0]), rank(drive.key)[1]),
    )
    found += [drive.key for drive in by_rank if not drive.is_cdrom][:1]
    found += [drive.key for drive in by_rank if drive.is_cdrom and not drive.is_cloudinit][:1]
    found += sorted(filter(NET.fullmatch, config), key=rank)[:1]
    return f"order={';'.join(found)}" if found else NO_BOOT


def boot_keys(config: Mapping[str, Any]) -> list[str]:
    """Return the keys in a configuration's boot order."""
    text = str(config.get("boot", ""))
    return [key for key in text.removeprefix("order=").split(";") if key.strip()]


def without_boot_key(guest: Guest, key: str) -> Guest:
    """Return the guest with a device out of its boot order (golden 10 seq 194)."""
    left = [other for other in boot_keys(guest.config) if other != key]
    if str(guest.config.get("boot", "")).startswith("order="):
        return guest.with_config({"boot": f"order={';'.join(left)}" if left else NO_BOOT})
    return guest


def boot_disk(config: Mapping[str, Any]) -> Drive | None:
    """Return the disk that a VM starts from, its first one where the order names none."""
    found = {drive.key: drive for drive in disks(config) if BUS.fullmatch(drive.key)}
    for key in boot_keys(config):
        if key in found:
            return found[key]
    return next(iter(found.values()), None)


def fresh_uuid(sim: Simulator) -> str:
    """Return a new UUID; the same simulator gives the same ones again."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"vm {sim.count('uuid')}"))


def identity(sim: Simulator, given: Mapping[str, Any] = EMPTY) -> dict[str, str]:
    """Return what makes a VM one of its own: its SMBIOS UUID and its generation id."""
    found = {"smbios1": f"uuid={fresh_uuid(sim)}", "vmgenid": fresh_uuid(sim)}
    text = str(given.get("smbios1", ""))
    if text:
        values = parse("smbios1", text)
        found["smbios1"] = render("smbios1", {"uuid": fresh_uuid(sim)} | values)
    if str(given.get("vmgenid", "1")) != "1":
        found["vmgenid"] = str(given["vmgenid"])
    return found


def normalize(sim: Simulator, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return configuration values as PVE stores them."""
    config: dict[str, Any] = {}
    for key, value in params.items():
        if NET.fullmatch(key):
            config[key] = render(key, {"macaddr": guests.mac_address(sim)} | parse(key, value))
        elif key == "tags":
            config[key] = containers.normalize_tags(value)
        elif key == "memory":
            config[key] = str(parse(key, str(value))["current"])
        elif key == "cipassword":
            config[key] = f"$5${sim.digest_of(value)[:43]}"
        elif key == "cdrom":
            config["ide2"] = Drive.read("ide2", value).holding(value, media="cdrom").text()
        else:
            config[key] = value
    return config


def fresh_addresses(sim: Simulator, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the networks of a configuration with new MAC addresses."""
    return {
        key: render(key, parse(key, str(config[key])) | {"macaddr": guests.mac_address(sim)})
        for key in filter(NET.fullmatch, config)
    }


def shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as clients may see it: without its password."""
    found = dict(config)
    if "cipassword" in found:
        found["cipassword"] = HIDDEN_PASSWORD
    return found


# --- what a VM does -----------------------------------------------------------------------------


def agent_enabled(config: Mapping[str, Any]) -> bool:
    """Return whether the configuration says that a guest agent answers."""
    text = config.get("agent")
    return bool(text) and bool(parse("agent", str(text)).get("enabled"))


def has_system(sim: Simulator, guest: Guest) -> bool:
    """Return whether an operating system runs in a VM, which hears ACPI and answers.

    A disk that was made empty holds none, as on the recorded node; one that was imported, cloned
    or restored from such, or stood in the world, does. A guest agent cannot be without one.
    """
    if agent_enabled(guest.config):
        return True
    for drive in disks(guest.config):
        volume = sim.volumes.find(drive.file, guest.node)
        if volume is not None and volume.data.get("system"):
            return True
    return False


def can_start(config: Mapping[str, Any], *, kvm: bool | None) -> bool:
    """Return whether QEMU starts for a VM on a node with ``kvm``, or with none of it.

    The recorded node had no KVM (golden 10 seq 32), and all its VMs but one said ``kvm: 0``. A
    world that says nothing of it is taken for that node where that one VM was concerned, of which
    nothing had been said but its VMID; whatever else a VM has is a reason to let it start.
    """
    if kvm is None:
        return bool(config.keys() - _MADE_BY_PVE)
    return kvm or not config.get("kvm", 1)


def cloudinit_values(guest: Guest, config: Mapping[str, Any] = EMPTY) -> dict[str, Any]:
    """Return what cloud-init is told: its own keys, the name, the networks' addresses."""
    found = {
        key: value
        for key, value in (config or guest.config).items()
        if key in CLOUDINIT_KEYS or IPCONFIG.fullmatch(key) or NET.fullmatch(key)
    }
    return found | {"name": (config or guest.config).get("name", f"VM{guest.vmid}")}


def cpus(config: Mapping[str, Any]) -> int:
    """Return how many processors a VM has."""
    return int(config.get("vcpus") or int(config.get("cores", 1)) * int(config.get("sockets", 1)))


def memory_mib(config: Mapping[str, Any]) -> int:
    """Return how much memory a VM has."""
    return int(config.get("memory") or DEFAULT_MEMORY_MIB)


def maxdisk(sim: Simulator, guest: Guest) -> int:
    """Return the size of the boot disk in bytes."""
    drive = boot_disk(guest.config)
    volume = sim.volumes.find(drive.file, guest.node) if drive is not None else None
    return volume.size if volume is not None else 0


def status_fields(sim: Simulator, guest: Guest, *, full: bool = False) -> dict[str, Any]:
    """Return what ``status/current`` and the list of VMs have in common."""
    config = guest.config
    fields: dict[str, Any] = {
        "cpu": 0,
        "cpus": cpus(config),
        "disk": 0,
        "maxdisk": maxdisk(sim, guest),
        "maxmem": memory_mib(config) * MIB,
        "mem": 0,
        "memhost": 0,
        "name": guest.name,
        "netin": 0,
        "netout": 0,
        "status": "running" if guest.running else "stopped",
        "uptime": 0,
        "vmid": guest.vmid,
    }
    if str(config.get("tags", "")).strip():
        fields["tags"] = config["tags"]
    if guest.lock:
        fields["lock"] = guest.lock
    if guest.template:
        fields["template"] = 1
    if any(key.startswith("serial") for key in config):
        fields["serial"] = 1
    if full:
        fields["qmpstatus"] = guest.status
    return fields | (_running_fields(sim, guest, full=full) if guest.running else {})


def _running_fields(sim: Simulator, guest: Guest, *, full: bool) -> dict[str, Any]:
    memory = memory_mib(guest.config) * MIB // 4 if has_system(sim, guest) else 0
    fields: dict[str, Any] = {
        "mem": memory,
        "memhost": memory,
        "pid": guest.pid,
        "uptime": int(sim.clock.now() - guest.started),
    }
    for what in ("cpu", "io", "memory"):
        fields[f"pressure{what}full"] = fields[f"pressure{what}some"] = 0
    nets = sorted(filter(NET.fullmatch, guest.config), key=rank)
    if full and nets:
        taps = [f"tap{guest.vmid}i{rank(key)[1]}" for key in nets]
        fields["nics"] = {tap: {"netin": 0, "netout": 0} for tap in taps}
    return fields


def known_names(call: Call, key: str, text: Any) -> list[str]:
    """Return the names in a parameter that lists keys of a configuration.

    Raises:
        PveError: ``unknown option 'bogus'`` (golden 10 seq 96).
    """
    method = call.sim.schema.method("/nodes/{node}/qemu/{vmid}/config", "PUT")
    known = method.fields if method else EMPTY
    found = split(text)
    for name in found:
        if name not in known or name in ("node", "vmid", "delete", "revert", "digest"):
            raise PveError.fields({key: f"unknown option '{name}'"})
    return found


# --- a VM comes to be ---------------------------------------------------------------------------


def half_made(call: Call, vmid: int) -> Guest:
    """Return what others see while a worker makes a VM: a lock and nothing else."""
    return Guest(vmid, "qemu", call.node, {"lock": "create"}, created=call.sim.clock.now())


def settle(sim: Simulator, task: Task) -> None:
    """Do what comes after a VM was made: its pool, high availability, its start."""
    vmid, pool = task.args["vmid"], task.args["pool"]
    if pool and pool in sim.state.pools:
        sim.state.members[vmid] = pool
    if task.args["ha"]:
        wanted = "started" if task.args["start"] else "stopped"
        sim.state.ha[f"vm:{vmid}"] = {"state": wanted, "since": sim.clock.now()}
    if task.args["start"]:
        sim.tasks.start_after(task, "qmstart", vmid, guests.lock_file("qemu", vmid))
