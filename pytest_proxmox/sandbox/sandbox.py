"""The sandbox: leases VMIDs, makes guests, and takes everything away again.

What a fixture does with it::

    ledger = Ledger(folder, durable=facts.kind != "simulator")      # session: one a process
    run = Run.here(run_id, worker=worker)                           # session: one a process
    with Sandbox(api, facts, ledger, span=vmid_range, run=run) as sandbox:   # any scope
        yield sandbox
        leftovers = sandbox.close()                                 # close() may be repeated
    if leftovers:
        raise LeftoversRemain(leftovers)                            # errors.py

``api`` is what ``target.session.connect`` returns, ``facts`` what ``target.facts.discover``
returns, ``run_id`` the same text in every xdist worker of a run. At the end of a session each
process calls ``sweep_run()`` on any sandbox of the target (net 2), and at the start of the next
``sweep.collect(...)`` takes what a dead run left (net 5). ``open()``, called by ``with`` and by
every method, looks round once a run: only what happens after it can be proven ours by its task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import ApiFailure, ForeignGuest, LeaseError, TaskError
from pytest_proxmox.sandbox import backups, recipes
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.destroy import Destroyer
from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.inventory import BACKUPS, DISKS, Inventory
from pytest_proxmox.sandbox.lease import Lease, Leftover, Maker, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import CLONING, Identity, Mark, own_makers
from pytest_proxmox.sandbox.recipes import Recipe
from pytest_proxmox.sandbox.removal import Patience, Removal, Trace
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.target import tasks
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.target.failures import Code, Kind, judge
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Upid, Vmid, VmidRange, Volid

CREATE_S = 600.0  # a restore of some GB; PVE itself sets no limit
SOURCE_LOCK_S = 120.0  # a container clone locks its source until it is done (golden 05)
FOUND_S = 5.0  # after a lost answer: how long a task takes to turn up on the list


class Sandbox:
    """Leases on VMIDs of one range on one target, and the guests under them."""

    def __init__(
        self,
        api: Api,
        facts: TargetFacts,
        ledger: Ledger,
        *,
        span: VmidRange,
        run: Run,
        clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.facts = facts
        self.ledger = ledger
        self.span = span
        self.run = run
        self.calls = Calls(api, clock if clock is not None else SystemClock())
        self._patience = patience if patience is not None else Patience()
        self._baseline: Baseline | None = None
        self._leases: list[Lease] = []

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Self:
        """Return the sandbox itself, after looking round on the target once a run.

        VMIDs of the range that have disks or backups without a guest are left to their owner:
        a destroy, or a pruning backup, under the same VMID would take them away.
        """
        if self._baseline is None:
            self.ledger.register(
                self.run, target=self.facts.url, kind=self.facts.kind, user=self.facts.user
            )
            text = self.ledger.baseline(self.run.id, self.facts.url)
            if text is None:
                text = self._look_round()
            self._baseline = Baseline.parse(text)
        return self

    def _look_round(self) -> str:
        inventory = Inventory(self.calls)
        baseline = inventory.baseline()
        volumes = [
            volume
            for node in baseline.newest
            for volume in inventory.volumes(node, DISKS | BACKUPS)
            if volume.vmid in self.span
        ]
        self.ledger.mark_foreign(self.facts.url, self.run, {volume.vmid for volume in volumes})
        return self.ledger.set_baseline(self.run.id, self.facts.url, baseline.render())

    # VMIDs ------------------------------------------------------------------------------------

    def vmid(self) -> Vmid:
        """Return a leased VMID for a guest that the test, or the app under test, makes.

        What is there at the end is removed if our user or token made it.

        Raises:
            RangeExhausted: no VMID of the range is free.
        """
        return self._lease(1, "test")[0].vmid

    def block(self, size: int) -> VmidRange:
        """Return so many leased VMIDs in a row, for guests that the test makes.

        Raises:
            RangeExhausted: there are not so many free ones in a row.
        """
        leases = self._lease(size, "test")
        return VmidRange(leases[0].vmid, leases[-1].vmid)

    def _lease(self, count: int, maker: Maker) -> tuple[Lease, ...]:
        """VMIDs that neither another lease nor anybody on the target has."""
        self.open()
        inventory = Inventory(self.calls)
        while True:
            claimed = self.ledger.claim(
                self.facts.url, [self.span], self.run, count=count, maker=maker
            )
            self._leases += claimed  # before the next call, which may fail
            taken = [lease for lease in claimed if not inventory.is_free(lease.vmid)]
            if not taken:
                return claimed
            for lease in claimed:
                self.ledger.advance(lease, State.RELEASED)
            self._leave_alone(*taken)

    def _lease_exactly(self, vmid: Vmid, maker: Maker) -> Lease:
        self.open()
        lease = self.ledger.claim_exactly(self.facts.url, vmid, self.run, maker=maker)
        if lease is None:
            raise LeaseError(f"VMID {int(vmid)} is held by another lease", lease="(none)")
        return lease

    def _leave_alone(self, *leases: Lease) -> None:
        vmids = [lease.vmid for lease in leases]
        self.ledger.mark_foreign(self.facts.url, self.run, vmids)

    # Guests -----------------------------------------------------------------------------------

    def lxc(self, **overrides: Any) -> Guest:
        """Return a new container, stopped unless ``start=1`` is asked for.

        ``overrides`` are parameters of ``POST /nodes/{node}/lxc`` (``ssh_public_keys`` for
        ``ssh-public-keys``; None takes a default away), and ``node``, ``storage``, ``bridge``,
        ``vmid``. ``ostemplate`` and ``restore=1`` restore a backup.

        Raises:
            TaskFailed: the create failed; nothing of it is left.
            ApiFailure: the target refused it.
            RangeExhausted: no VMID of the range is free.
        """
        return self._make(recipes.container, overrides)

    def vm(self, **overrides: Any) -> Guest:
        """Return a new virtual machine, stopped unless ``start=1`` is asked for.

        ``overrides`` are parameters of ``POST /nodes/{node}/qemu``, as for ``lxc``.

        Raises:
            TaskFailed: the create failed; nothing of it is left.
            ApiFailure: the target refused it.
            RangeExhausted: no VMID of the range is free.
        """
        return self._make(recipes.machine, overrides)

    def clone(self, guest: Guest, **overrides: Any) -> Guest:
        """Return a clone of a guest; ``overrides`` are parameters of its ``clone``, as for ``lxc``.

        Raises:
            TaskFailed: the clone failed; nothing of it is left.
            ApiFailure: the target refused it.
            RangeExhausted: no VMID of the range is free.
        """
        return self._make(lambda _, wishes: recipes.clone(guest.ref, wishes), overrides)

    def backup(self, guest: Guest, **overrides: Any) -> Volid:
        """Return the volume of a new backup of a guest; it is removed with the guest.

        ``overrides`` are parameters of ``POST /nodes/{node}/vzdump``.

        Raises:
            TaskFailed: the backup failed.
            ApiFailure: the target refused it.
        """
        storage = str(overrides.pop("storage", None) or self.facts.require("backup_storage"))
        return backups.make(self.calls, guest.ref, storage, overrides)

    def adopt(self, vmid: int | str, node: str, *, kind: GuestKind = "lxc") -> Guest:
        """Return the guest that the test made, or is about to make, under this VMID.

        It is removed at the end like the sandbox's own. ``node`` and ``kind`` count while it
        does not exist yet; afterwards the target says where and what it is.

        Raises:
            ForeignGuest: it exists, and our user or token did not make it in this run.
            LeaseError: another lease holds the VMID.
        """
        wanted = Vmid.parse(vmid, origin="adopt")
        lease = next((one for one in self._leases if one.vmid == wanted), None)
        known = lease is not None and self.ledger.get(lease.id).is_held
        if lease is None or not known:
            lease = self._lease_exactly(wanted, "test")
            self._leases.append(lease)
        inventory = Inventory(self.calls)
        located = inventory.locate(wanted)
        if located is None:
            ref = GuestRef(wanted, kind, NodeName.parse(node, origin="adopt"))
            lease = self.ledger.note(lease, node=ref.node, kind=ref.kind)
            return Guest(self, ref, name=f"guest {int(wanted)}", lease=lease)
        removal = Removal(self.calls, inventory, self._identity(), self._patience)
        try:
            _, config, _ = removal.recognise(lease, located, Trace(located.ref.node))
        except ForeignGuest:
            if not known:
                self._leases.remove(lease)
                self.ledger.advance(lease, State.RELEASED)
            raise
        found = {"node": located.ref.node, "kind": located.ref.kind}
        if self.ledger.get(lease.id).state is State.RESERVED:
            lease = self.ledger.advance(lease, State.LIVE, **found)
        else:
            lease = self.ledger.note(lease, **found)
        name = str(config.get("hostname") or config.get("name") or "")
        return Guest(self, located.ref, name=name, lease=lease)

    # Making -----------------------------------------------------------------------------------

    def _make(
        self, write: Callable[[TargetFacts, dict[str, Any]], Recipe], overrides: dict[str, Any]
    ) -> Guest:
        wish = dict(overrides)
        exact, start = wish.pop("vmid", None), wish.pop("start", 0)
        recipe = write(self.facts, wish)
        while True:
            if exact is None:
                (lease,) = self._lease(1, "sandbox")
            else:
                lease = self._lease_exactly(Vmid.parse(exact, origin="vmid"), "sandbox")
                self._leases.append(lease)
            guest = self._create(lease, recipe)
            if guest is not None:
                return guest.start() if start else guest
            if exact is not None:
                raise ForeignGuest(f"guest/{exact}", "it was there before us")

    def _create(self, lease: Lease, recipe: Recipe) -> Guest | None:
        """The new guest, or None where somebody else was first to the VMID."""
        lease = self.ledger.advance(
            lease, State.CREATING, kind=recipe.kind, node=recipe.node, source=recipe.source
        )
        order = recipe.order(lease.vmid, mark=str(Mark.of(lease)), pool=lease.pool)
        ref = GuestRef(lease.vmid, recipe.kind, recipe.node)
        try:
            upid = self._post(lease, recipe.path, order)
            lease = self.ledger.note(lease, upid=upid)
            outcome = tasks.wait(self.calls.api, upid, timeout_s=CREATE_S, clock=self.calls.clock)
            if judge(outcome.exitstatus or "").code == Code.VMID_TAKEN:
                self._yield_vmid(lease)
                return None
            outcome.demand(f"{recipe.what} {ref}")
        except ApiFailure as exc:
            if exc.code == Code.VMID_TAKEN:
                self._yield_vmid(lease)
                return None
            self._undo(lease, exc)
        except TaskError as exc:
            self._undo(lease, exc)
        lease = self.ledger.advance(lease, State.LIVE)
        return Guest(self, ref, name=recipe.name(lease.vmid), lease=lease)

    def _yield_vmid(self, lease: Lease) -> None:
        """Somebody else was first; what is there is never ours to delete."""
        self.ledger.advance(lease, State.RELEASED)
        self._leave_alone(lease)

    def _post(self, lease: Lease, path: str, order: dict[str, Any]) -> Upid:
        """The task that a POST started, found on the list where the answer was lost."""
        clock = self.calls.clock
        start = clock.monotonic()
        while True:
            try:
                return Upid.parse(self.calls.post(path, **order))
            except ApiFailure as exc:
                if exc.kind == Kind.AMBIGUOUS:
                    found = self._find_task(lease)
                    if found is not None:
                        return found
                is_busy = exc.code == Code.GUEST_LOCKED and lease.source is not None
                if not is_busy or clock.monotonic() - start > SOURCE_LOCK_S:
                    raise
            clock.sleep(self._patience.poll)

    def _find_task(self, lease: Lease) -> Upid | None:
        """The task that made the lease's guest, if the request got through after all."""
        clock, inventory = self.calls.clock, Inventory(self.calls)
        node = lease.node if lease.node is not None else NodeName(self.facts.node)
        vmid = lease.vmid if lease.source is None else lease.source
        start = clock.monotonic()
        while clock.monotonic() - start <= FOUND_S:
            rows = inventory.tasks(node, vmid)
            makers = [
                row.upid for row in rows if (row.upid.type in CLONING) == (vmid != lease.vmid)
            ]
            own = own_makers(makers, self._identity())
            if own:
                return own[-1]
            clock.sleep(self._patience.poll)
        return None

    def _undo(self, lease: Lease, error: ApiFailure | TaskError) -> NoReturn:
        """Remove what a failed create left and raise its error, with what stays as a note."""
        for leftover in self._destroyer().destroy(lease):
            error.add_note(f"left behind: {leftover}")
        raise error

    # Clean-up ---------------------------------------------------------------------------------

    def destroy(self, guest: Guest) -> tuple[Leftover, ...]:
        """Return what is left of one guest after destroying it now: nothing, if all is well."""
        lease = self.ledger.get(guest.lease.id)
        return self._destroyer().destroy(lease) if lease.is_held else ()

    def close(self) -> list[Leftover]:
        """Return what is left of everything this sandbox leased: nothing, if all is well.

        Newest first. What is left keeps its VMID held; another call tries again.
        """
        held = [lease for lease in map(self._current, self._leases) if lease.is_held]
        if not held:
            return []
        leftovers = self._destroyer().destroy_all(held)
        self._leases = [lease for lease in map(self._current, held) if lease.is_held]
        return list(leftovers)

    def sweep_run(self) -> list[Leftover]:
        """Return what is left of the whole run on this target, after destroying what is held.

        The session's own net: leases of workers that are still alive are theirs to clear.
        """
        self.open()
        alive = {
            one.worker for one in self.ledger.workers(self.run.id, self.facts.url) if one.is_alive
        }
        others = alive - {self.run.worker}
        held = self.ledger.leases(self.facts.url, run=self.run.id)
        mine = [lease for lease in held if lease.worker not in others]
        return list(self._destroyer().destroy_all(mine)) if mine else []

    def _current(self, lease: Lease) -> Lease:
        return self.ledger.get(lease.id)

    def _destroyer(self) -> Destroyer:
        return Destroyer(
            self.calls,
            self.ledger,
            self._identity(),
            node=NodeName(self.facts.node),
            patience=self._patience,
        )

    def _identity(self) -> Identity:
        baseline = self.open()._baseline or Baseline({})
        return Identity(self.facts.user, self.run.id, baseline)
