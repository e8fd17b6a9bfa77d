"""The embedded Proxmox: one state, one clock, one pipeline; no sockets."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_proxmox.faults import FaultRule, vmid_of
from pytest_proxmox.simulator import populate, routes
from pytest_proxmox.simulator.access import ROOT, Access
from pytest_proxmox.simulator.calls import Calls
from pytest_proxmox.simulator.census import Census
from pytest_proxmox.simulator.clock import SimulatorClock
from pytest_proxmox.simulator.faults import Faults
from pytest_proxmox.simulator.pipeline import Pipeline, Trace
from pytest_proxmox.simulator.schema import catalog
from pytest_proxmox.simulator.state import Guest, Seen, State, Token, altered
from pytest_proxmox.simulator.tasks import Tasks
from pytest_proxmox.simulator.volumes import Volumes
from pytest_proxmox.simulator.wire import Answer, PveError, Request, failure
from pytest_proxmox.simulator.world import PASSWORD, World

if TYPE_CHECKING:
    from pytest_proxmox.simulator.workloads import Workloads

_LOG: Final = logging.getLogger(__name__)


def _secret() -> str:
    """Return a token's secret as Proxmox makes them: in the shape of a UUID."""
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in to this simulator as root, by password or by a token of root's."""

    user: str
    password: str = field(repr=False)
    token_id: str = ""
    token_secret: str = field(default="", repr=False)


