"""A node's network interfaces: changes wait until they are applied or reverted.

What applies are the records ``network``, what waits ``network-new``, both by node.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.records import without
from pytest_proxmox.simulator.state import Node, Task
from pytest_proxmox.simulator.tasks import Begun, Worker
from pytest_proxmox.simulator.wire import PveError, Reply

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
Interfaces = dict[str, Mapping[str, Any]]

APPLIED: Final = "network"
WAITING: Final = "network-new"
_PATH: Final = "/nodes/{node}/network"
_BRIDGES: Final = ("bridge", "OVSBridge")
_FILTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "any_bridge": _BRIDGES,
    "any_local_bridge": _BRIDGES,
}
_NOT_KEPT: Final = ("node", "iface", "delete")


def _initial(node: Node) -> Interfaces:
    """Return the interfaces that a node has before anybody changed them (golden 08 seq 233)."""
    found: Interfaces = {
        "eth0": {
            "type": "eth",
            "method": "manual",
            "method6": "manual",
            "families": ["inet"],
            "active": 1,
            "exists": 1,
        }
    }
    for number, name in enumerate(node.bridges):
        bridge: dict[str, Any] = {
            "type": "bridge",
            "method": "manual",
            "method6": "manual",
            "families": ["inet"],
            "active": 1,
            "autostart": 1,
            "bridge_fd": "0",
            "bridge_ports": "",
            "bridge_stp": "off",
            "priority": 3 + number,
        }
        found[name] = bridge | (_static(node.address) if number == 0 else {})
    return found


def _static(cidr: str) -> dict[str, str]:
    address, slash, prefix = cidr.partition("/")
    found = {"method": "static", "address": address}
    return found | ({"cidr": cidr, "netmask": prefix} if slash else {})


def applied(sim: Simulator, node: Node) -> Interfaces:
    """Return the interfaces as they are in use."""
    return dict(sim.state.records.get((APPLIED, node.name)) or _initial(node))


def _configured(call: Call) -> Interfaces:
    """Return the interfaces with the changes that wait."""
    waiting = call.state.records.get((WAITING, call.node))
    return dict(waiting or applied(call.sim, call.state.nodes[call.node]))


def _store(call: Call, interfaces: Interfaces) -> None:
    call.state.records[WAITING, call.node] = interfaces


def _as_text(interfaces: Interfaces) -> list[str]:
    lines = []
    for name, config in sorted(interfaces.items()):
        if config.get("autostart"):
            lines.append(f"auto {name}\n")
        lines.append(f"iface {name} inet {config.get('method', 'manual')}\n")
        for key in ("cidr", "gateway", "bridge_ports", "bridge_stp", "bridge_fd", "mtu"):
            if key in config:
                keyword = "address" if key == "cidr" else key.replace("_", "-")
                lines.append(f"\t{keyword} {config[key]}\n")
        lines.append("\n")
    return lines


@FAMILY.get(_PATH)
def list_interfaces(call: Call) -> Any:
    """Return the interfaces with what waits; the difference comes with them as ``changes``."""
    kind = call.params.get("type")
    kinds = _FILTERS.get(kind, (kind,)) if kind and kind != "include_sdn" else None
    found = [
        {"iface": name, **config}
        for name, config in _configured(call).items()
        if kinds is None or config["type"] in kinds
    ]
    if (WAITING, call.node) not in call.state.records:
        return found
    old = applied(call.sim, call.state.nodes[call.node])
    difference = difflib.unified_diff(
        _as_text(old),
        _as_text(_configured(call)),
        "/etc/network/interfaces",
        "/etc/network/interfaces.new",
    )
    return Reply(found, {"changes": "".join(difference)})


@FAMILY.get(_PATH + "/{iface}")
def read_interface(call: Call) -> dict[str, Any]:
    """Return one interface."""
    return dict(_require(call))


def _require(call: Call) -> Mapping[str, Any]:
    config = _configured(call).get(call.params["iface"])
    if config is None:
        raise PveError.fields({"iface": "interface does not exist"})
    return config


@FAMILY.post(_PATH)
def create_interface(call: Call) -> None:
    """Add an interface; it waits to be applied."""
    name, interfaces = call.params["iface"], _configured(call)
    if name in interfaces:
        raise PveError.fields({"iface": "interface already exists"})
    _store(call, interfaces | {name: _completed(call, {})})


@FAMILY.put(_PATH + "/{iface}")
def update_interface(call: Call) -> None:
    """Change an interface; the change waits to be applied."""
    kept = without(_require(call), call.params.get("delete"))
    config = _completed(call, kept)
    _store(call, _configured(call) | {call.params["iface"]: config})


def _completed(call: Call, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return an interface's configuration with what follows from what was given."""
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    config = {"families": ["inet"], "method6": "manual", **old, **given}
    if "cidr" in given:
        config |= _static(given["cidr"])
    elif "address" in given:
        prefix = ipaddress.ip_network(f"0.0.0.0/{given['netmask']}").prefixlen
        config |= _static(f"{given['address']}/{prefix}")
    config.setdefault("method", "static" if "address" in config else "manual")
    if config["type"] == "bridge":
        config = {"bridge_fd": "0", "bridge_ports": "", "bridge_stp": "off"} | config
    config.setdefault("priority", len(_configured(call)) + 2)
    return config


@FAMILY.delete(_PATH + "/{iface}")
def delete_interface(call: Call) -> None:
    """Remove an interface; it is there until that is applied."""
    _require(call)
    name = call.params["iface"]
    _store(call, {key: value for key, value in _configured(call).items() if key != name})


@FAMILY.delete(_PATH)
def revert(call: Call) -> None:
    """Forget the changes that wait."""
    call.state.records.pop((WAITING, call.node))


@FAMILY.put(_PATH)
def apply(call: Call) -> str:
    """Apply the changes that wait, in a task."""
    return call.start("srvreload", "networking", worker="network-reload")


def _begin_reload(sim: Simulator, task: Task) -> Begun:
    return Begun(2.0)


def _finish_reload(sim: Simulator, task: Task) -> tuple[str, ...]:
    waiting = sim.state.records.pop((WAITING, task.node))
    if waiting is None:
        return ()
    active = {name: {**config, "active": 1} for name, config in waiting.items()}
    sim.state.records[APPLIED, task.node] = active
    bridges = tuple(name for name, config in active.items() if config["type"] in _BRIDGES)
    sim.state.nodes[task.node] = replace(sim.state.nodes[task.node], bridges=bridges)
    return ()


FAMILY.worker("network-reload", Worker(_begin_reload, _finish_reload))
