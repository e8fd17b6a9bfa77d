"""One process of the manager: everything it is made of, put together once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from src_app.catalog import Library
from src_app.catalog.library import BUNDLED
from src_app.configuration import Configuration
from src_app.db.claims import RecordedClaims
from src_app.db.store import Store
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import ProxmoxError
from src_app.proxmox.network import Appliance, NetworkManager
from src_app.security.cipher import Cipher
from src_app.security.passwords import Passwords
from src_app.services.adopting import ADOPT
from src_app.services.apps import Apps
from src_app.services.backing import BACKUP
from src_app.services.backups import Backups
from src_app.services.cloning import CLONE
from src_app.services.configuring import CONFIGURE
from src_app.services.context import Context
from src_app.services.deploying import DEPLOY
from src_app.services.engine import Engine
from src_app.services.forwarding import Forwarder, public_ports
from src_app.services.link import ProxmoxLink
from src_app.services.monitoring import Monitoring
from src_app.services.power import DELETE, RESTART, START, STOP
from src_app.services.restoring import RESTORE
from src_app.services.scheduling import Scheduling
from src_app.services.settings import Settings
from src_app.services.updating import UPDATE
from src_app.services.users import Users
from src_app.services.viewing import ViewTickets
from src_app.services.work import Procedure

LOG = logging.getLogger(__name__)
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
    "adopt": ADOPT,
}


class Manager:
    """The services of one process on one database and one Proxmox."""

    def __init__(self, context: Context, *, hasher: Passwords | None = None) -> None:
        self.context = context
        self.store = context.store
        self.config = context.config
        self.apps = Apps(context)
        self.backups = Backups(context, self.apps)
        self.monitoring = Monitoring(context)
        self.settings = Settings(context.cipher)
        self.scheduling = Scheduling(context, self.settings, self.backups)
        self.tickets = ViewTickets(context.config.secret_key)
        self.forwarder = Forwarder()
        self.users = Users(context.store, context.config, hasher or Passwords())
        self.engine = Engine(context, PROCEDURES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None

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
        cipher = Cipher(config.secret_key)

        def connect() -> ProxmoxService:
            stored = store.read(Settings(cipher).environment)
            service = ProxmoxService(environ={**stored, **environ}, claims=claims)
            service.network_manager = NetworkManager(Appliance(config.public_address))
            service.connect()
            return service

        context = Context(
            config=config,
            store=store,
            catalog=Library((BUNDLED, *config.catalog)),
            link=ProxmoxLink(connect),
            cipher=cipher,
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
            self._watch = asyncio.create_task(self._watching())

    async def _watching(self) -> None:
        """Keep statuses true, ports open, and schedules in time."""
        while True:
            try:
                await self.monitoring.sync()
                if self.config.forward_ports:
                    await self.forwarder.follow(await self.store.aread(public_ports))
                if await self.scheduling.run_due():
                    self.engine.wake()
            except ProxmoxError as exc:
                LOG.info("Proxmox cannot be looked at: %s", exc.what)
            except Exception:
                LOG.exception("watching met a mistake")  # the next round may go better
            await asyncio.sleep(self.config.sync_s)

    async def stop(self) -> None:
        """Stop; what was being done goes on in the next process."""
        if self._loop is not None:
            self._loop = None
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.gather(self._watch, return_exceptions=True)
            await self.engine.stop()
            await self.forwarder.close()
        self.store.close()
