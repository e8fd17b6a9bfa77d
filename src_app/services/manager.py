"""One process of the manager: everything it is made of, put together once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from src_app.catalog import Library
from src_app.catalog.library import BUNDLED
from src_app.configuration import Configuration
from src_app.db.claims import RecordedClaims
from src_app.db.store import Store
from src_app.proxmox import ProxmoxService
from src_app.proxmox.network import Appliance, NetworkManager
from src_app.security.cipher import Cipher
from src_app.security.passwords import Passwords
from src_app.services.apps import Apps
from src_app.services.backing import BACKUP
from src_app.services.backups import Backups
from src_app.services.cloning import CLONE
from src_app.services.configuring import CONFIGURE
from src_app.services.context import Context
from src_app.services.deploying import DEPLOY
from src_app.services.engine import Engine
from src_app.services.link import ProxmoxLink
from src_app.services.power import DELETE, RESTART, START, STOP
from src_app.services.restoring import RESTORE
from src_app.services.updating import UPDATE
from src_app.services.users import Users
from src_app.services.work import Procedure

PROCEDURES: Mapping[str, Procedure] = {
    "deploy": DEPLOY,
    "start": START,
    "stop": STOP,
    "restart": RESTART,
    "delete": DELETE,
    "clone": CLONE,
    "configure": CONFIGURE,
    "backup": BACKUP,
    "restore": RESTORE,
    "update": UPDATE,
    "rollback": UPDATE,
}


class Manager:
    """The services of one process on one database and one Proxmox."""

    def __init__(self, context: Context, *, hasher: Passwords | None = None) -> None:
        self.context = context
        self.store = context.store
        self.config = context.config
        self.apps = Apps(context)
        self.backups = Backups(context, self.apps)
        self.users = Users(context.store, context.config, hasher or Passwords())
        self.engine = Engine(context, PROCEDURES)
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def build(
        cls,
        config: Configuration,
        environ: Mapping[str, str],
        *,
        hasher: Passwords | None = None,
    ) -> Manager:
        """Return the manager for these settings; Proxmox is asked at the first use."""
        store = Store(config.database_url)
        claims = RecordedClaims(store)

        def connect() -> ProxmoxService:
            service = ProxmoxService(environ=environ, claims=claims)
            service.network_manager = NetworkManager(Appliance(config.public_address))
            service.connect()
            return service

        context = Context(
            config=config,
            store=store,
            catalog=Library((BUNDLED, *config.catalog)),
            link=ProxmoxLink(connect),
            cipher=Cipher(config.secret_key),
        )
        return cls(context, hasher=hasher)

    def with_link(self, link: ProxmoxLink) -> Manager:
        """Return the same manager with another way to Proxmox."""
        return Manager(replace(self.context, link=link))

    def wake(self) -> None:
        """Have the engine look at the queue now; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.engine.wake)

    async def start(self) -> None:
        """Begin to work; what an earlier process left behind comes first."""
        if self.config.workers:
            self._loop = asyncio.get_running_loop()
            await self.engine.start()

    async def stop(self) -> None:
        """Stop; what was being done goes on in the next process."""
        if self._loop is not None:
            self._loop = None
            await self.engine.stop()
        self.store.close()
