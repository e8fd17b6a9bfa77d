"""Containers run and stop; and the end of a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers, destroy, guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import require_ready
from pytest_proxmox.simulator.state import Guest, Task
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"
FS_OVERHEAD: Final = 0.883  # of an image, what its file system offers
START_S: Final = 1.0
DESTROY_S: Final = 1.5  # a read right after the request still sees it (golden 03 seq 71)
STOP_S: Final = 1.0
SHUTDOWN_S: Final = 4.0  # the recorded container took that long (golden 03 seq 40)


def _find(call: Call) -> Guest | None:
    return guests.find(call.sim, call.node, "lxc", call.params["vmid"])


def _spawn(call: Call, kind: str, **args: Any) -> str:
    """Start a task on the container; high availability has it done by its own manager."""
    vmid = call.params["vmid"]
    skip = guests.skiplock(call) if "skiplock" in call.params else False
    if kind in ("vzstart", "vzstop") and f"ct:{vmid}" in call.state.ha:
        return call.start("ha" + kind[2:], vmid, worker="ha-request", args={"want": kind})
    return guests.start(call, "lxc", kind, skiplock=skip, **args)


def _require_running(call: Call, what: str = "CT") -> None:
    guest = _find(call)
    if guest is None or not guest.running:
        raise PveError(500, f"{what} {call.params['vmid']} not running")


@FAMILY.post(CT + "/status/start")
def start(call: Call) -> str:
    """Start a container; one that is not there fails in the task."""
    require_ready(call.sim)
    guest = _find(call)
    if guest is not None and guest.running:
        raise PveError(500, f"CT {guest.vmid} already running")
    return _spawn(call, "vzstart")


@FAMILY.post(CT + "/status/stop")
def stop(call: Call) -> str:
    """Stop a container at once."""
    _require_running(call)
    return _spawn(call, "vzstop")


@FAMILY.post(CT + "/status/shutdown")
def shutdown(call: Call) -> str:
    """Ask a container to stop."""
    _require_running(call)
    params = call.params
    return _spawn(
        call,
        "vzshutdown",
        timeout=params.get("timeout", 60),
        force=bool(params.get("forceStop")),
    )


@FAMILY.post(CT + "/status/reboot")
def reboot(call: Call) -> str:
    """Stop and start a container; pending changes are made on the way."""
    _require_running(call, "VM")
    return _spawn(call, "vzreboot", timeout=call.params.get("timeout", 60))


@FAMILY.post(CT + "/status/suspend")
def suspend(call: Call) -> str:
    """Freeze a container to disk."""
    _require_running(call)
    return _spawn(call, "vzsuspend")


@FAMILY.post(CT + "/status/resume")
def resume(call: Call) -> str:
    """Wake a container that was frozen to disk."""
    return _spawn(call, "vzresume")


@FAMILY.delete(CT)
def remove(call: Call) -> str:
    """Destroy a container with its volumes."""
    params = call.params
    guest = guests.require(call, "lxc")
    force = bool(params.get("force"))
    destroy.check(call, guest, purge=bool(params.get("purge")))
    guests.refuse_locked(guest)
    if guest.running and not force:
        raise PveError(500, f"unable to destroy CT {guest.vmid} - container is running")
    args = {
        "vmid": guest.vmid,
        "force": force,
        "purge": bool(params.get("purge")),
        "unreferenced": bool(params.get("destroy-unreferenced-disks")),
    }
    lock = guests.lock_file("lxc", guest.vmid)
    return call.start("vzdestroy", guest.vmid, args=args, lock=lock, may_defer=True)


# --- the workers --------------------------------------------------------------------------------


def _guest(sim: Simulator, task: Task) -> Guest:
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    if not task.args.get("skiplock"):
        guests.die_if_locked(guest)
    return guest


def check_start(sim: Simulator, guest: Guest) -> None:
    """End a worker where a container cannot start.

    Raises:
        TaskDied: a template, or a volume or a storage that is not there.
    """
    if guest.template:
        raise TaskDied("you can't start a CT if it's a template")
    if "arch" not in guest.config:
        raise TaskDied("missing 'arch' - internal error at /usr/share/perl5/PVE/LXC.pm line 729.")
    for volid in containers.volids(_mounted(guest)):
        guests.require_volume(sim, volid, guest.node)


def _mounted(guest: Guest) -> dict[str, Any]:
    return {k: v for k, v in guest.config.items() if containers.MOUNT.fullmatch(k)}


def begin_start(sim: Simulator, task: Task) -> Begun:
    """Check what can be checked before the container's first process runs."""
    guest = _guest(sim, task)
    if guest.running:
        return Begun(0.0)
    check_start(sim, guest)
    known = sim.state.nodes[guest.node].bridges
    for key, value in guest.config.items():
        if not containers.NET.fullmatch(key):
            continue
        bridge = containers.parse(key, str(value)).get("bridge")
        if bridge and bridge not in known:
            raise TaskDied(f"startup for container '{guest.vmid}' failed")
    return Begun(START_S)


