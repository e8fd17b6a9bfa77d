"""The services of one workspace, each made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from src_app.clock import Clock
from src_app.db.store import Store
from src_app.observability.observer import Observer
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, Endpoint, resolve
from src_app.proxmox.lifecycle import GuestLife
from src_app.services.changing import ChangeService
from src_app.services.syncing import SyncService
from src_app.workspace import ProjectWorkspace, WorkspaceConfig

Connect = Callable[[Endpoint], Connection]


def open_connection(endpoint: Endpoint) -> Connection:
    """Return a login at a Proxmox.

    Raises:
        Unreachable, LoginRefused: it does not answer, or refuses.
    """
    connection = Connection(endpoint)
    connection.open()
    return connection


def endpoint_of(config: WorkspaceConfig, secret: str) -> Endpoint:
    """Return where a workspace's Proxmox is, and who logs in.

    Raises:
        SettingError: there is no secret.
    """
    host = f"[{config.host}]" if ":" in config.host else config.host
    token = config.token_name or None
    arguments = ConnectArguments(
        host=host,
        port=config.port,
        user=config.user,
        verify_ssl=config.verify_ssl,
        token_name=token,
        token_value=secret if token else None,
        password=None if token else secret or None,
    )
    return resolve(arguments, {})


class Services:
    """What commands work with; the connection is opened at its first use and kept."""

    def __init__(
        self,
        workspace: ProjectWorkspace,
        *,
        connect: Connect = open_connection,
        observer: Callable[[], Observer] = Observer,
        clock: Clock | None = None,
    ) -> None:
        self.workspace = workspace
        self._clock = clock
        self._observer = observer
        self._connect = connect
        self._connection: Connection | None = None

    @property
    def store(self) -> Store:
        """The workspace's database."""
        return self.workspace.store

    @property
    def connection(self) -> Connection:
        """The login at the workspace's Proxmox."""
        if self._connection is None:
            endpoint = endpoint_of(self.workspace.config, self.workspace.secret())
            self._connection = self._connect(endpoint)
            self._connection.watch = lambda call: self._observer().call(call)
        return self._connection

    @property
    def life(self) -> GuestLife:
        """What changes guests."""
        return self._observer().watched("life", GuestLife(self.connection, clock=self._clock))

    @property
    def changes(self) -> ChangeService:
        """What does steps, and undoes them."""
        return self._observer().watched("changes", ChangeService(self.store, self.life))

    @property
    def sync(self) -> SyncService:
        """What brings the database up to date."""
        return self._observer().watched("sync", SyncService(self.store, self.connection))

    def forget_connection(self) -> None:
        """Log in anew at the next use: the config has changed."""
        self._connection = None
