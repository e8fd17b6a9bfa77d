"""What goes over the wire: requests and answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=4000)]
Hostname = Annotated[str, Field(min_length=1, max_length=200, examples=["my-site"])]
Cores = Annotated[int, Field(ge=1, le=16)]
MemoryMib = Annotated[int, Field(ge=128, le=32768)]
DiskGib = Annotated[int, Field(ge=1, le=500)]


RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Words = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Name = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]


class Request(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Credentials(Request):
    """Name and password."""

    username: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=1, max_length=200)]


class Registration(Credentials):
    """A new user."""

    email: Annotated[str, Field(max_length=254)] | None = None


class RefreshRequest(Request):
    """A refresh token."""

    refresh_token: Annotated[str, Field(max_length=200)]


class LogoutRequest(Request):
    """The refresh token whose login ends, if there is one."""

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class PasswordChange(Request):
    """The old and the new password."""

    old_password: Annotated[str, Field(max_length=200)]
    new_password: Annotated[str, Field(max_length=200)]


class UserChange(Request):
    """What an admin changes about a user."""

    role: Literal["user", "admin"] | None = None
    is_active: bool | None = None


class UserOut(BaseModel):
    """A user."""

    id: int
    username: str
    email: str | None
    role: str
    is_active: bool


class TokenOut(BaseModel):
    """A login: the access token is short-lived, the refresh token buys the next one."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a word of the protocol
    expires_in: int
    user: UserOut


class DeployIn(Request):
    """What to deploy; everything but app and hostname has a default."""

    catalog_id: Annotated[str, Field(max_length=64, examples=["nginx"])]
    hostname: Hostname
    version: Annotated[str, Field(max_length=32)] | None = None
    node: Annotated[str, Field(max_length=63, pattern=r"^[a-zA-Z0-9-]+$")] | None = None
    storage: Annotated[str, Field(max_length=100, pattern=r"^[a-zA-Z0-9_.-]+$")] | None = None
    cores: Cores | None = None
    memory_mib: MemoryMib | None = None
    disk_gib: DiskGib | None = None
    environment: Annotated[dict[str, Text], Field(max_length=100)] = Field(default_factory=dict)


class ActionIn(Request):
    """What to do with an app."""

    action: Literal["start", "stop", "restart"]


class CloneIn(Request):
    """The hostname of the copy."""

    new_hostname: Hostname


class ConfigIn(Request):
    """What the container may use from now on; what is left out stays."""

    cpu_cores: Cores | None = None
    memory_mb: MemoryMib | None = None
    disk_gb: DiskGib | None = None


class AppOut(BaseModel):
    """An app; ``operation_id`` is what works on it now."""

    id: str
    catalog_id: str
    name: str
    hostname: str
    version: str
    latest_version: str | None
    previous_version: str | None
    status: str
    status_text: str | None
    node: str | None
    vmid: int | None
    url: str | None
    iframe_url: str | None
    address: str | None
    port: int | None
    icon: str | None
    category: str | None
    cores: int
    memory_mib: int
    disk_gib: int
    adopted: bool
    owner_id: int
    owner: str
    operation_id: str | None
    created_at: str
    updated_at: str


class AppPage(BaseModel):
    """Some apps, and how many there are."""

    apps: list[AppOut]
    total: int
    page: int
    per_page: int


class OperationOut(BaseModel):
    """Something that takes a while: its steps, its progress, its log, and how it ended."""

    id: str
    kind: str
    status: str
    percent: int
    step: str
    steps: list[str]
    log: list[str]
    error: str | None
    app_id: str | None
    subject: str
    backup_id: int | None = None
    created_at: str
    updated_at: str
    finished_at: str | None


class OperationPage(BaseModel):
    """Some operations, newest first."""

    operations: list[OperationOut]
    total: int


class Accepted(BaseModel):
    """What was asked for has begun."""

    app: AppOut
    operation: OperationOut


class VersionOut(BaseModel):
    """A version of a catalog entry."""

    version: str
    source: str


class EntryOut(BaseModel):
    """An app that can be deployed."""

    id: str
    name: str
    description: str
    category: str
    icon: str
    website: str
    tags: list[str]
    version: str
    versions: list[VersionOut]
    port: int
    volumes: list[dict[str, Any]]
    environment: dict[str, str]
    min_cores: int
    min_memory_mib: int
    min_disk_gib: int


class CatalogOut(BaseModel):
    """The catalog, or a part of it."""

    items: list[EntryOut]
    categories: dict[str, int]
    total: int


class SkippedOut(BaseModel):
    """A file that is no entry, and why."""

    file: str
    text: str


class CatalogReport(BaseModel):
    """What reading the catalog again brought."""

    total: int
    skipped: list[SkippedOut]