class _Lock:
    """Guards the state. Whoever takes it finds nothing that was put off."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._prepare = prepare

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._prepare()
        except BaseException:  # Ctrl-C, for one: nobody may wait for this lock for ever
            self._lock.release()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class Simulator:
    """An embedded Proxmox VE. Every method may be called from any thread.

    ``mode`` of the clock is ``on-poll``, ``instant``, ``real`` (times ``scale``) or ``manual``.
    """

    def __init__(
        self, world: World | None = None, *, clock: str = "on-poll", scale: float = 1.0
    ) -> None:
        self.lock = _Lock(self._begin_deferred)
        self.world = world or World.preset("single")
        self.clock = SimulatorClock(clock, scale=scale)
        self.state = State()
        self.schema = catalog.load()
        self.access = Access(self.state, self.clock)
        self.faults = Faults()
        self.faults.on_change = self._hold_lock
        self.tasks = Tasks(self, routes.worker)
        self.volumes = Volumes(self)
        self.census = Census(self)
        self.workloads: Workloads | None = None
        self.crashes: list[Exception] = []
        self._calls = Calls()
        self._unrecorded: list[tuple[Request, Trace, Answer]] = []
        self._used: Counter[tuple[str, str, bool]] = Counter()
        populate.fill(self, self.world)
        self.credentials = self._make_credentials()
        self._pipeline = Pipeline(self, routes.handler)
        self._times: dict[str, tuple[float, float]] = {}
        self._digests: dict[int, tuple[Guest, str]] = {}
        self._fresh = self.snapshot()

    def _make_credentials(self) -> Credentials:
        """Return root's login, with a token that no list shows: the world did not ask for it."""
        token = Token(f"{ROOT}!pytest-proxmox", _secret(), privsep=False)
        self.access.house_token = token
        root = self.state.users.get(ROOT)
        password = (root.password if root else None) or PASSWORD
        return Credentials(ROOT, password, token.id, token.secret)

    @property
    def local_node(self) -> str:
        """The node that answers: the first one of the world."""
        return next(iter(self.state.nodes))

    @property
    def calls(self) -> Calls:
        """The latest requests with what was answered."""
        with self.lock:
            return self._calls

    @property
    def used(self) -> Counter[tuple[str, str, bool]]:
        """How often each method of the API was called: verb, pattern of the path, success."""
        with self.lock:
            return self._used

    def handle(self, request: Request) -> Answer:
        """Return the answer to a request; no input makes this raise."""
        with self.lock:
            trace = Trace()
            if self.faults:
                answer = self._answer_with_faults(request, trace)
            else:
                answer = self._answer(request, trace)
            self._unrecorded.append((request, trace, answer))
            if not self.tasks.defers:
                self._record()
            self.sync()
            return answer

    def settle(self) -> None:
        """Do what an answer did not have to wait for, where ``tasks.defers`` is set."""
        with self.lock:  # which does what was deferred
            self.sync()

    def _begin_deferred(self) -> None:
        self._record()
        try:
            self.tasks.begin_deferred()
        except Exception as exc:  # noqa: BLE001 - kept in crashes; the task has ended with it
            _LOG.error("a task broke the simulator", exc_info=exc)
            self.crashes.append(exc)

    def tick(self) -> None:
        """End the tasks that are due by now, for a clock that runs by itself."""
        with self.lock:
            self.clock.move_to(self.clock.now())
            self.sync()

    def sync(self) -> None:
        """Let what guests serve follow the state."""
        if self.workloads is not None:
            self.workloads.sync()

    def _answer_with_faults(self, request: Request, trace: Trace) -> Answer:
        """Return the answer as fault rules let it be; patterns see the path without its prefix."""
        path = unquote(request.target.partition("?")[0])
        fired = self.faults.for_request(request.method, path.removeprefix("/api2/json"))
        vmid = vmid_of(request.target)
        answer = self.faults.before(fired, vmid)
        if answer is None:
            answer = self.faults.after(fired, self._answer(request, trace), vmid)
        return answer

    def _hold_lock(self, rule: FaultRule, begins: bool) -> None:  # noqa: FBT001 - a callback
        """Lock the guests of a rule that holds locks, and unlock them when it ends."""
        if rule.effect != "lock-held":
            return
        with self.lock:
            for guest in list(self.state.guests.values()):
                if rule.vmid not in (None, guest.vmid):
                    continue
                if begins and guest.lock is None:
                    self.put_guest(guest.with_config({"lock": rule.lock}))
                elif not begins and guest.lock == rule.lock:
                    self.put_guest(guest.with_config({}, remove=("lock",)))

    def _answer(self, request: Request, trace: Trace) -> Answer:
        try:
            return self._pipeline.answer(request, trace)
        except Exception as exc:  # noqa: BLE001 - kept in crashes; a server must answer
            return self._crash(request, exc)

    def _crash(self, request: Request, exc: Exception) -> Answer:
        """Keep a mistake of the simulator's own for whoever runs it, and answer all the same."""
        path = request.target.partition("?")[0]
        _LOG.error("%s %s broke the simulator", request.method, path, exc_info=exc)
        self.crashes.append(exc)
        text = f"internal error of the embedded Proxmox: {type(exc).__name__}: {exc}"
        return failure(PveError(500, text), extjs=False)

    def _record(self) -> None:
        """Keep what was asked and answered for whoever wants to see it."""
        while self._unrecorded:
            request, trace, answer = self._unrecorded.pop(0)
            self._calls.add(request.method, trace, answer, time.time())
            if trace.template:
                self._used[request.method, trace.template, answer.status < 400] += 1

    # --- state ------------------------------------------------------------------------------

    def snapshot(self) -> str:
        """Return the id of a snapshot of the whole state, the clock included."""
        with self.lock:
            name = self.state.store.snapshot()
            self._times[name] = self.clock.mark()
            return name

    def restore(self, name: str) -> None:
        """Make everything as it was at that snapshot; the list of calls goes on.

        Raises:
            KeyError: there is no such snapshot.
        """
        with self.lock:
            self.state.store.restore(name)
            self.clock.set(self._times[name])
            self.sync()

    def reset(self) -> None:
        """Make everything as it was at the start, and forget the calls."""
        with self.lock:
            self.restore(self._fresh)
            self.faults.clear()
            populate.arm(self, self.world)
            self.calls.clear()

    def count(self, name: str, *, start: int = 1, step: int = 1, least: int = 0) -> int:
        """Return a counter's next number, not below ``least``; it is part of the state."""
        key = f"counter.{name}"
        number: int = max(self.state.settings.get(key, start - step) + step, least)
        self.state.settings[key] = number
        return number

    def digest(self, guest: Guest) -> str:
        """Return a guest's digest, worked out once for each version of it."""
        known = self._digests.get(guest.vmid)
        if known is None or known[0] is not guest:
            known = self._digests[guest.vmid] = (guest, guest.digest())
        return known[1]

    def digest_of(self, values: Any) -> str:
        """Return the SHA-1 of plain values, for configurations that are one file."""
        return hashlib.sha1(repr(values).encode(), usedforsecurity=False).hexdigest()

    # --- guests -----------------------------------------------------------------------------

    def guest(self, vmid: int) -> Guest | None:
        """Return a guest as it is now, or None."""
        with self.lock:
            return self.state.guests.get(int(vmid))

    def guests(self) -> list[Guest]:
        """Return all guests, the lowest VMID first."""
        with self.lock:
            return [self.state.guests[vmid] for vmid in sorted(self.state.guests)]

    def plant(self, **guest: Any) -> Guest:
        """Put a guest into the state as if it had always been there, and return it.

        Takes the keys of a guest in a world file: ``vmid``, ``type``, ``node``, ``status``,
        ``config``, ``pool``, ``files``.

        Raises:
            WorldError: a key is wrong, or the VMID is taken.
        """
        with self.lock:
            return populate.plant(self, guest)

    def put_guest(self, guest: Guest, **changes: Any) -> Guest:
        """Store a guest with these changes and return it; the cluster hears of it later."""
        now = self.clock.now()
        self._unheard(guest.vmid, now)
        changed = altered(guest, changed=now, **changes)
        self.state.guests[guest.vmid] = changed
        return changed

    def drop_guest(self, vmid: int) -> None:
        """Remove a guest with its pool membership."""
        self._unheard(vmid, self.clock.now())
        self.state.guests.pop(vmid)
        self.state.members.pop(vmid)

    def _unheard(self, vmid: int, now: float) -> None:
        """Keep what the cluster was last told about a guest that changes now."""
        seen = self.state.seen.get(vmid)
        if seen is None or seen.at <= self.clock.last_broadcast():
            self.state.seen[vmid] = Seen(now, self.state.guests.get(vmid))

    def broadcast(self, vmid: int) -> Guest | None:
        """Return the guest as the cluster last heard of it, or None where it has not yet."""
        seen = self.state.seen.get(vmid)
        if seen is not None and seen.at > self.clock.last_broadcast():
            return seen.guest
        return self.state.guests.get(vmid)
