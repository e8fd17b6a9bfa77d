"""Nodes: list, status, time, names, configuration (golden 08 seq 229 to 233)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pytest_proxmox.simulator import figures
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.records import check_digest, digest_of, without
from pytest_proxmox.simulator.routes.index import REPOSITORY_ID
from pytest_proxmox.simulator.state import Node
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

KERNEL: Final = "6.17.2-1-pve"  # what a node of that version runs; the recorded one had its own
_KERNEL_BUILD: Final = "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1"
_CPU_FLAGS: Final = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat hypervisor"
_NOT_KEPT: Final = ("node", "digest", "delete")


@FAMILY.get("/nodes")
def list_nodes(call: Call) -> list[dict[str, Any]]:
    """Return the nodes; figures are for those who may look at the node."""
    return [
        call.sim.census.node(node, with_figures=call.may(f"/nodes/{node.name}", "Sys.Audit"))
        | {"ssl_fingerprint": fingerprint(node)}
        for node in call.state.nodes.values()
    ]


def fingerprint(node: Node) -> str:
    """Return the fingerprint of a node's certificate: one for each name, in PVE's spelling."""
    text = hashlib.sha256(f"certificate of {node.name}".encode()).hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, 64, 2))


def this_node(call: Call) -> Node:
    """Return the node that a call is for."""
    node: Node = call.state.nodes[call.node]
    return node


def _keep(call: Call, name: str, value: Any) -> None:
    """Store one of a node's settings."""
    node = this_node(call)
    call.state.nodes[node.name] = replace(node, settings={**node.settings, name: value})


@FAMILY.get("/nodes/{node}/status")
def status(call: Call) -> dict[str, Any]:
    """Return what a node is made of and what it uses."""
    node, now = this_node(call), call.sim.clock.now()
    found = figures.of_node(call.sim, node)
    share = figures.wave(node.nodeid, now)
    free = node.maxmem - found["mem"]
    left = found["maxdisk"] - found["disk"]
    return {
        "boot-info": {"mode": "legacy-bios"},
        "cpu": found["cpu"],
        "cpuinfo": _cpu_info(node),
        "current-kernel": {
            "machine": "x86_64",
            "release": KERNEL,
            "sysname": "Linux",
            "version": _KERNEL_BUILD,
        },
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": f"Linux {KERNEL} {_KERNEL_BUILD}",
        "loadavg": [f"{part + share:.2f}" for part in (0.3, 0.2, 0.1)],
        "memory": {
            "total": node.maxmem,
            "used": found["mem"],
            "free": free,
            "available": free,
        },
        "pveversion": f"pve-manager/{call.state.settings['version']}/{REPOSITORY_ID}",
        "rootfs": {
            "total": found["maxdisk"],
            "used": found["disk"],
            "free": left,
            "avail": left,
        },
        "swap": {"total": 0, "used": 0, "free": 0},
        "uptime": found["uptime"],
        "wait": round(0.005 * share, 12),
    }


def _cpu_info(node: Node) -> dict[str, Any]:
    return {
        "cores": node.maxcpu,
        "cpus": node.maxcpu,
        "family": "6",
        "flags": _CPU_FLAGS,
        "hvm": "1",
        "mhz": "2500.000",
        "model": "Simulated processor",
        "sockets": 1,
        "user_hz": 100,
        "vendor": "GenuineIntel",
    }


# --- time and names -----------------------------------------------------------------------------


@FAMILY.get("/nodes/{node}/time")
def read_time(call: Call) -> dict[str, Any]:
    """Return a node's clock in UTC and in its own time zone."""
    now = int(call.sim.clock.now())
    zone = this_node(call).settings.get("timezone", "UTC")
    offset = datetime.fromtimestamp(now, _zone(zone)).utcoffset()
    local = now + int(offset.total_seconds()) if offset else now
    return {"time": now, "localtime": local, "timezone": zone}


def _zone(name: str) -> Any:
    if name == "UTC":  # needs no time zone data, which not every machine has
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise PveError(500, f"No such timezone '{name}'") from exc


@FAMILY.put("/nodes/{node}/time")
def set_time_zone(call: Call) -> None:
    """Set a node's time zone."""
    _zone(call.params["timezone"])
    _keep(call, "timezone", call.params["timezone"])


@FAMILY.get("/nodes/{node}/dns")
def read_dns(call: Call) -> dict[str, str]:
    """Return the name servers and the search domain."""
    default = {"search": "pve.example", "dns1": "198.51.100.1"}
    found: dict[str, str] = this_node(call).settings.get("dns", default)
    return dict(found)


