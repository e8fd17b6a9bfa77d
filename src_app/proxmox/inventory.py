"""What is on a cluster: nodes, guests and storages as Proxmox lists them, in few requests.

One request for the nodes, one for the cluster, three for each node that is online, and one for
each guest, for its config. Guests of a node that is offline come from what the cluster remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from src_app.proxmox.errors import ProxmoxError, RequestFailed
from src_app.proxmox.transience import is_transient

Kind = Literal["vm", "container"]
WIRE: Mapping[str, str] = {"vm": "qemu", "container": "lxc"}
PARALLEL = 4  # requests at a time; a node answers the configs of its guests one by one
TRIES = 3  # of a read that failed in a way that passes
VOLATILE_CONFIG = frozenset({"digest"})


class Reader(Protocol):
    """What discovery needs of a connection: reads."""

    def get(self, path: str, **params: Any) -> Any:
        """Return what ``GET path`` holds."""


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node as it is now."""

    name: str
    status: str
    ip: str | None = None
    cpu_count: int = 0
    cpu_usage: float = 0.0
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    uptime_s: int = 0


@dataclass(frozen=True, slots=True)
class SeenGuest:
    """A guest as it is now; ``config`` is as Proxmox lists it, without its digest."""

    kind: Kind
    vmid: int
    node: str
    name: str
    status: str
    cores: int = 1
    memory_bytes: int = 0
    disk_bytes: int = 0
    uptime_s: int = 0
    is_template: bool = False
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    has_config: bool = True  # false for one on a node that is offline


@dataclass(frozen=True, slots=True)
class SeenStorage:
    """A storage as one node sees it."""

    node: str
    name: str
    type: str
    content: tuple[str, ...] = ()
    shared: bool = False
    active: bool = True
    total_bytes: int = 0
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is on the cluster."""

    nodes: tuple[SeenNode, ...] = ()
    guests: tuple[SeenGuest, ...] = ()
    storages: tuple[SeenStorage, ...] = ()


Progress = Callable[[int, int], None]  # how many of how many; it never goes back
Wanted = Callable[[SeenGuest], bool]
Config = Mapping[str, Any]
GuestKey = tuple[str, int]  # node and VMID
Configs = Mapping[GuestKey, Config]


class Interrupted(ProxmoxError):
    """Discovery failed half-way; ``configs`` are those that were read, for a later try."""

    def __init__(self, cause: ProxmoxError, configs: Configs, total: int) -> None:
        self.configs = configs
        self.total = total
        super().__init__(
            f"{cause.what.rstrip('.')}; {len(configs)} of {total} guests were read",
            origin=cause.origin,
            hint=f"{cause.hint} /sync --resume goes on from there.".strip(),
        )


class Inventory:
    """Discovers what is on a cluster through ``reader``."""

    def __init__(self, reader: Reader, *, parallel: int = PARALLEL) -> None:
        self._reader = reader
        self._parallel = parallel

    def discover(
        self,
        *,
        wanted: Wanted = lambda _: True,
        known: Configs | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Seen:
        """Return what is there; configs are read of guests that are ``wanted`` and not ``known``.

        Raises:
            Interrupted: Proxmox failed after some configs were read; the error has those.
            ProxmoxError: it failed before that.
        """
        nodes = tuple(self.nodes())
        online = [node.name for node in nodes if node.status == "online"]
        remembered = self._get("/cluster/resources")
        guests = [
            guest
            for name in online
            for kind in ("vm", "container")
            for guest in self._listed(name, kind)
        ]
        guests += [g for g in _remembered(remembered) if g.node not in online]
        storages = [s for name in online for s in self._storages(name)]
        storages += [s for s in _remembered_storages(remembered) if s.node not in online]
        filled = self._filled(sorted(guests, key=lambda g: g.vmid), wanted, known or {}, progress)
        return Seen(nodes, tuple(filled), tuple(storages))

    def guest(self, kind: Kind, node: str, vmid: int) -> SeenGuest | None:
        """Return one guest as it is now, None where it is not there."""
        path = f"/nodes/{node}/{WIRE[kind]}/{vmid}"
        try:
            config = self._get(f"{path}/config")
            status = self._get(f"{path}/status/current")
        except RequestFailed as exc:
            if is_absent(exc):
                return None
            raise
        return _with_config(_guest(kind, node, {**status, "vmid": vmid}), config)

    def _get(self, path: str) -> Any:
        """Return what a path holds; a failure that passes is waited for by asking again."""
        for _ in range(TRIES - 1):
            try:
                return self._reader.get(path)
            except ProxmoxError as exc:
                if not is_transient(exc):
                    raise
        return self._reader.get(path)

    def nodes(self) -> Iterator[SeenNode]:
        """Yield the nodes, those that are offline too."""
        addresses = {
            str(entry["name"]): entry.get("ip")
            for entry in self._get("/cluster/status")
            if entry.get("type") == "node"
        }
        for entry in sorted(self._get("/nodes"), key=lambda entry: str(entry["node"])):
            status = str(entry.get("status", "unknown"))
            name = str(entry["node"])
            yield SeenNode(
                name=name,
                status=status if status in ("online", "offline") else "unknown",
                ip=addresses.get(name),
                cpu_count=int(entry.get("maxcpu", 0)),
                cpu_usage=float(entry.get("cpu", 0.0)),
                memory_bytes=int(entry.get("maxmem", 0)),
                memory_used_bytes=int(entry.get("mem", 0)),
                uptime_s=int(entry.get("uptime", 0)),
            )

    def _listed(self, node: str, kind: Kind) -> Iterator[SeenGuest]:
        for entry in self._get(f"/nodes/{node}/{WIRE[kind]}"):
            yield _guest(kind, node, entry)

    def _storages(self, node: str) -> Iterator[SeenStorage]:
        for entry in self._get(f"/nodes/{node}/storage"):
            yield SeenStorage(
                node=node,
                name=str(entry["storage"]),
                type=str(entry["type"]),
                content=_words(entry.get("content", ""), ","),
                shared=bool(entry.get("shared", 0)),
                active=bool(entry.get("active", 0)),
                total_bytes=int(entry.get("total", 0)),
                used_bytes=int(entry.get("used", 0)),
            )

    def _filled(
        self, guests: list[SeenGuest], wanted: Wanted, known: Configs, progress: Progress
    ) -> Iterator[SeenGuest]:
        """Yield the guests, those that are wanted with their configs."""
        asked = [g for g in guests if g.has_config and wanted(g)]
        configs = {key: known[key] for g in asked if (key := (g.node, g.vmid)) in known}
        absent: set[tuple[str, int]] = set()
        progress(len(configs), len(asked))
        missing = [g for g in asked if (g.node, g.vmid) not in configs]
        with ThreadPoolExecutor(self._parallel) as pool:
            running = [(g, pool.submit(self._config, g)) for g in missing]
            try:
                for guest, future in running:
                    config = future.result()
                    if config is None:
                        absent.add((guest.node, guest.vmid))
                    else:
                        configs[guest.node, guest.vmid] = config
                    progress(len(configs) + len(absent), len(asked))
            except ProxmoxError as exc:
                pool.shutdown(cancel_futures=True)
                raise Interrupted(exc, configs | _read(running), len(asked)) from exc
            finally:
                pool.shutdown(cancel_futures=True)
        for guest in guests:
            key = (guest.node, guest.vmid)
            if key not in absent:
                yield _with_config(guest, configs[key]) if key in configs else guest

    def _config(self, guest: SeenGuest) -> Mapping[str, Any] | None:
        """Return a guest's config, None where it went away since it was listed."""
        try:
            path = f"/nodes/{guest.node}/{WIRE[guest.kind]}/{guest.vmid}/config"
            return {k: v for k, v in self._get(path).items() if k not in VOLATILE_CONFIG}
        except RequestFailed as exc:
            if is_absent(exc):
                return None
            raise


