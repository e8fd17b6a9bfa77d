"""Drives of VMs come to be: empty disks, imported ones, firmware and cloud-init drives.

Names, sizes and log lines of dir storages from golden 10 and 11; other types, firmware and
cloud-init drives follow Proxmox's public documentation, no recording shows them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import machines
from pytest_proxmox.simulator.machines import Drive
from pytest_proxmox.simulator.state import GIB, MIB, Guest, Storage, Volume
from pytest_proxmox.simulator.tasks import TaskDied
from pytest_proxmox.simulator.volumes import KIB, Ability, ability, print_size
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call
    from pytest_proxmox.simulator.simulator import Simulator

CLOUDINIT: Final = "cloudinit"
CLOUDINIT_SIZE: Final = 4 * MIB
TPM_SIZE: Final = 4 * MIB
BLOCK_FIRMWARE_SIZE: Final = 4 * MIB  # the smallest a volume group gives
FIRMWARE_SIZES: Final = {"2m": 128 * KIB, "4m": 528 * KIB}
FILE_FORMATS: Final = ("raw", "qcow2", "vmdk")
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_NOT_KEPT: Final = ("format", "import-from")


@dataclass(frozen=True, slots=True)
class NewDrive:
    """A drive to be made for a key: its storage, its size in GiB, what to import into it."""

    key: str
    storage: str
    gib: str
    options: Mapping[str, Any]

    @property
    def source(self) -> str | None:
        """The volume or path to import."""
        return self.options.get("import-from")

    @property
    def entry_options(self) -> dict[str, Any]:
        """What the entry in the configuration keeps of the request."""
        return {key: value for key, value in self.options.items() if key not in _NOT_KEPT}

    def plain(self) -> list[Any]:
        """Return it as plain values, for a task's arguments."""
        return [self.key, self.storage, self.gib, dict(self.options)]


def images_storage(call: Call, name: str) -> Storage:
    """Return a storage that can hold disks of VMs and that the caller may use.

    Raises:
        PveError: it does not exist, is disabled, holds something else, or 403.
    """
    storage = call.sim.volumes.storage(name, node=call.node)
    call.require(f"/storage/{name}", "Datastore.AllocateSpace")
    if "images" not in storage.content:
        raise PveError.fields({"storage": f"storage '{name}' does not support vm images"})
    return storage


def wanted(call: Call, params: Mapping[str, Any]) -> tuple[list[NewDrive], dict[str, str]]:
    """Return the drives to make, and the entries that use what is there already.

    Raises:
        PveError: a storage that cannot be used, or a path that only root may give.
    """
    fresh: list[NewDrive] = []
    kept: dict[str, str] = {}
    for key in sorted(filter(machines.DRIVE.fullmatch, params), key=machines.rank):
        drive = Drive.read(key, params[key])
        new = _new_drive(call, drive)
        if new is None:
            kept[key] = drive.text()
        else:
            fresh.append(new)
    return fresh, kept


def _new_drive(call: Call, drive: Drive) -> NewDrive | None:
    """Return what is to be made for a drive, None where it uses what is there."""
    storage, colon, name = drive.file.partition(":")
    if drive.file.startswith("/"):
        if not call.auth.is_root_ticket:  # text as in public reports, not recorded
            raise PveError(500, "Only root can pass arbitrary filesystem paths.")
        return None
    if not colon:
        return None
    if name == CLOUDINIT:
        images_storage(call, storage)
        return NewDrive(drive.key, storage, CLOUDINIT, {**drive.options, "media": "cdrom"})
    if _NUMBER.fullmatch(name):
        images_storage(call, storage)
        _check_source(call, drive)
        return NewDrive(drive.key, storage, name, drive.options)
    call.sim.volumes.storage(storage, node=call.node)
    reading = ("Datastore.Audit", "Datastore.AllocateSpace")
    call.require(f"/storage/{storage}", *reading, either=True)
    return None


def _check_source(call: Call, drive: Drive) -> None:
    """Refuse to import what the caller may not read; texts are not recorded."""
    source = drive.options.get("import-from")
    if source is None:
        return
    if str(source).startswith("/"):
        if not call.auth.is_root_ticket:
            raise PveError(500, "Only root can pass arbitrary filesystem paths.")
        return
    storage = str(source).partition(":")[0]
    call.sim.volumes.storage(storage, node=call.node)
    volume = call.sim.volumes.find(str(source), call.node)
    if volume is not None and volume.vmid is not None and volume.content == "images":
        call.require(f"/vms/{volume.vmid}", "VM.Clone")
    else:
        call.require(f"/storage/{storage}", "Datastore.AllocateSpace")


