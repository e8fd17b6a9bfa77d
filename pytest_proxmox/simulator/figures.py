"""What nodes and guests use: processor, memory, disk and network, now and in the past.

Nothing is measured here: figures follow from the configuration, from when a guest ran, and from
the time, so that the same moment always shows the same ones. Fields as in golden 03, 08 and 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import containers
from pytest_proxmox.simulator.state import GIB, MIB

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.simulator.state import Guest, Node, Storage, Task

NODE_MEMORY: Final = 1_250_000_000  # what the recorded node itself used
ROOT_DISK: Final = 100 * GIB  # of a node whose world has no storage on its root
ROOT_USED: Final = 27_000_000_000
_CONTAINER_MEMORY: Final = 1_507_328
_BYTES_PER_S: Final = 700.0  # what an idle guest sends and receives
_STARTS: Final = ("vzstart", "vzreboot", "vzresume", "qmstart", "qmreboot", "qmresume")
_STOPS: Final = ("vzstop", "vzshutdown", "vzsuspend", "qmstop", "qmshutdown")

# Steps and number of points by time frame. The number is not recorded; the steps are documented.
FRAMES: Final[Mapping[str, tuple[int, int]]] = {
    "hour": (60, 70),
    "day": (1800, 70),
    "week": (10_800, 70),
    "month": (43_200, 70),
    "year": (604_800, 70),
    "decade": (604_800 * 10, 70),
}


def wave(seed: int, moment: float, *, period_s: float = 900.0) -> float:
    """Return a value between 0 and 1 that moves smoothly with time, different for each seed."""
    turn = 2 * math.pi * moment / period_s
    return 0.5 + 0.35 * math.sin(turn + seed) + 0.15 * math.sin(3.7 * turn + 2.3 * seed)


# --- guests -------------------------------------------------------------------------------------


def of_guest(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return a guest's figures as ``/cluster/resources`` has them."""
    is_container = guest.kind == "lxc"
    found = containers.status_fields(sim, guest) if is_container else _of_machine(sim, guest)
    return found | {
        "maxcpu": found["cpus"],
        "memhost": found.get("memhost", 0),
        "template": int(guest.template),
        "diskread": found.get("diskread", 0),
        "diskwrite": found.get("diskwrite", 0),
    }


def _of_machine(sim: Simulator, guest: Guest) -> dict[str, Any]:
    config = guest.config
    memory = int(config.get("memory", 512)) * MIB
    return {
        "cpu": 0,
        "cpus": int(config.get("cores", 1)) * int(config.get("sockets", 1)),
        "disk": 0,
        "maxdisk": _boot_disk(sim, guest),
        "maxmem": memory,
        "mem": memory // 4 if guest.running else 0,
        "name": guest.name,
        "netin": 0,
        "netout": 0,
        "status": guest.status,
        "memhost": memory // 4 if guest.running else 0,
    }


def _boot_disk(sim: Simulator, guest: Guest) -> int:
    order = str(guest.config.get("boot", "")).removeprefix("order=").split(";")
    for key in (*order, "scsi0", "virtio0", "sata0", "ide0"):
        text = str(guest.config.get(key, ""))
        volume = sim.volumes.find(text.partition(",")[0], guest.node) if ":" in text else None
        if volume is not None and "media=cdrom" not in text:
            return volume.size
    return 0


# --- nodes --------------------------------------------------------------------------------------


def root_storage(sim: Simulator) -> Storage | None:
    """Return the storage that lies on a node's root file system, if the world has one."""
    found = [s for s in sim.state.storages.values() if s.path == "/var/lib/vz"]
    return found[0] if found else None


def root_disk(sim: Simulator, node: Node) -> tuple[int, int]:
    """Return the used and all bytes of a node's root file system."""
    storage = root_storage(sim)
    if storage is None:
        return ROOT_USED, ROOT_DISK
    return sim.census.usage(storage, node.name)[0], storage.size


def memory_of(guest: Guest) -> int:
    """Return the memory that a guest takes from its node."""
    if not guest.running:
        return 0
    if guest.kind == "lxc":
        return _CONTAINER_MEMORY
    return int(guest.config.get("memory", 512)) * MIB // 4


def of_node(sim: Simulator, node: Node) -> dict[str, Any]:
    """Return a node's figures as ``/nodes`` has them."""
    used, size = root_disk(sim, node)
    return {
        "cpu": node_cpu(node, sim.clock.now()),
        "maxcpu": node.maxcpu,
        "mem": sim.census.memory(node.name),
        "maxmem": node.maxmem,
        "disk": used,
        "maxdisk": size,
        "uptime": int(sim.clock.now() - node.boot_time),
    }


