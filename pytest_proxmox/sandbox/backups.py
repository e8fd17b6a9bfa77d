"""Backups: make one of a guest, and say which volume it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_proxmox.errors import ApiFailure, InvalidValue
from pytest_proxmox.sandbox.inventory import BACKUPS, Inventory
from pytest_proxmox.target import tasks
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, Kind
from pytest_proxmox.values import GuestRef, Upid, Volid

BACKUP_S = 1800.0  # some GB over a slow network


def make(calls: Calls, ref: GuestRef, storage: str, overrides: Mapping[str, Any]) -> Volid:
    """Return the volume of a new backup of a guest on ``storage``.

    The mode is ``stop`` unless said otherwise: it works on every storage and in every state.
    Nothing is pruned: older backups of the VMID may be somebody else's.

    Raises:
        TaskFailed: the backup failed.
        ApiFailure: the target refused it, or made something that is not on its list.
    """
    order: dict[str, Any] = {"mode": "stop", "compress": "zstd", "remove": 0}
    order |= {name.replace("_", "-"): value for name, value in overrides.items()}
    call = f"nodes/{ref.node}/vzdump"
    answer = calls.post(call, vmid=int(ref.vmid), storage=storage, **order)
    try:
        upid = Upid.parse(str(answer))
    except InvalidValue as exc:
        # PVE says "OK" and does nothing when the guest is on another node (golden 11 seq 89).
        raise _nothing_made(call, f'answered "{answer}" and made no backup of {ref}') from exc
    outcome = tasks.wait(calls.api, upid, timeout_s=BACKUP_S, clock=calls.clock)
    outcome.demand(f"backup of {ref}")
    found = [
        volume
        for volume in Inventory(calls).volumes(ref.node, BACKUPS, ref.vmid)
        if volume.volid.storage == storage and (volume.ctime or 0) >= upid.starttime
    ]
    if not found:
        raise _nothing_made(call, f"ended OK, but {storage} shows no new backup of {ref}")
    return max(found, key=lambda volume: volume.ctime or 0).volid


def _nothing_made(call: str, text: str) -> ApiFailure:
    return ApiFailure(text, call=f"POST {call}", kind=Kind.PERMANENT, code=Code.NO_VOLUME)
