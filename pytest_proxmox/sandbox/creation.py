"""Creation: from a lease and a recipe to a guest, with every way in which that can fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Protocol

from pytest_proxmox.errors import ApiFailure, LeaseLost, TaskError
from pytest_proxmox.sandbox.destroy import Destroyer
from pytest_proxmox.sandbox.ground import Ground
from pytest_proxmox.sandbox.inventory import Inventory
from pytest_proxmox.sandbox.lease import Lease, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import CLONING, Identity, Mark, own_makers
from pytest_proxmox.sandbox.recipes import Recipe
from pytest_proxmox.target import tasks
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.target.failures import Code, Kind, judge
from pytest_proxmox.values import GuestRef, NodeName, Upid

CREATE_S = 600.0  # a restore of some GB; PVE itself sets no limit
SOURCE_LOCK_S = 120.0  # a container clone locks its source until it is done (golden 05)
FOUND_S = 5.0  # after a lost answer: how long a task takes to turn up on the list
POLL_S = 0.5


class Creator(Protocol):
    """What creation needs of the sandbox it works for."""

    calls: Calls
    ledger: Ledger

    @property
    def ground(self) -> Ground:
        """Where the VMIDs come from."""

    def slot(self, storage: str) -> AbstractContextManager[None]:
        """Hold one of a storage's slots for as long as a create takes."""

    def identity(self) -> Identity:
        """Return who we are to the target."""

    def destroyer(self) -> Destroyer:
        """Return a destroyer for a new round."""


class Creation:
    """Makes guests under leases; what a failed one left is removed before its error is raised."""

    def __init__(self, creator: Creator, *, on_foreign: Callable[[Lease], None]) -> None:
        self._creator = creator
        self._calls = creator.calls
        self._ledger = creator.ledger
        self._on_foreign = on_foreign

    def create(self, lease: Lease, recipe: Recipe) -> Lease | None:
        """Return the lease, live, or None where somebody else was first to its VMID.

        Raises:
            TaskFailed: the create failed.
            ApiFailure: the target refused it.
            LeaseLost: another run has taken our VMIDs over.
        """
        lease = self._ledger.advance(
            lease,
            State.CREATING,
            kind=recipe.kind,
            node=recipe.node,
            source=recipe.source,
        )
        what = f"{recipe.what} {GuestRef(lease.vmid, recipe.kind, recipe.node)}"
        try:
            with self._creator.slot(recipe.storage):
                lease = self._ledger.note(lease, upid=self._post(lease, recipe))
                is_beaten = self._is_beaten(lease, what)
            if is_beaten:
                self._yield_vmid(lease)
                return None
        except ApiFailure as exc:
            if exc.code == Code.VMID_TAKEN:
                self._yield_vmid(lease)
                return None
            if exc.code == Code.POOL_GONE and lease.pool is not None:
                raise self._lose(lease) from exc
            self._undo(lease, exc)
        except TaskError as exc:
            self._undo(lease, exc)
        return self._ledger.advance(lease, State.LIVE)

    def _is_beaten(self, lease: Lease, what: str) -> bool:
        """Wait for the create; True if its task found the VMID taken."""
        api, clock = self._calls.api, self._calls.clock
        outcome = tasks.wait(api, str(lease.upid), timeout_s=CREATE_S, clock=clock)
        if judge(outcome.exitstatus or "").code == Code.VMID_TAKEN:
            return True
        outcome.demand(what)
        return False

    def _yield_vmid(self, lease: Lease) -> None:
        """Somebody else was first; what is there is never ours to delete."""
        self._ledger.advance(lease, State.RELEASED)
        self._on_foreign(lease)

    def _lose(self, lease: Lease) -> LeaseLost:
        """Another run took the block over: whatever is there is its to clear."""
        self._ledger.advance(lease, State.RELEASED)
        return self._creator.ground.lost(lease.vmid)

    def _post(self, lease: Lease, recipe: Recipe) -> Upid:
        """The task that a POST started, found on the list where the answer was lost."""
        order = recipe.order(lease.vmid, mark=str(Mark.of(lease)), pool=lease.pool)
        clock = self._calls.clock
        start = clock.monotonic()
        while True:
            try:
                return Upid.parse(self._calls.post(recipe.path, **order))
            except ApiFailure as exc:
                if exc.kind == Kind.AMBIGUOUS and (found := self._find_task(lease)) is not None:
                    return found
                is_busy = exc.code == Code.GUEST_LOCKED and lease.source is not None
                if not is_busy or clock.monotonic() - start > SOURCE_LOCK_S:
                    raise
            clock.sleep(POLL_S)

    def _find_task(self, lease: Lease) -> Upid | None:
        """The task that makes the lease's guest, if the request got through after all."""
        clock, inventory = self._calls.clock, Inventory(self._calls)
        vmid = lease.vmid if lease.source is None else lease.source
        start = clock.monotonic()
        while lease.node is not None and clock.monotonic() - start <= FOUND_S:
            rows = inventory.tasks(NodeName(lease.node), vmid)
            is_clone = lease.source is not None
            makers = [row.upid for row in rows if (row.upid.type in CLONING) == is_clone]
            if own := own_makers(makers, self._creator.identity()):
                return own[-1]
            clock.sleep(POLL_S)
        return None

    def _undo(self, lease: Lease, error: ApiFailure | TaskError) -> NoReturn:
        """Remove what a failed create left and raise its error, with what stays as a note."""
        for leftover in self._creator.destroyer().destroy(lease):
            error.add_note(f"left behind: {leftover}")
        raise error


def settings_of(overrides: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Return the wishes that go into a recipe, the exact VMID if any, and whether to start."""
    wish = dict(overrides)
    return wish, wish.pop("vmid", None), wish.pop("start", 0)
