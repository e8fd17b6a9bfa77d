"""A Proxmox in memory: as much of one as clean-up needs, and able to fail at every call.

It is a stand-in for a proxmoxer handle, not for the simulator: answers are data or proxmoxer's
own exceptions, tasks end when their status is read, and faults are planted by call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from proxmoxer.core import ResourceException

START = 1_795_290_000


@dataclass
class FakeGuest:
    """A guest; ``lock`` and ``protection`` stand in its way as on a node."""

    vmid: int
    kind: str = "lxc"
    node: str = "pve"
    status: str = "stopped"
    description: str = ""
    name: str = "guest"
    pool: str | None = None
    lock: str | None = None
    protection: int = 0
    linked_to: int | None = None
    ha: int = 0
    template: int = 0
    snapshots: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=lambda: ["127.0.0.1/8"])


@dataclass
class FakeVolume:
    """A disk or a backup on a storage."""

    volid: str
    vmid: int
    content: str
    ctime: int | None
    protected: int = 0


@dataclass
class FakeTask:
    """A task; ``effect`` happens when somebody looks, then it has its exit status."""

    upid: str
    effect: Callable[[], str] | None
    status: str | None = None
    endtime: int | None = None
    log: list[str] = field(default_factory=list)

    def end(self, now: int) -> None:
        """Let the task end, if it has not."""
        if self.status is None and self.effect is not None:
            self.status = self.effect()
            self.endtime = now


@dataclass
class Fault:
    """One planted failure: an answer, or a lost line, before or after the effect."""

    method: str
    path: re.Pattern[str]
    error: Exception
    times: int
    after: bool


class FakeProxmox:
    """What ``Sandbox`` and friends call, with two storages and one or more nodes."""

    def __init__(self, *, user: str = "pt@pve!ci", nodes: tuple[str, ...] = ("pve",)) -> None:
        self.user = user
        self.nodes = nodes
        self.now = START
        self.guests: dict[int, FakeGuest] = {}
        self.volumes: list[FakeVolume] = []
        self.tasks: list[FakeTask] = []
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.exit_statuses: dict[str, str] = {}
        self.hidden: set[int] = set()
        self.keep_volumes = False
        self.pools: dict[str, str] = {}
        self.features = {"snapshot", "clone"}

    def __call__(self, path: str, /) -> FakeResource:
        """Return the resource at ``path``."""
        return FakeResource(self, path)

    # Planting ---------------------------------------------------------------------------------

    def fail(self, method: str, path: str, status: int, reason: str, *, times: int = 1) -> None:
        """Answer the next such calls with an error."""
        errors = {"vmid": reason} if status == 400 else None
        error = ResourceException(status, "Internal Server Error", reason, errors)
        self.faults.append(Fault(method, re.compile(path), error, times, after=False))

    def lose(self, method: str, path: str, *, after: bool, times: int = 1) -> None:
        """Cut the line of the next such calls, before or after they took effect."""
        error = requests.exceptions.ReadTimeout("no answer")
        self.faults.append(Fault(method, re.compile(path), error, times, after=after))

    def plant(self, guest: FakeGuest, *, maker: str = "root@pam", kind: str = "vzcreate") -> None:
        """Put in a guest that ``maker`` made just now."""
        self.guests[guest.vmid] = guest
        self._start(guest.node, kind, str(guest.vmid), lambda: "OK", user=maker).end(self.now)

    # Answering --------------------------------------------------------------------------------

    def request(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """Return the ``data`` of one call, or raise what proxmoxer would."""
        self.calls.append(f"{method} {path}")
        self.now += 1
        fault = next((one for one in self.faults if self._hits(one, method, path)), None)
        if fault is not None:
            fault.times -= 1
            if not fault.after:
                raise fault.error
        answer = self._route(method, path, params)
        if fault is not None:
            raise fault.error
        return answer

    def _hits(self, fault: Fault, method: str, path: str) -> bool:
        return fault.times > 0 and fault.method == method and bool(fault.path.search(path))

    def _route(self, method: str, path: str, params: dict[str, Any]) -> Any:
        for pattern, handler in _ROUTES:
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return getattr(self, handler)(*match.groups(), **params)
        raise AssertionError(f"the fake knows no {method} {path}")

    def error(self, status: int, reason: str) -> ResourceException:
        """Return an answer of PVE as proxmoxer raises it."""
        errors = {"vmid": reason} if status == 400 else None
        return ResourceException(status, "Internal Server Error", reason, errors)

    def _start(
        self, node: str, kind: str, guest: str, effect: Callable[[], str], *, user: str = ""
    ) -> FakeTask:
        number = len(self.tasks) + 1
        upid = (
            f"UPID:{node}:{number:08X}:{number:08X}:{self.now:08X}:{kind}:{guest}"
            f":{user or self.user}:"
        )
        planted = self.exit_statuses.pop(kind, None)
        task = FakeTask(upid, effect if planted is None else lambda: planted)
        self.tasks.append(task)
        return task

    def _guest(self, vmid: str) -> FakeGuest:
        guest = self.guests.get(int(vmid))
        if guest is None:
            raise self.error(500, f"Configuration file 'nodes/pve/lxc/{vmid}.conf' does not exist")
        if int(vmid) in self.hidden:
            raise self.error(403, f"Permission check failed (/vms/{vmid}, VM.Audit)")
        return guest

    def nodes_list(self) -> list[dict[str, Any]]:
        return [{"node": node, "status": "online"} for node in self.nodes]

    def node_tasks(self, node: str, **wanted: Any) -> list[dict[str, Any]]:
        rows = []
        for task in self.tasks[::-1]:
            _, where, _, _, start, kind, guest, user, _ = task.upid.split(":")
            if where != node or ("vmid" in wanted and guest != str(wanted["vmid"])):
                continue
            if "typefilter" in wanted and kind != wanted["typefilter"]:
                continue
            if wanted.get("source", "archive") != "all" and (
                (task.endtime is None) != (wanted.get("source") == "active")
            ):
                continue
            if "!" in self.user and user != self.user:
                continue  # such a token sees its own tasks only
            row = {"upid": task.upid, "type": kind, "id": guest, "starttime": int(start, 16)}
            row |= {"user": user, "node": node, "status": task.status or "RUNNING"}
            rows.append(row if task.endtime is None else row | {"endtime": task.endtime})
        return rows

    def _task(self, upid: str) -> FakeTask:
        found = next((task for task in self.tasks if task.upid == upid), None)
        if found is None:
            raise ResourceException(
                400, "Bad Request", "Parameter verification failed.", {"upid": "no such task"}
            )
        return found

    def task_status(self, _node: str, upid: str) -> dict[str, Any]:
        task = self._task(upid)
        task.end(self.now)
        if task.status is None:
            return {"status": "running"}
        return {"status": "stopped", "exitstatus": task.status}

    def task_log(self, _node: str, upid: str, **_: Any) -> list[dict[str, Any]]:
        lines = self._task(upid).log or ["TASK END"]
        return [{"n": number, "t": line} for number, line in enumerate(lines, 1)]

    def task_stop(self, _node: str, upid: str) -> None:
        task = self._task(upid)
        task.effect = lambda: "interrupted by signal"

    # Pools ------------------------------------------------------------------------------------

    def _pool(self, poolid: str) -> str:
        if poolid not in self.pools:
            raise self.error(500, f"pool '{poolid}' does not exist")
        return poolid

    def pools_list(self, poolid: str | None = None) -> list[dict[str, Any]]:
        if poolid is None:
            return [{"poolid": name, "comment": said} for name, said in self.pools.items()]
        comment = self.pools[self._pool(poolid)]
        members: list[dict[str, Any]] = [
            {"vmid": guest.vmid, "type": guest.kind, "node": guest.node}
            for guest in self.guests.values()
            if guest.pool == poolid
        ]
        members.append({"id": "storage/pve/local", "type": "storage", "storage": "local"})
        return [{"poolid": poolid, "comment": comment, "members": members}]

    def pool_create(self, poolid: str, comment: str = "") -> None:
        if poolid in self.pools:
            raise self.error(500, f"pool '{poolid}' already exists")
        if "/" in poolid:
            self._pool(poolid.rpartition("/")[0])
        self.pools[poolid] = comment

    def pool_put(self, poolid: str, comment: str) -> None:
        self.pools[self._pool(poolid)] = comment

    def pool_delete(self, poolid: str) -> None:
        below = f"{self._pool(poolid)}/"
        inside = [name for name in self.pools if name.startswith(below)]
        if inside or any(guest.pool == poolid for guest in self.guests.values()):
            raise self.error(500, f"pool '{poolid}' is not empty")
        del self.pools[poolid]

    # Guests -----------------------------------------------------------------------------------

    def resources(self, **_: Any) -> list[dict[str, Any]]:
        return [
            {"vmid": guest.vmid, "type": guest.kind, "node": guest.node, "pool": guest.pool}
            for guest in self.guests.values()
            if guest.vmid not in self.hidden
        ]

    def nextid(self, vmid: int) -> str:
        if vmid in self.guests:
            raise self.error(400, f"VM {vmid} already exists")
        return str(vmid)

    def storages(self, _node: str, **_: Any) -> list[dict[str, Any]]:
        return [
            {"storage": "bak", "content": "backup", "active": 1},
            {"storage": "local", "content": "images,rootdir", "active": 1},
        ]

    def content(self, _node: str, storage: str, **wanted: Any) -> list[dict[str, Any]]:
        return [
            {
                "volid": volume.volid,
                "vmid": volume.vmid,
                "content": volume.content,
                "protected": volume.protected,
            }
            | ({} if volume.ctime is None else {"ctime": volume.ctime})
            for volume in self.volumes
            if volume.volid.startswith(storage + ":")
            and wanted.get("vmid", volume.vmid) == volume.vmid
        ]

    def volume_delete(self, node: str, _storage: str, volid: str) -> str:
        def remove() -> str:
            found = next((one for one in self.volumes if one.volid == volid), None)
            if found is not None and found.protected:
                return f"cannot remove protected volume '{volid}'"
            self.volumes = [one for one in self.volumes if one.volid != volid]
            return "OK"

        return self._start(node, "imgdel", "x", remove).upid

    def volume_put(self, _node: str, _storage: str, volid: str, protected: int) -> None:
        for volume in self.volumes:
            if volume.volid == volid:
                volume.protected = protected

    def create(self, node: str, kind: str, vmid: int, **said: Any) -> str:
        if vmid in self.guests:
            raise self.error(500, f"CT {vmid} already exists on node '{node}'")
        if said.get("pool") not in (None, *self.pools):
            raise self.error(403, f"Permission check failed (pool '{said['pool']}' does not exist)")
        guest = FakeGuest(vmid, kind, node, lock="create")
        self.guests[vmid] = guest
        task = "vzcreate" if kind == "lxc" else "qmcreate"
        return self._start(node, task, str(vmid), lambda: self._finish(guest, said)).upid

    def _finish(self, guest: FakeGuest, said: dict[str, Any]) -> str:
        guest.lock = None
        guest.description = said.get("description", "")
        guest.pool = said.get("pool")
        guest.name = said.get("hostname") or said.get("name") or "guest"
        volid = f"local:{guest.vmid}/vm-{guest.vmid}-disk-0.raw"
        self.volumes.append(FakeVolume(volid, guest.vmid, "rootdir", self.now))
        return "OK"

    def clone(self, node: str, kind: str, vmid: str, newid: int, **said: Any) -> str:
        source = self._guest(vmid)
        guest = FakeGuest(newid, kind, node, lock="create")
        self.guests[newid] = guest
        said.setdefault("description", source.description)
        task = self._start(
            node, "vzclone" if kind == "lxc" else "qmclone", vmid, lambda: self._finish(guest, said)
        )
        task.log = [f"creating a clone of container {vmid} with ID {newid}"]
        return task.upid

    def current(self, _node: str, _kind: str, vmid: str) -> dict[str, Any]:
        guest = self._guest(vmid)
        return {"status": guest.status, "ha": {"managed": guest.ha}}

    def config(self, _node: str, _kind: str, vmid: str) -> dict[str, Any]:
        guest = self._guest(vmid)
        if guest.lock == "create":
            return {"lock": "create"}
        shown: dict[str, Any] = {"hostname": guest.name, "description": guest.description}
        shown |= {"lock": guest.lock, "protection": guest.protection}
        return {name: value for name, value in shown.items() if value}

    def config_put(self, _node: str, _kind: str, vmid: str, protection: int) -> None:
        self._guest(vmid).protection = protection

    def power(self, node: str, kind: str, vmid: str, what: str, **_: Any) -> str:
        guest = self._guest(vmid)
        if what == "stop" and guest.status == "stopped" and kind == "lxc":
            raise self.error(500, f"CT {vmid} not running")

        def switch() -> str:
            guest.status = "running" if what == "start" else "stopped"
            return "OK"

        return self._start(node, f"vz{what}", vmid, switch).upid

    def feature(self, _node: str, _kind: str, _vmid: str, feature: str) -> dict[str, Any]:
        return {"hasFeature": int(feature in self.features)}

    def make_template(self, _node: str, _kind: str, vmid: str) -> None:
        self._guest(vmid).template = 1

    def interfaces(self, _node: str, _kind: str, vmid: str) -> list[dict[str, Any]]:
        addresses = self._guest(vmid).addresses
        return [
            {"name": "lo" if address.startswith("127.") else "eth0", "inet": address}
            for address in addresses
        ]

    def agent_interfaces(self, _node: str, _kind: str, vmid: str) -> dict[str, Any]:
        addresses = self._guest(vmid).addresses
        if self._guest(vmid).status != "running":
            raise self.error(500, f"VM {vmid} is not running")
        told = [
            {
                "name": "lo" if address.startswith("127.") else "eth0",
                "ip-addresses": [
                    {"ip-address-type": "ipv6", "ip-address": "fe80::1"},
                    {"ip-address-type": "ipv4", "ip-address": address.partition("/")[0]},
                ],
            }
            for address in addresses
        ]
        return {"result": told}

    def snapshots(self, _node: str, _kind: str, vmid: str) -> list[dict[str, Any]]:
        return [{"name": name} for name in (*self._guest(vmid).snapshots, "current")]

    def snapshot(self, node: str, _kind: str, vmid: str, snapname: str) -> str:
        guest = self._guest(vmid)

        def take() -> str:
            guest.snapshots.append(snapname)
            return "OK"

        return self._start(node, "vzsnapshot", vmid, take).upid

    def snapshot_delete(self, node: str, _kind: str, vmid: str, name: str) -> str:
        guest = self._guest(vmid)

        def remove() -> str:
            guest.snapshots.remove(name)
            return "OK"

        return self._start(node, "vzdelsnapshot", vmid, remove).upid

    def rollback(self, node: str, _kind: str, vmid: str, name: str) -> str:
        there = name in self._guest(vmid).snapshots
        said = "OK" if there else f"snapshot '{name}' does not exist"
        return self._start(node, "vzrollback", vmid, lambda: said).upid

    def ha_delete(self, sid: str) -> None:
        self.guests[int(sid.partition(":")[2])].ha = 0

    def vzdump(self, node: str, vmid: int, storage: str, **_: Any) -> str:
        def dump() -> str:
            volid = f"{storage}:backup/vzdump-lxc-{vmid}-{self.now}.tar.zst"
            self.volumes.append(FakeVolume(volid, vmid, "backup", self.now))
            return "OK"

        return self._start(node, "vzdump", str(vmid), dump).upid

    def delete(self, node: str, kind: str, vmid: str, **said: Any) -> str:
        guest = self._guest(vmid)
        if guest.protection:
            raise self.error(500, f"can't remove CT {vmid} - protection mode enabled")
        if guest.lock is not None and not said.get("skiplock"):
            raise self.error(500, f"CT is locked ({guest.lock})")
        if guest.status != "stopped" and not said.get("force"):
            raise self.error(500, f"unable to destroy CT {vmid} - container is running")

        def destroy() -> str:
            if any(other.linked_to == guest.vmid for other in self.guests.values()):
                return f"base volume '{vmid}' is still in use by linked clones"
            self.guests.pop(guest.vmid, None)
            if not self.keep_volumes:
                disks = [one for one in self.volumes if one.content != "backup"]
                self.volumes = [v for v in self.volumes if v.vmid != guest.vmid or v not in disks]
            return "WARNINGS: 1" if self.keep_volumes else "OK"

        return self._start(node, "vzdestroy", vmid, destroy).upid


class FakeResource:
    """A path of the fake's API."""

    def __init__(self, proxmox: FakeProxmox, path: str) -> None:
        self._proxmox = proxmox
        self._path = path

    def get(self, **params: Any) -> Any:
        """Return the ``data`` of a GET."""
        return self._proxmox.request("GET", self._path, params)

    def post(self, **data: Any) -> Any:
        """Return the ``data`` of a POST."""
        return self._proxmox.request("POST", self._path, data)

    def put(self, **data: Any) -> Any:
        """Return the ``data`` of a PUT."""
        return self._proxmox.request("PUT", self._path, data)

    def delete(self, **params: Any) -> Any:
        """Return the ``data`` of a DELETE."""
        return self._proxmox.request("DELETE", self._path, params)