def node_cpu(node: Node, moment: float) -> float:
    """Return the share of a node's processors in use."""
    return round(0.02 + 0.05 * wave(node.nodeid, moment), 12)


# --- the past -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Life:
    """When a guest was there and ran: ``runs`` has (from, until) in order."""

    created: float
    runs: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, sim: Simulator, guest: Guest) -> Life:
        """Return a guest's life as its tasks tell it."""
        runs: list[tuple[float, float]] = []
        since: float | None = None
        for task in _power_tasks(sim, guest):
            moment = float(task.endtime or 0)
            if task.type in _STOPS and since is not None:
                runs.append((since, moment))
                since = None
            elif task.type in _STARTS and since is None:
                since = moment
        if guest.running:
            runs.append((since if since is not None else guest.started, math.inf))
        return cls(guest.created, tuple(runs))

    def runs_at(self, moment: float) -> bool:
        """Return whether the guest ran then."""
        return any(start <= moment < end for start, end in self.runs)


def _power_tasks(sim: Simulator, guest: Guest) -> list[Task]:
    found = [
        task
        for task in sim.state.tasks.values()
        if task.id == str(guest.vmid)
        and task.type in (*_STARTS, *_STOPS)
        and task.exitstatus == "OK"
        and (task.endtime or 0) >= guest.created
    ]
    return sorted(found, key=lambda task: task.endtime or 0)


def moments(now: float, frame: str) -> Iterator[int]:
    """Yield the times of a series' points, the oldest first."""
    step, count = FRAMES[frame]
    last = int(now) // step * step
    return iter(range(last - (count - 1) * step, last + 1, step))


def guest_series(sim: Simulator, guest: Guest, frame: str) -> list[dict[str, Any]]:
    """Return what a guest used over a time: nothing before it was there, zero while it stood."""
    life = Life.of(sim, guest)
    fixed = of_guest(sim, guest)
    points = []
    for moment in moments(sim.clock.now(), frame):
        point: dict[str, Any] = {"time": moment}
        if moment >= life.created:
            point |= {key: fixed[key] for key in ("maxcpu", "maxmem", "maxdisk")}
            point |= _guest_point(guest, moment) if life.runs_at(moment) else _STANDING
        points.append(point)
    return points


_STANDING: Final = {
    "cpu": 0,
    "disk": 0,
    "diskread": 0,
    "diskwrite": 0,
    "mem": 0,
    "memhost": 0,
    "netin": 0,
    "netout": 0,
}


def _guest_point(guest: Guest, moment: int) -> dict[str, Any]:
    share = wave(guest.vmid, moment)
    memory = int(guest.config.get("memory", 512)) * MIB
    used = _CONTAINER_MEMORY if guest.kind == "lxc" else int(memory * (0.2 + 0.1 * share))
    return {
        "cpu": round(0.002 + 0.02 * share, 12),
        "disk": 2_035_712 if guest.kind == "lxc" else 0,
        "diskread": round(_BYTES_PER_S * share, 6),
        "diskwrite": round(_BYTES_PER_S * (1 - share), 6),
        "mem": used,
        "memhost": used,
        "netin": round(_BYTES_PER_S * share, 6),
        "netout": round(_BYTES_PER_S * share / 2, 6),
    }


def node_series(sim: Simulator, node: Node, frame: str) -> list[dict[str, Any]]:
    """Return what a node used over a time: nothing before it was started."""
    used, size = root_disk(sim, node)
    memory = sim.census.memory(node.name)
    points = []
    for moment in moments(sim.clock.now(), frame):
        point: dict[str, Any] = {"time": moment}
        if moment >= node.boot_time:
            share = wave(node.nodeid, moment)
            point |= {
                "cpu": node_cpu(node, moment),
                "iowait": round(0.01 * share, 12),
                "loadavg": round(0.2 + share, 6),
                "maxcpu": node.maxcpu,
                "memtotal": node.maxmem,
                "memused": memory,
                "netin": round(_BYTES_PER_S * 3 * share, 6),
                "netout": round(_BYTES_PER_S * 2 * share, 6),
                "roottotal": size,
                "rootused": used,
                "swaptotal": 0,
                "swapused": 0,
            }
        points.append(point)
    return points


def storage_series(
    sim: Simulator, storage: Storage, node: Node, frame: str
) -> list[dict[str, Any]]:
    """Return how full a storage was: as full as now since the node was started."""
    used, _ = sim.census.usage(storage, node.name)
    return [
        {"time": moment}
        | ({"total": storage.size, "used": used} if moment >= node.boot_time else {})
        for moment in moments(sim.clock.now(), frame)
    ]
