"""What a cluster without quorum refuses, and in whose words (golden 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.family import Call, Handler
    from pytest_proxmox.simulator.simulator import Simulator


def is_quorate(sim: Simulator) -> bool:
    """Return whether more than half of the nodes see each other, and nobody says otherwise."""
    if not sim.state.settings.get("quorate", True):
        return False
    names = list(sim.state.nodes)
    return sim.faults.is_quorate() and 2 * sum(is_online(sim, n) for n in names) > len(names)


def is_online(sim: Simulator, node: str) -> bool:
    """Return whether a node of the cluster can be reached."""
    found = sim.state.nodes.get(node)
    return found is not None and found.online and not sim.faults.is_offline(node)


def require_ready(sim: Simulator) -> None:
    """Refuse a new guest configuration while the cluster has no quorum.

    Raises:
        PveError: ``cluster not ready - no quorum?``
    """
    if not is_quorate(sim):
        raise PveError(500, "cluster not ready - no quorum?")


def require_writable(sim: Simulator, path: str) -> None:
    """Refuse to change a file below ``/etc/pve`` while the cluster has no quorum.

    Raises:
        PveError: ``unable to open file '/etc/pve/….tmp.325' - Permission denied``
    """
    if not is_quorate(sim):
        pid = sim.count("pid", step=3)
        raise PveError(500, f"unable to open file '/etc/pve/{path}.tmp.{pid}' - Permission denied")


@contextmanager
def cluster_lock(sim: Simulator, file: str, failing: str) -> Iterator[None]:
    """Hold the lock on a file that the whole cluster shares; it cannot be had without quorum.

    Whatever goes wrong inside is a 500 that starts with ``failing``, e.g.
    ``update pools failed: 403 Permission check failed (…)``.
    """
    prefix = f"{failing}: " if failing else ""
    if not is_quorate(sim):
        raise PveError(500, f"{prefix}cfs-lock 'file-{file}' error: no quorum!")
    try:
        yield
    except PveError as error:
        raise PveError(500, prefix + _as_text(error)) from error


def under_lock(file: str, failing: str) -> Callable[[Handler], Handler]:
    """Return a decorator for handlers that do all their work under ``cluster_lock``."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def locked(call: Call) -> Any:
            with cluster_lock(call.sim, file, failing):
                return handler(call)

        return locked

    return decorate


def _as_text(error: PveError) -> str:
    """Return an error as the text of another one: its status goes first unless it is 500."""
    if error.status == 500:
        return error.message
    lines = [f"{error.status} {error.message}"]
    lines += [f"{name}: {text}" for name, text in (error.errors or {}).items()]
    return "\n".join(lines)
