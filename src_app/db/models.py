"""What the app manager keeps: the cluster as last seen, and the apps it made there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src_app.db.words import (
    APP_STATUS,
    BACKUP_STATUS,
    CHANGE_ACTION,
    CHANGE_STATUS,
    CHANGE_TYPE,
    GUEST_KIND,
    GUEST_STATUS,
    NODE_STATUS,
    OPERATION_KIND,
    OPERATION_STATUS,
    ROLE,
    TASK_STATUS,
    one_of,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
VMID = (100, 999_999_999)
PORT = (1, 65_535)


def now() -> datetime:
    """Return the wall time, with its zone."""
    return datetime.now(UTC)


def between(column: str, low: int, high: int) -> CheckConstraint:
    """Return the check that a column lies in a range, its ends included."""
    return CheckConstraint(f"{column} BETWEEN {low} AND {high}", name=f"{column}_range")


def not_negative(column: str) -> CheckConstraint:
    """Return the check that a column is 0 or more."""
    return CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative")


def not_empty(column: str) -> CheckConstraint:
    """Return the check that a text has at least one character."""
    return CheckConstraint(f"length({column}) > 0", name=f"{column}_not_empty")


class Moment(TypeDecorator[datetime]):
    """A time with its zone, also from SQLite, which stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC, so that stored times can be compared."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The base of all models; constraints have names, so that errors can be told apart."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar = {datetime: Moment}


class Dated:
    """When a row was made and last changed."""

    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Removable:
    """When something was found to be gone from Proxmox; its row stays, marked."""

    removed_at: Mapped[datetime | None]


class Node(Dated, Removable, Base):
    """A node of the cluster; its id is its name."""

    __tablename__ = "nodes"
    __table_args__ = (
        not_empty("id"),
        one_of("status", NODE_STATUS),
        not_negative("memory_bytes"),
        not_negative("cpu_count"),
    )
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), default="unknown")
    ip: Mapped[str | None] = mapped_column(String(45))
    version: Mapped[str | None] = mapped_column(String(32))
    cpu_count: Mapped[int] = mapped_column(default=0)
    cpu_usage: Mapped[float] = mapped_column(default=0.0)
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    uptime_s: Mapped[int] = mapped_column(BigInteger, default=0)


class Guest(Dated, Removable):
    """What VMs and containers have in common; their id is the VMID."""

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status: Mapped[str] = mapped_column(String(16), default="unknown")
    cores: Mapped[int] = mapped_column(default=1)
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    disk_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    uptime_s: Mapped[int] = mapped_column(BigInteger, default=0)
    is_template: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[list[Any]] = mapped_column(JSON, default=list)
    config: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # as Proxmox lists it


class VM(Guest, Base):
    """A QEMU virtual machine."""

    __tablename__ = "vms"
    __table_args__ = (
        between("id", *VMID),
        one_of("status", GUEST_STATUS),
        between("cores", 1, 8192),
        not_negative("memory_bytes"),
        not_negative("disk_bytes"),
    )
    name: Mapped[str] = mapped_column(String(255))
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="RESTRICT"), index=True)


class Container(Guest, Base):
    """An LXC container."""

    __tablename__ = "containers"
    __table_args__ = (
        between("id", *VMID),
        one_of("status", GUEST_STATUS),
        between("cores", 1, 8192),
        not_negative("memory_bytes"),
        not_negative("disk_bytes"),
        not_empty("hostname"),
    )
    hostname: Mapped[str] = mapped_column(String(253))
    ostype: Mapped[str | None] = mapped_column(String(32))
    unprivileged: Mapped[bool] = mapped_column(default=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="RESTRICT"), index=True)


class Storage(Dated, Removable, Base):
    """A storage as one node sees it; a shared one has a row for each node."""

    __tablename__ = "storages"
    __table_args__ = (
        UniqueConstraint("node_id", "name"),
        not_empty("name"),
        not_empty("type"),
        not_negative("total_bytes"),
        not_negative("used_bytes"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    type: Mapped[str] = mapped_column(String(32))
    content: Mapped[list[Any]] = mapped_column(JSON, default=list)
    shared: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    total_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    used_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))


