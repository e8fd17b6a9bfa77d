"""How a family of routes offers its handlers and workers: tables filled where they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_proxmox.simulator.access import Auth
from pytest_proxmox.simulator.multipart import Upload
from pytest_proxmox.simulator.tasks import Worker

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.simulator.state import State


@dataclass(slots=True)
class Call:
    """One request on its way through a handler: who asks for what, with checked values.

    ``params`` holds path, query and body together, typed as the method's schema says; parameters
    that were not given are absent. ``node`` is the node in the path, ``localhost`` resolved.
    ``upload`` is the file that came with the request.
    """

    sim: Simulator
    auth: Auth
    verb: str
    path: str
    template: str
    params: dict[str, Any]
    node: str = ""
    upload: Upload | None = None

    @property
    def state(self) -> State:
        """The simulator's tables."""
        return self.sim.state

    def may(self, path: str, *wanted: str, either: bool = False) -> bool:
        """Return whether the caller has these privileges at ``path``."""
        return self.sim.access.may(self.auth, path, wanted, either=either)

    def require(self, path: str, *wanted: str, either: bool = False) -> None:
        """Refuse with 403 unless the caller has these privileges at ``path``."""
        self.sim.access.require(self.auth, path, *wanted, either=either)

    def start(self, kind: str, ident: object, **more: Any) -> str:
        """Start a task on this call's node for its caller and return the UPID."""
        return self.sim.tasks.start(self.node, kind, str(ident), self.auth, **more)


Handler = Callable[[Call], Any]


@dataclass(slots=True)
class Family:
    """Handlers by (verb, path template) and workers by name.

    A handler that keeps no state of its own, and only answers in the right shape, is registered
    with ``checked=True``: the coverage table says so.
    """

    handlers: dict[tuple[str, str], Handler] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    checked: set[tuple[str, str]] = field(default_factory=set)

    def _route(
        self, verb: str, template: str, *, checked: bool = False
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.handlers[verb, template] = handler
            if checked:
                self.checked.add((verb, template))
            return handler

        return register

    def get(self, template: str, *, checked: bool = False) -> Callable[[Handler], Handler]:
        """Register a handler for GET."""
        return self._route("GET", template, checked=checked)

    def post(self, template: str) -> Callable[[Handler], Handler]:
        """Register a handler for POST."""
        return self._route("POST", template)

    def put(self, template: str) -> Callable[[Handler], Handler]:
        """Register a handler for PUT."""
        return self._route("PUT", template)

    def delete(self, template: str) -> Callable[[Handler], Handler]:
        """Register a handler for DELETE."""
        return self._route("DELETE", template)

    def worker(self, name: str, worker: Worker) -> None:
        """Register what a kind of task does."""
        self.workers[name] = worker
