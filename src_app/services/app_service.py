"""Apps for code in the same process: each call returns when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppNotFoundError, AppOperationError
from src_app.security.tokens import Identity
from src_app.services.apps import DeployRequest, Submitted
from src_app.services.manager import Manager

ANYBODY = Identity(0, "service", "admin")


class AppService:
    """Deploys, clones, configures and deletes, and waits for the end of it.

    ``identity`` is whom new apps belong to. An operation that fails has undone what it did.
    """

    def __init__(self, manager: Manager, *, identity: Identity = ANYBODY) -> None:
        self._manager = manager
        self._identity = identity

    async def deploy_app(self, request: DeployRequest) -> App:
        """Return the app, which runs.

        Raises:
            InvalidInput, AppAlreadyExistsError; AppOperationError: it could not be deployed.
        """
        apps = self._manager.apps
        return await self._done(
            lambda db: apps.deploy(db, self._identity, request), "Failed to deploy application"
        )

    async def clone_app(self, source_id: str, hostname: str) -> App:
        """Return the copy, which runs if its source does.

        Raises:
            AppNotFoundError, AppAlreadyExistsError; AppOperationError: it could not be copied.
        """
        apps = self._manager.apps
        return await self._done(
            lambda db: apps.clone(db, self._identity, source_id, hostname),
            "Failed to clone application",
        )

    async def update_app_config(
        self,
        app_id: str,
        cpu_cores: int | None = None,
        memory_mb: int | None = None,
        disk_gb: int | None = None,
    ) -> App:
        """Return the app with other resources; it runs if it ran before.

        Raises:
            InvalidInput: nothing to change, or out of range; AppNotFoundError;
            AppOperationError: it could not be changed.
        """
        given = {"cores": cpu_cores, "memory_mib": memory_mb, "disk_gib": disk_gb}
        changes = {key: value for key, value in given.items() if value is not None}
        apps = self._manager.apps
        return await self._done(
            lambda db: apps.configure(db, self._identity, app_id, changes),
            "Failed to update configuration",
        )

    async def act(self, app_id: str, kind: str) -> App | None:
        """Return the app after ``start``, ``stop``, ``restart``; None after ``delete``.

        Raises:
            AppNotFoundError; AppOperationError: it failed.
        """
        apps = self._manager.apps
        submitted = await self._submit(lambda db: apps.act(db, self._identity, app_id, kind))
        await self._end(submitted, f"Failed to {kind} application")
        return await self._manager.store.aread(lambda db: db.apps.find_by_id(app_id))

    async def get_app(self, app_id: str) -> App:
        """Return the app.

        Raises:
            AppNotFoundError: there is none.
        """
        app = await self._manager.store.aread(lambda db: db.apps.find_by_id(app_id))
        if app is None:
            raise AppNotFoundError.of(app_id)
        return app

    async def ports(self, app_id: str) -> Mapping[str, int]:
        """Return the app's ports by their purpose."""
        where = {"app_id": app_id}
        rows = await self._manager.store.aread(lambda db: db.ports.find_many(where=where).data)
        return {row.purpose: row.port for row in rows}

    async def _done(self, ask: Callable[[RepositoryFactory], Submitted], failure: str) -> App:
        submitted = await self._submit(ask)
        await self._end(submitted, failure)
        return await self.get_app(submitted.app.id)

    async def _submit(self, ask: Callable[[RepositoryFactory], Submitted]) -> Submitted:
        return await self._manager.store.arun(ask)

    async def _end(self, submitted: Submitted, failure: str) -> None:
        operation = await self._manager.engine.complete(submitted.operation.id)
        if operation.status != "succeeded":
            raise AppOperationError(f"{failure}: {operation.error}")