# --- making them --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A drive that was made: its entry in the configuration, its volume, the log."""

    drive: Drive
    volume: Volume
    log: tuple[str, ...] = ()


def make(sim: Simulator, guest: Guest, new: NewDrive) -> Made:
    """Make a drive's volume and return both.

    Raises:
        TaskDied: the storage refuses, or what is to be imported is not there.
    """
    try:
        storage = sim.volumes.storage(new.storage)
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    if new.gib == CLOUDINIT:
        volume = make_cloudinit(sim, guest, storage)
        return Made(Drive(new.key, volume.volid, new.entry_options), volume)
    source = find_source(sim, guest, new.source) if new.source else None
    fmt = chosen_format(storage, new.options.get("format"))
    size = _size(new, storage, source)
    volume = allocate(sim, guest, storage, size, fmt=fmt, source=source)
    options = new.entry_options | {"size": print_size(size)}
    drive = Drive(new.key, volume.volid, options)
    log = (
        *format_log(sim, volume),
        f"{new.key}: successfully created disk '{drive.text()}'",
    )
    return Made(drive, volume, log)


def make_all(
    sim: Simulator, guest: Guest, args: Mapping[str, Any]
) -> tuple[dict[str, str], tuple[str, ...], int]:
    """Return the entries of a task's drives, what making them logs, and the bytes imported.

    ``args["fresh"]`` says what to make, ``args["kept"]`` what to use.

    Raises:
        TaskDied: one cannot be made, or is not there; what was made before it is gone again.
    """
    entries: dict[str, str] = {}
    log: list[str] = []
    made: list[str] = []
    copied = 0
    try:
        for key, text in args["kept"].items():
            entries[key] = sized(sim, guest, Drive.read(key, text)).text()
        for key, storage, gib, options in args["fresh"]:
            new = make(sim, guest, NewDrive(key, storage, gib, options))
            made.append(new.volume.volid)
            entries[key] = new.drive.text()
            log += new.log
            copied += new.volume.used
    except TaskDied:
        discard(sim, guest, made)
        raise
    return entries, tuple(log), copied


def discard(sim: Simulator, guest: Guest, volids: list[str]) -> None:
    """Remove volumes that were made for nothing."""
    for volid in volids:
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            sim.volumes.drop(volume)


def sized(sim: Simulator, guest: Guest, drive: Drive) -> Drive:
    """Return a drive with the size of the volume in it.

    Raises:
        TaskDied: the volume is not there.
    """
    if drive.volid is None:
        return drive
    volume = sim.volumes.find(drive.volid, guest.node)
    if volume is None:
        raise TaskDied(f"volume '{drive.volid}' does not exist")
    if drive.is_cloudinit:
        return drive
    return drive.holding(drive.file, size=print_size(volume.size))


def _size(new: NewDrive, storage: Storage, source: Volume | None) -> int:
    if source is not None:
        return source.size
    if new.key == "tpmstate0":
        return TPM_SIZE
    if new.key == "efidisk0":
        small = FIRMWARE_SIZES[str(new.options.get("efitype", "2m"))]
        return small if ability(storage).files else BLOCK_FIRMWARE_SIZE
    return gib_to_bytes(new.gib)


def gib_to_bytes(gib: str | float) -> int:
    """Return what ``local:0.05`` allocates: whole KiB, rounded up (golden 10 seq 38)."""
    return math.ceil(float(gib) * GIB / KIB) * KIB


def chosen_format(storage: Storage, asked: str | None) -> str:
    """Return the format of a new disk on a storage.

    Raises:
        TaskDied: the storage has no such format.
    """
    default = str(storage.config.get("format") or "raw")
    fmt = asked or (default if ability(storage).files else "raw")
    if fmt not in formats(ability(storage)):
        raise TaskDied(f"unsupported format '{fmt}'")
    return fmt


def formats(able: Ability) -> tuple[str, ...]:
    """Return the formats of VM disks that a kind of storage can hold."""
    return FILE_FORMATS if able.files else ("raw",)


