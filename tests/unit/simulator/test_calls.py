"""The list of calls: bounded, and counted on when it is full or cleared."""

from __future__ import annotations

from pytest_proxmox.simulator.calls import KEPT, Calls
from pytest_proxmox.simulator.pipeline import Trace
from pytest_proxmox.simulator.wire import Answer


def ask(calls: Calls, path: str) -> None:
    calls.add("GET", Trace(path=path), Answer(200, "OK"), 0.0)


def test_what_came_since_is_told_also_when_the_list_is_full() -> None:
    calls = Calls()
    for _ in range(KEPT):
        ask(calls, "/version")
    seen = calls.total
    ask(calls, "/nodes")

    assert len(calls) == KEPT
    assert [call.path for call in calls.since(seen)] == ["/nodes"]
    assert calls.total == KEPT + 1


def test_what_came_since_is_told_also_when_the_list_was_cleared() -> None:
    calls = Calls()
    ask(calls, "/version")
    seen = calls.total
    ask(calls, "/nodes")
    calls.clear()
    ask(calls, "/pools")

    assert [call.path for call in calls.since(seen)] == ["/pools"]
    assert [call.path for call in calls.since(0)] == ["/pools"]
    assert calls.since(calls.total) == []
