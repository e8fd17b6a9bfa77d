"""World files: what an embedded Proxmox holds when it starts, read and checked field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pytest_proxmox.errors import InvalidValue, WorldError
from pytest_proxmox.faults import FaultRule
from pytest_proxmox.simulator.state import GIB
from pytest_proxmox.values import NodeName, Vmid, Volid

WORKLOADS: Final = ("web", "static", "key-value", "websocket", "failing")
PRESETS: Final = ("single", "cluster")
VERSION: Final = "9.2.11"
PASSWORD: Final = "secret"  # noqa: S105 - the embedded node listens on loopback only
TEMPLATE: Final = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"
CONTENT_TYPES: Final = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import")
KEYS: Final = (
    "$schema",  # for editors: where the JSON Schema of this file is
    "version",
    "cluster",
    "nodes",
    "storages",
    "volumes",
    "users",
    "tokens",
    "guests",
    "workloads",
    "downloads",
    "pools",
    "roles",
    "groups",
    "acls",
    "ha",
    "faults",
)
NODE_KEYS: Final = ("maxcpu", "maxmem", "bridges", "address", "online", "kvm")
GUEST_KEYS: Final = (
    "vmid",
    "type",
    "kind",
    "node",
    "status",
    "config",
    "pool",
    "files",
    "name",
    "hostname",
    "tags",
    "memory",
)
GUEST_STATUSES: Final = ("stopped", "running", "paused")
WORKLOAD_KEYS: Final = ("serves", "name", "version", "port", "health")


@dataclass(frozen=True, slots=True)
class World:
    """A checked description of a cluster: plain values, as the file has them.

    ``data`` has every key of the contract's world file, with defaults filled in.
    ``origin`` says where it came from, for messages.
    """

    data: Mapping[str, Any] = field(repr=False)
    origin: str

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return one of the worlds that come with the package: ``single`` or ``cluster``.

        Raises:
            InvalidValue: there is no preset of that name.
        """
        if name not in PRESETS:
            raise InvalidValue(f'"{name}" is not a preset world', hint=f"Use {_either(PRESETS)}")
        return cls.parse(_single() if name == "single" else _cluster(), origin=f"preset {name}")

    @classmethod
    def named(cls, name: str, *, origin: str = "") -> Self:
        """Return the preset of that name, or the world in the file of that name.

        Raises:
            InvalidValue: neither a preset nor a readable file.
            WorldError: the file has a mistake.
        """
        return cls.preset(name) if name in PRESETS else cls.load(Path(name), origin=origin)

    @classmethod
    def load(cls, path: Path, *, origin: str = "") -> Self:
        """Return the world in a JSON file.

        Raises:
            InvalidValue: the file cannot be read, or is not JSON.
            WorldError: a field is wrong; the error names its path in the file.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise InvalidValue(
                f'world file "{path}" cannot be read: {exc.strerror}',
                origin=origin,
                hint=f"Give a JSON file, or a preset: {_either(PRESETS)}",
            ) from exc
        except ValueError as exc:
            raise InvalidValue(
                f'world file "{path}" is not JSON: {exc}', origin=origin, hint="Mend that place"
            ) from exc
        return cls.parse(data, origin=str(path))

    @classmethod
    def parse(cls, data: Any, *, origin: str) -> Self:
        """Return the world that ``data`` describes.

        Raises:
            WorldError: a field is missing, unknown or of the wrong kind.
        """
        return cls(_Reader(origin).world(data), origin)


class _Reader:
    """Checks one world, remembering where it came from."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def fail(self, where: str, problem: str, hint: str) -> WorldError:
        return WorldError(where, problem, origin=self._origin, hint=hint)

    def world(self, data: Any) -> dict[str, Any]:
        world = self.mapping("(top level)", data)
        self._known("(top level)", world, KEYS)
        nodes = self._each("nodes", world, self._node)
        if not nodes:
            raise self.fail("nodes", "is missing or empty", 'Name one: {"pve": {}}')
        storages = self._each("storages", world, self._storage)
        return {
            "version": self._of("version", world.get("version", VERSION), str),
            "cluster": self._cluster_name(world.get("cluster")),
            "nodes": nodes,
            "storages": storages,
            "volumes": [
                self._volume(f"volumes[{n}]", volume, storages)
                for n, volume in enumerate(self.array("volumes", world.get("volumes", [])))
            ],
            "users": self._each("users", world, self._user),
            "tokens": self._each("tokens", world, self._token),
            "guests": self._guests(world.get("guests", []), nodes),
            "pools": self._each("pools", world, self._plain),
            "roles": self._each("roles", world, self._strings),
            "groups": self._each("groups", world, self._plain),
            "acls": [
                self._acl(f"acls[{n}]", acl)
                for n, acl in enumerate(self.array("acls", world.get("acls", [])))
            ],
            "ha": self._each("ha", world, self._plain),
            "workloads": self._each("workloads", world, self._workload),
            "downloads": self._each("downloads", world, self._plain),
            "faults": [
                self._fault(f"faults[{n}]", rule)
                for n, rule in enumerate(self.array("faults", world.get("faults", [])))
            ],
        }

    # --- the parts ----------------------------------------------------------------------------

    def _cluster_name(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return str(self._of("cluster.name", self.mapping("cluster", value).get("name"), str))

    def _node(self, where: str, name: str, value: Any) -> dict[str, Any]:
        try:
            NodeName.parse(name)
        except InvalidValue as exc:
            raise self.fail(where, exc.what, exc.hint) from exc
        node = self.mapping(where, value)
        self._known(where, node, NODE_KEYS)
        return {
            "maxcpu": self._positive(f"{where}.maxcpu", node.get("maxcpu", 4)),
            "maxmem": self._positive(f"{where}.maxmem", node.get("maxmem", 16 * GIB)),
            "bridges": self._strings(f"{where}.bridges", "", node.get("bridges", ["vmbr0"])),
            "address": self._of(f"{where}.address", node.get("address", ""), str),
            "online": bool(self._of(f"{where}.online", node.get("online", True), bool)),
            "kvm": None if node.get("kvm") is None else self._of(f"{where}.kvm", node["kvm"], bool),
        }

    def _storage(self, where: str, name: str, value: Any) -> dict[str, Any]:
        storage = dict(self.mapping(where, value))
        if "type" not in storage:
            raise self.fail(f"{where}.type", "is missing", 'E.g. "dir" or "lvmthin"')
        content = self._strings(f"{where}.content", "", storage.get("content", ["images"]))
        for kind in content:
            if kind not in CONTENT_TYPES:
                raise self.fail(
                    f"{where}.content", f'"{kind}" is no content type', _either(CONTENT_TYPES)
                )
        storage["content"] = content
        storage["size"] = self._positive(f"{where}.size", storage.get("size", 100 * GIB))
        storage["shared"] = bool(storage.get("shared", False))
        return storage

    def _volume(self, where: str, value: Any, storages: Mapping[str, Any]) -> dict[str, Any]:
        volume = self.mapping(where, value)
        text = self._of(f"{where}.volid", volume.get("volid"), str)
        try:
            volid = Volid.parse(text)
        except InvalidValue as exc:
            raise self.fail(f"{where}.volid", exc.what, exc.hint) from exc
        if volid.storage not in storages:
            raise self.fail(
                f"{where}.volid",
                f'there is no storage "{volid.storage}" here',
                f"There are: {_either(storages) or 'none'}",
            )
        self._positive(f"{where}.size", volume.get("size", 1))
        return {"size": 1, **volume}

    def _user(self, where: str, name: str, value: Any) -> dict[str, Any]:
        if "@" not in name:
            raise self.fail(where, "is not user@realm", "E.g. root@pam")
        return dict(self.mapping(where, value))

    def _token(self, where: str, name: str, value: Any) -> dict[str, Any]:
        if "@" not in name or "!" not in name:
            raise self.fail(where, "is not user@realm!name", "E.g. root@pam!ci")
        token = dict(self.mapping(where, value))
        self._of(f"{where}.secret", token.get("secret"), str)
        return token

    def _guests(self, value: Any, nodes: Mapping[str, Any]) -> list[dict[str, Any]]:
        guests = []
        taken: dict[int, str] = {}
        for number, entry in enumerate(self.array("guests", value)):
            where = f"guests[{number}]"
            guest = self._guest(where, entry, nodes)
            if guest["vmid"] in taken:
                raise self.fail(
                    f"{where}.vmid",
                    f"{guest['vmid']} is taken by {taken[guest['vmid']]}",
                    "Give each guest a VMID of its own",
                )
            taken[guest["vmid"]] = where
            guests.append(guest)
        return guests

    def _guest(self, where: str, value: Any, nodes: Mapping[str, Any]) -> dict[str, Any]:
        guest = self.mapping(where, value)
        self._known(where, guest, GUEST_KEYS)
        try:
            vmid = Vmid.parse(guest.get("vmid", ""))
        except (InvalidValue, TypeError) as exc:
            raise self.fail(
                f"{where}.vmid", f"{guest.get('vmid')!r} is not a VMID", "Write e.g. 100"
            ) from exc
        kind = guest.get("type", guest.get("kind", "lxc"))
        if kind not in ("lxc", "qemu"):
            raise self.fail(
                f"{where}.type", f"{kind!r} is neither lxc nor qemu", "Write lxc or qemu"
            )
        node = guest.get("node", next(iter(nodes)))
        if node not in nodes:
            raise self.fail(
                f"{where}.node", f'there is no node "{node}" here', f"There are: {_either(nodes)}"
            )
        status = guest.get("status", "stopped")
        if status not in GUEST_STATUSES:
            raise self.fail(f"{where}.status", f"{status!r} is none", _either(GUEST_STATUSES))
        return {
            "vmid": int(vmid),
            "type": kind,
            "node": node,
            "status": status,
            "config": dict(self.mapping(f"{where}.config", guest.get("config", {})))
            | {key: guest[key] for key in ("name", "hostname", "tags", "memory") if key in guest},
            "pool": guest.get("pool"),
            "files": dict(self.mapping(f"{where}.files", guest.get("files", {}))),
        }

    def _workload(self, where: str, name: str, value: Any) -> dict[str, Any]:
        facts = dict(self.mapping(where, value))
        self._known(where, facts, WORKLOAD_KEYS)
        health = self._of(f"{where}.health", facts.get("health", "/health"), str)
        if not health.startswith("/"):
            raise self.fail(f"{where}.health", f"{health!r} is no path", "Begin it with /")
        if facts.get("serves", "web") not in WORKLOADS:
            raise self.fail(
                f"{where}.serves", f"{facts['serves']!r} is not known", _either(WORKLOADS)
            )
        port = self._positive(f"{where}.port", facts.get("port", 8080))
        if not 1024 < port <= 65535:
            raise self.fail(f"{where}.port", f"{port} is not between 1025 and 65535", "E.g. 8080")
        return facts

    def _acl(self, where: str, value: Any) -> dict[str, Any]:
        acl = self.mapping(where, value)
        for key in ("path", "ugid", "roleid"):
            self._of(f"{where}.{key}", acl.get(key), str)
        return {"type": "user", "propagate": 1, **acl}

    def _fault(self, where: str, value: Any) -> dict[str, Any]:
        rule = dict(self.mapping(where, value))
        try:
            FaultRule.parse(rule)
        except InvalidValue as exc:
            raise self.fail(where, exc.what, exc.hint) from exc
        return rule

    # --- the kinds of value -------------------------------------------------------------------

    def _each(
        self, key: str, world: Mapping[str, Any], read: Callable[[str, str, Any], Any]
    ) -> dict[str, Any]:
        table = self.mapping(key, world.get(key, {}))
        return {name: read(f"{key}.{name}", name, value) for name, value in table.items()}

    def _plain(self, where: str, name: str, value: Any) -> Any:
        return value

    def _strings(self, where: str, name: str, value: Any) -> list[str]:
        for number, text in enumerate(self.array(where, value)):
            self._of(f"{where}[{number}]", text, str)
        return list(value)

    def _known(self, where: str, value: Mapping[str, Any], keys: Iterable[str]) -> None:
        unknown = sorted(set(value) - set(keys))
        if unknown:
            place = unknown[0] if where.startswith("(") else f"{where}.{unknown[0]}"
            raise self.fail(place, "is not a known key", f"Known are {_either(sorted(keys))}")

    def _of(self, where: str, value: Any, kind: type) -> Any:
        if not isinstance(value, kind):
            problem = "is missing" if value is None else f"{value!r} is not a {_NAMES[kind]}"
            raise self.fail(where, problem, f"Write a {_NAMES[kind]} there")
        return value

    def _positive(self, where: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise self.fail(where, f"{value!r} is not a number above 0", "E.g. 1")
        return value

    def mapping(self, where: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.fail(where, f"{value!r} is not an object", "Write {...}")
        return value

    def array(self, where: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(where, f"{value!r} is not a list", "Write [...]")
        return value


_NAMES: Final = {str: "string", bool: "boolean", int: "number"}


def _either(names: Iterable[str]) -> str:
    return ", ".join(names)


def _template_volume(size: int = 3_000_000) -> dict[str, Any]:
    return {"volid": TEMPLATE, "size": size, "ostype": "alpine"}


_NODE: Final = {"maxcpu": 8, "maxmem": 32 * GIB, "bridges": ["vmbr0"], "kvm": True}


def _single() -> dict[str, Any]:
    return {
        "version": VERSION,
        "cluster": None,
        "nodes": {"pve": dict(_NODE)},
        "storages": {
            "local": {
                "type": "dir",
                "path": "/var/lib/vz",
                "content": ["backup", "iso", "vztmpl"],
                "size": 100 * GIB,
            },
            "local-lvm": {
                "type": "lvmthin",
                "vgname": "pve",
                "thinpool": "data",
                "content": ["images", "rootdir"],
                "size": 400 * GIB,
            },
        },
        "volumes": [_template_volume()],
        "users": {"root@pam": {"password": PASSWORD}},
    }


def _cluster() -> dict[str, Any]:
    single = _single()
    shared = {
        "type": "nfs",
        "server": "198.51.100.9",
        "export": "/export/pve",
        "path": "/mnt/pve/shared",
        "content": ["images", "rootdir", "backup", "iso", "vztmpl"],
        "size": 2000 * GIB,
        "shared": True,
    }
    return single | {
        "cluster": "pytest",
        "nodes": {name: dict(_NODE) for name in ("pve1", "pve2", "pve3")},
        "storages": single["storages"] | {"shared": shared},
    }