def finish_start(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the container run, with what was pending."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    if not guest.running:
        power_on(sim, guest, at=task.due)
    return ()


def power_on(sim: Simulator, guest: Guest, *, at: float) -> Guest:
    """Return the guest as it runs from that moment on."""
    started = containers.apply_pending(sim, guest) if guest.kind == "lxc" else guest
    pid = sim.count("pid")
    return sim.put_guest(started, status="running", started=at, pid=pid)


def power_off(sim: Simulator, guest: Guest) -> Guest:
    """Return the guest as it is when nothing of it runs."""
    stopped = containers.apply_pending(sim, guest) if guest.kind == "lxc" else guest
    return sim.put_guest(stopped, status="stopped", started=0.0, pid=None)


def begin_stop(sim: Simulator, task: Task) -> Begun:
    """Take the processes away at once; none are left of a container that stopped meanwhile."""
    return Begun(STOP_S if _guest(sim, task).running else 0.0)


def begin_shutdown(sim: Simulator, task: Task) -> Begun:
    """Ask the container to stop and wait no longer than the timeout."""
    if not _guest(sim, task).running:
        return Begun(0.0)
    return Begun(min(SHUTDOWN_S, float(task.args["timeout"])))


def finish_shutdown(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the container be stopped, if it had the time or may be forced (golden 03 seq 58)."""
    timeout = task.args["timeout"]
    if timeout < SHUTDOWN_S and not task.args["force"]:
        vmid = task.args["vmid"]
        command = f"lxc-stop -n {vmid} --nokill --timeout {timeout}"
        sim.tasks.log(task.upid, f"command '{command}' failed: exit code 1")
        raise TaskDied("container did not stop")
    return finish_stop(sim, task)


def begin_reboot(sim: Simulator, task: Task) -> Begun:
    """Stop, by force after the timeout, and start again."""
    _guest(sim, task)
    return Begun(min(SHUTDOWN_S, float(task.args["timeout"])) + START_S)


def finish_stop(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Take the container's processes away."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    if guest.running:
        power_off(sim, guest)
    return ()


def finish_reboot(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Let the container run afresh."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    power_on(sim, power_off(sim, guest), at=task.due)
    return ()


def begin_suspend(sim: Simulator, task: Task) -> Begun:
    """Refuse: freezing containers is experimental in PVE, and no recording shows it work."""
    _guest(sim, task)
    raise TaskDied(_checkpoint(task.args["vmid"], "-s"))


def begin_resume(sim: Simulator, task: Task) -> Begun:
    """Refuse: there is nothing frozen that could be woken (golden 02 seq 172)."""
    raise TaskDied(_checkpoint(task.args["vmid"], "-r --foreground"))


def _checkpoint(vmid: int, flags: str) -> str:
    return f"command 'lxc-checkpoint -n {vmid} {flags} -D /var/lib/vz/dump' failed: exit code 1"


def begin_destroy(sim: Simulator, task: Task) -> Begun:
    """Stop what still runs, if that was asked for, and look whether the volumes can go."""
    guest = _guest(sim, task)
    log: tuple[str, ...] = ()
    if guest.running:
        log = (f"forced to stop CT {guest.vmid} before destroying!",)
        guest = power_off(sim, guest)
    destroy.check_volumes(sim, guest, containers.volids(guest.config))
    return Begun(DESTROY_S, log)


def finish_destroy(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Remove the volumes, everything that names the container, and its configuration."""
    guest = guests.for_task(sim, task.node, "lxc", task.args["vmid"])
    return destroy.remove(sim, guest, containers.volids(_named(guest)), task.args)


def _named(guest: Guest) -> Mapping[str, Any]:
    """Return the configuration with what its snapshots name on top."""
    named = dict(guest.config)
    for snapshot in guest.snapshots.values():
        for key, value in snapshot.config.items():
            named.setdefault(key, value)
    return named


FAMILY.worker("vzstart", Worker(begin_start, finish_start))
FAMILY.worker("vzstop", Worker(begin_stop, finish_stop))
FAMILY.worker("vzshutdown", Worker(begin_shutdown, finish_shutdown))
FAMILY.worker("vzreboot", Worker(begin_reboot, finish_reboot))
FAMILY.worker("vzsuspend", Worker(begin_suspend))
FAMILY.worker("vzresume", Worker(begin_resume))
FAMILY.worker("vzdestroy", Worker(begin_destroy, finish_destroy))
