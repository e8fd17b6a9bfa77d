"""The cluster's own picture of itself: nodes, guests and storages as the nodes report them.

A node tells the others about its guests every ten seconds, so a new guest has neither name nor
figures at first, and a VMID that was used before shows what it was (golden README, point 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import figures
from pytest_proxmox.simulator.quorum import is_online, is_quorate
from pytest_proxmox.simulator.wire import Rendered, dumps

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.simulator.state import Guest, Node, Pool, Storage

May = Callable[[str, str], bool]  # (path, privilege) -> whether the one who asks has it

LOCAL_ZONE: Final = "localnetwork"  # the zone that every node's own bridges lie in
_FIGURES: Final = (
    "cpu",
    "disk",
    "diskread",
    "diskwrite",
    "maxcpu",
    "maxdisk",
    "maxmem",
    "mem",
    "memhost",
    "name",
    "netin",
    "netout",
    "status",
    "template",
)
_FROM_CONFIG: Final = ("tags", "lock")  # known at once: they stand in the configuration


@dataclass(slots=True)
class _Line:
    """A guest's entry, rendered as far as it stays the same while these two do."""

    heard: Guest | None
    guest: Guest
    hastate: str | None
    text: bytes


class Census:
    """What ``/cluster/resources``, ``/nodes`` and pools show, kept rendered where it can be."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._lines: dict[int, _Line] = {}
        self._usage: dict[tuple[str, str], tuple[int, Storage, tuple[int, int]]] = {}
        self._memory: tuple[int, dict[str, int]] = (-1, {})

    # --- guests -----------------------------------------------------------------------------

    def _heard_nodes(self) -> frozenset[str]:
        """Return the nodes that the others hear: those online while there is quorum."""
        if not is_quorate(self._sim):
            return frozenset()
        return frozenset(name for name in self._sim.state.nodes if is_online(self._sim, name))

    def _heard(self, guest: Guest, nodes: frozenset[str]) -> Guest | None:
        """Return the guest as its node last told the others, None if nobody heard of it."""
        return self._sim.broadcast(guest.vmid) if guest.node in nodes else None

    def guest(self, guest: Guest) -> dict[str, Any]:
        """Return a guest's entry."""
        heard = self._heard(guest, self._heard_nodes())
        entry = self._entry(guest, heard)
        if heard is not None:
            entry["uptime"] = _uptime(heard, self._sim.clock.now())
        return entry

    def _entry(self, guest: Guest, heard: Guest | None) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": f"{guest.kind}/{guest.vmid}",
            "type": guest.kind,
            "vmid": guest.vmid,
            "node": guest.node,
            "status": "unknown",
        }
        if heard is not None:
            found = figures.of_guest(self._sim, heard)
            entry |= {key: found[key] for key in _FIGURES}
        for key in _FROM_CONFIG:
            if value := str(guest.config.get(key, "")).strip():
                entry[key] = value
        if state := self._hastate(guest):
            entry["hastate"] = state
        return entry

    def _hastate(self, guest: Guest) -> str | None:
        if not self._sim.state.ha:
            return None
        sid = f"{'ct' if guest.kind == 'lxc' else 'vm'}:{guest.vmid}"
        resource = self._sim.state.ha.get(sid)
        return None if resource is None else str(resource.get("state", "started"))

    def _line(self, guest: Guest, heard: Guest | None, now: float) -> bytes:
        """Return a guest's entry as JSON without its end."""
        hastate = self._hastate(guest)
        line = self._lines.get(guest.vmid)
        if (
            line is None
            or line.heard is not heard
            or line.guest is not guest
            or line.hastate != hastate
        ):
            text = dumps(self._entry(guest, heard))[:-1]
            line = self._lines[guest.vmid] = _Line(heard, guest, hastate, text)
        if heard is None:
            return line.text
        return b'%b,"uptime":%d' % (line.text, _uptime(heard, now))

    def guest_lines(self, may: May | None) -> list[bytes]:
        """Return the entries of all guests that ``may`` shows, None showing everything."""
        members, nodes = self._sim.state.members, self._heard_nodes()
        now = self._sim.clock.now()
        lines = []
        for vmid, guest in self._sim.state.guests.items():
            if may is not None and not may(f"/vms/{vmid}", "VM.Audit"):
                continue
            line = self._line(guest, self._heard(guest, nodes), now)
            poolid = members.get(vmid)
            if poolid and (may is None or may(f"/pool/{poolid}", "Pool.Audit")):
                lines.append(b'%b,"pool":%b}' % (line, dumps(poolid)))
            else:
                lines.append(line + b"}")
        if len(self._lines) > 2 * len(lines) + 100:  # what is gone need not be kept
            self._lines.clear()
        return lines

    # --- storages ---------------------------------------------------------------------------

    def usage(self, storage: Storage, node: str) -> tuple[int, int]:
        """Return a storage's used and available bytes, counted again only after changes."""
        version = self._sim.state.volumes.version
        known = self._usage.get((storage.name, node))
        if known is None or known[0] != version or known[1] is not storage:
            known = (version, storage, self._sim.volumes.usage(storage, node))
            self._usage[storage.name, node] = known
        return known[2]

    def storage(self, storage: Storage, node: Node) -> dict[str, Any]:
        """Return a storage's entry on a node."""
        entry: dict[str, Any] = {
            "id": f"storage/{node.name}/{storage.name}",
            "type": "storage",
            "storage": storage.name,
            "node": node.name,
            "plugintype": storage.type,
            "content": ",".join(storage.content),
            "shared": int(storage.shared),
            "status": "unknown",
        }
        if node.name in self._heard_nodes():
            used, _ = self.usage(storage, node.name)
            entry |= {"status": "available", "disk": used, "maxdisk": storage.size}
        return entry

    def storages(self, may: May | None) -> Iterable[dict[str, Any]]:
        """Yield the entries of the storages, one for each node that has it."""
        for node in self._sim.state.nodes.values():
            for storage in self._sim.state.storages.values():
                if storage.disabled or not self._sim.volumes.is_on(storage, node.name):
                    continue
                path = f"/storage/{storage.name}"
                if (
                    may is None
                    or may(path, "Datastore.Audit")
                    or may(path, "Datastore.AllocateSpace")
                ):
                    yield self.storage(storage, node)

    def memory(self, node: str) -> int:
        """Return the memory in use on a node, counted again only after guests changed."""
        version = self._sim.state.guests.version
        if self._memory[0] != version:
            used: dict[str, int] = {}
            for guest in self._sim.state.guests.values():
                used[guest.node] = used.get(guest.node, 0) + figures.memory_of(guest)
            self._memory = (version, used)
        return figures.NODE_MEMORY + self._memory[1].get(node, 0)

    # --- nodes and networks -----------------------------------------------------------------

    def node(self, node: Node, *, with_figures: bool) -> dict[str, Any]:
        """Return a node's entry as ``/nodes`` and ``/cluster/resources`` share it."""
        entry: dict[str, Any] = {"id": f"node/{node.name}", "type": "node", "node": node.name}
        if not is_quorate(self._sim):
            return entry | {"status": "unknown"}
        if not is_online(self._sim, node.name):
            return entry | {"status": "offline"}
        entry |= {"status": "online", "level": ""}
        return entry | (figures.of_node(self._sim, node) if with_figures else {})

    def nodes(self, may: May | None) -> Iterable[dict[str, Any]]:
        """Yield the entries of the nodes; figures are for those who may look at the node."""
        nodes = self._heard_nodes()
        for node in self._sim.state.nodes.values():
            full = may is None or may(f"/nodes/{node.name}", "Sys.Audit")
            entry = self.node(node, with_figures=full)
            yield entry | ({"cgroup-mode": 2} if node.name in nodes else {})

    def networks(self, may: May | None) -> Iterable[dict[str, Any]]:
        """Yield the zones of the software-defined network on each node."""
        if may is not None and not may(f"/sdn/zones/{LOCAL_ZONE}", "SDN.Audit"):
            return
        nodes = self._heard_nodes()
        for node in self._sim.state.nodes.values():
            yield {
                "id": f"network/{node.name}/zone/{LOCAL_ZONE}",
                "type": "network",
                "network": LOCAL_ZONE,
                "network-type": "zone",
                "node": node.name,
                "status": "ok" if node.name in nodes else "unknown",
            }

    def resources(self, may: May | None, kind: str | None) -> Rendered:
        """Return everything, or the ``vm``, ``storage``, ``node`` or ``sdn`` part, as JSON."""
        lines: list[bytes] = []
        if kind in (None, "vm"):
            lines += self.guest_lines(may)
        for name, listed in (
            ("storage", self.storages),
            ("node", self.nodes),
            ("sdn", self.networks),
        ):
            if kind in (None, name):
                lines += map(dumps, listed(may))
        return Rendered(b"[%b]" % b",".join(lines))

    def members(self, pool: Pool, kind: str | None) -> list[dict[str, Any]]:
        """Return what is in a pool: guests, then storages on each node."""
        state = self._sim.state
        vmids = sorted(vmid for vmid, poolid in state.members.items() if poolid == pool.poolid)
        guests = [state.guests[vmid] for vmid in vmids if vmid in state.guests]
        found = [self.guest(guest) for guest in guests if kind in (None, guest.kind)]
        if kind in (None, "storage"):
            known = [state.storages[name] for name in pool.storages if name in state.storages]
            for node in state.nodes.values():
                found += [
                    self.storage(storage, node)
                    for storage in known
                    if self._sim.volumes.is_on(storage, node.name)
                ]
        return found


def _uptime(heard: Guest, now: float) -> int:
    return max(1, int(now - heard.started)) if heard.status != "stopped" else 0
