"""What the simulator remembers: frozen values, one class for each noun of Proxmox."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from pytest_proxmox.simulator.store import Store, Table
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Vmid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scalar = str | int | float
Config = Mapping[str, Any]


class _Nothing(dict[str, Any]):
    """An empty mapping that nothing can be put into; hashable, as a field's default must be."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("this mapping stays empty")


EMPTY: Final[Mapping[str, Any]] = _Nothing()
V = TypeVar("V", bound="DataclassInstance")
MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB


def altered(value: V, **changes: Any) -> V:
    """Return a frozen value with some fields changed: ``dataclasses.replace`` at half its price.

    Fields are copied slot by slot, so there is no ``__post_init__``; no value here has one.
    """
    kind = type(value)
    made = object.__new__(kind)
    for name, put in _slots(kind):
        put(made, changes[name] if name in changes else getattr(value, name))
    return made


@cache
def _slots(kind: type[DataclassInstance]) -> tuple[tuple[str, Any], ...]:
    """Return how to fill the values of a class: each field's name and its slot's setter."""
    return tuple((one.name, getattr(kind, one.name).__set__) for one in fields(kind))


@dataclass(frozen=True, slots=True)
class Node:
    """A cluster node; ``online`` is False while it is cut off.

    ``kvm`` says whether its processor helps VMs; without that only those start that have
    ``kvm: 0``. Where it is None nobody said: the node is taken for the recorded one.
    """

    name: str
    maxcpu: int
    maxmem: int
    bridges: tuple[str, ...] = ("vmbr0",)
    address: str = ""
    online: bool = True
    boot_time: float = 0.0
    nodeid: int = 1
    settings: Mapping[str, Any] = EMPTY
    kvm: bool | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage definition with its size in bytes; ``config`` is what storage.cfg holds."""

    name: str
    type: str
    content: tuple[str, ...]
    size: int
    path: str = ""
    avail: int | None = None
    shared: bool = False
    config: Mapping[str, Any] = EMPTY

    @property
    def disabled(self) -> bool:
        """Whether ``disable`` is set."""
        return bool(self.config.get("disable"))


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume on a storage; ``node`` is empty on a shared one; sizes in bytes.

    ``data`` holds what a backup or a disk carries: files by path, a guest's configuration.
    """

    volid: str
    node: str
    content: str
    format: str
    size: int
    used: int = 0
    vmid: int | None = None
    ctime: int = 0
    parent: str | None = None
    notes: str | None = None
    protected: bool = False
    data: Mapping[str, Any] = EMPTY

    @property
    def storage(self) -> str:
        """The storage it lies on."""
        return self.volid.partition(":")[0]

    @property
    def name(self) -> str:
        """Its name on that storage."""
        return self.volid.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A guest's snapshot: its configuration then, its parent, when, with which words."""

    name: str
    config: Config
    snaptime: int
    parent: str | None = None
    description: str = ""
    vmstate: bool = False
    data: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True)
