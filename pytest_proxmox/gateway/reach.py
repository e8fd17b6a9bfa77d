"""Reach: what a request that writes would touch: guests by VMID, or something that is no guest.

Paths are decoded as PVE decodes them, whole and before they are split, and a parameter that is
given twice is refused: what is judged here must be what PVE acts on. What is not recognised
reaches for something that is no guest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.values import GuestKind, NodeName, Vmid, parse_kind

Parameters = Mapping[str, Any]

_OWNER: Final = re.compile(
    r"(?:^|[:/])(?:(?:vm|base|subvol|basevol)-(\d+)-|(\d+)/|backup/vzdump-\w+-(\d+)-)"
)
_SHARED: Final = re.compile(r"(^|:)(iso|vztmpl|snippets|import)/")  # nobody's, whatever its name
# Keys whose value is a volume that the guest then has as its own.
_DISKS: Final = re.compile(r"(rootfs|mp\d+|(scsi|virtio|sata|ide|unused)\d+|efidisk0|tpmstate0)")
# Keys that reach the node under the guest: its devices, its files, its shell.
_HOST: Final = re.compile(
    r"(args|hookscript|ivshmem|(hostpci|usb|parallel|dev|virtiofs)\d+|lxc(\[n\])?|lxc\..*)"
)
_NAMED_VOLUME: Final = re.compile(r"(?:volume|file)=(.*)")


class Unclear(Exception):
    """A request that two readers could understand in two ways; it is not forwarded."""


@dataclass(frozen=True, slots=True)
class Making:
    """The guest that a request would make."""

    vmid: Vmid
    kind: GuestKind
    node: NodeName
    source: Vmid | None = None
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What a request would touch.

    ``guests`` would change, ``making`` would come into being, ``source`` would only be copied.
    ``beyond`` names what is no guest, empty where there is nothing of that kind.
    """

    guests: frozenset[int] = frozenset()
    making: Making | None = None
    source: int | None = None
    beyond: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as PVE reads it: ``path`` is decoded, below ``/api2/json``."""

    method: str
    path: str
    parameters: Parameters = field(default_factory=dict)

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD", "OPTIONS")

    def one(self, name: str) -> str | None:
        """Return a parameter's value.

        Raises:
            Unclear: it is given more than once.
        """
        value = self.parameters.get(name)
        if isinstance(value, list):
            raise Unclear(f"parameter {name} is given {len(value)} times")
        return None if value is None else str(value)


def call_of(method: str, target: str, parameters: Parameters) -> Call | None:
    """Return the call that a request line means, None where it is not one to the API.

    Raises:
        Unclear: its path has dots or empty parts in it.
    """
    path = unquote(target.partition("?")[0])
    match = re.fullmatch(r"/api2/(json|extjs)(/.*)?", path)
    if match is None:
        return None
    below = (match[2] or "/").rstrip("/") or "/"
    if any(part in ("", ".", "..") for part in below.split("/")[1:]) and below != "/":
        raise Unclear(f"path {path} has parts that mean something to a file system only")
    return Call(method, below, parameters)


def reach_of(call: Call) -> Reach:
    """Return what a call that writes would touch.

    Raises:
        Unclear: it cannot be told for sure.
    """
    for methods, pattern, read in _RULES:
        match = re.fullmatch(pattern, call.path)
        if match is not None and call.method in methods.split():
            return read(call, match)
    return Reach(beyond=f"{call.method} {call.path}")


def _number(text: str | None, name: str) -> Vmid:
    if text is None or not re.fullmatch(r"[1-9]\d{2,8}", text):
        raise Unclear(f"{name} {text!r} is no VMID")
    try:
        return Vmid.parse(text)
    except InvalidValue as exc:
        raise Unclear(exc.what) from exc


def _numbers(text: str | None, name: str) -> frozenset[int]:
    if not text:
        raise Unclear(f"{name} is not given, and would mean all guests")
    return frozenset(_number(part, name) for part in re.split(r"[,;\s]+", text.strip()))


def _settings(call: Call) -> Reach:
    """What the settings in a create, a clone or a config change reach for."""
    owners: set[int] = set()
    for name in call.parameters:
        value = call.one(name) or ""
        if _HOST.fullmatch(name) or (name.startswith("serial") and value.startswith("/")):
            return Reach(beyond=f"the node itself, by the setting {name}")
        if _DISKS.fullmatch(name):
            for volume in _volumes(value):
                if volume.startswith("/"):
                    return Reach(beyond=f"a file of the node itself, by the setting {name}={value}")
                owners |= _owner(volume)
    return Reach(guests=frozenset(owners))


def _volumes(value: str) -> list[str]:
    """The volumes that a disk's setting names: without a key, or as ``volume`` or ``file``.

    What ``import-from`` names is only copied.
    """
    named = (_NAMED_VOLUME.fullmatch(part) for part in value.split(","))
    plain = [part for part in value.split(",") if "=" not in part]
    return plain + [match[1] for match in named if match is not None]


def _owner(volume: str) -> set[int]:
    """The VMID in a volume's name; of a linked clone's, which has its base before it, the last."""
    if _SHARED.search(volume):
        return set()
    found = _OWNER.findall(volume)
    return {int(next(filter(None, found[-1])))} if found else set()


def _create(call: Call, match: re.Match[str]) -> Reach:
    kind, node = parse_kind(match["kind"]), NodeName(match["node"])
    vmid = _number(call.one("vmid"), "vmid")
    reach = _settings(call)
    made = Making(vmid, kind, node, pool=call.one("pool"))
    return replace(reach, making=made, guests=reach.guests - {vmid})


def _clone(call: Call, match: re.Match[str]) -> Reach:
    vmid, source = _number(call.one("newid"), "newid"), _number(match["vmid"], "vmid")
    node = NodeName(call.one("target") or match["node"])
    made = Making(vmid, parse_kind(match["kind"]), node, source, call.one("pool"))
    return Reach(making=made, source=source)


def _guest(call: Call, match: re.Match[str]) -> Reach:
    vmid = _number(match["vmid"], "vmid")
    what = match["rest"] or ""
    if what.startswith("/remote_migrate"):
        return Reach(beyond="another cluster, by remote_migrate")
    if what.startswith("/monitor"):
        return Reach(beyond="the node itself, by the monitor of a guest")
    reach = _settings(call) if what == "/config" else Reach()
    target = call.one("target-vmid")
    others = frozenset({_number(target, "target-vmid")}) if target is not None else frozenset()
    return replace(reach, guests=reach.guests | others | {vmid})


def _backup(call: Call, match: re.Match[str]) -> Reach:
    for name in ("all", "pool", "exclude", "script", "dumpdir", "tmpdir"):
        if call.one(name) not in (None, "0"):
            return Reach(beyond=f"more than named guests, by vzdump's parameter {name}")
    return Reach(guests=_numbers(call.one("vmid"), "vmid"))


def _volume(call: Call, match: re.Match[str]) -> Reach:
    owners = _owner(match["volume"])
    if not owners:
        return Reach(beyond=f"the volume {match['volume']}, which is no guest's")
    return Reach(guests=frozenset(owners))


def _allocate(call: Call, match: re.Match[str]) -> Reach:
    owners = _owner(call.one("filename") or "")
    return Reach(guests=_numbers(call.one("vmid"), "vmid") | owners)


def _vmid_parameter(call: Call, match: re.Match[str]) -> Reach:
    return Reach(guests=_numbers(call.one("vmid"), "vmid"))


def _vms_parameter(call: Call, match: re.Match[str]) -> Reach:
    value = call.parameters.get("vms")  # an array there, and arrays come as repeated parameters
    text = ",".join(map(str, value)) if isinstance(value, list) else call.one("vms")
    return Reach(guests=_numbers(text, "vms"))


def _task(call: Call, match: re.Match[str]) -> Reach:
    ident = match["upid"].split(":")[6:7]
    if not ident or not ident[0].isdigit():
        return Reach(beyond=f"the task {match['upid']}, which is no guest's")
    return Reach(guests=frozenset({_number(ident[0], "the task's id")}))


def _managed(call: Call, match: re.Match[str]) -> Reach:
    sid = match.groupdict().get("sid") or call.one("sid") or ""
    return Reach(guests=frozenset({_number(re.sub(r"^(vm|ct):", "", sid), "sid")}))


_Reader = Callable[[Call, re.Match[str]], Reach]
_NODE = r"/nodes/(?P<node>[^/]+)"
_KIND = r"/(?P<kind>lxc|qemu)"
_RULES: Final[tuple[tuple[str, str, _Reader], ...]] = (
    ("POST", _NODE + _KIND, _create),
    ("POST", _NODE + _KIND + r"/(?P<vmid>\d+)/clone", _clone),
    ("POST PUT DELETE", _NODE + _KIND + r"/(?P<vmid>\d+)(?P<rest>/.+)?", _guest),
    ("POST", _NODE + r"/vzdump", _backup),
    ("PUT DELETE", _NODE + r"/storage/[^/]+/content/(?P<volume>.+)", _volume),
    ("POST", _NODE + r"/storage/[^/]+/content", _allocate),
    ("DELETE", _NODE + r"/storage/[^/]+/prunebackups", _vmid_parameter),
    ("DELETE", _NODE + r"/tasks/(?P<upid>UPID:[^/]+)", _task),
    ("POST", _NODE + r"/(startall|stopall|suspendall|migrateall)", _vms_parameter),
    ("POST", r"/cluster/bulk-action/guest/\w+", _vms_parameter),
    ("POST", r"/cluster/ha/resources", _managed),
    ("PUT DELETE", r"/cluster/ha/resources/(?P<sid>[^/]+)", _managed),
    ("POST", r"/cluster/ha/resources/(?P<sid>[^/]+)/(migrate|relocate)", _managed),
)
