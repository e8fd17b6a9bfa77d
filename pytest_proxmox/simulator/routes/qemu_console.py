"""Consoles of VMs: tickets for them, keys, QEMU's monitor. Nothing listens on their ports."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator import guests, machines
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.lxc_console import FIRST_PORT, PORTS
from pytest_proxmox.simulator.routes.qemu_power import require_running
from pytest_proxmox.simulator.state import Guest
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
MONITOR_VERSION: Final = f"{machines.QEMU_VERSION}Debian 1:7.2+dfsg-7+deb12u18+b3"
TLS_PORT: Final = 61000
KEYS_KEPT: Final = 100


def _open(call: Call, kind: str) -> dict[str, Any]:
    upid = call.start(kind, call.params["vmid"], worker="console")
    port = FIRST_PORT + call.sim.count("console", start=0) % PORTS
    ticket = call.sim.access.ticket(call.auth.userid).replace("PVE:", "PVEVNC:", 1)
    return {"port": str(port), "ticket": ticket, "upid": upid, "user": call.auth.name}


@FAMILY.post(VM + "/vncproxy")
def vnc(call: Call) -> dict[str, Any]:
    """Return a ticket for the screen as VNC."""
    guests.require(call, "qemu")
    opened = _open(call, "vncproxy") | {"cert": ""}
    if call.params.get("generate-password"):
        opened["password"] = opened["ticket"][-8:]
    return opened


@FAMILY.post(VM + "/termproxy")
def terminal(call: Call) -> dict[str, Any]:
    """Return a ticket for a serial console."""
    guest = guests.require(call, "qemu")
    wanted = call.params.get("serial")
    ports = [key for key in guest.config if machines.rank(key)[0] == "serial"]
    if wanted and wanted not in ports:  # texts as in public reports, not recorded
        raise PveError(500, f"unable to find serial interface '{wanted}'")
    if not ports:
        raise PveError(500, "unable to find a serial interface")
    return _open(call, "vncproxy")


@FAMILY.post(VM + "/spiceproxy")
def spice(call: Call) -> dict[str, Any]:
    """Return what a SPICE viewer needs to connect to a running VM."""
    guest = require_running(call)
    vga = machines.parse("vga", str(guest.config.get("vga", "std")))
    if not str(vga.get("type", "std")).startswith("qxl"):  # not recorded
        raise PveError(500, f"VM {guest.vmid} has no SPICE display")
    opened = _open(call, "spiceproxy")
    return {
        "type": "spice",
        "title": f"VM {guest.vmid} - {guest.name}",
        "host": f"pvespiceproxy:{opened['ticket']}",
        "password": opened["ticket"][-16:],
        "proxy": f"http://{call.params.get('proxy', call.node)}:3128",
        "tls-port": TLS_PORT + guest.vmid % PORTS,
        "delete-this-file": 1,
    }


@FAMILY.get(VM + "/vncwebsocket")
def websocket(call: Call) -> dict[str, Any]:
    """Return the port that a ticket for the screen is good for."""
    guests.require(call, "qemu")
    if not str(call.params["vncticket"]).startswith("PVEVNC:"):
        raise PveError.forbidden("invalid PVEVNC ticket")
    return {"port": str(call.params["port"])}


@FAMILY.put(VM + "/sendkey")
def send_key(call: Call) -> None:
    """Press keys; the last ones are kept, for who looks at the guest in a test."""
    guests.skiplock(call)
    guest = require_running(call)
    pressed = (*guest.extra.get("keys", ()), call.params["key"])[-KEYS_KEPT:]
    call.sim.put_guest(guest, extra={**guest.extra, "keys": pressed})


# --- the monitor --------------------------------------------------------------------------------


@FAMILY.post(VM + "/monitor")
def monitor(call: Call) -> str:
    """Run a command of QEMU's human monitor; what changes something works as its own call does."""
    guest = require_running(call)
    words = str(call.params["command"]).split()
    command = " ".join(words)
    if not command.startswith(("info", "help")) and not call.auth.is_root_ticket:
        call.require(f"/vms/{guest.vmid}", "Sys.Modify")
    if command in ("stop", "cont", "c", "system_reset"):
        status = "paused" if command == "stop" else "running"
        call.sim.put_guest(guest, status=status)
        return ""
    known = _INFO.get(command)
    if known is None:
        return f"unknown command: '{command}'\r\n"
    return known(guest)


def _status(guest: Guest) -> str:
    return "VM status: " + ("running" if guest.status == "running" else "paused") + "\r\n"


def _version(guest: Guest) -> str:
    return f"{MONITOR_VERSION}\r\n"


def _name(guest: Guest) -> str:
    return f"{guest.name}\r\n"


def _uuid(guest: Guest) -> str:
    values = machines.parse("smbios1", str(guest.config.get("smbios1", "")))
    return f"{values.get('uuid', '')}\r\n"


def _block(guest: Guest) -> str:
    lines = [f"drive-{drive.key}: {drive.file}\r\n" for drive in machines.drives(guest.config)]
    return "".join(lines)


_INFO: Final = {
    "info block": _block,
    "info name": _name,
    "info status": _status,
    "info uuid": _uuid,
    "info version": _version,
}
