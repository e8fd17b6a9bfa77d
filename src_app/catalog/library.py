"""The catalog: every entry of a folder, read again when asked to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src_app.catalog.entry import CatalogEntry, EntryError

BUNDLED = Path(__file__).parent / "entries"
LARGEST_ENTRY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is no entry, and why."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class _Shelf:
    entries: Mapping[str, CatalogEntry]
    problems: tuple[Problem, ...]


class Library:
    """The entries of some folders; of two with one id the later folder's wins."""

    def __init__(self, folders: Iterable[Path] = (BUNDLED,)) -> None:
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._shelf = _Shelf({}, ())
        self.edition = 0  # another number with each reading
        self.reload()

    def reload(self) -> tuple[Problem, ...]:
        """Read all files again and return those that are no entries; the others are kept."""
        with self._lock:
            self._shelf = _read(self._folders)
            self.edition += 1
            return self._shelf.problems

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that were skipped."""
        return self._shelf.problems

    def find(self, entry_id: str) -> CatalogEntry | None:
        """Return the entry of that id, or None."""
        return self._shelf.entries.get(entry_id)

    def search(self, text: str = "", *, category: str | None = None) -> list[CatalogEntry]:
        """Return the entries that match, by name."""
        found = [
            entry
            for entry in self._shelf.entries.values()
            if entry.matches(text) and category in (None, entry.category)
        ]
        return sorted(found, key=lambda entry: entry.name.lower())

    def categories(self) -> dict[str, int]:
        """Return how many entries each category has."""
        counts: dict[str, int] = {}
        for entry in self._shelf.entries.values():
            counts[entry.category] = counts.get(entry.category, 0) + 1
        return dict(sorted(counts.items()))

    def embedded_world(self) -> dict[str, Any]:
        """Return what an embedded Proxmox must declare, so that all entries can be deployed.

        The keys are those of its world file: ``downloads`` and ``workloads``.
        """
        downloads: dict[str, Any] = {}
        workloads: dict[str, Any] = {}
        for entry in self.search():
            for version in entry.versions:
                facts = {
                    "serves": version.serves,
                    "name": entry.name,
                    "version": version.version,
                    "port": entry.port,
                    "health": version.health,
                }
                if version.image is not None:
                    downloads[version.image] = {"size": 30_000_000}
                    workloads[image_file(version.image)] = facts
                else:
                    workloads[version.source] = facts
        return {"downloads": downloads, "workloads": workloads}


def image_file(reference: str) -> str:
    """Return the file name that an image gets on a storage."""
    return reference.rpartition("/")[2].replace(":", "_") + ".tar"


def _read(folders: Iterable[Path]) -> _Shelf:
    entries: dict[str, CatalogEntry] = {}
    problems: list[Problem] = []
    for folder in folders:
        seen: set[str] = set()
        files = sorted(folder.glob("*.json"))
        if not folder.is_dir():
            problems.append(Problem(str(folder), "is no folder"))
        for path in files:
            try:
                entry = _entry(path)
                if entry.id in seen:
                    raise EntryError(f"id: {entry.id} stands in another file, too")
            except (EntryError, OSError, ValueError) as exc:
                problems.append(Problem(path.name, str(exc)))
                continue
            seen.add(entry.id)
            entries[entry.id] = entry
    return _Shelf(entries, tuple(problems))


def _entry(path: Path) -> CatalogEntry:
    if path.stat().st_size > LARGEST_ENTRY:
        raise EntryError(f"is larger than {LARGEST_ENTRY} bytes")
    return CatalogEntry.parse(json.loads(path.read_text(encoding="utf-8")))
