"""What runs and is installed on a node: services, packages, hardware, logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.cluster import visible_tasks
from pytest_proxmox.simulator.routes.nodes import KERNEL
from pytest_proxmox.simulator.state import Task
from pytest_proxmox.simulator.tasks import Begun, Worker
from pytest_proxmox.simulator.wire import PveError, Reply

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()

_SERVICE: Final = "/nodes/{node}/services/{service}"
_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "chrony": "chrony, an NTP client/server",
    "corosync": "Corosync Cluster Engine",
    "cron": "Regular background program processing daemon",
    "ksmtuned": "Kernel Samepage Merging (KSM) Tuning Daemon",
    "lxcfs": "FUSE filesystem for LXC",
    "postfix": "Postfix Mail Transport Agent",
    "proxmox-firewall": "Proxmox nftables firewall",
    "pve-cluster": "The Proxmox VE cluster filesystem",
    "pve-firewall": "Proxmox VE firewall",
    "pve-ha-crm": "PVE Cluster HA Resource Manager Daemon",
    "pve-ha-lrm": "PVE Local HA Resource Manager Daemon",
    "pve-lxc-syscalld": "Proxmox VE LXC Syscall Daemon",
    "pvedaemon": "PVE API Daemon",
    "pvefw-logger": "Proxmox VE firewall logger",
    "pveproxy": "PVE API Proxy Server",
    "pvescheduler": "Proxmox VE scheduler",
    "pvestatd": "PVE Status Daemon",
    "qmeventd": "PVE Qemu Event Daemon",
    "spiceproxy": "PVE SPICE Proxy Server",
    "sshd": "OpenBSD Secure Shell server",
    "syslog": "System Logging Service",
    "systemd-journald": "Journal Service",
    "systemd-timesyncd": "Network Time Synchronization",
}
_NOT_THERE: Final = ("ksmtuned", "syslog", "systemd-timesyncd")
_NEEDED: Final = ("pve-cluster", "pvedaemon", "pveproxy")  # without them nobody could answer
_AFTER: Final = {"start": "running", "restart": "running", "reload": "running", "stop": "dead"}

# Packages that /apt/versions lists first, with a version that belongs to 9.2.
_PACKAGES: Final[Mapping[str, str]] = {
    "proxmox-ve": "9.2.0",
    "pve-manager": "",
    "lxc-pve": "6.0.5-1",
    "pve-cluster": "9.0.7",
    "pve-container": "6.1.3",
    "pve-firewall": "6.0.4",
    "pve-ha-manager": "5.1.1",
    "qemu-server": "9.1.5",
}


def _name(call: Call) -> str:
    return str(call.params["service"])


def _describe(call: Call, name: str) -> dict[str, Any]:
    record = call.state.records.get(("service", f"{call.node}/{name}"), {})
    state = record.get("state", "dead" if name in _NOT_THERE else _first_state(call, name))
    return {
        "service": name,
        "name": name,
        "desc": _DESCRIPTIONS[name],
        "state": state,
        "active-state": "active" if state == "running" else "inactive",
        "unit-state": "not-found" if name in _NOT_THERE else "enabled",
    }


def _first_state(call: Call, name: str) -> str:
    alone = not call.state.settings["cluster.name"]
    return "dead" if name == "corosync" and alone else "running"


@FAMILY.get("/nodes/{node}/services")
def list_services(call: Call) -> list[dict[str, Any]]:
    """Return the services with their states."""
    return [_describe(call, name) for name in _DESCRIPTIONS]


@FAMILY.get(_SERVICE + "/state")
def read_service(call: Call) -> dict[str, Any]:
    """Return one service's state."""
    return _describe(call, _name(call))


def _control(call: Call) -> str:
    action = call.template.rpartition("/")[2]
    if action == "stop" and _name(call) in _NEEDED:
        raise PveError(
            501, f"Stopping '{_name(call)}' is not simulated: the embedded Proxmox needs it"
        )
    args = {"service": _name(call), "state": _AFTER[action]}
    return call.start(f"srv{action}", _name(call), worker="service", args=args)


for _action in _AFTER:
    FAMILY.post(f"{_SERVICE}/{_action}")(_control)


def _finish_service(sim: Simulator, task: Task) -> tuple[str, ...]:
    key = ("service", f"{task.node}/{task.args['service']}")
    sim.state.records[key] = {"state": task.args["state"]}
    return ()


FAMILY.worker("service", Worker(finish=_finish_service))


# --- packages -----------------------------------------------------------------------------------


@FAMILY.get("/nodes/{node}/apt/versions")
def package_versions(call: Call) -> list[dict[str, Any]]:
    """Return the versions of the important packages."""
    full = call.state.settings["version"]
    found = []
    for name, version in _PACKAGES.items():
        entry = {
            "Package": name,
            "Title": name,
            "Description": name,
            "Version": version or full,
            "OldVersion": version or full,
            "CurrentState": "Installed",
            "Arch": "all" if name == "proxmox-ve" else "amd64",
            "Origin": "Proxmox",
            "Priority": "optional",
            "Section": "admin",
        }
        if name == "proxmox-ve":
            entry["RunningKernel"] = KERNEL
        if name == "pve-manager":
            entry["ManagerVersion"] = full
        found.append(entry)
    return found


