"""VMs run, pause and stop (golden 10 and 11)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import drives, guests, hotplug, machines, sharing
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.state import MIB, Guest, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.volumes import ability
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
START_S: Final = 1.0
STOP_S: Final = 1.0
SHUTDOWN_S: Final = 3.0  # how long a guest system takes to leave
SHUTDOWN_TIMEOUT_S: Final = 60
SUSPEND_BYTES_PER_S: Final = 200 * MIB
STATE_OVERHEAD: Final = 500 * MIB  # what a saved state takes besides twice the memory
TIMEOUT: Final = "VM quit/powerdown failed - got timeout"
PAUSED: Final = ("paused", "prelaunch")


def _find(call: Call) -> Guest | None:
    return guests.find(call.sim, call.node, "qemu", call.params["vmid"])


def _spawn(call: Call, kind: str, *, managed: str = "", **args: Any) -> str:
    """Start a task on the VM; high availability has starts and stops done by its manager."""
    vmid = call.params["vmid"]
    skip = guests.skiplock(call) if "skiplock" in call.params else False
    if managed and f"vm:{vmid}" in call.state.ha:
        return call.start(managed, vmid, worker="ha-request", args={"want": kind})
    return guests.start(call, "qemu", kind, skiplock=skip, **args)


def require_running(call: Call) -> Guest:
    """Return a VM that runs.

    Raises:
        PveError: it does not run, or is not there (golden 10 seq 58 to 61).
    """
    guest = _find(call)
    if guest is None or not guest.running:
        raise PveError(500, f"VM {call.params['vmid']} not running")
    return guest


@FAMILY.post(VM + "/status/start")
def start(call: Call) -> str:
    """Start a VM; one that runs already, or is not there, fails in the task."""
    require_ready(call.sim)
    return _spawn(call, "qmstart", managed="hastart")


@FAMILY.post(VM + "/status/stop")
def stop(call: Call) -> str:
    """Stop a VM at once; one that does not run is stopped well."""
    if call.params.get("overrule-shutdown"):
        _overrule(call)
    return _spawn(call, "qmstop", managed="hastop")


def _overrule(call: Call) -> None:
    """End the shutdowns of a VM that are still waiting for it."""
    for upid in list(call.state.running):
        task = call.state.tasks[upid]
        if task.worker == "qmshutdown" and task.args["vmid"] == call.params["vmid"]:
            call.sim.tasks.stop(upid)


@FAMILY.post(VM + "/status/shutdown")
def shutdown(call: Call) -> str:
    """Ask the guest system to stop."""
    params = call.params
    timeout_s = params.get("timeout", SHUTDOWN_TIMEOUT_S)
    force = bool(params.get("forceStop"))
    return _spawn(call, "qmshutdown", managed="hastop", timeout=timeout_s, force=force)


@FAMILY.post(VM + "/status/reboot")
def reboot(call: Call) -> str:
    """Have the guest system stop and start the VM again; pending changes are made on the way."""
    require_running(call)
    return _spawn(call, "qmreboot", timeout=call.params.get("timeout", SHUTDOWN_TIMEOUT_S))


@FAMILY.post(VM + "/status/reset")
def reset(call: Call) -> str:
    """Push the reset button."""
    require_running(call)
    return _spawn(call, "qmreset")


@FAMILY.post(VM + "/status/suspend")
def suspend(call: Call) -> str:
    """Pause a VM, or write it to disk with ``todisk``."""
    guest = require_running(call)
    if not call.params.get("todisk"):
        return _spawn(call, "qmpause")
    call.require(f"/vms/{guest.vmid}", "VM.Config.Disk")
    name = call.params.get("statestorage") or state_storage(guest)
    drives.images_storage(call, name)
    return _spawn(call, "qmsuspend", storage=name)


def state_storage(guest: Guest) -> str:
    """Return the storage that a VM's memory is written to: the one it names, or its disk's."""
    if guest.config.get("vmstatestorage"):
        return str(guest.config["vmstatestorage"])
    disk = machines.boot_disk(guest.config) or next(machines.disks(guest.config), None)
    return disk.file.partition(":")[0] if disk is not None else "local"


@FAMILY.post(VM + "/status/resume")
def resume(call: Call) -> str:
    """Let a paused VM go on; one that was written to disk starts from there."""
    guest = _find(call)
    if guest is None or guest.lock != "suspended":
        require_running(call)
    return _spawn(call, "qmresume")


# --- the workers --------------------------------------------------------------------------------


def writable(sim: Simulator, task: Task, *, but: str = "") -> Guest:
    """Return the VM that a worker changes, once nobody reads it; ``but`` is a lock it passes."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    sharing.take_writers_turn(sim, task, guest.vmid)
    if not task.args.get("skiplock") and guest.lock != (but or None):
        guests.die_if_locked(guest)
    return guest