def find_source(sim: Simulator, guest: Guest, source: str) -> Volume:
    """Return the volume that is to be imported, by its id or its path.

    Raises:
        TaskDied: it is not there.
    """
    if not source.startswith("/"):
        volume = sim.volumes.find(source, guest.node)
        if volume is None:
            raise TaskDied(f"volume '{source}' does not exist")
        return _as_disk(volume)
    for (node, _), volume in sim.state.volumes.items():
        if node in ("", guest.node) and sim.volumes.path(volume) == source:
            return _as_disk(volume)
    raise TaskDied(f"file '{source}' does not exist")


def _as_disk(volume: Volume) -> Volume:
    """Return an image as the disk that it becomes: ``virtual-size`` is what its world says."""
    size = int(volume.data.get("virtual-size", volume.size))
    image = volume.data.get("system") or volume.volid
    data = {"template": image, **volume.data, "system": image}
    return replace(volume, size=size, data=data)


def allocate(
    sim: Simulator,
    guest: Guest,
    storage: Storage,
    size: int,
    *,
    fmt: str,
    source: Volume | None = None,
) -> Volume:
    """Make a disk of a VM, with what a source holds, and return it.

    Raises:
        TaskDied: the storage refuses.
    """
    try:
        return sim.volumes.allocate(
            storage,
            guest.node,
            guest.vmid,
            size,
            content="images",
            fmt=fmt,
            used=source.used if source is not None else 0,
            data=source.data if source is not None else {},
        )
    except PveError as exc:
        raise TaskDied(exc.message) from exc


def make_cloudinit(sim: Simulator, guest: Guest, storage: Storage) -> Volume:
    """Make the drive that cloud-init reads, and return it; its name is always the same."""
    stem = f"vm-{guest.vmid}-{CLOUDINIT}"
    files = ability(storage).files
    return put_named(
        sim,
        guest,
        storage,
        f"{stem}.qcow2" if files else stem,
        size=CLOUDINIT_SIZE,
        fmt="qcow2" if files else "raw",
    )


def refresh_cloudinit(sim: Simulator, guest: Guest) -> Guest:
    """Write what the configuration says to the cloud-init drive, and return the VM."""
    for drive in machines.drives(guest.config):
        if not drive.is_cloudinit:
            continue
        volume = sim.volumes.find(drive.file, guest.node)
        if volume is not None:
            told = {"cloudinit": machines.cloudinit_values(guest)}
            sim.volumes.put(replace(volume, data={**volume.data, **told}))
    return guest


def put_named(
    sim: Simulator, guest: Guest, storage: Storage, stem: str, *, size: int, fmt: str
) -> Volume:
    """Make a volume of a VM that has a name of its own, and return it."""
    name = f"{guest.vmid}/{stem}" if ability(storage).files else stem
    return sim.volumes.put(
        Volume(
            f"{storage.name}:{name}",
            sim.volumes.node_of(storage, guest.node),
            "images",
            fmt,
            size,
            vmid=guest.vmid,
            ctime=int(sim.clock.now()),
        )
    )


def format_log(sim: Simulator, volume: Volume) -> tuple[str, ...]:
    """Return what making an image logs."""
    if not ability(sim.state.storages[volume.storage]).files:
        return ()
    path = f"Formatting '{sim.volumes.path(volume)}', fmt={volume.format}"
    if volume.format == "qcow2":
        return (
            f"{path} cluster_size=65536 extended_l2=off preallocation=metadata"
            f" compression_type=zlib size={volume.size} lazy_refcounts=off refcount_bits=16",
        )
    return (f"{path} size={volume.size} preallocation=off",)


# --- what storages can do with them -------------------------------------------------------------


def can_snapshot(sim: Simulator, config: Mapping[str, Any]) -> bool:
    """Return whether every disk is of a kind that can be snapshotted."""
    for drive in machines.disks(config):
        storage = sim.state.storages.get(drive.file.partition(":")[0])
        if storage is None:
            return False
        qcow2 = ability(storage).files and drive.file.endswith(".qcow2")
        if not (ability(storage).snapshots or qcow2):
            return False
    return True


def can_link(sim: Simulator, drive: Drive) -> bool:
    """Return whether a disk of a template can be the base of a linked clone."""
    storage = sim.state.storages.get(drive.file.partition(":")[0])
    return storage is not None and (ability(storage).linked or ability(storage).files)
