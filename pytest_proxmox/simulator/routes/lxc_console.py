"""Consoles of containers: the tickets that open them. Nothing listens on their ports."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.tasks import Begun, Worker

FAMILY: Final = Family()
CT: Final = "/nodes/{node}/lxc/{vmid}"
FIRST_PORT: Final = 5900
PORTS: Final = 100
WAIT_S: Final = 10.0  # how long a proxy waits for its client before it ends


def _open(call: Call, kind: str) -> dict[str, Any]:
    guest = guests.require(call, "lxc")
    upid = call.start(kind, guest.vmid, worker="console")
    port = FIRST_PORT + call.sim.count("console", start=0) % PORTS
    ticket = call.sim.access.ticket(call.auth.userid).replace("PVE:", "PVEVNC:", 1)
    return {"port": str(port), "ticket": ticket, "upid": upid, "user": call.auth.name}


@FAMILY.post(CT + "/vncproxy")
def vnc(call: Call) -> dict[str, Any]:
    """Return a ticket for the console as VNC."""
    return _open(call, "vncproxy") | {"cert": ""}


@FAMILY.post(CT + "/termproxy")
def terminal(call: Call) -> dict[str, Any]:
    """Return a ticket for the console as a terminal."""
    return _open(call, "vncproxy")


@FAMILY.post(CT + "/spiceproxy")
def spice(call: Call) -> dict[str, Any]:
    """Return what a SPICE viewer needs to connect."""
    opened = _open(call, "spiceproxy")
    return {
        "type": "spice",
        "title": f"CT {call.params['vmid']}",
        "host": f"pvespiceproxy:{opened['ticket']}",
        "password": opened["ticket"][-16:],
        "proxy": f"http://{call.params.get('proxy', call.node)}:3128",
        "tls-port": int(opened["port"]) + 100,
        "delete-this-file": 1,
    }


FAMILY.worker("console", Worker(begin=lambda sim, task: Begun(WAIT_S)))
