"""What every service of one process shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from src_app.catalog import Library
from src_app.clock import Clock, SystemClock
from src_app.configuration import Configuration
from src_app.db.store import Store
from src_app.security.cipher import Cipher
from src_app.services.link import ProxmoxLink
from src_app.services.news import News
from src_app.services.prober import Prober


@dataclass(frozen=True)
class Context:
    """The process's settings, database, catalog, Proxmox, clock, key, way to the apps, and news."""

    config: Configuration
    store: Store
    catalog: Library
    link: ProxmoxLink
    cipher: Cipher
    clock: Clock = field(default_factory=SystemClock)
    prober: Prober = field(default_factory=Prober)
    news: News = field(default_factory=News)
