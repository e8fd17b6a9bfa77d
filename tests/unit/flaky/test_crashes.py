"""A crash is judged when what its worker had to say has come in, or will not come any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.flaky.crashes import _SCHEDULERS, LAST_WORD_S, POLL_S, CrashHooks
from pytest_proxmox.flaky.settings import RerunRules

RULES = RerunRules(2, 10.0, 5, 20.0, rerun_new=False)


class Heard:
    """What the workers said: nothing until it was asked for ``deaf`` times."""

    def __init__(self, deaf: int) -> None:
        self.deaf = deaf
        self.asked = 0

    def get_test_reruns(self, _test: str) -> int:
        """Return how often the test may be tried again."""
        self.asked += 1
        return 2 if self.asked > self.deaf else 0


def _crash(heard: Heard) -> float:
    clock = ManualClock()
    began = clock.monotonic()
    sched = SimpleNamespace(config=SimpleNamespace(failures_db=heard))
    CrashHooks(RULES, clock).pytest_handlecrashitem("t.py::test_a", sched)
    return clock.monotonic() - began


@pytest.mark.parametrize("kind", _SCHEDULERS)
def test_what_a_worker_collects_that_did_not_join_is_not_asked_for(
    pytester: pytest.Pytester, kind: str
) -> None:
    config = pytester.parseconfig("--tx=2*popen", f"--dist={kind}")
    scheduler: Any = _SCHEDULERS[kind](config, None)
    scheduler.add_node_collection(object(), ["t.py::test_a"])
    assert scheduler.nodes == []
    assert not scheduler.collection_is_completed


@pytest.mark.parametrize("kind", _SCHEDULERS)
def test_a_worker_that_died_just_now_may_be_sent_more_tests(
    pytester: pytest.Pytester, kind: str
) -> None:
    class Dead:
        def sendcommand(self, name: str, **_: object) -> None:
            raise OSError(f"cannot send {name}")

    scheduler: Any = _SCHEDULERS[kind](pytester.parseconfig("--tx=popen", f"--dist={kind}"), None)
    scheduler.add_node(node := Dead())
    node.sendcommand("runtests", indices=[0])
    assert scheduler.nodes == [node]


def test_a_word_that_is_there_is_not_waited_for() -> None:
    assert _crash(Heard(0)) == 0


def test_a_late_word_is_waited_for() -> None:
    assert _crash(heard := Heard(10)) < 11 * POLL_S
    assert heard.asked == 11


def test_a_word_that_never_comes_is_given_up() -> None:
    assert LAST_WORD_S <= _crash(Heard(10**9)) < LAST_WORD_S + 2 * POLL_S
