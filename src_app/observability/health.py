"""Whether everything that a workspace needs works: each part is tried, not guessed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src_app.db.file import damage
from src_app.db.store import Store
from src_app.domain.errors import AppManagerError
from src_app.observability.usage import memory_bytes
from src_app.proxmox.errors import ProxmoxError

OK, WARNING, FAILED = "ok", "warning", "failed"
SEVERITY = (OK, WARNING, FAILED)
TOOLS = {"terraform": "version", "ansible-playbook": "--version", "git": "--version"}
TOOL_TIMEOUT_S = 10.0
LOW_DISK_BYTES = 200 * 1024**2
LARGE_MEMORY_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one check."""

    name: str
    status: str
    detail: str
    duration_s: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the check for programs."""
        return {
            "name": self.name,
            "status": self.status,
            "detail": self.detail,
            "duration_s": round(self.duration_s, 6),
            **({"facts": dict(self.facts)} if self.facts else {}),
        }


@dataclass(frozen=True, slots=True)
class Health:
    """All checks; as ill as the worst of them."""

    checks: tuple[Check, ...] = ()

    @property
    def status(self) -> str:
        """The worst status of all checks."""
        return max((check.status for check in self.checks), key=SEVERITY.index, default=OK)

    def as_json(self) -> dict[str, Any]:
        """Return the health for programs."""
        return {"status": self.status, "checks": [check.as_json() for check in self.checks]}


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. What is None is not there, and is said to be so."""

    root: Path | None = None
    store: Store | None = None
    version: Callable[[], Mapping[str, Any]] | None = None  # of Proxmox, asked now
    tools: Sequence[str] = tuple(TOOLS)


Examination = Callable[[Patient], Check]
_EXPECTED = (OSError, AppManagerError, ProxmoxError, subprocess.SubprocessError)


def examine(patient: Patient) -> Health:
    """Return how everything is; a check that fails with an error is a failed check."""
    return Health(tuple(_timed(name, check, patient) for name, check in _checks(patient)))


def _checks(patient: Patient) -> Iterator[tuple[str, Examination]]:
    yield "system", _system
    yield "memory", _memory
    yield "workspace", _workspace
    yield "database", _database
    yield "proxmox", _proxmox
    for tool in patient.tools:
        yield f"tool_{tool.partition('-')[0]}", functools.partial(_tool, tool)


def _timed(name: str, check: Examination, patient: Patient) -> Check:
    begun = time.monotonic()
    try:
        found = check(patient)
    except _EXPECTED as exc:
        found = Check(name, FAILED, str(exc).strip() or type(exc).__name__)
    return Check(name, found.status, found.detail, time.monotonic() - begun, found.facts)


def _system(patient: Patient) -> Check:
    free = shutil.disk_usage(patient.root or Path.cwd()).free
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    facts = {"free_bytes": free, "load_1min": round(load, 2), "cores": cores}
    detail = f"{free // 1024**2} MiB free on disk, load {load:.2f} on {cores} cores"
    return Check("system", WARNING if free < LOW_DISK_BYTES else OK, detail, facts=facts)


def _memory(_: Patient) -> Check:
    used = memory_bytes()
    status = WARNING if used > LARGE_MEMORY_BYTES else OK
    detail = f"{used // 1024**2} MiB used by this process"
    return Check("memory", status, detail, facts={"memory_bytes": used})


def _workspace(patient: Patient) -> Check:
    """Try to write where the workspace writes."""
    if patient.root is None:
        return Check("workspace", WARNING, "there is none here; /init makes one")
    folder = patient.root / ".proxmox"
    probe = folder / f".probe-{os.getpid()}"
    probe.write_text("", encoding="ascii")
    probe.unlink()
    return Check("workspace", OK, str(patient.root))


def _database(patient: Patient) -> Check:
    if patient.store is None:
        return Check("database", WARNING, "there is none without a workspace")
    file = patient.store.engine.url.database
    if not patient.store.is_postgresql and file and (wrong := damage(Path(file))):
        return Check("database", FAILED, f"{file} is damaged: {wrong}")
    health = patient.store.health()
    if not health.ok:
        return Check("database", FAILED, "; ".join(health.problems))
    counts = patient.store.read(
        lambda db: {
            "nodes": db.nodes.count({"removed_at": None}),
            "vms": db.vms.count({"removed_at": None}),
            "containers": db.containers.count({"removed_at": None}),
            "storages": db.storages.count({"removed_at": None}),
        }
    )
    detail = ", ".join(f"{number} {name}" for name, number in counts.items())
    return Check("database", OK, detail, facts=counts)


def _proxmox(patient: Patient) -> Check:
    if patient.version is None:
        return Check("proxmox", WARNING, "none is configured")
    found = patient.version()
    release = str(found.get("version", "?"))
    return Check("proxmox", OK, f"Proxmox VE {release} answers", facts={"version": release})


def _tool(name: str, _: Patient) -> Check:
    label = f"tool_{name}"
    path = shutil.which(name)
    if path is None:
        return Check(label, WARNING, f"{name} is not on PATH")
    done = subprocess.run(
        [path, TOOLS[name]],
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        check=False,
    )
    first = (done.stdout or done.stderr).strip().partition("\n")[0]
    return Check(label, OK if done.returncode == 0 else FAILED, first)
