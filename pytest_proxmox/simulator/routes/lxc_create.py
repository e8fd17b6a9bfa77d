"""Containers come to be: create from a template, and the worker that does it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, guests, restore
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.state import MIB, Guest, Task, Volume, altered
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
UNPACK_BYTES_PER_S: Final = 60 * MIB  # what the recorded node unpacked
KIB: Final = 1024


@FAMILY.post("/nodes/{node}/lxc")
def create(call: Call) -> str:
    """Start the creation of a container, from a template or from a backup."""
    params, vmid = call.params, call.params["vmid"]
    require_ready(call.sim)
    restoring = bool(params.get("restore"))
    _check_keys(params)
    existing = guests.exists_text(call.sim, vmid)
    if existing and not (restoring and params.get("force")):
        raise PveError(500, _taken(call, vmid, existing))
    if restoring and existing:
        restore.check_overwrite(call, "lxc", vmid)
    else:
        guests.may_allocate(call, vmid, params.get("pool"))
    _check_rights(call, params)
    _check_template(call, str(params["ostemplate"]), "backup" if restoring else "vztmpl")
    storage = str(params.get("storage", "local"))
    if restoring:
        return restore.start_lxc(call, storage)
    if "storage" in params and "rootfs" not in params:
        containers.require_rootdir(call, storage)
    fresh, kept = containers.wanted_mounts(call, _mount_params(params), default_storage=storage)
    call.sim.put_guest(_half_made(call, vmid))
    args = _args(call, fresh, kept)
    return call.start("vzcreate", vmid, args=args, lock=_lock(vmid), may_defer=True)


def _lock(vmid: int) -> str:
    return guests.lock_file("lxc", vmid)


def _taken(call: Call, vmid: int, text: str) -> str:
    """Two requests that race get the longer text (golden 04 seq 67): the worker just began."""
    guest = call.state.guests[vmid]
    racing = guest.created == call.sim.clock.now() and guest.lock == "create"
    return f"unable to create CT {vmid} - {text}" if racing else text


def _check_keys(params: Mapping[str, Any]) -> None:
    keys = params.get("ssh-public-keys")
    for line in str(keys).splitlines() if keys else ():
        if not _is_public_key(line):
            raise PveError(500, "SSH public key validation error")


def _is_public_key(line: str) -> bool:
    parts = line.split()
    if not line.strip() or line.lstrip().startswith("#"):
        return True
    try:
        return len(parts) > 1 and len(base64.b64decode(parts[1], validate=True)) > 16
    except ValueError:
        return False


def _check_rights(call: Call, params: Mapping[str, Any]) -> None:
    containers.require_bridges(call, params)
    containers.require_features(call, params)
    if params.get("unprivileged") == 0:
        call.require("/", "Sys.Modify")
    if "tags" in params and not call.auth.is_root_ticket:
        call.require(f"/vms/{params['vmid']}", "VM.Config.Options")


def _check_template(call: Call, volid: str, wanted: str) -> None:
    storage, colon, name = volid.partition(":")
    if not colon:
        return
    call.sim.volumes.storage(storage)
    if name.partition("/")[0] != wanted:
        raise PveError(500, f"unable to use volume {volid} - content type needs to be '{wanted}'")
    call.require(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace", either=True)


def _mount_params(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if containers.MOUNT.fullmatch(key)}


def _half_made(call: Call, vmid: int) -> Guest:
    """Return what others see while the worker runs: a lock and nothing else (golden 04b)."""
    return Guest(vmid, "lxc", call.node, {"lock": "create"}, created=call.sim.clock.now())


def _args(call: Call, fresh: list[containers.NewMount], kept: Mapping[str, str]) -> dict[str, Any]:
    params = call.params
    config = {
        key: value
        for key, value in params.items()
        if key not in restore.NOT_CONFIG and not containers.MOUNT.fullmatch(key)
    }
    return {
        "config": config,
        "fresh": [[m.key, m.storage, m.gib, dict(m.options)] for m in fresh],
        "kept": dict(kept),
        "template": params["ostemplate"],
        "bwlimit": params.get("bwlimit", 0),
        "start": bool(params.get("start")),
        "pool": params.get("pool"),
        "vmid": params["vmid"],
    }


def begin_create(sim: Simulator, task: Task) -> Begun:
    """Make the volumes; a template that is not there shows only now."""
    guest = sim.state.guests[task.args["vmid"]]
    entries: dict[str, str] = dict(task.args["kept"])
    log: list[str] = []
    try:
        template = None
        for key, storage, gib, options in task.args["fresh"]:
            mount = containers.NewMount(key, storage, gib, options)
            entries[key], lines = containers.make_mount(sim, guest, mount, content="images")
            log += lines
        template = _template(sim, guest, task.args["template"])
        _check_room(sim, guest, entries, template)
    except TaskDied as died:
        _remove(sim, guest)
        raise TaskDied(f"unable to create CT {guest.vmid} - {died}") from died
    log.append(f"extracting archive '{sim.volumes.path(template)}'")
    sim.put_guest(guest, extra={"entries": entries})
    unpacked = int(template.data.get("unpacked", template.size))
    rate = int(task.args["bwlimit"]) * KIB or UNPACK_BYTES_PER_S
    return Begun(0.5 + unpacked / rate, tuple(log))


def _template(sim: Simulator, guest: Guest, volid: str) -> Volume:
    if volid.startswith("/"):
        for (node, _), volume in sim.state.volumes.items():
            if node in ("", guest.node) and sim.volumes.path(volume) == volid:
                return volume
    if ":" not in volid:
        raise TaskDied(f"can't find file '{volid}'")
    found = sim.volumes.find(volid, guest.node)
    if found is None:
        raise TaskDied(f"volume '{volid}' does not exist")
    return found


def _check_room(sim: Simulator, guest: Guest, entries: Mapping[str, str], template: Volume) -> None:
    """A root volume smaller than what is unpacked into it fails as tar does (golden 02)."""
    unpacked = int(template.data.get("unpacked", 0))
    volume = sim.volumes.find(containers.parse("rootfs", entries["rootfs"])["volume"], guest.node)
    if volume is not None and volume.format != "subvol" and 0 < volume.size < unpacked:
        raise TaskDied(
            "command 'lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar xpf - -z"
            " --totals --one-file-system -p --sparse --numeric-owner --acls --xattrs"
            " '--xattrs-include=user.*' '--xattrs-include=security.capability'"
            " '--warning=no-file-ignored' '--warning=no-xattr-write'"
            f" -C /var/lib/lxc/{guest.vmid}/rootfs --skip-old-files --anchored"
            " --exclude './dev/*'' failed: exit code 2"
        )


def _remove(sim: Simulator, guest: Guest) -> None:
    for volume in sim.volumes.of_guest(guest.vmid, guest.node):
        sim.volumes.drop(volume)
    sim.drop_guest(guest.vmid)


def finish_create(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Write the configuration; membership in the pool appears only now (golden 15)."""
    guest = sim.state.guests[task.args["vmid"]]
    template = _template(sim, guest, task.args["template"])
    given = containers.normalize(sim, task.args["config"])
    config: dict[str, Any] = {"hostname": f"CT{guest.vmid}", **containers.DEFAULTS}
    config |= {"ostype": template.data.get("ostype", "alpine"), "unprivileged": 1}
    config |= {key: value for key, value in given.items() if value != ""}
    if not config["unprivileged"]:
        del config["unprivileged"]
    config |= guest.extra["entries"]
    _fill_root(sim, guest, config, template)
    sim.put_guest(guest, config=config, extra={})
    pool = task.args["pool"]
    if pool and pool in sim.state.pools:
        sim.state.members[guest.vmid] = pool
    if task.args["start"]:
        sim.tasks.start_after(task, "vzstart", guest.vmid, _lock(guest.vmid))
    return ("Detected container architecture: amd64",)


def _fill_root(sim: Simulator, guest: Guest, config: Mapping[str, Any], template: Volume) -> None:
    """Put the template's content into the root volume, and mark all as a container's."""
    unpacked = int(template.data.get("unpacked", template.size))
    root = containers.parse("rootfs", str(config["rootfs"]))["volume"]
    for volid in containers.volids(config):
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            used = unpacked if volid == root else volume.used
            data = {**volume.data, "template": template.volid} if volid == root else volume.data
            sim.volumes.put(altered(volume, content="rootdir", used=used, data=data))


def abort_create(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop cleans up: the volumes and the configuration go (golden 04 seq 33)."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        _remove(sim, guest)
    return ()


FAMILY.worker("vzcreate", Worker(begin_create, finish_create, abort_create))
