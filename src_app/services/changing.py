"""Changes to guests in steps: each is written down before Proxmox is asked, all or none stay.

A step is ``pending``, ``begun`` (Proxmox may have been asked, to do or to undo it) or ``done``. A
run with a step that is not done was interrupted: it is then found out what happened, and what it
did is undone. Only a delete cannot be undone; deletes come last.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from src_app.db import inventory as rows
from src_app.db.models import Change
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.domain.errors import AppOperationError
from src_app.proxmox.errors import OutcomeUnknown, ProxmoxError, Unreachable
from src_app.proxmox.inventory import Progress, SeenGuest
from src_app.proxmox.lifecycle import GuestLife, GuestPlace, GuestSpec
from src_app.proxmox.transience import is_transient
from src_app.services.syncing import guest_row, node_row, utc_now

Action = Literal["create", "configure", "start", "stop", "delete"]
ORDER: tuple[Action, ...] = ("create", "configure", "start", "stop", "delete")
UNFINISHED = ("pending", "begun")


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one guest; ``values`` are the config's for a configure."""

    action: Action
    place: GuestPlace
    name: str = ""
    spec: GuestSpec | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    was: Mapping[str, Any] = field(default_factory=dict)  # the same values before, for people

    def __str__(self) -> str:
        return f"{self.action} {self.place} ({self.name})" if self.name else self.text

    @property
    def text(self) -> str:
        """The step without the guest's name."""
        return f"{self.action} {self.place}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a run: which steps stand, which were undone, which could not be."""

    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class ChangeFailed(AppOperationError):
    """A run failed; what it had done was undone, except ``ending.left``."""

    def __init__(self, message: str, ending: Ending) -> None:
        self.ending = ending
        parts = [message]
        if ending.undone:
            parts.append(f"Undone: {'; '.join(ending.undone)}.")
        if ending.left:
            parts.append(f"Not undone: {'; '.join(ending.left)}.")
        super().__init__(" ".join(parts))


class GuestGone(ProxmoxError):
    """A guest that a step is about is not there, or is another one than before."""


