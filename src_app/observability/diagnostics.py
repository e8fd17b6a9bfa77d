"""A bundle for a report: what happened, without secrets and names, shown before it is written."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from src_app.db.repositories import LARGEST_PAGE, RepositoryFactory
from src_app.iac.files import replace
from src_app.observability.health import Health
from src_app.observability.journal import Query
from src_app.observability.observer import Observer
from src_app.observability.redaction import Anonymiser, redacted

FOLDER = Path(".proxmox") / "diagnostics"
PACKAGES = ("SQLAlchemy", "proxmoxer", "requests", "prompt_toolkit", "rich")
LOG_ENTRIES = 100
TRACES = 5


@dataclass(frozen=True, slots=True)
class Issue:
    """What a report is about. ``operation`` narrows the log to one command."""

    description: str
    operation: str = ""
    files: bool = True
    anonymise: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What must not be in a bundle: secrets never, names unless they are wanted."""

    secrets: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it will be written: what is shown is the file's own text."""

    name: str
    text: str

    def write(self, root: Path) -> Path:
        """Return the file, once it is on the disk."""
        path = root / FOLDER / self.name
        replace(path, self.text)
        path.chmod(0o600)
        return path


def names_of(db: RepositoryFactory) -> dict[str, str]:
    """Return the names that a database knows, with what each is; removed ones too."""
    found: dict[str, str] = {}
    for kind, repository, name in (
        ("storage", db.storages, "name"),
        ("guest", db.vms, "name"),
        ("guest", db.containers, "hostname"),
        ("node", db.nodes, "id"),
    ):
        page, more = 1, True
        while more:
            rows = repository.find_many(page=page, limit=LARGEST_PAGE)
            found |= {str(getattr(row, name)): kind for row in rows.data}
            page, more = page + 1, rows.has_more
    return found


def bundle(
    issue: Issue,
    observer: Observer,
    health: Health,
    known: Known = Known(),
    *,
    files: Iterable[tuple[str, str]] = (),
    now: datetime | None = None,
) -> Bundle:
    """Return the bundle of an issue; nothing is written yet.

    ``files`` are names and texts that belong to it, for example the workspace's config.
    """
    at = now or datetime.now(UTC)
    content: dict[str, Any] = {
        "made_at": at.isoformat(timespec="seconds"),
        "description": issue.description,
        "operation": issue.operation,
        "anonymised": issue.anonymise,
        "system": system(),
        "health": health.as_json(),
        "metrics": observer.metrics.as_json(),
        "traces": [trace.as_json() for trace in observer.tracer.traces()[-TRACES:]],
        "log": _log(observer, issue),
    }
    if issue.files:
        content["files"] = dict(files)
    content = redacted(content, known.secrets)
    if issue.anonymise:
        content = Anonymiser(known.names).value(content)
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    return Bundle(f"issue-{at:%Y%m%dT%H%M%S%f}Z.json", text + "\n")


def _log(observer: Observer, issue: Issue) -> list[dict[str, Any]]:
    query = Query(count=LOG_ENTRIES, operation=issue.operation)
    return [entry.as_json() for entry in observer.journal.entries(query)]


def system() -> dict[str, Any]:
    """Return what runs here, by version."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": sys.platform,
        "machine": platform.machine(),
        "packages": versions,
    }
