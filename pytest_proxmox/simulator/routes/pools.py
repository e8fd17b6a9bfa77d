"""Resource pools, nested up to three levels: what is in them, and moving guests between them.

Both spellings: ``/pools?poolid=a/b`` for any pool, ``/pools/{poolid}`` for one at the top.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import under_lock
from pytest_proxmox.simulator.routes.acl import forget_path
from pytest_proxmox.simulator.state import Pool
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()


def _require(call: Call) -> Pool:
    poolid = call.params["poolid"]
    pool = call.state.pools.get(poolid)
    if pool is None:
        raise PveError(500, f"pool '{poolid}' does not exist")
    return pool


def _head(pool: Pool) -> dict[str, Any]:
    return {"poolid": pool.poolid} | ({"comment": pool.comment} if pool.comment else {})


def _with_members(call: Call, pool: Pool) -> dict[str, Any]:
    return _head(pool) | {"members": call.sim.census.members(pool, call.params.get("type"))}


@FAMILY.get("/pools")
def list_pools(call: Call) -> list[dict[str, Any]]:
    """Return the pools that the caller may see, or one of them with its members."""
    if "poolid" in call.params:
        call.require(f"/pool/{call.params['poolid']}", "Pool.Audit")
        return [_with_members(call, _require(call))]
    return [
        _head(pool)
        for poolid, pool in sorted(call.state.pools.items())
        if call.may(f"/pool/{poolid}", "Pool.Audit")
    ]


@FAMILY.get("/pools/{poolid}")
def read_pool(call: Call) -> dict[str, Any]:
    """Return one pool with its members."""
    return _with_members(call, _require(call))


@FAMILY.post("/pools")
@under_lock("user_cfg", "create pool failed")
def create_pool(call: Call) -> None:
    """Make a pool; the one above it must be there."""
    poolid: str = call.params["poolid"]
    if poolid in call.state.pools:
        raise PveError(500, f"pool '{poolid}' already exists")
    parent = poolid.rpartition("/")[0]
    if parent and parent not in call.state.pools:
        raise PveError(500, f"parent '{parent}' of pool '{poolid}' does not exist")
    call.state.pools[poolid] = Pool(poolid, call.params.get("comment"))


@FAMILY.put("/pools/{poolid}")
@FAMILY.put("/pools")
@under_lock("user_cfg", "update pools failed")
def update_pool(call: Call) -> None:
    """Change a pool's comment, and put guests and storages in or take them out."""
    pool = _require(call)
    if "comment" in call.params:
        pool = call.state.pools[pool.poolid] = replace(pool, comment=call.params["comment"])
    vmids = [int(vmid) for vmid in split(call.params.get("vms"))]
    storages = split(call.params.get("storage"))
    for vmid in vmids:
        call.require(f"/vms/{vmid}", "Permissions.Modify", "VM.Allocate", either=True)
        _check_guest(call, pool.poolid, vmid)
    for name in storages:
        wanted = ("Permissions.Modify", "Datastore.Allocate")
        call.require(f"/storage/{name}", *wanted, either=True)
        _check_storage(call, pool, name)
    _apply(call, pool, vmids, storages)


def _check_guest(call: Call, poolid: str, vmid: int) -> None:
    current = call.state.members.get(vmid)
    if call.params.get("delete"):
        if current != poolid:
            raise PveError(500, f"VM {vmid} is not a pool member")
    elif current == poolid:
        raise PveError(500, f"VM {vmid} is already a pool member")
    elif current is not None:
        if not call.params.get("allow-move"):
            raise PveError(
                500, f"VM {vmid} belongs already to pool '{current}' and 'allow-move' is not set"
            )
        call.require(f"/pool/{current}", "Pool.Allocate")


def _check_storage(call: Call, pool: Pool, name: str) -> None:
    if call.params.get("delete"):
        if name not in pool.storages:
            raise PveError(500, f"Storage '{name}' is not a pool member")
    elif name in pool.storages:
        raise PveError(500, f"Storage '{name}' is already a pool member")


def _apply(call: Call, pool: Pool, vmids: list[int], storages: list[str]) -> None:
    taken_out = bool(call.params.get("delete"))
    for vmid in vmids:
        if taken_out:
            call.state.members.pop(vmid)
        else:
            call.state.members[vmid] = pool.poolid
    if storages:
        kept = tuple(name for name in pool.storages if name not in storages)
        names = kept if taken_out else kept + tuple(storages)
        call.state.pools[pool.poolid] = replace(pool, storages=names)


@FAMILY.delete("/pools/{poolid}")
@FAMILY.delete("/pools")
@under_lock("user_cfg", "delete pool failed")
def delete_pool(call: Call) -> None:
    """Remove an empty pool; members that do not exist do not count (golden 08 seq 148)."""
    state, pool = call.state, _require(call)
    content = _content(call, pool)
    if content is not None:
        raise PveError(500, f"pool '{pool.poolid}' is not empty (contains {content})")
    for vmid in [vmid for vmid, poolid in state.members.items() if poolid == pool.poolid]:
        del state.members[vmid]
    forget_path(state, f"/pool/{pool.poolid}")
    del state.pools[pool.poolid]


def _content(call: Call, pool: Pool) -> str | None:
    """Return the first thing in a pool: a pool, a guest or a storage."""
    state = call.state
    for poolid in sorted(state.pools):
        if poolid.startswith(pool.poolid + "/"):
            return f"pool '{poolid}'"
    for vmid in sorted(v for v, poolid in state.members.items() if poolid == pool.poolid):
        if vmid in state.guests:
            return f"VM {vmid}"
    for name in pool.storages:
        if name in state.storages:
            return f"storage '{name}'"
    return None