class ChangeService:
    """Does steps through ``life`` and keeps the database in step with each of them."""

    def __init__(
        self, store: Store, life: GuestLife, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._life = life
        self._now = now

    def run(
        self, steps: Sequence[Step], *, progress: Progress = lambda done, total: None
    ) -> Ending:
        """Return once all steps are done.

        Raises:
            ChangeFailed: one failed, and what the others had done was undone.
        """
        run, ids = self._write_down(steps)
        progress(0, len(steps))
        number = 0
        try:
            for number, step in enumerate(steps):
                self._do(ids[number], step)
                progress(number + 1, len(steps))
        except (ProxmoxError, KeyboardInterrupt) as exc:
            why = "Cancelled" if isinstance(exc, KeyboardInterrupt) else str(exc).rstrip(".")
            failed = self._failed(run, f"{steps[number]} failed: {why}.")
            raise failed from exc
        return Ending(done=tuple(map(str, steps)))

    def recover(self) -> tuple[Ending, ...]:
        """Return what became of the runs that earlier processes left unfinished.

        Raises:
            ProxmoxError: it does not answer; the runs stay to be recovered.
        """
        return tuple(self._roll_back(run) for run in self.unfinished())

    def unfinished(self) -> tuple[str, ...]:
        """Return the runs that were interrupted, the oldest first."""
        where = {"status": list(UNFINISHED)}
        found = self._store.read(lambda db: db.changes.find_many(limit=1000, where=where).data)
        return tuple(dict.fromkeys(row.run for row in found))

    # -- forwards ----------------------------------------------------------------------------

    def _write_down(self, steps: Sequence[Step]) -> tuple[str, list[int]]:
        run = str(uuid.uuid4())

        def insert(db: RepositoryFactory) -> list[int]:
            return [
                db.changes.create(
                    {
                        "run": run,
                        "position": number,
                        "action": step.action,
                        "kind": step.place.kind,
                        "vmid": step.place.vmid,
                        "node": step.place.node,
                        "name": step.name,
                        "nonce": f"n{secrets.token_hex(8)}" if step.action == "create" else "",
                        "after": dict(step.values) if step.spec is None else asdict(step.spec),
                    }
                ).id
                for number, step in enumerate(steps)
            ]

        return run, self._store.run(insert)

    def _do(self, number: int, step: Step) -> None:
        before = self._before(step)
        nonce = self._mark(number, status="begun", before=before)
        guest: SeenGuest | None = None
        if step.action == "create":
            assert step.spec is not None, "a create has a spec"
            guest = self._life.create(step.place, step.spec, nonce=nonce)
        elif step.action == "configure":
            guest = self._life.configure(step.place, step.values)
        elif step.action == "start":
            guest = self._life.start(step.place)
        elif step.action == "stop":
            guest = self._life.stop(step.place)
        else:
            self._life.destroy(step.place)
        self._settle(number, "done", step.place, guest)

    def _before(self, step: Step) -> dict[str, Any]:
        """Return what is needed to undo the step, from the guest as it is now."""
        if step.action == "create":
            return {}
        guest = self._life.look(step.place)
        if guest is None or (step.name and step.action == "delete" and guest.name != step.name):
            what = "is not there" if guest is None else f"is called {guest.name} now"
            raise GuestGone(f"{step.place} {what}", origin="looked at before it was changed",
                            hint="Use /sync and look again.")  # fmt: skip
        values = {key: guest.config.get(key) for key in step.values}
        return {"status": guest.status, "values": values}

    def _mark(self, number: int, **values: Any) -> str:
        """Change a step's row and return its nonce."""
        return self._store.run(lambda db: db.changes.update(number, values).nonce)

    def _settle(self, number: int, status: str, place: GuestPlace, guest: SeenGuest | None) -> None:
        """Write down in one transaction how a step ended and how its guest is now."""
        node = None
        if guest is not None and self._store.read(lambda db: not db.nodes.exists(place.node)):
            node = next(n for n in self._life.inventory.nodes() if n.name == place.node)

        def write(db: RepositoryFactory) -> None:
            if node is not None:
                rows.put(db, "node", node_row(node), self._now())
            if guest is None:
                rows.mark_removed(db, place.kind, (place.vmid,), self._now())
            else:
                rows.put(db, place.kind, guest_row(guest), self._now())
            change = db.changes.update(number, {"status": status})
            if change.action == "delete" and status == "done" and db.wanted.exists(place.vmid):
                db.wanted.delete(place.vmid)

        self._store.run(write)

    # -- backwards ---------------------------------------------------------------------------

    def _failed(self, run: str, message: str) -> ChangeFailed:
        try:
            return ChangeFailed(message, self._roll_back(run))
        except ProxmoxError as exc:
            later = f"to be undone when Proxmox answers again ({exc.what})"
            return ChangeFailed(f"{message} What it did is {later}.", Ending())

    def _roll_back(self, run: str) -> Ending:
        """Return what became of a run's steps once those that can be are undone."""
        found = self._store.read(
            lambda db: (
                db.changes.find_many(limit=1000, where={"run": run}, order_by="-position").data
            )
        )
        happened = {row.id: self._happened(row) for row in found}
        if found and all(happened.values()):  # it was killed behind its last step
            for row in found:
                self._refresh(row, "done")
            return Ending(done=tuple(_text(row) for row in reversed(found)))
        self._reopen(found)
        undone, left = [], []
        for row in found:
            if row.status == "done" or happened[row.id] or row.status == "begun":
                done, problem = self._undo(row, happened[row.id])
                if done:
                    undone.append(_text(row))
                if problem:
                    left.append(f"{_text(row)} ({problem})")
        self._close(found)
        return Ending(undone=tuple(undone), left=tuple(left))

    def _reopen(self, found: Sequence[Change]) -> None:
        """Let the whole run look unfinished until all of it is undone, should we die meanwhile.

        Not a delete that is done: a guest that is there now is another one.
        """
        done = [row.id for row in found if row.status == "done" and row.action != "delete"]

        def write(db: RepositoryFactory) -> None:
            for number in done:
                db.changes.update(number, {"status": "begun"})

        self._store.run(write)

    def _happened(self, row: Change) -> bool:
        """Whether a step took effect, whatever its process knew of it."""
        if row.status in ("done", "undone", "failed", "given_up", "pending"):
            return row.status == "done"
        place = _place(row)
        self._life.await_idle(place)
        if row.action == "create":
            return self._life.made_with(place, row.nonce) is not None
        guest = self._life.look(place)
        if row.action == "delete" or guest is None:
            return guest is None and row.action == "delete"
        if row.action == "configure":
            now = guest.config
            return all(_same(now.get(key), value) for key, value in row.after.items())
        return guest.status == ("running" if row.action == "start" else "stopped")

    def _undo(self, row: Change, happened: bool) -> tuple[bool, str]:  # noqa: FBT001
        """Return whether something was undone, and what could not be."""
        try:
            done = self._undone(row, happened)
        except (Unreachable, OutcomeUnknown):
            raise
        except ProxmoxError as exc:
            if is_transient(exc):
                raise
            self._mark(row.id, status="given_up", error=str(exc))
            return False, str(exc)
        if row.action == "delete" and happened:
            self._refresh(row, "done")
            return False, "what is deleted cannot be brought back"
        self._refresh(row, "undone" if happened else "failed")
        return done, ""

    def _undone(self, row: Change, happened: bool) -> bool:  # noqa: FBT001
        place = _place(row)
        was_running = row.before.get("status") == "running"
        if row.action == "create":
            ours = self._life.made_with(place, row.nonce)
            if ours is not None:
                self._life.destroy(place)
            return ours is not None
        if row.action == "delete" and happened:
            return False
        if row.action == "configure":
            if happened:
                self._life.configure(place, row.before["values"])
            return happened
        guest = self._life.look(place)
        if guest is not None and was_running and guest.status == "stopped":
            self._life.start(place)  # a stop, or a delete that came no further
            return True
        if guest is not None and row.action == "start" and not was_running:
            self._life.stop(place, force=True)
            return guest.status != "stopped"
        return False

    def _refresh(self, row: Change, status: str) -> None:
        place = _place(row)
        self._settle(row.id, status, place, self._life.look(place))

    def _close(self, found: Sequence[Change]) -> None:
        """Let no step of the run look unfinished any more."""
        pending = [row.id for row in found if row.status == "pending"]

        def write(db: RepositoryFactory) -> None:
            for number in pending:
                db.changes.update(number, {"status": "given_up"})

        self._store.run(write)


def _place(row: Change) -> GuestPlace:
    return GuestPlace("vm" if row.kind == "vm" else "container", row.node, row.vmid)


def _text(row: Change) -> str:
    return f"{row.action} {_place(row)}"


def _same(now: Any, wanted: Any) -> bool:
    return (now is None) == (wanted is None) and str(now) == str(wanted)
