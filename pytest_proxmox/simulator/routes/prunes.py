"""What a retention keeps of the backups on a storage (golden 07 seq 55)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import archives
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.vzdump import archives_of
from pytest_proxmox.simulator.state import Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
ONE: Final = "/nodes/{node}/storage/{storage}"


@FAMILY.get(ONE + "/prunebackups")
def preview_prune(call: Call) -> list[dict[str, Any]]:
    """Return which backups a retention would keep, remove, or finds protected."""
    storage = call.sim.volumes.storage(call.params["storage"], node=call.node)
    return [
        {
            "volid": volume.volid,
            "vmid": volume.vmid,
            "ctime": volume.ctime,
            "type": archives.subtype(volume),
            "mark": mark,
        }
        for volume, mark in _pruned(call.sim, storage, call.node, call.params)
    ]


def _pruned(
    sim: Simulator, storage: Storage, node: str, params: Mapping[str, Any]
) -> list[tuple[Volume, str]]:
    rules = archives.retention(params.get("prune-backups") or storage.config.get("prune-backups"))
    found: list[tuple[Volume, str]] = []
    backups = [v for v in sim.volumes.listing(storage, node) if v.content == "backup"]
    vmids = {v.vmid for v in backups if params.get("vmid") in (None, v.vmid)}
    for vmid in sorted(v for v in vmids if v is not None):
        group = archives_of(sim.volumes, storage, node, vmid)
        wanted = [v for v in group if params.get("type") in (None, archives.subtype(v))]
        marks = archives.marks(wanted, rules)
        found += [(volume, marks[volume.volid]) for volume in wanted]
    return found


@FAMILY.delete(ONE + "/prunebackups")
def prune(call: Call) -> str:
    """Start removing what a retention does not keep; of one guest, or of all (golden 14)."""
    storage = call.sim.volumes.storage(call.params["storage"], node=call.node)
    vmid = call.params.get("vmid")
    if not call.may(f"/storage/{storage.name}", "Datastore.Allocate"):
        if vmid is None:
            raise PveError.forbidden(f"/storage/{storage.name}, Datastore.Allocate")
        call.require(f"/vms/{vmid}", "VM.Backup")
    keys = ("prune-backups", "type", "vmid")
    args = {key: call.params[key] for key in keys if key in call.params}
    ident = storage.name if vmid is None else f"{vmid}@{storage.name}"
    return call.start("prunebackups", ident, args={**args, "storage": storage.name})


def finish_prune(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Remove the backups that are marked."""
    storage = sim.volumes.storage(task.args["storage"])
    log = []
    for volume, mark in _pruned(sim, storage, task.node, task.args):
        if mark == "remove":
            sim.volumes.drop(volume)
            log.append(f"Removed volume '{volume.volid}'")
    return tuple(log)


FAMILY.worker("prunebackups", Worker(finish=finish_prune))