class Guest:
    """A container or a VM. ``config`` holds ``lock`` and ``template`` as PVE's file does.

    ``changed`` is the virtual time of its last change: ``/cluster/resources`` shows names and
    states only as they were at the last broadcast (golden README, point 7).
    """

    vmid: int
    kind: GuestKind
    node: str
    config: Config
    status: str = "stopped"
    started: float = 0.0
    pid: int | None = None
    snapshots: Mapping[str, Snapshot] = EMPTY
    pending: Config = EMPTY
    created: float = 0.0
    changed: float = 0.0
    extra: Mapping[str, Any] = EMPTY

    @property
    def ref(self) -> GuestRef:
        """Where it is."""
        return GuestRef(Vmid(self.vmid), self.kind, NodeName(self.node))

    @property
    def lock(self) -> str | None:
        """The lock in its configuration."""
        return self.config.get("lock")

    @property
    def template(self) -> bool:
        """Whether it is a template."""
        return bool(self.config.get("template"))

    @property
    def protected(self) -> bool:
        """Whether it must not be removed."""
        return bool(self.config.get("protection"))

    @property
    def name(self) -> str:
        """Its name: what the configuration says, else PVE's default."""
        if self.kind == "lxc":
            return str(self.config.get("hostname", f"CT{self.vmid}"))
        return str(self.config.get("name", f"VM {self.vmid}"))

    @property
    def running(self) -> bool:
        """Whether its processes run (a suspended VM's do too)."""
        return self.status != "stopped"

    def with_config(self, changes: Mapping[str, Any], *, remove: tuple[str, ...] = ()) -> Self:
        """Return it with keys of its configuration set and removed."""
        config = {key: value for key, value in self.config.items() if key not in remove}
        return altered(self, config=config | dict(changes))

    def digest(self) -> str:
        """Return the SHA-1 of its configuration, as a client must send it back."""
        text = repr((sorted(self.config.items()), sorted(self.snapshots)))
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Task:
    """A worker: ``args`` is all it needs to finish, so that a running one can be saved.

    ``due`` is the virtual time at which its next part runs; ``lock`` names the file lock that it
    needs, ``holding`` says whether it has it, ``begun`` whether its first part has run.
    """

    upid: str
    node: str
    type: str
    id: str
    user: str
    tokenid: str | None
    pid: int
    pstart: int
    starttime: int
    worker: str
    due: float
    args: Mapping[str, Any] = EMPTY
    log: tuple[str, ...] = ()
    lock: str = ""
    holding: bool = False
    begun: bool = False
    endtime: int | None = None
    exitstatus: str | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.endtime is None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; nested ones have ``/`` in their name. Storages are kept here, guests by VMID."""

    poolid: str
    comment: str | None = None
    storages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A user; ``password`` is None where none was set."""

    userid: str
    password: str | None = None
    enable: bool = True
    expire: int = 0
    groups: tuple[str, ...] = ()
    settings: Mapping[str, Any] = EMPTY

    def __repr__(self) -> str:
        return f"User({self.userid})"


@dataclass(frozen=True, slots=True)
class Token:
    """An API token; ``id`` is ``user@realm!name``."""

    id: str
    secret: str
    privsep: bool = True
    expire: int = 0
    comment: str | None = None

    def __repr__(self) -> str:
        return f"Token({self.id}, ***)"

    @property
    def userid(self) -> str:
        """The user it belongs to."""
        return self.id.partition("!")[0]


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One line of the ACL: who (``user``, ``group`` or ``token``) has which role where."""

    path: str
    type: str
    ugid: str
    roleid: str
    propagate: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last broadcast said of a guest: shown until the next one."""

    at: float
    guest: Guest | None


@dataclass(slots=True)
class State:
    """All tables. ``settings`` holds what is a single value (``cluster.options``, counters)."""

    store: Store = field(default_factory=Store)

    def _table(self, name: str) -> Table[Any, Any]:
        return self.store.table(name)

    nodes: Table[str, Node] = field(init=False)
    storages: Table[str, Storage] = field(init=False)
    volumes: Table[tuple[str, str], Volume] = field(init=False)
    guests: Table[int, Guest] = field(init=False)
    seen: Table[int, Seen] = field(init=False)
    tasks: Table[str, Task] = field(init=False)
    running: Table[str, float] = field(init=False)
    pools: Table[str, Pool] = field(init=False)
    members: Table[int, str] = field(init=False)
    users: Table[str, User] = field(init=False)
    groups: Table[str, Mapping[str, Any]] = field(init=False)
    roles: Table[str, frozenset[str]] = field(init=False)
    tokens: Table[str, Token] = field(init=False)
    acls: Table[tuple[str, str, str, str], AclEntry] = field(init=False)
    realms: Table[str, Mapping[str, Any]] = field(init=False)
    ha: Table[str, Mapping[str, Any]] = field(init=False)
    jobs: Table[str, Mapping[str, Any]] = field(init=False)
    records: Table[tuple[str, str], Mapping[str, Any]] = field(init=False)
    settings: Table[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        for name in TABLES:
            setattr(self, name, self._table(name))


# ``records`` keeps simple configuration families by (family, id): firewall rules, replication,
# mappings, ... so that each does not need a class of its own.
TABLES: Final = (
    "nodes",
    "storages",
    "volumes",
    "guests",
    "seen",
    "tasks",
    "running",
    "pools",
    "members",
    "users",
    "groups",
    "roles",
    "tokens",
    "acls",
    "realms",
    "ha",
    "jobs",
    "records",
    "settings",
)
