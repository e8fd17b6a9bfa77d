"""Jobs that a schedule starts: backups (golden 08 seq 197 to 210), replication, realm sync."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, Final

from pytest_proxmox.simulator.calendar_events import CalendarEvent
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import cluster_lock
from pytest_proxmox.simulator.records import Record, Registry, serve, without
from pytest_proxmox.simulator.state import Guest
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_JOB: Final = "/cluster/backup/{id}"
_CONTROL: Final = ("id", "delete")
_SELECTIONS: Final = ("vmid", "all", "pool")
_WORDS: Final = {True: "enabled", False: "disabled"}
_OLD_SCHEDULE: Final = ("starttime", "dow")


def _no_such_job(ident: str) -> PveError:
    return PveError.fields({"id": f"No such job '{ident}'"})


def _require(call: Call) -> Record:
    ident: str = call.params["id"]
    if ident not in call.state.jobs:
        raise _no_such_job(ident)
    found: Record = call.state.jobs[ident]
    return found


def _view(call: Call, ident: str, job: Record) -> dict[str, Any]:
    found = {"id": ident, "type": "vzdump", **job}
    if job.get("enabled", 1) and (moment := next_run(call, str(job["schedule"]))) is not None:
        found["next-run"] = moment
    return found


def next_run(call: Call, schedule: str) -> int | None:
    """Return when a schedule comes next, None where it cannot be told."""
    try:
        return CalendarEvent.parse(schedule).next_after(call.sim.clock.now())
    except ValueError:
        return None


@FAMILY.get("/cluster/backup")
def list_jobs(call: Call) -> list[dict[str, Any]]:
    """Return the backup jobs."""
    return [_view(call, ident, job) for ident, job in sorted(call.state.jobs.items())]


@FAMILY.post("/cluster/backup")
def create_job(call: Call) -> None:
    """Make a backup job."""
    given = {key: value for key, value in call.params.items() if key not in _CONTROL}
    ident = call.params.get("id") or f"backup-{secrets.token_hex(4)}-{secrets.token_hex(2)}"
    job = _checked(call, {"enabled": 1} | given)
    with cluster_lock(call.sim, "jobs_cfg", ""):
        if ident in call.state.jobs:
            raise PveError.fields({"id": f"Job '{ident}' already exists"})
        call.state.jobs[ident] = job


def _checked(call: Call, job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with a schedule, refusing one that selects nothing, or in two ways."""
    chosen = [key for key in _SELECTIONS if job.get(key)]
    if not chosen:
        raise PveError.fields({"vmid": "property is missing and it is not optional"})
    if len(chosen) > 1:
        text = "option conflicts with option '{}'"
        raise PveError.fields({chosen[1]: text.format(chosen[0])})
    if job.get("pool") and job["pool"] not in call.state.pools:
        raise PveError(500, f"pool '{job['pool']}' does not exist")
    if "starttime" in job:
        days = str(job.get("dow", "")).replace(";", ",")
        job["schedule"] = f"{days} {job['starttime']}".strip()
    if "schedule" not in job:
        raise PveError.fields({"schedule": "property is missing and it is not optional"})
    return {key: value for key, value in job.items() if key not in _OLD_SCHEDULE}


@FAMILY.get(_JOB)
def read_job(call: Call) -> dict[str, Any]:
    """Return one backup job."""
    return _view(call, call.params["id"], _require(call))


@FAMILY.put(_JOB)
def update_job(call: Call) -> None:
    """Change a backup job; choosing guests in another way forgets the old one."""
    given = {key: value for key, value in call.params.items() if key not in _CONTROL}
    with cluster_lock(call.sim, "jobs_cfg", ""):
        kept = without(_require(call), call.params.get("delete"))
        if any(key in given for key in _SELECTIONS):
            kept = {key: value for key, value in kept.items() if key not in _SELECTIONS}
        call.state.jobs[call.params["id"]] = _checked(call, kept | given)


@FAMILY.delete(_JOB)
def delete_job(call: Call) -> None:
    """Remove a backup job; one that is not there is a 500 with a 400 in it (golden README, 15)."""
    with cluster_lock(call.sim, "jobs_cfg", ""):
        _require(call)
        del call.state.jobs[call.params["id"]]


def selected(call: Call, job: Record) -> list[Guest]:
    """Return the guests that a job backs up, the lowest VMID first."""
    state = call.state
    if job.get("vmid"):
        wanted = {int(vmid) for vmid in split(job["vmid"])}
    elif job.get("pool"):
        wanted = {vmid for vmid, poolid in state.members.items() if poolid == job["pool"]}
    else:
        wanted = set(state.guests) - {int(vmid) for vmid in split(job.get("exclude"))}
    found = [guest for vmid, guest in sorted(state.guests.items()) if vmid in wanted]
    return [guest for guest in found if job.get("node") in (None, guest.node)]


@FAMILY.get(_JOB + "/included_volumes")
def included_volumes(call: Call) -> dict[str, Any]:
    """Return the volumes that a job backs up, guest by guest."""
    return {"children": [_volumes_of(guest) for guest in selected(call, _require(call))]}