@FAMILY.put("/nodes/{node}/dns")
def set_dns(call: Call) -> None:
    """Set the name servers and the search domain."""
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    _keep(call, "dns", read_dns(call) | given)


def _hosts(call: Call) -> str:
    lines = ["127.0.0.1 localhost.localdomain localhost"]
    for node in call.state.nodes.values():
        address = node.address.partition("/")[0]
        lines.append(f"{address} {node.name}.pve.example {node.name}")
    text: str = this_node(call).settings.get("hosts", "\n".join(lines) + "\n")
    return text


@FAMILY.get("/nodes/{node}/hosts")
def read_hosts(call: Call) -> dict[str, str]:
    """Return ``/etc/hosts``."""
    text = _hosts(call)
    return {"data": text, "digest": digest_of({"data": text})}


@FAMILY.post("/nodes/{node}/hosts")
def write_hosts(call: Call) -> None:
    """Replace ``/etc/hosts``."""
    check_digest({"data": _hosts(call)}, call.params.get("digest"))
    _keep(call, "hosts", call.params["data"])


# --- configuration ------------------------------------------------------------------------------


def _config(call: Call) -> Mapping[str, Any]:
    found: Mapping[str, Any] = this_node(call).settings.get("config", {})
    return found


@FAMILY.get("/nodes/{node}/config")
def read_config(call: Call) -> dict[str, Any]:
    """Return a node's configuration, or one property of it."""
    config = dict(_config(call))
    wanted = call.params.get("property")
    if wanted not in (None, "all"):
        config = {key: value for key, value in config.items() if key == wanted}
    return config | {"digest": digest_of(_config(call))}


@FAMILY.put("/nodes/{node}/config")
def write_config(call: Call) -> None:
    """Change a node's configuration."""
    check_digest(_config(call), call.params.get("digest"))
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    _keep(call, "config", without(_config(call), call.params.get("delete")) | given)


@FAMILY.get("/nodes/{node}/report")
def report(call: Call) -> str:
    """Return a text about the node as support asks for it."""
    node = this_node(call)
    storages = [f"{s.type}: {s.name}" for s in call.state.storages.values()]
    guests = [
        f"{guest.kind}/{guest.vmid} {guest.status}"
        for guest in call.state.guests.values()
        if guest.node == node.name
    ]
    parts = [
        ("general system info", [f"node {node.name}", f"version {call.state.settings['version']}"]),
        ("storages", storages),
        ("virtual guests", guests),
    ]
    return "\n".join(f"==== {title} ====\n\n" + "\n".join(rows) + "\n" for title, rows in parts)


@FAMILY.get("/nodes/{node}/subscription", checked=True)
def subscription(call: Call) -> dict[str, Any]:
    """Return that there is no subscription: the embedded node never has one."""
    return {
        "status": "notfound",
        "message": "There is no subscription key",
        "serverid": hashlib.md5(call.node.encode(), usedforsecurity=False).hexdigest().upper(),
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    }


# --- the past -----------------------------------------------------------------------------------


@FAMILY.get("/nodes/{node}/rrddata")
def node_history(call: Call) -> list[dict[str, Any]]:
    """Return what a node used over a time."""
    return figures.node_series(call.sim, this_node(call), call.params["timeframe"])


@FAMILY.get("/nodes/{node}/storage/{storage}/rrddata")
def storage_history(call: Call) -> list[dict[str, Any]]:
    """Return how full a storage was over a time."""
    name = call.params["storage"]
    storage = call.state.storages.get(name)
    if storage is None:
        raise _no_history(f"pve-storage-9.0/{call.node}/{name}")
    return figures.storage_series(call.sim, storage, this_node(call), call.params["timeframe"])


@FAMILY.get("/nodes/{node}/qemu/{vmid}/rrddata")
@FAMILY.get("/nodes/{node}/lxc/{vmid}/rrddata")
def guest_history(call: Call) -> list[dict[str, Any]]:
    """Return what a guest used over a time; there is no file before it was first heard of."""
    vmid = call.params["vmid"]
    guest = call.sim.broadcast(vmid)
    if guest is None:
        raise _no_history(f"pve-vm-9.0/{vmid}")
    return figures.guest_series(call.sim, guest, call.params["timeframe"])


def _no_history(file: str) -> PveError:
    path = f"/var/lib/rrdcached/db/{file}"
    return PveError(500, f"RRD error: opening '{path}': No such file or directory")