def _read(running: Iterable[tuple[SeenGuest, Future[Config | None]]]) -> dict[GuestKey, Config]:
    """Return the configs that were read, also behind one that could not be."""
    found = {}
    for guest, future in running:
        if not future.cancelled() and future.exception() is None:
            config = future.result()
            if config is not None:
                found[guest.node, guest.vmid] = config
    return found


def is_absent(exc: RequestFailed) -> bool:
    """Whether a node says that it has no such guest."""
    return exc.status == 500 and exc.reason.rstrip().endswith("does not exist")


def _guest(kind: Kind, node: str, entry: Mapping[str, Any]) -> SeenGuest:
    vmid = int(entry["vmid"])
    return SeenGuest(
        kind=kind,
        vmid=vmid,
        node=node,
        name=str(entry.get("name") or f"{WIRE[kind]}-{vmid}"),
        status=str(entry.get("status") or "unknown"),
        cores=max(1, int(entry.get("cpus") or entry.get("maxcpu") or 1)),
        memory_bytes=int(entry.get("maxmem", 0)),
        disk_bytes=int(entry.get("maxdisk", 0)),
        uptime_s=int(entry.get("uptime", 0)),
        is_template=bool(entry.get("template", 0)),
        tags=_words(entry.get("tags", ""), ";"),
    )


def _with_config(guest: SeenGuest, config: Mapping[str, Any]) -> SeenGuest:
    kept = {k: v for k, v in config.items() if k not in VOLATILE_CONFIG}
    name = config.get("name" if guest.kind == "vm" else "hostname")
    return replace(
        guest,
        config=kept,
        name=str(name or guest.name),
        tags=_words(config.get("tags", ""), ";"),
        is_template=bool(config.get("template", 0)),
    )


def _remembered(entries: Iterable[Mapping[str, Any]]) -> Iterator[SeenGuest]:
    kinds: Mapping[str, Kind] = {"qemu": "vm", "lxc": "container"}
    for entry in entries:
        kind = kinds.get(str(entry.get("type")))
        if kind is not None:
            guest = _guest(kind, str(entry["node"]), entry)
            yield replace(guest, status="unknown", has_config=False)


def _remembered_storages(entries: Iterable[Mapping[str, Any]]) -> Iterator[SeenStorage]:
    for entry in entries:
        if entry.get("type") == "storage":
            yield SeenStorage(
                node=str(entry["node"]),
                name=str(entry["storage"]),
                type=str(entry.get("plugintype", "dir")),
                content=_words(entry.get("content", ""), ","),
                shared=bool(entry.get("shared", 0)),
                active=False,
                total_bytes=int(entry.get("maxdisk", 0)),
                used_bytes=int(entry.get("disk", 0)),
            )


def _words(text: object, separator: str) -> tuple[str, ...]:
    """Return the words of a list as Proxmox writes it, sorted: its order means nothing."""
    parts = str(text or "").replace(",", separator).replace(" ", separator).split(separator)
    return tuple(sorted({part.strip() for part in parts if part.strip()}))
