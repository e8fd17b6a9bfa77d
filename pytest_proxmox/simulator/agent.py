"""What a guest agent says: the system in a VM as its configuration and its disk describe it.

Commands and shapes are those of QEMU's public guest agent protocol. The recorded node had no guest
system, so of all this only ``No QEMU guest agent configured`` is recorded (golden 10 seq 100).
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator import machines
from pytest_proxmox.simulator.state import MIB, Guest, Volume

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

AGENT_VERSION: Final = "9.2.0"
MEMORY_BLOCK: Final = 128 * MIB
ROOT_USED: Final = 1_400_000_000  # what a small cloud image takes
FIRST_LEASE: Final = 100  # what the simulated DHCP server gives first, within a node's network
LEASES: Final = 100
NO_SUCH_FILE: Final = "No such file or directory"
_OS: Final = {
    "id": "debian",
    "kernel-release": "6.12.0-amd64",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12",
    "machine": "x86_64",
    "name": "Debian GNU/Linux",
    "pretty-name": "Debian GNU/Linux 13 (trixie)",
    "version": "13 (trixie)",
    "version-id": "13",
}
_COMMANDS: Final = (
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-file-read",
    "guest-file-write",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-status",
    "guest-fsfreeze-thaw",
    "guest-fstrim",
    "guest-get-fsinfo",
    "guest-get-host-name",
    "guest-get-memory-block-info",
    "guest-get-memory-blocks",
    "guest-get-osinfo",
    "guest-get-time",
    "guest-get-timezone",
    "guest-get-users",
    "guest-get-vcpus",
    "guest-info",
    "guest-network-get-interfaces",
    "guest-ping",
    "guest-set-user-password",
    "guest-shutdown",
    "guest-suspend-disk",
    "guest-suspend-hybrid",
    "guest-suspend-ram",
)


class AgentError(Exception):
    """The agent refuses, in these words."""


# --- questions ----------------------------------------------------------------------------------


def host_name(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return the name that the system gave itself."""
    return {"host-name": str(guest.config.get("name", f"VM{guest.vmid}"))}