def _volumes_of(guest: Guest) -> dict[str, Any]:
    children = []
    for key, value in sorted(guest.config.items()):
        number = key.lstrip("abcdefghijklmnopqrstuvwxyz")
        stem = key[: len(key) - len(number)]
        if key != "rootfs" and not (number and stem in ("mp", "scsi", "virtio", "sata", "ide")):
            continue
        volid = str(value).partition(",")[0]
        included, reason = _inclusion(guest, key, str(value))
        children.append(
            {
                "id": f"{guest.vmid}:{key}",
                "name": volid,
                "included": int(included),
                "reason": reason,
            }
        )
    return {"id": guest.vmid, "type": guest.kind, "name": guest.name, "children": children}


def _inclusion(guest: Guest, key: str, value: str) -> tuple[bool, str]:
    """Return whether a backup takes a volume, and why."""
    if guest.kind == "lxc":
        included = key == "rootfs" or "backup=1" in value
        return included, "rootfs" if key == "rootfs" else _WORDS[included]

    included = "backup=0" not in value and "media=cdrom" not in value
    return included, _WORDS[included]


@FAMILY.get("/cluster/backup-info/not-backed-up")
def not_backed_up(call: Call) -> list[dict[str, Any]]:
    """Return the guests that no enabled job backs up."""
    covered = {
        guest.vmid
        for job in call.state.jobs.values()
        if job.get("enabled", 1)
        for guest in selected(call, job)
    }
    return [
        {"vmid": vmid, "type": guest.kind, "name": guest.name}
        for vmid, guest in sorted(call.state.guests.items())
        if vmid not in covered
    ]


@FAMILY.get("/cluster/jobs/schedule-analyze")
def analyze(call: Call) -> list[dict[str, Any]]:
    """Return when a schedule comes next, ten times or as often as asked."""
    try:
        event = CalendarEvent.parse(call.params["schedule"])
    except ValueError as exc:
        text = "invalid format - unable to parse calendar event\n"
        raise PveError.fields({"schedule": text}) from exc
    moment: float | None = call.params.get("starttime", call.sim.clock.now())
    found: list[dict[str, Any]] = []
    while len(found) < call.params.get("iterations", 10) and moment is not None:
        moment = event.next_after(moment)
        if moment is not None:
            found.append({"timestamp": int(moment), "utc": _utc(moment)})
    return found


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%a %b %d %H:%M:%S %Y")


# --- replication and realm sync -----------------------------------------------------------------


def _accept_replication(call: Call, job: Record) -> Record:
    """Accept a job for a guest that is there, to another node of this cluster."""
    vmid = int(str(call.params["id"]).partition("-")[0])
    guest = call.state.guests.get(vmid)
    if guest is None:
        raise PveError(500, f"guest '{vmid}' does not exist")
    if job["target"] not in call.state.nodes:
        raise PveError(500, f"no such cluster node '{job['target']}'")
    if job["target"] == guest.node:
        raise PveError(500, "unable to replicate to local node")
    return job


def _show_replication(call: Call, ident: str, job: Record) -> dict[str, Any]:
    vmid, _, number = ident.partition("-")
    guest = call.state.guests.get(int(vmid))
    found = {"guest": int(vmid), "jobnum": int(number), **job}
    return found | ({"source": guest.node} if guest is not None else {})


REPLICATION: Final = Registry(
    "/cluster/replication",
    "id",
    "replication",
    "replication job",
    "replication_cfg",
    accept=_accept_replication,
    show=_show_replication,
)
serve(FAMILY, REPLICATION)


@FAMILY.get("/nodes/{node}/replication")
def node_replication(call: Call) -> list[dict[str, Any]]:
    """Return the replication jobs of the guests on a node, with their state."""
    asked = call.params.get("guest")
    found = []
    for ident, job in REPLICATION.all(call.state).items():
        entry = REPLICATION.view(call, ident, job)
        if entry.get("source") == call.node and asked in (None, entry["guest"]):
            found.append(entry | _replication_state(call, job))
    return found


def _replication_state(call: Call, job: Record) -> dict[str, Any]:
    state = {"fail_count": 0, "last_sync": 0, "last_try": 0}
    moment = next_run(call, str(job.get("schedule", "*/15")))
    return state | ({"next_sync": moment} if moment is not None else {})


@FAMILY.get("/nodes/{node}/replication/{id}/status")
def replication_status(call: Call) -> dict[str, Any]:
    """Return one replication job with its state."""
    job = REPLICATION.require(call)
    entry = REPLICATION.view(call, str(call.params["id"]), job)
    return entry | _replication_state(call, job)


def _require_realm(call: Call, job: Record) -> Record:
    realm = job.get("realm")
    if realm not in call.state.realms:
        raise PveError(500, f"domain '{realm}' does not exist")
    return job


REALM_SYNC: Final = Registry(
    "/cluster/jobs/realm-sync",
    "id",
    "realm-sync",
    "realm-sync job",
    "jobs_cfg",
    digest=False,
    defaults={"enabled": 1},
    accept=_require_realm,
)
serve(FAMILY, REALM_SYNC, create_at_item=True)
