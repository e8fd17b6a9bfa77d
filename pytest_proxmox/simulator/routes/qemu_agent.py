"""The guest agent of VMs: it answers where ``agent`` is enabled and the VM runs, at once.

A real system takes its time to boot; here a client may ask right after the start, because asking
with POST does not move the on-poll clock, and waiting for the agent would never end.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pytest_proxmox.simulator import agent, guests, machines
from pytest_proxmox.simulator.agent import AgentError
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.routes.qemu_power import PAUSED, power_off
from pytest_proxmox.simulator.state import EMPTY, Guest
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()
VM: Final = "/nodes/{node}/qemu/{vmid}"
AGENT: Final = VM + "/agent"
FIRST_PID: Final = 700
FILE_READ_MAX: Final = 16 * 1024 * 1024


def _guest(call: Call) -> Guest:
    """Return the VM whose agent is to answer.

    Raises:
        PveError: there is no agent, or nobody to hear.
    """
    guest = guests.require(call, "qemu")
    if not machines.agent_enabled(guest.config):
        raise PveError(500, "No QEMU guest agent configured")
    if not guest.running:  # this text and the next as in public reports, not recorded
        raise PveError(500, f"VM {guest.vmid} is not running")
    if guest.status in PAUSED:
        raise PveError(500, "QEMU guest agent is not running")
    return guest


def _memory(guest: Guest) -> Mapping[str, Any]:
    """Return what the running agent remembers; it is gone when the VM stops."""
    found: Mapping[str, Any] = guest.extra.get("agent", EMPTY)
    return found


def _remember(call: Call, guest: Guest, **what: Any) -> None:
    memory = {**_memory(guest), **what}
    call.sim.put_guest(guest, extra={**guest.extra, "agent": memory})


def _refusal(error: AgentError) -> PveError:
    return PveError(500, f"Agent error: Guest agent command failed, error was '{error}'")


@FAMILY.get(AGENT)
def index(call: Call) -> list[dict[str, str]]:
    """Return what can be asked of an agent."""
    guests.require(call, "qemu")
    names = {*agent.QUESTIONS, *_DEEDS, "exec", "exec-status", "file-read", "file-write"}
    return [{"name": name} for name in sorted(names | {"set-user-password"})]


@FAMILY.post(AGENT)
def by_name(call: Call) -> dict[str, Any]:
    """Return what an agent answers to the command in the parameters."""
    return _answer(call, call.params["command"])


def _named(call: Call) -> dict[str, Any]:
    return _answer(call, call.template.rpartition("/")[2])


def _answer(call: Call, name: str) -> dict[str, Any]:
    guest = _guest(call)
    if name in agent.QUESTIONS:
        return {"result": agent.QUESTIONS[name](call.sim, guest)}
    return {"result": _DEEDS[name](call, guest)}


# --- deeds --------------------------------------------------------------------------------------


def _ping(call: Call, guest: Guest) -> dict[str, Any]:
    return {}


def _freeze(call: Call, guest: Guest) -> int:
    _remember(call, guest, frozen=True)
    return len(agent.file_systems(call.sim, guest))


def _thaw(call: Call, guest: Guest) -> int:
    frozen = bool(_memory(guest).get("frozen"))
    _remember(call, guest, frozen=False)
    return len(agent.file_systems(call.sim, guest)) if frozen else 0


def _freeze_status(call: Call, guest: Guest) -> str:
    return "frozen" if _memory(guest).get("frozen") else "thawed"


def _trim(call: Call, guest: Guest) -> dict[str, Any]:
    mounted = [entry["mountpoint"] for entry in agent.file_systems(call.sim, guest)]
    return {"paths": [{"path": path, "minimum": 0, "trimmed": 0} for path in mounted]}


def _power_down(call: Call, guest: Guest) -> dict[str, Any]:
    power_off(call.sim, guest)
    return {}


def _sleep(call: Call, guest: Guest) -> dict[str, Any]:
    call.sim.put_guest(guest, status="paused")
    return {}


_DEEDS: Final[Mapping[str, Callable[[Call, Guest], Any]]] = {
    "fsfreeze-freeze": _freeze,
    "fsfreeze-status": _freeze_status,
    "fsfreeze-thaw": _thaw,
    "fstrim": _trim,
    "ping": _ping,
    "shutdown": _power_down,
    "suspend-disk": _power_down,
    "suspend-hybrid": _sleep,
    "suspend-ram": _sleep,
}

for _name in agent.QUESTIONS:
    FAMILY.get(f"{AGENT}/{_name}")(_named)
for _name in _DEEDS:
    FAMILY.post(f"{AGENT}/{_name}")(_named)


@FAMILY.post(AGENT + "/set-user-password")
def set_password(call: Call) -> dict[str, Any]:
    """Change a password in the system: a mark of it is kept on its disk."""
    guest = _guest(call)
    path = f"/etc/shadow.d/{call.params['username']}"
    mark = call.sim.digest_of(call.params["password"])[:32]
    try:
        agent.write_file(call.sim, guest, path, f"$5${mark}\n".encode())
    except AgentError as exc:
        raise _refusal(exc) from exc
    return {"result": {}}


# --- programs and files -------------------------------------------------------------------------


@FAMILY.post(AGENT + "/exec")
def execute(call: Call) -> dict[str, Any]:
    """Run a program and return its process id; what it wrote is there to be fetched once."""
    guest = _guest(call)
    given = str(call.params.get("input-data", ""))
    try:
        ended = agent.run(call.sim, guest, list(call.params["command"]), given=given)
    except AgentError as exc:
        raise _refusal(exc) from exc
    pid = FIRST_PID + call.sim.count("guest-pid")
    known = _memory(guest).get("processes", EMPTY)
    _remember(call, guest, processes={**known, str(pid): asdict(ended)})
    return {"pid": pid}


@FAMILY.get(AGENT + "/exec-status")
def execution(call: Call) -> dict[str, Any]:
    """Return how a program ended; the agent forgets it then."""
    guest = _guest(call)
    pid = str(call.params["pid"])
    known = dict(_memory(guest).get("processes", EMPTY))
    if pid not in known:
        raise _refusal(AgentError(f"PID {pid} does not exist"))
    ended = known.pop(pid)
    _remember(call, guest, processes=known)
    found: dict[str, Any] = {"exited": 1, "exitcode": ended["code"]}
    for key, name in (("out", "out-data"), ("err", "err-data")):
        if ended[key]:
            found[name] = ended[key]
    return found


@FAMILY.get(AGENT + "/file-read")
def read_file(call: Call) -> dict[str, Any]:
    """Return what a file in the system holds."""
    params = call.params
    try:
        data = agent.read_file(call.sim, _guest(call), params["file"])
    except AgentError as exc:
        raise _refusal(exc) from exc
    offset, count = params.get("offset", 0), params.get("count", FILE_READ_MAX)
    part = data[offset : offset + count]
    plain = params.get("decode", 1)
    text = part.decode(errors="replace") if plain else base64.b64encode(part).decode()
    found: dict[str, Any] = {"content": text, "bytes-read": len(part)}
    if offset + count < len(data):
        found["truncated"] = 1
    return found


@FAMILY.post(AGENT + "/file-write")
def write_file(call: Call) -> None:
    """Write a file in the system; without ``encode`` the content comes as base64."""
    params = call.params
    content = str(params["content"]).encode()
    if not params.get("encode", 1):
        try:
            content = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise PveError.fields({"content": "value is not base64"}) from exc
    try:
        agent.write_file(call.sim, _guest(call), params["file"], content)
    except AgentError as exc:
        raise _refusal(exc) from exc
