"""The API by family: each module offers one ``Family`` of handlers and workers."""

from __future__ import annotations

from typing import Final

from pytest_proxmox.simulator.family import Family
from pytest_proxmox.simulator.routes import (
    access,
    acl,
    cluster,
    index,
    lxc,
    lxc_clone,
    lxc_console,
    lxc_create,
    lxc_power,
    lxc_snapshots,
    lxc_volumes,
    network,
    nodes,
    pools,
    realms,
    storage,
    system,
    tasks,
    tokens,
    users,
    vzdump,
)

FAMILIES: Final[tuple[Family, ...]] = (
    access.FAMILY,
    acl.FAMILY,
    index.FAMILY,
    realms.FAMILY,
    tokens.FAMILY,
    users.FAMILY,
    system.FAMILY,
    network.FAMILY,
    nodes.FAMILY,
    cluster.FAMILY,
    pools.FAMILY,
    tasks.FAMILY,
    lxc.FAMILY,
    lxc_clone.FAMILY,
    lxc_console.FAMILY,
    lxc_create.FAMILY,
    lxc_power.FAMILY,
    lxc_snapshots.FAMILY,
    lxc_volumes.FAMILY,
    storage.FAMILY,
    vzdump.FAMILY,
)