_G = r"nodes/(\w+)/(lxc|qemu)/(\d+)"
_ROUTES = [
    (r"GET nodes", "nodes_list"),
    (r"GET nodes/(\w+)/tasks", "node_tasks"),
    (r"GET nodes/(\w+)/tasks/(UPID:[^/]+)/status", "task_status"),
    (r"GET nodes/(\w+)/tasks/(UPID:[^/]+)/log", "task_log"),
    (r"DELETE nodes/(\w+)/tasks/(UPID:[^/]+)", "task_stop"),
    (r"GET cluster/resources", "resources"),
    (r"GET cluster/nextid", "nextid"),
    (r"GET nodes/(\w+)/storage", "storages"),
    (r"GET nodes/(\w+)/storage/(\w+)/content", "content"),
    (r"DELETE nodes/(\w+)/storage/(\w+)/content/(.+)", "volume_delete"),
    (r"PUT nodes/(\w+)/storage/(\w+)/content/(.+)", "volume_put"),
    (r"POST nodes/(\w+)/(lxc|qemu)", "create"),
    (rf"POST {_G}/clone", "clone"),
    (rf"GET {_G}/status/current", "current"),
    (rf"GET {_G}/config", "config"),
    (rf"PUT {_G}/config", "config_put"),
    (rf"POST {_G}/status/(\w+)", "power"),
    (rf"GET {_G}/feature", "feature"),
    (rf"POST {_G}/template", "make_template"),
    (rf"GET {_G}/interfaces", "interfaces"),
    (rf"GET {_G}/agent/network-get-interfaces", "agent_interfaces"),
    (rf"GET {_G}/snapshot", "snapshots"),
    (rf"POST {_G}/snapshot", "snapshot"),
    (rf"DELETE {_G}/snapshot/(\w+)", "snapshot_delete"),
    (rf"POST {_G}/snapshot/(\w+)/rollback", "rollback"),
    (r"GET pools", "pools_list"),
    (r"POST pools", "pool_create"),
    (r"PUT pools", "pool_put"),
    (r"DELETE pools", "pool_delete"),
    (r"DELETE cluster/ha/resources/(.+)", "ha_delete"),
    (r"POST nodes/(\w+)/vzdump", "vzdump"),
    (rf"DELETE {_G}", "delete"),
]