def os_info(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return which system it is."""
    return dict(_OS)


def info(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return the agent's version and what it can do."""
    commands = [{"name": name, "enabled": True, "success-response": True} for name in _COMMANDS]
    return {"version": AGENT_VERSION, "supported_commands": commands}


def time(sim: Simulator, guest: Guest) -> int:
    """Return the system's time in nanoseconds since the epoch."""
    return int(sim.clock.now() * 1_000_000_000)


def timezone(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return the system's time zone."""
    return {"zone": "UTC", "offset": 0}


def users(sim: Simulator, guest: Guest) -> list[Any]:
    """Return who is logged in: nobody."""
    return []


def processors(sim: Simulator, guest: Guest) -> list[dict[str, Any]]:
    """Return the processors that the system sees."""
    return [
        {"logical-id": number, "online": True, "can-offline": number > 0}
        for number in range(machines.cpus(guest.config))
    ]


def memory_block_info(sim: Simulator, guest: Guest) -> dict[str, Any]:
    """Return the size of a memory block."""
    return {"size": MEMORY_BLOCK}


def memory_blocks(sim: Simulator, guest: Guest) -> list[dict[str, Any]]:
    """Return the memory blocks that the system sees."""
    count = max(1, machines.memory_mib(guest.config) * MIB // MEMORY_BLOCK)
    return [{"phys-index": n, "online": True, "can-offline": n > 0} for n in range(count)]


def file_systems(sim: Simulator, guest: Guest) -> list[dict[str, Any]]:
    """Return the mounted file systems: one on the boot disk."""
    drive = machines.boot_disk(guest.config)
    volume = boot_volume(sim, guest)
    if drive is None or volume is None:
        return []
    bus, number = machines.rank(drive.key)
    device = "vda" if bus == "virtio" else "sda"
    disk = {"bus-type": bus, "bus": 0, "target": 0, "unit": number, "dev": f"/dev/{device}1"}
    return [
        {
            "name": f"{device}1",
            "mountpoint": "/",
            "type": "ext4",
            "total-bytes": volume.size,
            "used-bytes": min(volume.size, ROOT_USED),
            "disk": [disk],
        }
    ]


def interfaces(sim: Simulator, guest: Guest) -> list[dict[str, Any]]:
    """Return the network interfaces with their addresses: as configured, else a DHCP lease."""
    loopback = [_address("127.0.0.1", 8), _address("::1", 128)]
    found = [_interface("lo", "00:00:00:00:00:00", loopback)]
    for key in sorted(filter(machines.NET.fullmatch, guest.config), key=machines.rank):
        number = machines.rank(key)[1]
        card = machines.parse(key, str(guest.config[key]))
        mac = str(card.get("macaddr", "00:00:00:00:00:00")).lower()
        found.append(_interface(f"eth{number}", mac, _addresses(sim, guest, number, mac)))
    served = sim.workloads.address(guest.vmid) if sim.workloads is not None else None
    if served is not None and len(found) > 1:  # where what the VM serves can be reached
        found[1]["ip-addresses"].insert(0, _address(served, 8))
    return found


def _interface(name: str, mac: str, addresses: list[dict[str, Any]]) -> dict[str, Any]:
    counters = ("bytes", "dropped", "errs", "packets")
    return {
        "name": name,
        "hardware-address": mac,
        "ip-addresses": addresses,
        "statistics": {f"{way}-{what}": 0 for way in ("rx", "tx") for what in counters},
    }


def _address(text: str, prefix: int) -> dict[str, Any]:
    kind = f"ipv{ipaddress.ip_address(text).version}"
    return {"ip-address": text, "ip-address-type": kind, "prefix": prefix}


def _addresses(sim: Simulator, guest: Guest, number: int, mac: str) -> list[dict[str, Any]]:
    text = str(guest.config.get(f"ipconfig{number}", "ip=dhcp"))
    given = machines.parse("ipconfig0", text)
    found = []
    for family in ("ip", "ip6"):
        address, _, prefix = str(given.get(family, "")).partition("/")
        if prefix:
            found.append(_address(address, int(prefix)))
        elif address == "dhcp" and family == "ip":
            found.append(_lease(sim, guest, number))
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    host = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
    local = ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + host)
    return [*found, _address(str(local), 64)]


def _lease(sim: Simulator, guest: Guest, number: int) -> dict[str, Any]:
    """Return an address in the node's network that is always the same for a network card."""
    network = ipaddress.ip_interface(sim.state.nodes[guest.node].address).network
    room = min(LEASES, max(1, network.num_addresses - FIRST_LEASE - 2))
    offset = FIRST_LEASE + (guest.vmid + 31 * number) % room
    host = network.network_address + min(offset, network.num_addresses - 2)
    return _address(str(host), network.prefixlen)


Question = Callable[["Simulator", Guest], Any]

QUESTIONS: Final[Mapping[str, Question]] = {
    "get-fsinfo": file_systems,
    "get-host-name": host_name,
    "get-memory-block-info": memory_block_info,
    "get-memory-blocks": memory_blocks,
    "get-osinfo": os_info,
    "get-time": time,
    "get-timezone": timezone,
    "get-users": users,
    "get-vcpus": processors,
    "info": info,
    "network-get-interfaces": interfaces,
}


# --- the system's files -------------------------------------------------------------------------


def boot_volume(sim: Simulator, guest: Guest) -> Volume | None:
    """Return the volume that the system lies on."""
    drive = machines.boot_disk(guest.config)
    return sim.volumes.find(drive.file, guest.node) if drive is not None else None


def files(sim: Simulator, guest: Guest) -> dict[str, bytes]:
    """Return the files of the system by path: what the disk holds, and what the system makes up."""
    volume = boot_volume(sim, guest)
    held = volume.data.get("files", {}) if volume is not None else {}
    name = host_name(sim, guest)["host-name"]
    found = {"/etc/hostname": f"{name}\n".encode(), "/etc/os-release": _os_release().encode()}
    return found | {path: base64.b64decode(text) for path, text in held.items()}


def _os_release() -> str:
    return f'PRETTY_NAME="{_OS["pretty-name"]}"\nID={_OS["id"]}\nVERSION_ID="{_OS["version-id"]}"\n'


def read_file(sim: Simulator, guest: Guest, path: str) -> bytes:
    """Return what a file holds.

    Raises:
        AgentError: it is not there.
    """
    held = files(sim, guest)
    if path not in held:
        raise AgentError(f"failed to open file '{path}' (mode: 'r'): {NO_SUCH_FILE}")
    return held[path]


def write_file(sim: Simulator, guest: Guest, path: str, content: bytes) -> None:
    """Put a file onto the disk, where clones, snapshots and backups take it along.

    Raises:
        AgentError: the VM has no disk.
    """
    volume = boot_volume(sim, guest)
    if volume is None:
        raise AgentError(f"failed to open file '{path}' (mode: 'w'): Read-only file system")
    held = {**volume.data.get("files", {}), path: base64.b64encode(content).decode()}
    sim.volumes.put(replace(volume, data={**volume.data, "files": held}))


# --- programs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it wrote."""

    code: int = 0
    out: str = ""
    err: str = ""


def run(sim: Simulator, guest: Guest, command: list[str], *, given: str = "") -> Ended:
    """Return how a program ends; the simulated system has only these few.

    Raises:
        AgentError: there is no such program.
    """
    name, args = command[0].rpartition("/")[2], command[1:]
    if name in ("true", "sleep", "sync"):
        return Ended()
    if name == "false":
        return Ended(1)
    if name == "echo":
        return Ended(out=" ".join(args) + "\n")
    if name == "hostname":
        return Ended(out=f"{host_name(sim, guest)['host-name']}\n")
    if name == "whoami":
        return Ended(out="root\n")
    if name == "uname":
        return Ended(out=f"{_OS['kernel-release'] if args == ['-r'] else 'Linux'}\n")
    if name == "cat":
        return _cat(sim, guest, args, given)
    raise AgentError(f'Failed to execute child process "{command[0]}" ({NO_SUCH_FILE})')


def _cat(sim: Simulator, guest: Guest, paths: list[str], given: str) -> Ended:
    if not paths:
        return Ended(out=given)
    held = files(sim, guest)
    missing = [path for path in paths if path not in held]
    return Ended(
        int(bool(missing)),
        b"".join(held[path] for path in paths if path in held).decode(errors="replace"),
        "".join(f"cat: {path}: {NO_SUCH_FILE}\n" for path in missing),
    )
