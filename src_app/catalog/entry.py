"""One entry of the catalog: a checked description of an app and its versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CATEGORIES = (
    "automation", "databases", "development", "diagnostics", "documents", "finance", "home",
    "media", "monitoring", "productivity", "publishing", "storage", "web",
)  # fmt: skip
SERVES = ("web", "static", "key-value", "websocket", "failing")
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
_VERSION = re.compile(r"\d+(\.\d+){0,3}([.-][a-z0-9]+)?")
_IMAGE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+:\w[\w.-]{0,127}")
_TEMPLATE = re.compile(r"[A-Za-z][\w.-]*:vztmpl/[\w.+-]+")
_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EntryError(ValueError):
    """An entry that cannot be used; the text names the field."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Where an app keeps its data: the path of its first volume is the mount point ``mp0``."""

    path: str
    size_gib: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an app: what it is made from, and how one tells that it works.

    Either ``image`` (an OCI reference) or ``template`` (a volume id) is given. ``serves`` is
    what an embedded Proxmox shall let it do.
    """

    version: str
    image: str | None
    template: str | None
    health: str
    serves: str

    @property
    def source(self) -> str:
        """The image or the template."""
        return self.image or self.template or ""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An app that can be deployed; its versions are in ascending order."""

    id: str
    name: str
    description: str
    category: str
    icon: str
    website: str
    tags: tuple[str, ...]
    versions: tuple[Version, ...]
    port: int
    volumes: tuple[Volume, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    min_cores: int = 1
    min_memory_mib: int = 512
    min_disk_gib: int = 4

    @property
    def latest(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    def version(self, wanted: str | None) -> Version | None:
        """Return the version of that name, the newest for None, None where there is none."""
        if wanted is None:
            return self.latest
        return next((item for item in self.versions if item.version == wanted), None)

    def matches(self, text: str) -> bool:
        """Tell whether all words of a search stand somewhere in the entry."""
        hay = " ".join((self.id, self.name, self.description, self.category, *self.tags)).lower()
        return all(word in hay for word in text.lower().split())

    @classmethod
    def parse(cls, data: Any) -> CatalogEntry:
        """Return the entry that a file's JSON describes.

        Raises:
            EntryError: a field is missing, unknown or wrong; names it.
        """
        read = _Fields("", data)
        entry = cls(
            id=read.text("id", _ID),
            name=read.text("name"),
            description=read.text("description"),
            category=read.choice("category", CATEGORIES),
            icon=read.text("icon"),
            website=read.text("website", re.compile(r"https://\S+")),
            tags=tuple(str(tag) for tag in read.items("tags", required=False)),
            versions=_versions(read),
            port=read.number("port", 1, 65535),
            volumes=tuple(_volume(place, item) for place, item in _numbered(read, "volumes")),
            environment=_environment(read),
            min_cores=read.number("min_cores", 1, 16, default=1),
            min_memory_mib=read.number("min_memory_mib", 128, 32768, default=512),
            min_disk_gib=read.number("min_disk_gib", 1, 500, default=4),
        )
        read.no_others()
        return entry


def version_key(text: str) -> tuple[tuple[int, str], ...]:
    """Return what versions are sorted by: numbers as numbers."""
    parts = re.split(r"[.-]", text)
    found = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    return (*found, (0, ""))  # so that a pre-release comes before its release


def _versions(read: _Fields) -> tuple[Version, ...]:
    found = [_version(place, item) for place, item in _numbered(read, "versions")]
    if not found:
        raise EntryError("versions: must not be empty")
    names = [item.version for item in found]
    if len(set(names)) < len(names):
        raise EntryError("versions: a version stands there twice")
    return tuple(sorted(found, key=lambda item: version_key(item.version)))


def _version(place: str, data: Any) -> Version:
    read = _Fields(place, data)
    image = read.optional("image", _IMAGE)
    template = read.optional("template", _TEMPLATE)
    if (image is None) == (template is None):
        raise EntryError(f"{place}: needs an image or a template, and not both")
    version = Version(
        version=read.text("version", _VERSION),
        image=image,
        template=template,
        health=read.text("health", _PATH),
        serves=read.choice("serves", SERVES),
    )
    read.no_others()
    return version


def _volume(place: str, data: Any) -> Volume:
    read = _Fields(place, data)
    volume = Volume(read.text("path", _PATH), read.number("size_gib", 1, 500))
    read.no_others()
    return volume


def _environment(read: _Fields) -> dict[str, str]:
    found = read.mapping("environment")
    return check_environment({str(key): str(value) for key, value in found.items()})


def check_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables, fit for a container.

    Raises:
        EntryError: a name is none, or a value has control characters.
    """
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name) or len(name) > 100:
            raise EntryError(f'environment: "{name[:100]}" is no name of a variable')
        if len(value) > 4000 or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise EntryError(f"environment: the value of {name} is too long or not printable")
    return dict(environment)


def _numbered(read: _Fields, key: str) -> list[tuple[str, Any]]:
    return [(f"{key}[{n}]", item) for n, item in enumerate(read.items(key))]


class _Fields:
    """Reads one object, field by field, and knows where it stands in the file."""

    def __init__(self, place: str, data: Any) -> None:
        if not isinstance(data, dict):
            raise EntryError(f"{place or 'entry'}: must be an object")
        self._place = f"{place}." if place else ""
        self._data = dict(data)

    def _take(self, key: str, kind: type, *, default: Any = None) -> Any:
        value = self._data.pop(key, default)
        if value is None:
            raise EntryError(f"{self._place}{key}: is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise EntryError(f"{self._place}{key}: {value!r} is no {kind.__name__}")
        return value

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = str(self._take(key, str))
        if not value.strip() or (pattern is not None and not pattern.fullmatch(value)):
            raise EntryError(f"{self._place}{key}: {value!r} cannot be used")
        return value

    def optional(self, key: str, pattern: re.Pattern[str]) -> str | None:
        return self.text(key, pattern) if self._data.get(key) is not None else None

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise EntryError(f"{self._place}{key}: {value!r} is none of {', '.join(allowed)}")
        return value

    def number(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        value = int(self._take(key, int, default=default))
        if not low <= value <= high:
            raise EntryError(f"{self._place}{key}: {value} is not {low} to {high}")
        return value

    def items(self, key: str, *, required: bool = True) -> list[Any]:
        return list(self._take(key, list, default=None if required else []))

    def mapping(self, key: str) -> dict[str, Any]:
        return dict(self._take(key, dict, default={}))

    def no_others(self) -> None:
        if self._data:
            raise EntryError(f"{self._place}{sorted(self._data)[0]}: is not known")