class Task(Base):
    """A task of Proxmox; its id is the UPID."""

    __tablename__ = "tasks"
    __table_args__ = (
        one_of("status", TASK_STATUS),
        CheckConstraint("id LIKE 'UPID:%'", name="id_upid"),
    )
    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16), default="running")
    exitstatus: Mapped[str | None] = mapped_column(Text)
    vmid: Mapped[int | None]
    user: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)


class Snapshot(Base):
    """A resource as it was at a moment: what drift is told from."""

    __tablename__ = "state_snapshots"
    __table_args__ = (
        one_of("change_type", CHANGE_TYPE),
        not_empty("resource_id"),
        Index(None, "resource_type", "resource_id", "taken_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(default=now)
    resource_type: Mapped[str] = mapped_column(String(16))
    resource_id: Mapped[str] = mapped_column(String(255))
    resource_data: Mapped[dict[str, Any]] = mapped_column(JSON)
    change_type: Mapped[str] = mapped_column(String(16))


class WantedGuest(Dated, Base):
    """A guest as it is wanted: what ``/plan`` compares with the cluster."""

    __tablename__ = "wanted_guests"
    __table_args__ = (between("vmid", *VMID), one_of("kind", GUEST_KIND), not_empty("node"))
    vmid: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(253))
    node: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    absent: Mapped[bool] = mapped_column(default=False)  # it is wanted gone


class Change(Base):
    """One step that changes a guest: written before Proxmox is asked, so that it can be undone."""

    __tablename__ = "changes"
    __table_args__ = (
        between("vmid", *VMID),
        one_of("kind", GUEST_KIND),
        one_of("action", CHANGE_ACTION),
        one_of("status", CHANGE_STATUS),
        Index(None, "status"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(String(36), index=True)  # steps of one run are undone together
    position: Mapped[int] = mapped_column(default=0)
    action: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    vmid: Mapped[int]
    node: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(253), default="")
    status: Mapped[str] = mapped_column(String(16), default="pending")
    nonce: Mapped[str] = mapped_column(String(32), default="")
    before: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=now)


class User(Dated, Base):
    """Somebody who may log in; the first one is the admin."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("username"),
        UniqueConstraint("email"),
        one_of("role", ROLE),
        CheckConstraint("length(username) BETWEEN 3 AND 50", name="username_length"),
        CheckConstraint("username = lower(username)", name="username_lower"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default="user")
    is_active: Mapped[bool] = mapped_column(default=True)


class App(Dated, Base):
    """An app in its container. It has an owner from the start."""

    __tablename__ = "apps"
    __table_args__ = (
        UniqueConstraint("hostname"),
        UniqueConstraint("vmid"),
        one_of("status", APP_STATUS),
        between("vmid", *VMID),
        CheckConstraint("length(hostname) BETWEEN 3 AND 63", name="hostname_length"),
        between("cores", 1, 16),
        between("memory_mib", 128, 32_768),
        between("disk_gib", 1, 500),
    )
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    catalog_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    hostname: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(32), default="latest")
    status: Mapped[str] = mapped_column(String(16), default="deploying")
    status_text: Mapped[str | None] = mapped_column(Text)
    node: Mapped[str | None] = mapped_column(String(63))  # chosen when the container is made
    vmid: Mapped[int | None]
    url: Mapped[str | None] = mapped_column(String(255))
    iframe_url: Mapped[str | None] = mapped_column(String(255))
    cores: Mapped[int] = mapped_column(default=1)
    memory_mib: Mapped[int] = mapped_column(default=1024)
    disk_gib: Mapped[int] = mapped_column(default=8)
    config: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    environment: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    adopted: Mapped[bool] = mapped_column(default=False)
    address: Mapped[str | None] = mapped_column(String(45))  # of the container, while it runs
    latest_version: Mapped[str | None] = mapped_column(String(32))  # as the last check found it
    sealed_root_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), index=True)


class PortReservation(Base):
    """A port that an app holds: taken by the insert itself, never by a read before it."""

    __tablename__ = "port_reservations"
    __table_args__ = (between("port", *PORT),)
    port: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(String(16))
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)


class Backup(Dated, Base):
    """An archive of an app. It outlives the app, whose facts are copied into it."""

    __tablename__ = "backups"
    __table_args__ = (
        UniqueConstraint("volid"),
        one_of("status", BACKUP_STATUS),
        not_negative("size_bytes"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    volid: Mapped[str | None] = mapped_column(String(255))  # PVE names it when it is made
    storage: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    mode: Mapped[str] = mapped_column(String(16), default="snapshot")
    compress: Mapped[str] = mapped_column(String(8), default="zstd")
    status: Mapped[str] = mapped_column(String(16), default="creating")
    error: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text, default="")
    protected: Mapped[bool] = mapped_column(default=False)
    origin: Mapped[str] = mapped_column(String(16), default="manual")
    completed_at: Mapped[datetime | None]
    app_name: Mapped[str] = mapped_column(String(100))
    app_hostname: Mapped[str] = mapped_column(String(63))
    app_facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    app_id: Mapped[str | None] = mapped_column(
        ForeignKey("apps.id", ondelete="SET NULL"), index=True
    )
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))


class Operation(Dated, Base):
    """Something that takes a while: its steps outlive a restart of the manager."""

    __tablename__ = "operations"
    __table_args__ = (
        one_of("kind", OPERATION_KIND),
        one_of("status", OPERATION_STATUS),
        between("percent", 0, 100),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="queued")
    percent: Mapped[int] = mapped_column(default=0)
    step: Mapped[str] = mapped_column(String(64), default="")
    log: Mapped[list[Any]] = mapped_column(JSON, default=list)
    plan: Mapped[dict[str, Any]] = mapped_column(
        JSON, default=dict
    )  # what a resume or a rollback needs
    error: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(String(255), default="", index=True)  # outlives the app
    attempts: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    worker: Mapped[str | None] = mapped_column(String(255))  # the process that works on it
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    app_id: Mapped[str | None] = mapped_column(
        ForeignKey("apps.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class OperationLock(Base):
    """A thing that an operation works on: the insert itself refuses a second one."""

    __tablename__ = "operation_locks"
    __table_args__ = (not_empty("subject"),)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    operation_id: Mapped[str] = mapped_column(
        ForeignKey("operations.id", ondelete="CASCADE"), index=True
    )


class GuestClaim(Base):
    """A container that we asked Proxmox for: written before the request, kept until it is gone."""

    __tablename__ = "guest_claims"
    __table_args__ = (between("vmid", *VMID), not_empty("nonce"))
    vmid: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str] = mapped_column(String(63))
    nonce: Mapped[str] = mapped_column(String(32))
    upid: Mapped[str | None] = mapped_column(String(255))
    made_at: Mapped[datetime] = mapped_column(default=now)


class RefreshToken(Base):
    """A token that buys new access tokens, once; a used one that comes again ends its family."""

    __tablename__ = "refresh_tokens"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    family: Mapped[str] = mapped_column(String(64), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class LoginFailure(Base):
    """A login that was refused: what the rate limit counts, for all processes."""

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "subject", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column(default=now)


class Schedule(Base):
    """Something that is done again and again; a process that takes its turn moves the next one."""

    __tablename__ = "schedules"
    __table_args__ = (not_empty("kind"),)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    rule: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(default=True)
    next_at: Mapped[datetime]
    last_at: Mapped[datetime | None]
    last_result: Mapped[str] = mapped_column(Text, default="")


class Setting(Base):
    """One setting; a sealed value is a secret."""

    __tablename__ = "settings"
    __table_args__ = (not_empty("key"),)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class AuditEntry(Base):
    """Who did what to which thing."""

    __tablename__ = "audit_log"
    __table_args__ = (not_empty("action"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255), default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
