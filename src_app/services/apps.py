"""What one can ask of apps: who may, what is valid, and the operation that does it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from src_app.catalog import CatalogEntry
from src_app.catalog.entry import EntryError, check_environment
from src_app.db import queue
from src_app.db.errors import ConflictError
from src_app.db.models import App, Operation
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import (
    AppAlreadyExistsError,
    AppNotFoundError,
    BusyError,
    InvalidInput,
)
from src_app.domain.errors import ConflictError as Conflict
from src_app.domain.hostnames import app_id, parse_hostname
from src_app.security.tokens import Identity
from src_app.services import sealing
from src_app.services.building import new_password
from src_app.services.context import Context

LIMITS = {"cores": (1, 16), "memory_mib": (128, 32768), "disk_gib": (1, 500)}
CHANGING = ("deploying", "cloning", "adopting", "removing")


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What somebody wants to deploy; what is None is the catalog's business."""

    catalog_id: str
    hostname: str
    version: str | None = None
    node: str | None = None
    storage: str | None = None
    cores: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An app, and the operation that will do what was asked."""

    app: App
    operation: Operation


class Apps:
    """Checks requests and puts operations into the queue, in one transaction each."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- looking ------------------------------------------------------------------------

    def get(self, db: RepositoryFactory, identity: Identity, wanted: str) -> App:
        """Return an app that is this user's; an admin's are all.

        Raises:
            AppNotFoundError: there is none, or it is somebody else's.
        """
        app = db.apps.find_by_id(wanted)
        if app is None or not (identity.is_admin or app.owner_id == identity.user_id):
            raise AppNotFoundError.of(wanted)
        return app

    # --- asking -------------------------------------------------------------------------

    def deploy(
        self, db: RepositoryFactory, identity: Identity, request: DeployRequest
    ) -> Submitted:
        """Return the new app, which is being deployed.

        Raises:
            InvalidInput: a value cannot be; AppAlreadyExistsError: the hostname is taken.
        """
        entry = self._entry(request.catalog_id)
        version = entry.version(request.version)
        if version is None:
            known = ", ".join(item.version for item in entry.versions)
            raise InvalidInput(
                f"{entry.name} has no version {request.version}",
                fields={"version": f"must be one of {known}"},
            )
        values = self._row(entry, request, identity) | {"version": version.version}
        app = self.add(db, values)
        plan = {
            "catalog_id": entry.id,
            "version": version.version,
            "node": request.node,
            "storage": request.storage,
        }
        return Submitted(app, submit(db, "deploy", app, plan, user_id=identity.user_id))

    def _entry(self, catalog_id: str) -> CatalogEntry:
        entry = self._context.catalog.find(catalog_id)
        if entry is None:
            raise InvalidInput(
                f"The catalog has no entry '{catalog_id}'",
                fields={"catalog_id": "is not in the catalog"},
            )
        return entry

    def _row(
        self, entry: CatalogEntry, request: DeployRequest, identity: Identity
    ) -> dict[str, Any]:
        cipher = self._context.cipher
        hostname = parse_hostname(request.hostname)
        try:
            given = check_environment(request.environment)
        except EntryError as exc:
            raise InvalidInput(str(exc), fields={"environment": str(exc)}) from exc
        resources = {
            "cores": request.cores or entry.min_cores,
            "memory_mib": request.memory_mib or entry.min_memory_mib,
            "disk_gib": request.disk_gib or entry.min_disk_gib,
        }
        check_resources(resources, entry)
        return {
            "id": app_id(entry.id, hostname),
            "catalog_id": entry.id,
            "name": entry.name,
            "hostname": hostname,
            "latest_version": entry.latest.version,
            "status": "deploying",
            **resources,
            "config": {"port": entry.port, "icon": entry.icon, "category": entry.category},
            "environment": sealing.seal(cipher, {**entry.environment, **given}),
            "sealed_root_password": cipher.seal(new_password()),
            "owner_id": identity.user_id,
        }

    def add(self, db: RepositoryFactory, values: Mapping[str, Any]) -> App:
        """Return the new row.

        Raises:
            AppAlreadyExistsError: the hostname is taken.
        """
        try:
            return db.apps.create(values)
        except ConflictError as exc:
            raise AppAlreadyExistsError(
                f"An app with the hostname '{values['hostname']}' exists already",
                fields={"hostname": "is taken"},
            ) from exc

    def act(self, db: RepositoryFactory, identity: Identity, wanted: str, kind: str) -> Submitted:
        """Return the app that is to be started, stopped, restarted or deleted.

        Raises:
            AppNotFoundError, BusyError.
        """
        app = self.get(db, identity, wanted)
        return Submitted(app, submit(db, kind, app, {}, user_id=identity.user_id))

    def clone(
        self, db: RepositoryFactory, identity: Identity, source_id: str, hostname: str
    ) -> Submitted:
        """Return the new app, which is being copied from another.

        Raises:
            AppNotFoundError, AppAlreadyExistsError, BusyError, InvalidInput.
        """
        source = self.get(db, identity, source_id)
        require_container(source)
        name = parse_hostname(hostname)
        copied = ("catalog_id", "name", "version", "cores", "memory_mib", "disk_gib", "node")
        values = {column: getattr(source, column) for column in copied}
        app = self.add(
            db,
            {
                **values,
                "id": app_id(source.catalog_id, name),
                "hostname": name,
                "status": "cloning",
                "config": dict(source.config),
                "environment": dict(source.environment),
                "sealed_root_password": source.sealed_root_password,
                "owner_id": identity.user_id,
            },
        )
        plan = {
            "node": source.node,
            "source": {"id": source.id, "node": source.node, "vmid": source.vmid},
            "start": source.status == "running",
        }
        operation = submit(
            db, "clone", app, plan, user_id=identity.user_id, beside=(f"app:{source.id}",)
        )
        return Submitted(app, operation)

    def configure(
        self, db: RepositoryFactory, identity: Identity, wanted: str, changes: Mapping[str, int]
    ) -> Submitted:
        """Return the app whose container is to get other resources.

        Raises:
            InvalidInput: nothing to change, out of range, or a smaller disk;
            AppNotFoundError, BusyError.
        """
        if not changes:
            raise InvalidInput("At least one configuration parameter must be provided")
        app = self.get(db, identity, wanted)
        require_container(app)
        check_resources(changes, self._context.catalog.find(app.catalog_id))
        if changes.get("disk_gib", app.disk_gib) < app.disk_gib:
            raise InvalidInput(
                f"The disk of {app.hostname} has {app.disk_gib} GiB and cannot shrink",
                fields={"disk_gib": f"must be {app.disk_gib} or more"},
            )
        plan = {
            "node": app.node,
            "vmid": app.vmid,
            "wanted": dict(changes),
            "before": {key: getattr(app, key) for key in LIMITS},
            "running": app.status == "running",
        }
        return Submitted(app, submit(db, "configure", app, plan, user_id=identity.user_id))