def begin_start(sim: Simulator, task: Task) -> Begun:
    """Check what can be checked before QEMU runs."""
    guest = writable(sim, task, but="suspended")
    if guest.template:
        raise TaskDied("you can't start a vm if it's a template")
    if guest.running:
        raise TaskDied(f"VM {guest.vmid} already running")
    for drive in machines.drives(guest.config):
        if drive.volid is not None:
            guests.require_volume(sim, drive.volid, guest.node)
    if not machines.can_start(guest.config, kvm=sim.state.nodes[guest.node].kvm):
        raise TaskDied("start failed: QEMU exited with code 1")  # golden 10 seq 31
    known = sim.state.nodes[guest.node].bridges
    for key in filter(machines.NET.fullmatch, guest.config):
        bridge = machines.parse(key, str(guest.config[key])).get("bridge")
        if bridge and bridge not in known:
            raise TaskDied(f"bridge '{bridge}' does not exist")
    return Begun(START_S)


def finish_start(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the VM run, from the memory on disk where it was suspended."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    if not guest.running:
        power_on(sim, wake(sim, guest), at=task.due)
    return ()


def wake(sim: Simulator, guest: Guest) -> Guest:
    """Return a VM without the memory that it was suspended with."""
    if guest.lock != "suspended":
        return guest
    hotplug.drop(sim, guest, str(guest.config.get("vmstate", "")))
    return guest.with_config({}, remove=("lock", "vmstate"))


def power_on(sim: Simulator, guest: Guest, *, at: float) -> Guest:
    """Return the VM as it runs from that moment on."""
    started = hotplug.apply_pending(sim, guest)
    refresh = drives.refresh_cloudinit(sim, started)
    running = replace(refresh, status="running", started=at, pid=sim.count("pid"))
    return sim.put_guest(running)


def power_off(sim: Simulator, guest: Guest) -> Guest:
    """Return the VM as it is when QEMU has ended: what waited for that is done."""
    stopped = hotplug.apply_pending(sim, guest)
    extra = {key: value for key, value in stopped.extra.items() if key != "agent"}
    return sim.put_guest(stopped, status="stopped", started=0.0, pid=None, extra=extra)


def begin_stop(sim: Simulator, task: Task) -> Begun:
    """Refuse a locked VM, if it runs at all (golden 11 seq 48)."""
    guest = guests.find(sim, task.node, "qemu", task.args["vmid"])
    if guest is None:
        raise TaskDied(
            f"unable to find configuration file for VM {task.args['vmid']} on node '{task.node}'"
        )
    if not guest.running:
        return Begun(0.0)
    writable(sim, task)
    return Begun(STOP_S)


def finish_stop(sim: Simulator, task: Task) -> tuple[str, ...]:
    """End QEMU."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    if guest.running:
        power_off(sim, guest)
    return ()


def begin_shutdown(sim: Simulator, task: Task) -> Begun:
    """Wait for the guest system as long as it takes, or as long as the request says."""
    begun = begin_stop(sim, task)
    if not begun.duration_s:
        return begun
    guest = sim.state.guests[task.args["vmid"]]
    if guest.status in PAUSED and not task.args.get("force"):
        raise TaskDied("VM is paused - cannot shutdown")  # text as in public reports
    return Begun(_leaving_s(sim, task, guest))


def _leaving_s(sim: Simulator, task: Task, guest: Guest) -> float:
    timeout_s = _patience_s(task)
    return min(SHUTDOWN_S, timeout_s) if _hears(sim, guest) else timeout_s


def _patience_s(task: Task) -> float:
    """Return how long a worker waits for the guest system; other families start it too."""
    return float(task.args.get("timeout", SHUTDOWN_TIMEOUT_S))


def _hears(sim: Simulator, guest: Guest) -> bool:
    return machines.has_system(sim, guest) and guest.status not in PAUSED


def finish_shutdown(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Stop the VM, unless nobody in it heard and nobody wants it forced."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    if not guest.running:
        return ()
    left = _hears(sim, guest) and _patience_s(task) >= SHUTDOWN_S
    if not left and not task.args.get("force"):
        raise TaskDied(TIMEOUT)
    power_off(sim, guest)
    return () if left else ("VM still running - terminating now with SIGTERM",)


def begin_reboot(sim: Simulator, task: Task) -> Begun:
    """Wait for the guest system to leave."""
    guest = writable(sim, task)
    return Begun(_leaving_s(sim, task, guest) + (START_S if _hears(sim, guest) else 0.0))


def finish_reboot(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the VM run afresh."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    if not _hears(sim, guest) or _patience_s(task) < SHUTDOWN_S:
        raise TaskDied(TIMEOUT)
    power_on(sim, power_off(sim, guest), at=task.due)
    return ()


def finish_reset(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the guest system start again in the same QEMU."""
    guest = writable(sim, task)
    sim.put_guest(guest, status="running", extra={})
    return ()


def finish_pause(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Stop the VM's processors."""
    sim.put_guest(writable(sim, task), status="paused")
    return ()


def begin_resume(sim: Simulator, task: Task) -> Begun:
    """Let a suspended VM take as long as a start."""
    guest = writable(sim, task, but="suspended")
    return Begun(START_S if guest.lock == "suspended" else 0.2)


def finish_resume(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the VM's processors go on, from disk where it was suspended."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    if guest.lock == "suspended":
        power_on(sim, wake(sim, guest), at=task.due)
    else:
        sim.put_guest(guest, status="running")
    return ()


def begin_suspend(sim: Simulator, task: Task) -> Begun:
    """Lock the VM while its memory is written."""
    guest = writable(sim, task)
    storage = task.args.get("storage") or state_storage(guest)
    volid = save_state(sim, guest, storage, "suspend")
    sim.put_guest(guest.with_config({"lock": "suspending", "vmstate": volid}))
    memory = machines.memory_mib(guest.config) * MIB
    return Begun(START_S + memory / SUSPEND_BYTES_PER_S)


def save_state(sim: Simulator, guest: Guest, storage: str, name: str) -> str:
    """Write a VM's memory to a volume and return its id.

    Raises:
        TaskDied: the storage cannot be used.
    """
    try:
        found = sim.volumes.storage(storage)
    except PveError as exc:
        raise TaskDied(exc.message) from exc
    stem = f"vm-{guest.vmid}-state-{name}"
    size = 2 * machines.memory_mib(guest.config) * MIB + STATE_OVERHEAD
    named = f"{stem}.raw" if ability(found).files else stem
    return drives.put_named(sim, guest, found, named, size=size, fmt="raw").volid


def finish_suspend(sim: Simulator, task: Task) -> tuple[str, ...]:
    """End QEMU; the memory on disk is what the next start goes on from."""
    guest = guests.for_task(sim, task.node, "qemu", task.args["vmid"])
    power_off(sim, guest.with_config({"lock": "suspended"}))
    return ()


def abort_suspend(sim: Simulator, task: Task) -> tuple[str, ...]:
    """A polite stop leaves the VM running."""
    guest = sim.state.guests.get(task.args["vmid"])
    if guest is not None:
        hotplug.drop(sim, guest, str(guest.config.get("vmstate", "")))
        sim.put_guest(guest.with_config({}, remove=("lock", "vmstate")))
    return ()


FAMILY.worker("qmstart", Worker(begin_start, finish_start))
FAMILY.worker("qmstop", Worker(begin_stop, finish_stop))
FAMILY.worker("qmshutdown", Worker(begin_shutdown, finish_shutdown))
FAMILY.worker("qmreboot", Worker(begin_reboot, finish_reboot))
FAMILY.worker("qmreset", Worker(finish=finish_reset))
FAMILY.worker("qmpause", Worker(finish=finish_pause))
FAMILY.worker("qmresume", Worker(begin_resume, finish_resume))
FAMILY.worker("qmsuspend", Worker(begin_suspend, finish_suspend, abort_suspend))
