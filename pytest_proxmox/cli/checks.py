"""Checks: each looks at one thing that tests need, and says what it found and what to do."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_proxmox.cli.target import ledger_folder, open_target
from pytest_proxmox.errors import ApiFailure, ProxmoxTestError, UserMistake
from pytest_proxmox.target.failures import Code

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.facts import TargetFacts

Verdict = Literal["ok", "warn", "fail", "skip"]
OLDEST = 8  # the sandbox's pools are nested, which PVE knows since 8.1
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; ``remedy`` is what to do, empty where nothing must be done."""

    check: str
    state: Verdict
    found: str
    remedy: str = ""


def all_of(settings: Settings) -> Iterator[Finding]:
    """Yield the findings of every check, in the order in which one builds on another."""
    from pytest_proxmox.cli import machine

    if settings.host is None and settings.kind == "simulator":
        yield from machine.embedded(settings)
    else:
        yield from _of_target(settings)
    yield from machine.all_of()


def _of_target(settings: Settings) -> Iterator[Finding]:
    try:
        calls, facts, endpoint = open_target(settings)
    except UserMistake as exc:
        yield Finding("proxmox", "fail", exc.what, exc.hint)
        return
    except ProxmoxTestError as exc:
        yield Finding("proxmox", "fail", str(exc))
        return
    who = f"{endpoint.url} as {facts.user}"
    yield Finding("proxmox", "ok", who)
    yield _version(facts)
    yield _certificate(endpoint)
    for check in (_rights, _pool):
        yield from _guarded(check, calls, facts, settings)
    yield from _places(facts)
    for check in (_range, _leases):
        yield from _guarded(check, calls, facts, settings)
    yield reaper(facts, endpoint, settings)


def _guarded(
    check: object, calls: Calls, facts: TargetFacts, settings: Settings
) -> Iterator[Finding]:
    """The check's findings; an answer that it did not expect is one too."""
    name = getattr(check, "__name__", "check").removeprefix("_")
    try:
        yield from check(calls, facts, settings)  # type: ignore[operator]
    except ProxmoxTestError as exc:
        yield Finding(name, "fail", str(exc))


def _version(facts: TargetFacts) -> Finding:
    major = facts.version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        remedy = f"Upgrade to PVE {OLDEST} or newer"
        return Finding("version", "fail", f"PVE {facts.version}", remedy)
    return Finding("version", "ok", f"PVE {facts.version}")


def _certificate(endpoint: Endpoint) -> Finding:
    if endpoint.verify_ssl:
        by = endpoint.ca_file or "the system's authorities"
        return Finding("certificate", "ok", f"verified by {by}")
    remedy = "Copy /etc/pve/pve-root-ca.pem from the node and name it in PROXMOX_VERIFY_SSL"
    return Finding("certificate", "warn", "not verified (PROXMOX_VERIFY_SSL=false)", remedy)


def _rights(calls: Calls, facts: TargetFacts, settings: Settings) -> Iterator[Finding]:
    from pytest_proxmox.target.rights import Rights

    rights = Rights.read(calls)
    template = (facts.template or "").partition(":")[0]
    storages = {facts.storage, facts.backup_storage or "", template} - {""}
    has_network = facts.bridge is not None and "bridge" not in facts.found
    lacking = rights.lacking(settings.pool, storages, network=has_network)
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        named = ", ".join(map(str, lacking[:SHOWN]))
        remedy = "pytest-proxmox setup --as root@pam"
        yield Finding("rights", "fail", f"{facts.user} lacks {named}{more}", remedy)
        return
    excess = rights.excess(settings.pool)
    if not excess:
        yield Finding("rights", "ok", f"{facts.user} may do what the sandbox needs, no more")
        return
    some = [f"{_names(excess[path])} on {path}" for path in list(excess)[:SHOWN]]
    more = f" and on {len(excess) - SHOWN} more" if len(excess) > SHOWN else ""
    found = f"{facts.user} may touch what is not the tests': {', '.join(some)}{more}"
    remedy = "Use a token of least rights: pytest-proxmox setup --as root@pam"
    yield Finding("rights", "warn", found, remedy)


def _names(privileges: frozenset[str]) -> str:
    first, *others = sorted(privileges)
    return f"{first} and {len(others)} others" if len(others) > 1 else ", ".join([first, *others])


def _pool(calls: Calls, facts: TargetFacts, settings: Settings) -> Iterator[Finding]:
    pools = {row["poolid"] for row in calls.get("pools")}
    if settings.pool in pools:
        yield Finding("pool", "ok", f"{settings.pool} is there")
        return
    found = f'there is no pool "{settings.pool}" that {facts.user} can see'
    yield Finding("pool", "warn", found, "pytest-proxmox setup --as root@pam")