def check_resources(resources: Mapping[str, int], entry: CatalogEntry | None) -> None:
    """Return where all values lie between what the app needs and what is allowed.

    Raises:
        InvalidInput: names each that does not.
    """
    least = {
        "cores": entry.min_cores if entry else 1,
        "memory_mib": entry.min_memory_mib if entry else 128,
        "disk_gib": entry.min_disk_gib if entry else 1,
    }
    wrong = {
        name: f"must be {least[name]} to {LIMITS[name][1]}"
        for name, value in resources.items()
        if not least[name] <= value <= LIMITS[name][1]
    }
    if wrong:
        told = "; ".join(f"{name} {text}" for name, text in wrong.items())
        raise InvalidInput(f"Resources out of range: {told}", fields=wrong)


def require_container(app: App) -> None:
    """Return where the app has a container.

    Raises:
        ConflictError: it has none yet, or none any more.
    """
    if app.vmid is None or app.node is None or app.status in CHANGING:
        raise Conflict(f"App '{app.id}' has no container to work on: it is {app.status}")


def submit(
    db: RepositoryFactory,
    kind: str,
    app: App,
    plan: Mapping[str, Any],
    *,
    user_id: int | None,
    beside: tuple[str, ...] = (),
) -> Operation:
    """Return the operation, queued; its app, and what is beside it, is locked until it ends.

    Raises:
        BusyError: another operation works on one of them.
    """
    values = {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "app_id": app.id,
        "user_id": user_id or app.owner_id,  # what a schedule begins is the owner's
        "subject": app.id,
        "plan": {**plan, "app_id": app.id},
    }
    try:
        return queue.submit(db, values, subjects=(f"app:{app.id}", *beside))
    except ConflictError as exc:
        if queue.is_busy(exc):
            raise BusyError(f"Another operation works on '{app.id}'; wait for its end") from exc
        raise
