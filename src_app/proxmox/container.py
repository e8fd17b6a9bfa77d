"""Requests for containers: both ways to ask for one, turned into Proxmox's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar

from src_app.proxmox.errors import SettingError
from src_app.proxmox.ownership import marked

VMID_MIN = 100  # Proxmox keeps the ids below for itself
VMID_MAX = 999_999_999

DEFAULT_CORES = 1
DEFAULT_MEMORY_MIB = 512
DEFAULT_DISK_GIB = 4  # what Proxmox itself takes where nothing is said

# The original service's config keys beside the plan's and Proxmox's: one meaning, one row.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "hostname": ("hostname", "name"),
    "template": ("template", "ostemplate"),
    "storage": ("storage",),
    "cores": ("cores", "cpu_cores"),
    "memory": ("memory", "memory_mb"),
    "disk": ("disk", "disk_gb"),
    "root_password": ("root_password", "password"),
}

N = TypeVar("N", int, float)


class Secret(str):
    """A text that is itself on the wire and stars wherever it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return stars."""
        return "'***'"


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """A container to make; ``None`` means: find one on the node.

    ``memory_mib`` is in MiB, ``disk_gib`` in GiB. ``options`` are Proxmox's own parameters,
    passed on as they are.
    """

    node: str
    vmid: int
    hostname: str
    template: str | None = None
    storage: str | None = None
    cores: int = DEFAULT_CORES
    memory_mib: int = DEFAULT_MEMORY_MIB
    disk_gib: float = DEFAULT_DISK_GIB
    root_password: Secret | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        node: str,
        vmid: int | str,
        *,
        config: Mapping[str, Any] | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> ContainerRequest:
        """Return the request in a ``config`` dictionary, in keywords ``given``, or in both.

        Keywords win over the dictionary; a value of ``None`` counts as not given.

        Raises:
            SettingError: the VMID is none, or cores, memory or disk is not a positive number.
        """
        told = _normalised(config or {}) | _normalised(given or {})
        number = parse_vmid(vmid)
        disk = told.pop("disk", None)
        password = told.pop("root_password", None)
        return cls(
            node=str(node),
            vmid=number,
            hostname=str(told.pop("hostname", f"ct{number}")),
            template=told.pop("template", None),
            storage=told.pop("storage", None),
            cores=_positive(told.pop("cores", DEFAULT_CORES), "cores", int),
            memory_mib=_positive(told.pop("memory", DEFAULT_MEMORY_MIB), "memory", int),
            disk_gib=_positive(DEFAULT_DISK_GIB if disk is None else disk, "disk", float),
            root_password=Secret(password) if password is not None else None,
            options=told,
        )

    def parameters(self, *, template: str, storage: str, nonce: str) -> dict[str, Any]:
        """Return the parameters of the POST, with the claim's nonce in the description."""
        wire: dict[str, Any] = {
            "unprivileged": 1,  # the default of Proxmox 9; older ones made privileged ones
            "rootfs": f"{storage}:{self.disk_gib:g}",
            **self.options,
            "vmid": self.vmid,
            "ostemplate": template,
            "hostname": self.hostname,
            "cores": self.cores,
            "memory": self.memory_mib,
            "description": marked(str(self.options.get("description", "")), nonce),
        }
        if self.root_password is not None:
            wire["password"] = str(self.root_password)
        return wire


def parse_vmid(value: object) -> int:
    """Return the VMID in ``value``, a number from 100 to 999999999.

    Raises:
        SettingError: it is none.
    """
    text = str(value)
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not VMID_MIN <= number <= VMID_MAX:
        raise SettingError(
            f'"{value}" is not a VMID',
            origin="argument vmid",
            hint=f"Use {VMID_MIN} to {VMID_MAX}.",
        )
    return number


def made(request: ContainerRequest, *, upid: str, template: str, storage: str) -> dict[str, Any]:
    """Return what ``create_lxc`` answers: the plan's keys and the original service's."""
    return {
        "status": "success",
        "vmid": request.vmid,
        "node": request.node,
        "hostname": request.hostname,
        "task_id": upid,
        "upid": upid,
        "template": template,
        "storage": storage,
        "root_password": request.root_password,
        "docker_preinstalled": False,
    }


def first_address(interfaces: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the first address, IPv4 before IPv6, that is neither loopback nor link-local."""
    told = (
        str(address.get("ip-address", ""))
        for interface in interfaces
        for address in interface.get("ip-addresses") or []
    )
    usable = [
        address
        for address in map(ip_address, filter(None, told))
        if not address.is_loopback and not address.is_link_local
    ]
    return str(min(usable, key=lambda address: address.version)) if usable else None


def _normalised(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with one spelling a meaning and without what is not given."""
    given = {key: value for key, value in config.items() if value is not None}
    plain: dict[str, Any] = {}
    for meaning, spellings in _SPELLINGS.items():
        found = [given.pop(spelling) for spelling in spellings if spelling in given]
        if found:
            plain[meaning] = found[0]
    return plain | given


def _positive(value: Any, name: str, kind: Callable[[Any], N]) -> N:
    """Return ``value`` as a number above zero."""
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = kind(0)
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise SettingError(
            f"{name} {value!r} is not a positive number",
            origin=f"argument {name}",
            hint="Cores are a whole number, memory is in MiB, disk in GiB.",
        )
    return number