def _places(facts: TargetFacts) -> Iterator[Finding]:
    yield Finding("node", "ok", _told(facts, "node", facts.node))
    yield Finding("storage", "ok", _told(facts, "storage", f"{facts.storage}, for disks"))
    remedies = {
        "backup_storage": "Allow the content Backup on a storage, or no test can back up",
        "template": "On the node: pveam update; pveam available; pveam download STORAGE TEMPLATE",
    }
    for name, remedy in remedies.items():
        value = getattr(facts, name)
        check = name.replace("_", " ")
        if value is None:
            state: Verdict = "fail" if name == "template" else "warn"
            yield Finding(check, state, f"none on {facts.node}", remedy)
        else:
            yield Finding(check, "ok", _told(facts, name, value))
    if facts.bridge is None:
        yield Finding("bridge", "ok", "none named: guests get no network")
    elif "bridge" in facts.found:
        found = f"{facts.bridge} is there, none named: guests get no network"
        yield Finding("bridge", "ok", found)
    else:
        yield Finding("bridge", "ok", f"{facts.bridge} (given)")


def _told(facts: TargetFacts, name: str, value: str) -> str:
    return f"{value} ({'found' if name in facts.found else 'given'})"


def _range(calls: Calls, facts: TargetFacts, settings: Settings) -> Iterator[Finding]:
    """Whether VMIDs of the range are free; a weak token sees no foreign guest in a list."""
    span = settings.vmid_range
    rows = calls.get("cluster/resources", type="vm")
    taken = {int(row["vmid"]) for row in rows if int(row["vmid"]) in span}
    first = next((vmid for vmid in span if vmid not in taken and _is_free(calls, vmid)), None)
    if first is None:
        remedy = "Widen --vmid-range, or sweep"
        yield Finding("range", "fail", f"no VMID of {span} is free", remedy)
        return
    told = f"{span}, the first free is {int(first)}"
    if taken:
        told += f"; guests there: {', '.join(map(str, sorted(taken)[:SHOWN]))}"
        told += ", …" if len(taken) > SHOWN else ""
    yield Finding("range", "ok", told)


def _is_free(calls: Calls, vmid: int) -> bool:
    try:
        calls.get("cluster/nextid", vmid=int(vmid))
    except ApiFailure as exc:
        if exc.code in (Code.VMID_TAKEN, Code.BAD_PARAMETERS):
            return False
        raise
    return True


def _leases(calls: Calls, facts: TargetFacts, settings: Settings) -> Iterator[Finding]:
    from pytest_proxmox.cli.cluster import tenancies
    from pytest_proxmox.cli.leases import held
    from pytest_proxmox.sandbox.ledger import FILE_NAME, Ledger

    now = calls.clock.now()
    found = tenancies(calls, settings.pool)
    expired = [one for one in found if one.is_expired(now)]
    stuck = []
    if (ledger_folder() / FILE_NAME).exists():
        with Ledger(ledger_folder()) as ledger:
            mine = [lease for lease in held(ledger) if lease.target == facts.url]
            idle = [one for one in mine if not ledger.is_alive(one.run, one.target)]
            stuck = [one for one in idle if not one.is_kept(now)]
    if stuck:
        told = f"{len(stuck)} of dead runs of this machine, e.g. {stuck[0]}"
        yield Finding("leases", "warn", told, "pytest-proxmox sweep")
    elif expired:
        told = f"{len(expired)} expired, e.g. {expired[0].span} of {expired[0].host}"
        yield Finding("leases", "warn", told, "pytest-proxmox sweep --all-expired")
    else:
        yield Finding("leases", "ok", f"none stuck, {len(found)} in use")


def reaper(facts: TargetFacts, endpoint: Endpoint, settings: Settings) -> Finding:
    """Return whether a reaper starts and answers, tried with a ledger that is thrown away."""
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.lifeline import Lifeline
    from pytest_proxmox.sandbox.reaper import Orders
    from pytest_proxmox.sandbox.run import Run

    ca_file = None if endpoint.ca_file is None else endpoint.ca_file.absolute()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pytest-proxmox-")))
        try:
            ledger = stack.enter_context(Ledger(folder))
            run = Run.here(worker="doctor")
            ledger.register(run, target=facts.url, kind=facts.kind, user=facts.user)
            there = replace(endpoint, ca_file=ca_file)
            orders = Orders(there, facts, folder, run.id, Path(), settings.pool)
            with Lifeline(orders, ledger):
                ledger.sign_off(run, facts.url)
        except (ProxmoxTestError, OSError, sqlite3.Error) as exc:
            return Finding("reaper", "fail", str(exc), "Without it a killed run leaves its guests")
    return Finding("reaper", "ok", "starts, answers and goes")
