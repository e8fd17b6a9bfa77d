"""VMs come to be: create, and the worker that does it (golden 10 and 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, machines, restore, rights, sharing
from pytest_proxmox.simulator.drives import NewDrive
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.routes import qemu_restore
from pytest_proxmox.simulator.state import EMPTY, MIB, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CREATE_S: Final = 0.3
COPY_BYTES_PER_S: Final = 200 * MIB
NOT_CONFIG: Final = frozenset(
    [
        "archive",
        "bwlimit",
        "force",
        "ha-managed",
        "import-working-storage",
        "live-restore",
        "node",
        "pool",
        "smbios1",
        "start",
        "storage",
        "unique",
        "vmgenid",
        "vmid",
    ]
)


@FAMILY.post("/nodes/{node}/qemu")
def create(call: Call) -> str:
    """Start the creation of a VM, of new disks or from a backup."""
    params, vmid = call.params, call.params["vmid"]
    require_ready(call.sim)
    restoring = "archive" in params
    existing = guests.exists_text(call.sim, vmid)
    if restoring and existing and params.get("force"):
        restore.check_overwrite(call, "qemu", vmid)
    else:
        guests.may_allocate(call, vmid, params.get("pool"))
    _check_rights(call)
    if "storage" in params:
        drives.images_storage(call, params["storage"])
    config = machines.normalize(
        call.sim, {key: value for key, value in params.items() if key not in NOT_CONFIG}
    )
    fresh, kept = drives.wanted(call, config)
    if existing and not (restoring and params.get("force")):
        what = "restore" if restoring else "create"
        raise PveError(500, f"unable to {what} VM {vmid} - {existing}")
    args = _args(call, config, fresh, kept)
    if restoring:
        return qemu_restore.start(call, args)
    call.sim.put_guest(machines.half_made(call, vmid))
    return call.start("qmcreate", vmid, args=args, lock=sharing.lock(vmid), may_defer=True)


def _check_rights(call: Call) -> None:
    params, vmid = call.params, call.params["vmid"]
    rights.require_bridges(call, params)
    given = {key: value for key, value in params.items() if key not in NOT_CONFIG}
    rights.require_privileges(call, vmid, given, pool=params.get("pool"))


def _args(
    call: Call, config: dict[str, Any], fresh: list[NewDrive], kept: dict[str, str]
) -> dict[str, Any]:
    params = call.params
    plain = {key: value for key, value in config.items() if not machines.DRIVE.fullmatch(key)}
    return {
        "vmid": params["vmid"],
        "config": plain,
        "identity": {key: params[key] for key in ("smbios1", "vmgenid") if key in params},
        "fresh": [new.plain() for new in fresh],
        "kept": kept,
        "pool": params.get("pool"),
        "start": bool(params.get("start")),
        "ha": bool(params.get("ha-managed")),
    }


def begin_create(sim: Simulator, task: Task) -> Begun:
    """Make the drives; what is missing shows only now, and leaves nothing behind."""
    guest = sim.state.guests[task.args["vmid"]]
    try:
        entries, log, copied = drives.make_all(sim, guest, task.args)
    except TaskDied as died:
        sim.drop_guest(guest.vmid)
        raise TaskDied(f"unable to create VM {guest.vmid} - {died}") from died
    sim.put_guest(guest, extra={"entries": entries})
    return Begun(CREATE_S + copied / COPY_BYTES_PER_S, log)


def finish_create(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the configuration, join the pool, start the VM if asked to."""
    guest = sim.state.guests[task.args["vmid"]]
    config: dict[str, Any] = {
        **task.args["config"],
        **guest.extra["entries"],
        **machines.identity(sim, task.args["identity"]),
        "meta": f"creation-qemu={machines.QEMU_VERSION},ctime={int(task.starttime)}",
    }
    config.setdefault("boot", machines.boot_order(config))
    config = {key: value for key, value in config.items() if value != ""}
    sim.put_guest(guest, config=config, extra=EMPTY)
    machines.settle(sim, task)
    return ()


def abort_create(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop cleans up: the volumes and the configuration go."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        entries = guest.extra.get("entries", EMPTY)
        drives.discard(sim, guest, machines.volids(entries))
        sim.drop_guest(guest.vmid)
    return ()


FAMILY.worker("qmcreate", Worker(begin_create, finish_create, abort_create))
