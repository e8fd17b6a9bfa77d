"""The sandbox: leases VMIDs, makes guests, and takes everything away again.

What a fixture does with it::

    ledger = Ledger(folder, durable=facts.kind != "simulator")      # session: one a process
    run = Run.here(run_id, worker=worker)                           # session: one a process
    pool = None if facts.kind == "simulator" else settings.pool     # parent of the lease pools
    with Sandbox(api, facts, ledger, span=vmid_range, run=run, pool=pool) as sandbox:
        yield sandbox                                               # any scope
        leftovers = sandbox.close()                                 # may be repeated
    if leftovers:
        raise LeftoversRemain(leftovers)                            # errors.py

``api`` is what ``target.session.connect`` returns, ``facts`` what ``target.facts.discover``
returns, ``run_id`` the same text in every xdist worker of a run. At the start of a session
``sweep.collect(...)`` takes what dead runs left (net 5), then ``nets.spread(...)`` lasts until
the end, where each process calls ``sweep_run()`` on any sandbox of the target (net 2).
``open()``, called by ``with`` and by every method, looks round once a run: only what happens
after it can be proven ours by its task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import ForeignGuest, LeaseError, OverCap, RangeExhausted
from pytest_proxmox.sandbox import backups, recipes
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.blocks import Blocks
from pytest_proxmox.sandbox.clearing import Clearing
from pytest_proxmox.sandbox.creation import Creation, settings_of
from pytest_proxmox.sandbox.destroy import Destroyer
from pytest_proxmox.sandbox.ground import Ground, WholeRange
from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.inventory import BACKUPS, DISKS, Inventory
from pytest_proxmox.sandbox.lease import Lease, Leftover, Maker, State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.ownership import Identity
from pytest_proxmox.sandbox.quota import Demand
from pytest_proxmox.sandbox.recipes import Recipe
from pytest_proxmox.sandbox.removal import Patience, Removal, Trace
from pytest_proxmox.sandbox.run import Run
from pytest_proxmox.sandbox.slots import LIMIT
from pytest_proxmox.spellings import NO_CAPS, Caps
from pytest_proxmox.target.calls import Api, Calls
from pytest_proxmox.target.facts import TargetFacts
from pytest_proxmox.values import GuestKind, GuestRef, NodeName, Vmid, VmidRange, Volid


class Sandbox:
    """Leases on VMIDs of one range on one target, and the guests under them.

    ``slots`` is how many creates and clones of this machine use one storage at a time.
    ``caps`` are what all guests of the run may use at a time.
    """

    def __init__(
        self,
        api: Api,
        facts: TargetFacts,
        ledger: Ledger,
        *,
        span: VmidRange,
        run: Run,
        pool: str | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
        slots: int = LIMIT,
        caps: Caps = NO_CAPS,
    ) -> None:
        self.caps = caps
        self.facts = facts
        self.ledger = ledger
        self.span = span
        self.run = run
        self.calls = Calls(api, clock if clock is not None else SystemClock())
        self._patience = patience if patience is not None else Patience()
        self._slots = slots
        self._baseline: Baseline | None = None
        self._leases: list[Lease] = []
        self.ground = self._find_ground(pool)
        self._creation = Creation(self, on_foreign=self._leave_alone)

    def _find_ground(self, pool: str | None) -> Ground:
        if pool is None:
            return WholeRange(self.span)
        clearing = Clearing(self.calls, self.facts, self.ledger, self.run, self._patience)
        return Blocks(
            self.calls,
            self.ledger,
            self.run,
            target=self.facts.url,
            span=self.span,
            parent=pool,
            sweeper=clearing,
        )

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

    def pool_of(self, vmid: Vmid) -> str | None:
        """Return the pool that the app under test must name for a guest under a leased VMID.

        None where no pool is needed. With a token that ``pytest-proxmox setup`` made, a create
        without it is refused.
        """
        return self.ground.pool_of(vmid)

    def _lease(self, count: int, maker: Maker) -> tuple[Lease, ...]:
        """VMIDs that neither another lease nor anybody on the target has."""
        self.open()
        self.ground.renew()
        inventory = Inventory(self.calls)
        while True:
            spans = self.ground.spans()
            try:
                claimed = self.ledger.claim(
                    self.facts.url,
                    spans,
                    self.run,
                    count=count,
                    pool_of=self.ground.pool_of,
                )
            except RangeExhausted:
                self.ground.extend(spans)
                continue
            self._leases += claimed  # before the next call, which may fail
            taken = [lease for lease in claimed if not inventory.is_free(lease.vmid)]
            if not taken:
                return claimed if maker == "sandbox" else self._hand_out(claimed)
            for lease in claimed:
                self.ledger.advance(lease, State.RELEASED)
            self._leave_alone(*taken)

    def _hand_out(self, claimed: tuple[Lease, ...]) -> tuple[Lease, ...]:
        """From now on a test may make something there; whoever had it before, it was not ours."""
        handed = tuple(self.ledger.note(lease, maker="test") for lease in claimed)
        self._leases[-len(claimed) :] = handed
        return handed

    def _lease_exactly(self, vmid: Vmid, maker: Maker) -> Lease:
        self.open()
        lease = self.ledger.claim_exactly(
            self.facts.url, vmid, self.run, maker=maker, pool=self.ground.pool_of(vmid)
        )
        if lease is None:
            raise LeaseError(
                f"VMID {int(vmid)} is held by another lease",
                lease="(none)",
                hint="Take an id from the fixture vmid, or register the one that the app chose",
            )
        self._leases.append(lease)
        return lease

    def join(self, lease: Lease) -> None:
        """Hold a lease that another sandbox of this process holds too: who ends first releases."""
        if all(one.id != lease.id for one in self._leases):
            self._leases.append(lease)

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
        return self._make(lambda facts, wish: recipes.clone(facts, guest.ref, wish), overrides)

    def backup(self, guest: Guest, **overrides: Any) -> Volid:
        """Return the volume of a new backup of a guest; it is removed with the guest.

        ``overrides`` are parameters of ``POST /nodes/{node}/vzdump``.

        Raises:
            TaskFailed: the backup failed.
            ApiFailure: the target refused it.
        """
        storage = str(overrides.pop("storage", None) or self.facts.require("backup_storage"))
        volid = backups.make(self.calls, guest.ref, storage, overrides)
        known = self._current(guest.lease).backups
        self.ledger.note(guest.lease, backups=(*known, volid))
        return volid

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
        removal = Removal(self.calls, Inventory(self.calls), self.identity(), self._patience)
        home = NodeName.parse(node, origin="adopt")
        try:
            located = removal.find(lease, Trace(home))
            if located is None:
                lease = self.ledger.note(lease, node=home, kind=kind)
                ref = GuestRef(wanted, kind, home)
                return Guest(self, ref, name=f"guest {int(wanted)}", lease=lease)
            _, config, _ = removal.recognise(lease, located, Trace(home))
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

    def _make(
        self, write: Callable[[TargetFacts, dict[str, Any]], Recipe], overrides: dict[str, Any]
    ) -> Guest:
        wish, exact, start = settings_of(overrides)
        recipe = write(self.facts, wish)
        while True:
            lease = self._lease(1, "sandbox")[0] if exact is None else self._lease_this(exact)
            self._make_room(lease, recipe)
            made = self._creation.create(lease, recipe)
            if made is not None:
                ref = GuestRef(made.vmid, recipe.kind, recipe.node)
                guest = Guest(self, ref, name=recipe.name(made.vmid), lease=made)
                return guest.start() if start else guest
            if exact is not None:
                raise ForeignGuest(
                    f"guest/{exact}",
                    "it was there before us",
                    hint="Take an id from the fixture vmid, or leave vmid= out",
                )

    def _make_room(self, lease: Lease, recipe: Recipe) -> None:
        """Wait until the guest fits under the caps; a clone is as large as its source."""
        if self.caps == NO_CAPS:
            return
        settings = dict(recipe.parameters)
        if recipe.source is not None:
            settings = self.calls.get(recipe.path.removesuffix("/clone") + "/config")
        try:
            self.ledger.quota.hold(lease, Demand.of(settings), self.caps)
        except OverCap:
            self.ledger.advance(lease, State.RELEASED)
            raise

    def _lease_this(self, exact: int | str) -> Lease:
        vmid = Vmid.parse(exact, origin="vmid")
        self.open()
        self.ground.renew()
        self.ground.cover(vmid)
        return self._lease_exactly(vmid, "sandbox")

    # Clean-up ---------------------------------------------------------------------------------

    def destroy(self, guest: Guest) -> tuple[Leftover, ...]:
        """Return what is left of one guest after destroying it now: nothing, if all is well."""
        lease = self.ledger.get(guest.lease.id)
        return self.destroyer().destroy(lease) if lease.is_held else ()

    def close(self) -> list[Leftover]:
        """Return what is left of everything this sandbox leased: nothing, if all is well.

        Newest first. What is left keeps its VMID held; another call tries again.
        """
        now = self.calls.clock.now()
        known = map(self._current, self._leases)
        held = [lease for lease in known if lease.is_held and not lease.is_kept(now)]
        leftovers = self._clear(held)
        self._leases = [lease for lease in map(self._current, held) if lease.is_held]
        return leftovers

    def keep(self, leases: Iterable[Lease] | None = None, *, for_s: float) -> list[Lease]:
        """Return the leases of guests that stay for so many seconds, whatever ends before.

        By default of all that this sandbox made. Then the next run, or a sweep, takes them.
        """
        until = self.calls.clock.now() + for_s
        wanted = map(self._current, self._leases if leases is None else leases)
        kept = []
        for lease in wanted:
            if lease.state in (State.CREATING, State.LIVE):
                kept.append(self.ledger.note(lease, kept_until=until))
                self.ground.prolong(lease.vmid, until)
        return kept

    def sweep_run(self) -> list[Leftover]:
        """Return what is left of the whole run on this target, after destroying what is held.

        The session's own net, for the end of each process: leases of workers that are still
        at work are theirs to clear, and the last one gives the run's blocks back.
        """
        self.open()
        workers = self.ledger.workers(self.run.id, self.facts.url)
        others = {one.worker for one in workers if one.is_alive} - {self.run.worker}
        held = self.ledger.to_clear(self.facts.url, run=self.run.id)
        leftovers = self._clear([lease for lease in held if lease.worker not in others])
        if self.ledger.sign_off(self.run, self.facts.url):
            leftovers += self.ground.give_back()
        return leftovers

    def _clear(self, leases: list[Lease]) -> list[Leftover]:
        """Destroy what is ours; what another run has taken over is that run's to clear."""
        lost = [lease for lease in leases if self.ground.is_lost(lease.vmid)]
        for lease in lost:
            self.ledger.advance(self.ledger.advance(lease, State.DESTROYING), State.RELEASED)
        ours = [lease for lease in leases if lease not in lost]
        return list(self.destroyer().destroy_all(ours)) if ours else []

    def _current(self, lease: Lease) -> Lease:
        return self.ledger.get(lease.id)

    def destroyer(self) -> Destroyer:
        """Return the destroyer of what this run leased, for one round."""
        return Destroyer(
            self.calls,
            self.ledger,
            self.identity(),
            node=NodeName(self.facts.node),
            patience=self._patience,
        )

    def slot(self, storage: str) -> AbstractContextManager[None]:
        """Hold one of a storage's slots; an embedded Proxmox has as many as anybody wants."""
        if self.facts.kind == "simulator":
            return nullcontext()
        return self.ledger.slots.use(self.facts.url, storage, self.run, limit=self._slots)

    def identity(self) -> Identity:
        """Return who we are to the target: our user, our run, and what it found there."""
        baseline = self.open()._baseline or Baseline({})
        return Identity(self.facts.user, self.run.id, baseline)