@FAMILY.post("/nodes/{node}/apt/update")
def update_index(call: Call) -> str:
    """Refresh the package index, in a task; nothing new is ever found."""
    return call.start("aptupdate", "", worker="apt-update")


def _begin_update(sim: Simulator, task: Task) -> Begun:
    return Begun(3.0, ("starting apt-get update",))


def _finish_update(sim: Simulator, task: Task) -> tuple[str, ...]:
    return ("Reading package lists...",)


FAMILY.worker("apt-update", Worker(_begin_update, _finish_update))


# --- what a node can do -------------------------------------------------------------------------


@FAMILY.get("/nodes/{node}/capabilities/qemu/machines", checked=True)
def machines(call: Call) -> list[dict[str, str]]:
    """Return the machine types of QEMU."""
    versions = ("11.0", "10.1", "10.0", "9.2", "9.0", "8.2", "7.2")
    kinds = (("i440fx", "pc-i440fx"), ("q35", "pc-q35"))
    return [
        {"id": f"{prefix}-{version}", "type": kind, "version": version}
        for kind, prefix in kinds
        for version in versions
    ]


@FAMILY.get("/nodes/{node}/capabilities/qemu/cpu")
def processors(call: Call) -> list[dict[str, Any]]:
    """Return the processor models of QEMU, and those that the cluster added."""
    method = call.sim.schema.method("/cluster/qemu/custom-cpu-models", "POST")
    names = method.fields["reported-model"]["enum"] if method else []
    own = [ident for name, ident in call.state.records if name == "custom-cpu"]
    return [
        *({"name": name, "custom": 0, "vendor": _vendor(name)} for name in names),
        *({"name": f"custom-{name}", "custom": 1, "vendor": "default"} for name in sorted(own)),
    ]


def _vendor(name: str) -> str:
    if name.startswith(("EPYC", "Opteron", "athlon", "phenom")):
        return "AuthenticAMD"
    return "default" if name in ("host", "max", "kvm32", "kvm64") else "GenuineIntel"


@FAMILY.get("/nodes/{node}/scan/lvm")
def scan_lvm(call: Call) -> list[dict[str, Any]]:
    """Return the volume groups that storages use."""
    storages = call.state.storages.values()
    groups = {str(s.config["vgname"]) for s in storages if "vgname" in s.config}
    return [{"vg": name} for name in sorted(groups)]


@FAMILY.get("/nodes/{node}/scan/lvmthin")
def scan_lvmthin(call: Call) -> list[dict[str, Any]]:
    """Return the thin pools of a volume group that storages use."""
    pools = {
        str(storage.config["thinpool"])
        for storage in call.state.storages.values()
        if storage.config.get("vgname") == call.params["vg"] and "thinpool" in storage.config
    }
    return [{"lv": name} for name in sorted(pools)]


@FAMILY.get("/nodes/{node}/scan/zfs")
def scan_zfs(call: Call) -> list[dict[str, Any]]:
    """Return the ZFS pools that storages use."""
    pools = {str(s.config["pool"]) for s in call.state.storages.values() if s.type == "zfspool"}
    return [{"pool": name} for name in sorted(pools)]


# --- logs ---------------------------------------------------------------------------------------


def _syslog(call: Call) -> list[tuple[int, str]]:
    """Return what the daemons wrote of tasks on this node, the oldest first."""
    lines = []
    for task in visible_tasks(call):
        if task.node != call.node:
            continue
        who = f"<{task.user}>"
        lines.append((task.starttime, f"{who} starting task {task.upid}"))
        if not task.running:
            lines.append((int(task.endtime or 0), f"{who} end task {task.upid} {task.exitstatus}"))
    return sorted(lines)


def _line(call: Call, moment: int, text: str) -> str:
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%b %d %H:%M:%S")
    return f"{stamp} {call.node} pvedaemon[1001]: {text}"


@FAMILY.get("/nodes/{node}/syslog")
def syslog(call: Call) -> Reply:
    """Return lines of the system's log."""
    service = call.params.get("service")
    found = _syslog(call) if service in (None, "pvedaemon") else []
    lines = [{"n": n, "t": _line(call, *line)} for n, line in enumerate(found, 1)]
    start = call.params.get("start", 0)
    limit = call.params.get("limit", 50) or len(lines)
    return Reply(lines[start : start + limit], {"total": len(lines)})


@FAMILY.get("/nodes/{node}/journal")
def journal(call: Call) -> list[str]:
    """Return lines of the journal between two cursors, which are times here."""
    given = call.params
    first, last = given.get("since", 0), given.get("until", 2**40)
    found = [line for line in _syslog(call) if first <= line[0] <= last]
    if "lastentries" in given:
        found = found[len(found) - given["lastentries"] :] if given["lastentries"] else []
    lines = [_line(call, *line) for line in found]
    cursors = [f"t={found[0][0]}", f"t={found[-1][0]}"] if found else ["t=0", "t=0"]
    return [cursors[0], *lines, cursors[1]]


@FAMILY.get("/nodes/{node}/netstat")
def netstat(call: Call) -> list[dict[str, Any]]:
    """Return the counters of the guests' network devices."""
    return [
        {"vmid": str(guest.vmid), "dev": key, "in": "0", "out": "0"}
        for guest in call.state.guests.values()
        if guest.node == call.node and guest.running
        for key in guest.config
        if key.startswith("net") and key[3:].isdigit()
    ]
